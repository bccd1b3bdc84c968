"""From an outcome to a verdict about its last reply: what all domains have in common."""

from collections.abc import Callable, Mapping

from trajectories.answers import final_reply
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward

__all__ = ["fault_of", "judged"]


def fault_of(outcome: Outcome) -> str | None:
    """What broke beside the policy, in words; None where nothing did."""
    if not outcome.faults and outcome.ending != "fault":
        return None
    causes = [f"{fault.source}: {fault.message}" for fault in outcome.faults]
    return "; ".join(causes) or "the episode ended by a fault that was not recorded"


def judged(outcome: Outcome, components: Callable[[str], Mapping[str, float]], *, grader: str) -> Reward:
    """1.0 where every component of the last reply is 1.0, else 0.0 with a cause that names what was missed.

    An episode that did not complete has the one component ``completed``, which is 0. After a fault there is no verdict, and none
    where the verifier itself breaks: nothing invents a 0.

    Args:
        components: of the reply, by name.
        grader: name and version of the verifier, ``maths/1``.
    """
    if (fault := fault_of(outcome)) is not None:
        return Reward.invalid(fault)
    found: dict[str, float] = {"completed": float(outcome.ending == "completed")}
    if found["completed"]:
        try:
            found |= components(final_reply(outcome))
        except Exception as error:  # a mistake of ours, whatever the reply: no verdict about the policy
            return Reward.invalid(f"verifier: {grader}: {type(error).__name__}: {error}"[:500])
    missed = [name for name, value in found.items() if value != 1.0]
    cause = f"missed: {', '.join(missed)}" if missed else None
    return Reward(float(not missed), cause=cause, components=found, grader=grader)
