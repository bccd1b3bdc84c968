"""What reinforcement learning does: the settings that `orrery train` and `orrery quickstart` share."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.learning.recipe import RecipeSettings
from pipelines.learning.schedule import ScheduleSettings
from rl.rollout.error_budget import ErrorBudget
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import Placement
from rl.training.weight_sync import WeightSyncConfig

__all__ = ["LearningSettings"]


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """What reinforcement learning does; the same keys in `orrery train` and `orrery quickstart`."""

    steps: int = 30
    """Iterations: rollouts, then `trainer.gradient_steps` optimizer steps."""
    prompts_per_step: int = 32
    """Tasks of one iteration; every task is used once."""
    group_size: int = 8
    """K, rollouts of each task."""
    temperature: float = 1.0
    """Of sampling; the trainer divides logits by it too."""
    advantage_scale: Literal["none", "std"] = "none"
    """none: r - r_bar; std: divided by the group's standard deviation."""
    loss_on: Literal["all", "newest"] = "all"
    """Which sampled tokens are in the loss: all, or those of the newest weights alone (k1.5's partial rollouts: earlier segments
    stay in the context). The rollouts' rewards count either way; a group without any such token is left out."""
    shuffle_advantages: bool = False
    """A control: advantages are dealt out anew inside each group, so that nothing is left to learn from."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Objective, optimizer, batches; trainer.schedule runs over `steps`."""
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    """When rollouts and training run, and on how old a policy."""
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    """Curriculum, temperature, groups that are left out, data that is mixed in."""
    weight_sync: WeightSyncConfig = field(default_factory=WeightSyncConfig)
    """How new weights reach the engine."""
    placement: Placement = field(default_factory=Placement)
    """Trainer processes."""
    checkpoint_every: int = 10
    """Iterations between checkpoints; the last iteration always writes one."""
    error_budget: float = 0.02
    """Share of episodes that may end by a fault before the run stops."""

    def __post_init__(self) -> None:
        for key in ("steps", "prompts_per_step", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if self.group_size < 2:
            raise ValueError(f"group_size: an advantage needs at least 2 rollouts of a task, not {self.group_size}")
        if self.loss_on not in ("all", "newest"):
            raise ValueError(f"loss_on: must be all or newest, not {self.loss_on!r}")
        if self.loss_on == "newest" and self.schedule.mode == "one_step_off":
            raise ValueError(
                "loss_on: newest leaves out whole batches with schedule.mode=one_step_off, whose rollouts are all older"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature: must be above 0, not {self.temperature}")
        if self.trainer.model.router_replay == "engine":
            raise ValueError("trainer.model.router_replay: engine: rollouts of this command hold no routes; take old_policy")
        if self.trainer.schedule.total is not None:
            raise ValueError("trainer.schedule.total: the schedule runs over `steps`; leave this null")
        if self.trainer.schedule.warmup >= self.steps:
            raise ValueError(f"trainer.schedule.warmup: must be below steps={self.steps}, not {self.trainer.schedule.warmup}")
        ErrorBudget(self.error_budget)
        self.recipe.check(
            temperature=self.temperature, prompts_per_step=self.prompts_per_step, ptx_weight=self.trainer.ptx_weight
        )
