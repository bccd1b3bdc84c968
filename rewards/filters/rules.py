"""All filters over one trajectory."""

from collections.abc import Mapping
from typing import Final

from rewards.filters.claimed_call import claimed_call
from rewards.filters.config import FilterConfig
from rewards.filters.empty_turn import empty_turn
from rewards.filters.finding import Filter
from rewards.filters.hallucinated_tool import hallucinated_tool
from rewards.filters.invalid_arguments import invalid_arguments
from rewards.filters.leaked_reasoning import leaked_reasoning
from rewards.filters.long_turn import long_turn
from rewards.filters.repeated_call import repeated_call
from rewards.filters.wrong_call_id import wrong_call_id
from rewards.filters.wrong_language import wrong_language
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory, Verdict

__all__ = ["FILTERS", "rule_verdicts"]

FILTERS: Final[Mapping[str, Filter]] = {
    "leaked_reasoning": leaked_reasoning,
    "hallucinated_tool": hallucinated_tool,
    "invalid_arguments": invalid_arguments,
    "wrong_call_id": wrong_call_id,
    "repeated_call": repeated_call,
    "long_turn": long_turn,
    "wrong_language": wrong_language,
    "empty_turn": empty_turn,
    "claimed_call": claimed_call,
}
"""By the name of the setting that switches it off, which is the verdict's criterion too."""

_DEFAULT: Final = FilterConfig()


def rule_verdicts(trajectory: Trajectory, task: Task | None = None, config: FilterConfig | None = None) -> tuple[Verdict, ...]:
    """A failed verdict of judge ``rules`` for each filter that found something; empty for a clean row.

    Args:
        task: says which language the user speaks, where the trajectory's metadata do not.

    Raises:
        ValueError: a declared tool that is called has a schema that is none; names the tool.
    """
    config = config or _DEFAULT
    verdicts = []
    for name, find in FILTERS.items():
        if getattr(config, name) and (found := find(trajectory, task, config)) is not None:
            verdicts.append(Verdict("rules", name, "fail", reasons=found.reasons, evidence=found.evidence))
    return tuple(verdicts)
