"""What the recipe adds to the bare loop; every piece is a setting, and off unless asked for.

Kimi K2 (arXiv 2507.20534, section 3.2.3): sampling temperature decayed from high to low, PTX data mixed in. Kimi k1.5
(arXiv 2501.12599, section 2.3): curriculum from easy to hard, prioritised sampling, an optimizer that forgets when the
reference changes. The reports name these and disclose no figures; all defaults here are ours.
"""

import bisect
import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Literal

from rl.training.schedules import Shape, decayed
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_rng

__all__ = ["Curriculum", "DropGroups", "Grade", "PTXSettings", "Priority", "RecipeSettings", "Stage"]

DropGroups = Literal["all_pass", "all_fail"]


@dataclass(frozen=True, kw_only=True)
class Grade:
    """How hard tasks of one grade are; null leaves what `tasks` says."""

    difficulty: int | None = None
    """Sub-goals of a task in a tool world, 1 to 3."""
    level: int | None = None
    """Level of the other domains."""
    families: tuple[str, ...] = ()
    """Kinds of sub-goals in tool worlds; empty leaves what `tasks` says."""
    fewest_calls: int | None = None
    """Depth: tool calls that doing a task takes at least."""
    most_calls: int | None = None
    """Depth: tool calls that doing a task takes at most; 0 for any number."""

    def __post_init__(self) -> None:
        self.of(TaskStream())

    def of(self, stream: TaskStream) -> TaskStream:
        """The tasks of `stream` at this grade.

        Raises:
            ValueError: naming the key that `stream` refuses.
        """
        said = {key: getattr(self, key) for key in ("difficulty", "fewest_calls", "most_calls")}
        changes = {key: value for key, value in said.items() if value is not None}
        families = self.families or stream.families
        gym = stream.gym if self.level is None else replace(stream.gym, levels=(self.level,))
        return replace(stream, **changes, families=families, gym=gym)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """From `step` on, the grades have these shares of the tasks."""

    step: int
    """Iteration, from 1."""
    shares: tuple[float, ...]
    """Of each grade, in order; they add up to 1. Up to the next stage they change in a straight line."""


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """Easy to hard: a mix of grades that changes with the iteration; without grades, all tasks are what `tasks` says."""

    grades: tuple[Grade, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.grades) != bool(self.stages):
            raise ValueError("stages: a curriculum has grades and stages, or neither")
        steps = [stage.step for stage in self.stages]
        if steps and (steps[0] != 1 or steps != sorted(set(steps))):
            raise ValueError(f"stages: their steps begin with 1 and rise, unlike {steps}")
        for number, stage in enumerate(self.stages):
            if len(stage.shares) != len(self.grades):
                raise ValueError(f"stages: number {number} has {len(stage.shares)} shares for {len(self.grades)} grades")
            if not all(math.isfinite(share) and share >= 0 for share in stage.shares):
                raise ValueError(f"stages: the shares of number {number} are at least 0, unlike {list(stage.shares)}")
            if not math.isclose(sum(stage.shares), 1.0, abs_tol=1e-6):
                raise ValueError(f"stages: the shares of number {number} add up to {sum(stage.shares):g}, not 1")

    def shares(self, step: int) -> list[float]:
        """Of each grade at iteration `step`."""
        at = bisect.bisect_right([stage.step for stage in self.stages], step) - 1
        here = self.stages[at]
        if at + 1 == len(self.stages):
            return list(here.shares)
        following = self.stages[at + 1]
        way = (step - here.step) / (following.step - here.step)
        return [one + way * (other - one) for one, other in zip(here.shares, following.shares, strict=True)]

    def deal(self, step: int, count: int, seed: int) -> list[int]:
        """The grade of each of `count` tasks of iteration `step`: each grade its share, give or take one task."""
        if not self.grades:
            return [0] * count
        rng = derive_rng(seed, "curriculum", step)
        reached = list(itertools.accumulate(self.shares(step)))
        hardest = max(grade for grade, share in enumerate(self.shares(step)) if share)
        offset = rng.random()
        dealt = [min(bisect.bisect_right(reached, (place + offset) / count), hardest) for place in range(count)]
        rng.shuffle(dealt)  # or the hard tasks would always meet the same domains and worlds, which take turns by place
        return dealt


@dataclass(frozen=True, kw_only=True)
class Priority:
    """Prioritised sampling from a fixed set of problems: weight 1 - success rate of the newest rollouts (k1.5)."""

    pool: int = 0
    """Tasks (of each grade) that are drawn from, again and again; 0: every task is new and used once."""
    floor: float = 0.05
    """Least weight, so that a problem that is always solved is still asked for now and then (ours)."""

    def __post_init__(self) -> None:
        if self.pool < 0:
            raise ValueError(f"pool: must be at least 0 tasks, not {self.pool}")
        if not 0 < self.floor <= 1:
            raise ValueError(f"floor: must be in (0, 1], not {self.floor}")


@dataclass(frozen=True, kw_only=True)
class PTXSettings:
    """Curated dialogues whose cross-entropy is added with `trainer.ptx_weight` (K2)."""

    path: str | None = None
    """Directory of `orrery export format=native` or `orrery synthesize`; null for none."""
    tokens: int = 4096
    """Tokens that are read per iteration at most, context included; longer dialogues are never drawn."""

    def __post_init__(self) -> None:
        if self.tokens < 2:
            raise ValueError(f"tokens: must be at least 2, not {self.tokens}")


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """Extras of the recipe."""

    curriculum: Curriculum = field(default_factory=Curriculum)
    priority: Priority = field(default_factory=Priority)
    drop_groups: tuple[DropGroups, ...] = ()
    """Groups that nothing is learnt from: all_pass, all_fail; by the verdicts alone, whatever they are worth."""
    final_temperature: float | None = None
    """Sampling temperature falls from `temperature` to this; null keeps it as it is."""
    temperature_steps: int | None = None
    """Iterations until it is reached; null: all of `steps`."""
    temperature_shape: Shape = "linear"
    """linear: as much less in every iteration; exponential: by the same factor."""
    ptx: PTXSettings = field(default_factory=PTXSettings)
    optimizer_reset_every: int = 0
    """Iterations after which the optimizer forgets momentum and moments; 1 is k1.5's, whose reference changes with each;
    0 never."""

    def __post_init__(self) -> None:
        if self.final_temperature is not None and self.final_temperature <= 0:
            raise ValueError(f"final_temperature: must be above 0, not {self.final_temperature}")
        if self.temperature_steps is not None and self.temperature_steps < 2:
            raise ValueError(f"temperature_steps: a decay takes at least 2 iterations, not {self.temperature_steps}")
        if self.optimizer_reset_every < 0:
            raise ValueError(f"optimizer_reset_every: must be at least 0, not {self.optimizer_reset_every}")

    def check(self, *, temperature: float, prompts_per_step: int, ptx_weight: float) -> None:
        """What these settings need of the ones around them.

        Raises:
            ValueError: naming the key as it stands beside ``recipe``.
        """
        if self.final_temperature is not None and self.final_temperature > temperature:
            raise ValueError(
                f"recipe.final_temperature: must be at most temperature={temperature}, not {self.final_temperature}: it falls"
            )
        if 0 < self.priority.pool < prompts_per_step:
            raise ValueError(
                f"recipe.priority.pool: must be at least prompts_per_step={prompts_per_step}, not {self.priority.pool}"
            )
        if self.ptx.path is not None and not ptx_weight:
            raise ValueError("recipe.ptx.path: rows without a weight teach nothing; set trainer.ptx_weight above 0")
        if ptx_weight and self.ptx.path is None:
            raise ValueError("trainer.ptx_weight: there is nothing to weigh; set recipe.ptx.path")

    def temperature(self, step: int, first: float, steps: int) -> float:
        """Of sampling in iteration `step`, from 1: `first` there, `final_temperature` from iteration `temperature_steps`
        (else `steps`) on."""
        if self.final_temperature is None:
            return first
        length = (self.temperature_steps or steps) - 1
        return decayed(first, self.final_temperature, (step - 1) / length if length else 1.0, self.temperature_shape)

    def resets_optimizer(self, step: int) -> bool:
        """Whether the optimizer forgets before the steps of iteration `step`."""
        return self.optimizer_reset_every > 0 and step > 1 and (step - 1) % self.optimizer_reset_every == 0
