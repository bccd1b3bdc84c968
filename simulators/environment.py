"""One episode: an agent between a world, which answers tool calls, and a user, who answers messages.

Gymnasium's order of events with chat messages as the space: `reset`, then `step` until terminated or truncated, then
`outcome`. Whatever the policy writes is answered or ends the episode; it never raises. What breaks on our side becomes
a fault in the outcome, and an episode is a pure function of (task, seed, the agent's messages). Tools that misbehave on
purpose (`simulators.stochastic`) are part of the task's world and no fault. A task with an agent of its own is played with
that agent's tools and prompt; any other with all of the world's tools and its instructions alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from services.chat import StoreError
from simulators.playable import Playable, PlayableState
from simulators.stochastic import EpisodeTroubles, ToolTroubles
from simulators.toolbox import given_world
from simulators.users import AnyVoice, AskingUser, LedgerUser
from simulators.users.voice import speak
from simulators.worlds import WorldSpec, WorldState, load
from simulators.worlds.loading import FILES
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import CallRecord, Ending, Fault, Outcome, StateChange
from trajectories.rubrics import call_turns, reached_checkpoints
from trajectories.tasks import Task

__all__ = ["Environment", "Observation", "StepResult"]

MAX_CALLS_PER_TURN = 64
"""Calls of one turn beyond these are refused with a tool error, so that a runaway turn costs little."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the agent sees before its first turn."""

    messages: tuple[Message, ...]
    """The system prompt and the user's opening."""
    tools: tuple[ToolSpec, ...]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one turn of the agent."""

    messages: tuple[Message, ...]
    """Tool results, one for each call and in order, or the user's next message; empty when the user left."""
    terminated: bool
    """The dialogue came to its own end, good or bad."""
    truncated: bool
    """The dialogue was cut off at the turn limit."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """``turn`` (turns so far) and ``ending`` (None while the episode runs)."""


class Environment:
    """Plays the episodes of one world, one after the other.

    Args: world: every task that is reset here belongs to it. max_turns: assistant messages per episode; one more is
        never asked for. end_on_malformed: whether a call that is not a JSON object, or that names a tool which does
        not exist, ends the episode with ending ``malformed``; otherwise the agent is told and may try again.
        troubles: how often tools misbehave; None, and rates that are all 0, for never. voice: who puts the user's
        decisions into words; None for the words that are built in. One that raises ends the episode with a fault.
    """

    def __init__(
        self,
        world: Playable,
        *,
        max_turns: int = 12,
        end_on_malformed: bool = False,
        troubles: ToolTroubles | None = None,
        voice: AnyVoice | None = None,
    ) -> None:
        if max_turns < 1:
            raise ValueError(f"max_turns is at least 1, not {max_turns}")
        self.world, self.max_turns, self.end_on_malformed = world, max_turns, end_on_malformed
        self.troubles = troubles if troubles is not None and troubles.active else None
        self._voice: AnyVoice = voice or speak
        self._tools = _tools_of(world)
        self._task: Task | None = None

    def reset(self, task: Task, seed: int) -> Observation:
        """Starts an episode of `task`; `seed` is the user's and the tools' troubles', one for each run and rollout.

        Raises:
            ValueError: when the task belongs to another world (one named by a path must have the same content), or its
                world cannot be loaded or prepared, or its agent has tools that the world lacks, or has one twice.
        """
        path = task.world.endswith(FILES)
        if (load(task.world) != self.world) if path else (task.world != self.world.name):
            raise ValueError(
                f"task {task.id} belongs to world {task.world!r}, this environment plays {self.world.name!r}"
            )
        self._given = given_world(self.world, task)
        self._state: PlayableState = self._given.instantiate(task.seed, task.gold.initialise)
        composed = task.domain == "tool_use"
        self._user: LedgerUser | AskingUser = LedgerUser(task, seed, self._voice) if composed else AskingUser(task)
        troubles = self.troubles if composed else None
        self._episode_troubles = (
            EpisodeTroubles(troubles, cast(WorldSpec, self._given), task, seed) if troubles is not None else None
        )
        self._task = task
        self._turn = 0
        self._ending: Ending | None = None
        self._calls: list[CallRecord] = []
        self._faults: list[Fault] = []
        self._messages: list[Message] = [self._user.opening()]
        tools = self._tools if task.agent is None else self._given.tool_specs()
        return Observation((Message("system", self._given.instructions), self._messages[0]), tools)

    def step(self, message: Message) -> StepResult:
        """Answers one assistant message: its tool calls in order, or, when it has none, the user's reply.

        Raises:
            RuntimeError: before `reset` and after the end of the episode.
            ValueError: when the message is not the assistant's. Both are mistakes of the caller, not of the policy.
        """
        if self._task is None or self._ending is not None:
            raise RuntimeError("this episode has not begun or is over: call reset first")
        if message.role != "assistant":
            raise ValueError(f"step takes the assistant's message, not one of role {message.role!r}")
        self._turn += 1
        self._messages.append(message)
        answers = self._answer_calls(message) if message.tool_calls else self._answer_by_user(message)
        self._messages.extend(answers)
        truncated = self._ending is None and self._turn >= self.max_turns
        if truncated:
            self._ending = "turn_limit"
        terminated = self._ending is not None and not truncated
        return StepResult(tuple(answers), terminated, truncated, {"turn": self._turn, "ending": self._ending})

    def outcome(self) -> Outcome:
        """What can be observed of the episode so far; one that did not end counts as cut off at the turn limit."""
        if self._task is None:
            raise RuntimeError("there is no episode: call reset first")
        turns = call_turns(self._messages, len(self._calls))
        return Outcome(
            ending=self._ending or "turn_limit",
            changes=self._changes(),
            calls=tuple(self._calls),
            messages=tuple(self._messages),
            checkpoints=reached_checkpoints(self._task.rubric, self._calls, turns, self._messages),
            faults=tuple(self._faults),
        )

    def abort(self, ending: Ending, fault: Fault | None = None, message: Message | None = None) -> None:
        """Ends the episode from outside: a turn that did not parse, a token limit, or a fault elsewhere.

        Args:
            message: the assistant message that was cut off, where there is one; it is kept, its calls are not executed.
        """
        if message is not None:
            self._messages.append(message)
        self._ending = ending
        if fault is not None:
            self._faults.append(fault)

    def _answer_calls(self, message: Message) -> list[Message]:
        answers = []
        for index, call in enumerate(message.tool_calls):
            record = self._execute(call, index)
            self._calls.append(record)
            answers.append(Message("tool", record.content, tool_call_id=call.id, name=call.name))
            if self._ending is not None:
                break
        return answers

    def _execute(self, call: ToolCall, index: int) -> CallRecord:
        arguments = _parsed(call)
        if index >= MAX_CALLS_PER_TURN:
            return CallRecord(call.name, arguments, True, f"refused: more than {MAX_CALLS_PER_TURN} calls in one turn")
        if self.end_on_malformed and (isinstance(arguments, str) or call.name not in self._given.operations):
            self._ending = "malformed"
        try:
            if self._episode_troubles is None:
                result, trouble = self._state.call(call.name, arguments), None
            else:
                state = cast(WorldState, self._state)  # of a tool world: no other has troubles
                result, trouble = self._episode_troubles.call(state, call.name, arguments, len(self._calls))
        except StoreError:  # the disk under a record is full or broken: no episode's fault, the run stops
            raise
        except Exception as error:  # a world that raises is broken: that is a fault, never the policy's failure
            self._fail(Fault("tool", f"{call.name}: {type(error).__name__}: {error}"))
            return CallRecord(call.name, arguments, True, "the tool broke")
        return CallRecord(call.name, arguments, result.isError, result.content, trouble)

    def _answer_by_user(self, message: Message) -> list[Message]:
        try:
            reply = self._user.reply(message)
        except StoreError:
            raise
        except Exception as error:
            self._fail(Fault("user", f"{type(error).__name__}: {error}"))
            return []
        if reply is None:
            self._ending = "completed"
            return []
        return [reply]

    def _changes(self) -> tuple[StateChange, ...]:
        return tuple(self._state.diff())

    def _fail(self, fault: Fault) -> None:
        self._ending = "fault"
        self._faults.append(fault)


@lru_cache(maxsize=64)
def _tools_of(world: Playable) -> tuple[ToolSpec, ...]:
    return world.tool_specs()


def _parsed(call: ToolCall) -> dict[str, Any] | str:
    """The arguments as an object, or the raw text when they are not one that JSON and UTF-8 can hold again."""
    try:
        arguments = call.parsed_arguments()
        canonical_json(arguments).encode()
    except (ValueError, RecursionError):
        return call.arguments
    return arguments
