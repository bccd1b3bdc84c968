"""When rollouts and training run: in turns, one step apart, or side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rl.rollout.engine import UpdateMode
from rl.rollout.scheduling import Group, Order, Rule

__all__ = ["ScheduleSettings", "staleness"]


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How rollouts and training share the time; see docs/scheduling.md."""

    mode: Literal["sync", "one_step_off", "async"] = "sync"
    """sync: in turns, always on the newest weights. one_step_off: the rollouts of the next iteration run while this one is
    learnt, all of them on one version of the weights. async: rollouts never stop, and new weights reach them on their way."""
    ahead: int = 1
    """async: iterations whose rollouts may begin before the last one is learnt. (sync has 0, one_step_off 1.)"""
    max_staleness: int | None = None
    """Iterations that may be learnt between a group's beginning and the batch that learns from it; null is the least that the
    mode allows (0, 1, `ahead`). More of it lets groups be overtaken (`order`) or wait (`iteration_tokens`)."""
    order: Order = "dispatch"
    """async: which groups a batch takes. dispatch: the tasks of its iteration, waiting for the slowest. completion: whoever is
    finished, but for those that would grow older than `max_staleness`, which are waited for."""
    update: UpdateMode = "wait"
    """async: what becomes of requests in flight when new weights come. wait: they end first; recompute: they are cut, and go on
    under the new weights; keep: they stand still and go on with the key/value cache they have."""
    iteration_tokens: int | None = None
    """sync: tokens that one rollout may sample in one iteration; what is unfinished then goes on in the next one. null: all."""

    def __post_init__(self) -> None:
        if self.mode not in ("sync", "one_step_off", "async"):
            raise ValueError(f"mode: must be sync, one_step_off or async, not {self.mode!r}")
        if self.ahead < 1:
            raise ValueError(f"ahead: must be at least 1, not {self.ahead}; mode=sync runs in turns")
        for key, value, usual in (("ahead", self.ahead, 1), ("order", self.order, "dispatch"), ("update", self.update, "wait")):
            if self.mode != "async" and value != usual:
                raise ValueError(f"{key}: {value} is for mode=async; mode={self.mode} has {usual}, or needs none")
        if self.staleness < self.begun_ahead:
            raise ValueError(
                f"max_staleness: must be at least {self.begun_ahead} with mode={self.mode}, not {self.max_staleness}"
            )
        if self.iteration_tokens is not None and (self.mode != "sync" or self.iteration_tokens < 1 or self.staleness < 1):
            raise ValueError(
                "iteration_tokens: at least 1 token, with mode=sync, and max_staleness of at least 1 says how many iterations "
                "an unfinished rollout may wait (in the other modes rollouts do not wait for the training)"
            )
        slack = self.staleness - self.begun_ahead
        if self.order == "completion" and not slack:
            raise ValueError(f"order: completion needs max_staleness above {self.begun_ahead}, or nobody may be overtaken")
        if slack and self.order == "dispatch" and self.iteration_tokens is None:
            raise ValueError(f"max_staleness: {self.max_staleness} changes nothing without order=completion or iteration_tokens")

    @property
    def begun_ahead(self) -> int:
        """Iterations that may begin before the last one is learnt."""
        return {"sync": 0, "one_step_off": 1, "async": self.ahead}[self.mode]

    @property
    def staleness(self) -> int:
        """The bound in force."""
        return self.begun_ahead if self.max_staleness is None else self.max_staleness

    def rule(self, prompts_per_step: int, steps: int) -> Rule:
        """What decides in a run of so many tasks per iteration, and iterations."""
        in_parts = self.iteration_tokens is not None
        return Rule(prompts_per_step, steps, self.begun_ahead, self.staleness, self.order, in_parts)


def staleness(groups: Sequence[Group], step: int) -> dict[str, float]:
    """How many iterations were learnt between the beginning of the groups and `step`, which learns from them."""
    ages = [step - 1 - group.began for group in groups]
    return {"schedule/staleness_mean": sum(ages) / len(ages), "schedule/staleness_max": float(max(ages))}
