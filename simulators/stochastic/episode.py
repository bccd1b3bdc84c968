"""The troubles of one episode: between the agent's calls and the world's answers.

Invariants: what strikes is a function of seed, task and the calls made so far; the same call meets at most
`max_in_a_row` troubles in a row; a call was either done once or not at all, and where its reply is lost after it was
done, some read or search that works tells so.
"""

import random
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from simulators.stochastic import replies
from simulators.stochastic.detection import telling_calls
from simulators.stochastic.draws import strike, tools_down, trouble_rng
from simulators.stochastic.rates import ToolTroubles
from simulators.worlds import ToolResult, WorldSpec, WorldState
from trajectories.canonical import canonical_json
from trajectories.outcomes import ToolTrouble
from trajectories.tasks import Task

__all__ = ["EpisodeTroubles"]


class EpisodeTroubles:
    """Answers an episode's calls, now and then badly.

    Args:
        seed: of the episode; run, task and rollout are in it.
    """

    def __init__(self, troubles: ToolTroubles, world: WorldSpec, task: Task, seed: int) -> None:
        self._troubles, self._world, self._task_id, self._seed = troubles, world, task.id, seed
        gold = {call.tool for call in task.gold.calls if call.tool is not None}
        self.down = tools_down(troubles, world, gold, seed, task.id)
        """Tools that are out of service."""
        self._in_a_row: Counter[str] = Counter()
        """By call: troubles since it last went well."""
        self._past: deque[WorldState] = deque(maxlen=troubles.stale_calls + 1)
        """The states before the last calls, the running one's at the end; empty where no answer can be stale."""
        self._remembers = troubles.read.stale > 0 or troubles.search.stale > 0
        self._changed = True

    def call(
        self, state: WorldState, tool: str, arguments: Mapping[str, Any] | str, index: int
    ) -> tuple[ToolResult, ToolTrouble | None]:
        """What the agent is told, and what befell the call.

        Args:
            state: the episode's; changed by what the call does.
            arguments: an object, or the text of what is none.
            index: the call's number in the episode, from 0.

        Returns:
            The reply, `isError` unless the tool did or said what it is there for (a change that was made is no error
            even where its reply is lost), and the trouble, None for a call that went as it should.
        """
        self._remember(state)
        operation = self._world.operations.get(tool)
        rates = self._troubles.rates_of(operation) if operation is not None else None
        if operation is None or rates is None:
            return state.call(tool, arguments), None
        if tool in self.down:
            return _error(replies.out_of_service(tool)), ToolTrouble("permanent")
        rng = trouble_rng(self._seed, self._task_id, index, tool)
        kind = strike(rates, rng)
        same = canonical_json([tool, arguments if isinstance(arguments, str) else dict(arguments)])
        if kind != "slow" and self._in_a_row[same] >= self._troubles.max_in_a_row:
            kind = None
        result, trouble = self._struck(kind, state, tool, arguments, rng)
        self._in_a_row[same] = self._in_a_row[same] + 1 if trouble is not None and trouble.kind != "slow" else 0
        self._changed = operation.changes_state
        return result, trouble

    def _struck(
        self, kind: str | None, state: WorldState, tool: str, arguments: Mapping[str, Any] | str, rng: random.Random
    ) -> tuple[ToolResult, ToolTrouble | None]:
        settings = self._troubles
        match kind:
            case "timeout":
                return _error(replies.TIMEOUT), ToolTrouble("timeout", settings.timeout_seconds)
            case "rate_limit":
                wait = rng.randint(1, settings.retry_after_seconds)
                return _error(replies.rate_limited(wait)), ToolTrouble("rate_limit")
            case "transient":
                return _error(replies.TRANSIENT), ToolTrouble("transient")
            case "slow":
                seconds = round(rng.uniform(1, settings.slow_seconds), 1)
                return state.call(tool, arguments), ToolTrouble("slow", seconds)
            case "stale":
                return self._stale(state, tool, arguments, rng.randint(1, settings.stale_calls))
            case "timeout_after_commit" | "malformed":
                return self._unheard(kind, state, tool, arguments, rng)
        result = state.call(tool, arguments)
        if kind == "partial" and result.structuredContent is not None:
            return ToolResult(replies.cut_hits(result.structuredContent, rng), None, False), ToolTrouble("partial")
        return result, None

    def _stale(
        self, state: WorldState, tool: str, arguments: Mapping[str, Any] | str, calls: int
    ) -> tuple[ToolResult, ToolTrouble | None]:
        """The answer of so many calls ago; a call that is wrong then and now is told so at once."""
        now, old = state.call(tool, arguments), self._past[max(0, len(self._past) - 1 - calls)].call(tool, arguments)
        if now.isError and old.isError:
            return now, None
        return ToolResult(replies.stale(old.content, calls), None, old.isError), ToolTrouble("stale")

    def _unheard(
        self, kind: str, state: WorldState, tool: str, arguments: Mapping[str, Any] | str, rng: random.Random
    ) -> tuple[ToolResult, ToolTrouble | None]:
        """Done, or refused, but the reply is lost; a change that nobody could find out is not made, but times out."""
        trial = state.fork()
        result = trial.call(tool, arguments)
        changes = self._world.operations[tool].changes_state and not result.isError
        if changes:
            if next(telling_calls(state, trial, self.down), None) is None:
                return self._struck("timeout", state, tool, arguments, rng)
            state.call(tool, arguments)
        told = replies.TIMEOUT if kind == "timeout_after_commit" else replies.cut_text(result.content, rng)
        seconds = self._troubles.timeout_seconds if kind == "timeout_after_commit" else 0.0
        return ToolResult(told, None, not changes), ToolTrouble(kind, seconds, lost=changes)

    def _remember(self, state: WorldState) -> None:
        if self._remembers:
            self._past.append(state.fork() if self._changed else self._past[-1])
            self._changed = False


def _error(content: str) -> ToolResult:
    return ToolResult(content, None, True)
