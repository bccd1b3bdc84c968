"""An agent that keeps its plan where tools misbehave: it repeats what may be repeated, and looks before it repeats a
change whose reply was lost.

With the gold for a plan it passes every certified task under every trouble that `simulators.stochastic` knows, given
turns enough (`most_turns`). It is a pure function of the dialogue so far, as every agent here. What it may do that no
policy can: it foresees the answers of the world, from the task, to tell "done" from "not done" by one look.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import cast

from simulators.stochastic import ToolTroubles, advice, telling_calls
from simulators.tasks.oracle import Plan, calling, spoken_words
from simulators.toolbox import given_world
from simulators.worlds import WorldSpec, WorldState
from trajectories.messages import Message
from trajectories.tasks import GoldCall, Task

__all__ = ["PatientAgent", "most_turns"]

_Turn = GoldCall | str
"""One call, or words."""
_Turns = Generator[_Turn, str, None]
"""Gives turns and is sent what came back."""


class PatientAgent:
    """Does a plan, one call a turn, and says its reply at the end.

    Args:
        plan: the task's gold unless given; a teacher's plan makes a patient teacher.
    """

    def __init__(self, task: Task, world: WorldSpec, plan: Plan | None = None) -> None:
        self._task, self._world = task, cast(WorldSpec, given_world(world, task))
        self.plan = plan or Plan.one_by_one(task.gold.calls, task.gold.reply)

    def act(self, messages: Sequence[Message]) -> Message:
        turns = self._turns()
        turn = next(turns)
        for answer in _answers(messages):
            turn = turns.send(answer)
        return Message("assistant", turn) if isinstance(turn, str) else calling((turn,), messages)

    def _turns(self) -> _Turns:
        state = self._world.instantiate(self._task.seed, self._task.gold.initialise)
        down: set[str] = set()
        for call in (call for calls in self.plan.turns for call in calls):
            if (words := spoken_words((call,))) is not None:
                yield words
            elif (yield from self._insist(call, state, down)):
                state.call(call.tool or "", call.arguments)
        while True:
            yield self.plan.reply

    def _insist(self, call: GoldCall, state: WorldState, down: set[str]) -> Generator[_Turn, str, bool]:
        """Makes the call until it is answered, or known to be done; gives whether it was done at all."""
        operation = self._world.operations.get(call.tool or "")
        while True:
            todo = advice((yield call))
            if todo in ("take", "never"):
                return todo == "take"
            changes = operation is not None and operation.changes_state
            if todo == "look" and changes and (yield from self._done(call, state, down)):
                return True

    def _done(self, call: GoldCall, state: WorldState, down: set[str]) -> Generator[_Turn, str, bool]:
        """Looks whether the call was done. Where no look can tell, it was not (see `telling_calls`)."""
        after = state.fork()
        after.call(call.tool or "", call.arguments)
        known = [other.tool for calls in self.plan.turns for other in calls]  # tools that are known to work
        looks = sorted(telling_calls(state, after), key=lambda look: look[0] not in known)
        for tool, arguments in looks:
            todo = "never" if tool in down else "repeat"
            while todo in ("repeat", "look"):
                content = yield GoldCall(tool, arguments)
                todo = advice(content)
            if todo == "take":
                return content == after.call(tool, arguments).content
            down.add(tool)
        return False


def most_turns(task: Task, world: WorldSpec, troubles: ToolTroubles) -> int:
    """Assistant messages that a patient oracle needs at most, its last words included.

    With m = `max_in_a_row`: 1 for a question or a refusal, m + 1 for a read or a search, and (m + 1)² for a change,
    of which each of m tries may be followed by m + 1 looks; and one for each tool that may be found out of service.
    """
    tries = troubles.max_in_a_row + 1
    gold = {call.tool for call in task.gold.calls}
    most = 1
    for call in task.gold.calls:
        operation = world.operations.get(call.tool or "")
        if operation is None or operation.kind == "decline":
            most += 1
        else:
            most += tries**2 if operation.changes_state else tries
    looks = (item for item in world.operations.values() if not item.changes_state and item.name not in gold)
    return most + sum(1 for item in looks if (rates := troubles.rates_of(item)) is not None and rates.permanent > 0)


def _answers(messages: Sequence[Message]) -> Iterator[str]:
    """What came back to each assistant message: the reply to its one call, or the user's words."""
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    for index in turns:
        yield messages[index + 1].content if index + 1 < len(messages) else ""
