"""Episodes that stopped half-way: trajectories without an outcome, and how their environments come back.

What an unfinished trajectory said and heard is all that it needs to go on, because an episode is a pure function of its task,
its seed and the agent's messages. An environment that still waits in its slot is used as it is; one that is gone is replaced
by a fresh one that hears the agent's messages again, and its answers must be the recorded ones. (Partial rollouts: Kimi k1.5,
arXiv 2501.12599, section 2.6.2.)
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from simulators.pool import SlotFault
from trajectories.messages import Message
from trajectories.outcomes import Fault
from trajectories.tasks import Task
from trajectories.trajectory import Segment, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect
    from rl.rollout.episode import Episodes

__all__ = ["Standing", "WaitingSlots", "check_belongs", "free", "replay", "standing_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an episode stopped."""

    turn: int = 0
    """Whole turns of the policy so far; the number of the one that is due."""
    part: int = 0
    """Parts of the turn that is due: it was cut after each of them."""
    calls: int = 0
    """Tool calls so far."""
    spoken: tuple[int, ...] = ()
    """Tokens of the turn that is due, over all its parts."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What the tokens do not tell, as JSON values: `Trajectory.metadata` of an unfinished one has it as ``unfinished``."""
        return {"turn": self.turn, "part": self.part}


class WaitingSlots:
    """Which environments wait in their slots of one pool for an unfinished trajectory to go on.

    Args:
        most: of them at a time. Those of further trajectories are given back, and brought back by replay: that costs the
            time of their steps once more and changes nothing.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._messages: dict[str, tuple[Message, ...]] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def keep(self, trajectory: Trajectory) -> bool:
        """Whether there is room for the environment of this one; if so it waits from now on."""
        if len(self) >= self.most:
            return False
        self._messages[trajectory.id] = trajectory.messages
        return True

    def __contains__(self, slot: str) -> bool:
        return slot in self._messages

    def take(self, slot: str, messages: tuple[Message, ...] = ()) -> bool:
        """Whether an environment that has heard just these messages waits in the slot; in no case does one any longer."""
        waiting = self._messages.pop(slot, None)
        return waiting is not None and waiting == messages


def check_belongs(trajectory: Trajectory, identity: str, task: Task, rollout: int, seed: int) -> None:
    """An unfinished trajectory goes on as what it began as.

    Raises:
        ValueError: it is finished, or of another task, rollout or run.
    """
    if trajectory.outcome is not None or "unfinished" not in trajectory.metadata:
        raise ValueError(f"trajectory {trajectory.id} is not unfinished: it has an outcome, or does not say where it stopped")
    due = {"id": identity, "task_id": task.id, "rollout": rollout, "seed": seed}
    for name, value in due.items():
        if (own := getattr(trajectory, name)) != value:
            raise ValueError(f"unfinished trajectory {trajectory.id}: its {name} is {own!r}, and {value!r} is to go on")


def standing_of(trajectory: Trajectory, dialect: "Dialect") -> Standing:
    """Where the trajectory stopped, read from its tokens, which must tell its messages.

    Raises:
        ValueError: they do not; names the turn.
    """
    spoken = _exchanges(trajectory.messages)
    written = [list(run) for _, run in groupby(trajectory.segments, key=lambda segment: segment.origin)]
    if len(spoken) % 2 == 0 or len(written) - len(spoken) not in (0, 1):
        raise ValueError(f"{len(written)} runs of tokens do not tell {len(spoken)} runs of messages")
    for number, run in enumerate(written):
        if run[0].origin != ("policy" if number % 2 else "context"):
            raise ValueError(f"turn {number // 2}: tokens of origin {run[0].origin} stand where they do not belong")
    calls = 0
    for number, said in enumerate(spoken):
        place, tokens = f"turn {number // 2}", _tokens(written[number])
        if number % 2:
            parsed = dialect.parse(tokens, calls)
            if parsed.malformed is not None or [parsed.message] != said:
                raise ValueError(f"{place}: the policy's tokens do not read as its message")
            calls += parsed.calls
        elif tokens != (dialect.append(said) if number else dialect.prefix(said, trajectory.tools)):
            raise ValueError(f"{place}: the tokens before it are not those of what was said")
    due = [segment for run in written[len(spoken) :] for segment in run]
    # Each part has a seed of its own; several segments of one part are of several versions.
    found = Standing(len(spoken) // 2, len({segment.sampling for segment in due}), calls, tuple(_tokens(due)))
    if (told := trajectory.metadata["unfinished"]) != found.metadata:
        raise ValueError(f"it says that it stopped at {told}, and its tokens stop at {found.metadata}")
    return found


async def replay(trajectory: Trajectory, task: Task, user_seed: int, pool: "Episodes") -> None:
    """Brings a fresh environment in the trajectory's slot to where the trajectory stopped.

    Raises:
        SlotFault: the answers are not those that are recorded; the slot is free again.
    """
    first, *spoken = _exchanges(trajectory.messages)
    observation = await pool.reset(trajectory.id, task, user_seed)
    problem = _difference(first, observation.messages)
    if observation.tools != trajectory.tools:
        problem = problem or "its tools are not those that are recorded"
    for turn, (said, answers) in enumerate(zip(spoken[::2], spoken[1::2], strict=True)):
        if problem is not None:
            break
        result = await pool.step(trajectory.id, said[0])
        problem = _difference(answers, result.messages)
        if result.terminated or result.truncated:
            problem = problem or f"it ended ({result.info.get('ending')}) where the recorded one went on"
        problem = problem and f"turn {turn}: {problem}"
    if problem is not None:
        await free(trajectory.id, pool)
        raise SlotFault(trajectory.id, Fault("infrastructure", f"replay of an unfinished episode: {problem}"))


async def free(slot: str, pool: "Episodes") -> None:
    """Gives the environment of a slot back."""
    with contextlib.suppress(SlotFault):  # it is gone already
        await pool.outcome(slot)


def _tokens(segments: Sequence[Segment]) -> list[int]:
    return [token for segment in segments for token in segment.token_ids]


def _exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    """What the policy heard, what it said, what it heard then, and so on."""
    return [list(run) for _, run in groupby(messages, key=lambda message: message.role == "assistant")]


def _difference(recorded: Sequence[Message], answered: Sequence[Message]) -> str | None:
    if list(recorded) == list(answered):
        return None
    for one, other in zip(recorded, answered, strict=False):
        if one != other:
            return f"{other.to_openai()!r:.200} was answered where {one.to_openai()!r:.200} is recorded"
    return f"{len(answered)} messages were answered where {len(recorded)} are recorded"
