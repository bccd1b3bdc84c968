"""Settings of one training iteration, checked when they are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rl.training.deepspeed_settings import SUPPORTED, is_supported, zero_stage
from rl.training.model import ModelSettings
from rl.training.muonclip import OptimizerConfig
from rl.training.objectives import CorrectionConfig, check_settings, get_objective, reads_reference
from rl.training.parallel import ParallelSettings
from rl.training.schedules import ScheduleConfig
from rl.training.trainer_batch import MiniBatches

__all__ = ["TrainerConfig"]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    objective: str = "k2"
    """Name of an objective of `rl.training.objectives`."""
    objective_settings: Mapping[str, Any] = field(default_factory=dict)
    """Its keyword settings, e.g. ``tau`` for k2."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(name="constant"))
    """Factor on both learning rates; counts optimizer steps unless `train_batch` is told another progress."""
    correction: CorrectionConfig = field(default_factory=CorrectionConfig)
    """Importance weights between the policy that sampled and the trainer's at pi_old; none unless asked for."""
    ptx_weight: float = 0.0
    """Of the cross-entropy on demonstrations that `train_batch` is given, in nats per token, beside the objective's loss."""
    gradient_steps: int = 2
    """Optimizer steps per batch of rollouts."""
    mini_batches: MiniBatches = "split"
    """"split": each step takes its own part of the groups; "whole": each step takes all of them."""
    skip_zero_advantage: bool = False
    """Leave groups whose advantages are all zero out of the steps (a variant); they are scored and compared all the
    same."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 never clips."""
    tokens_per_micro_batch: int = 4096
    """Positions per forward pass of one rank, or of the ranks that share it (`parallel.sequence`); a longer sequence gets a pass
    of its own."""
    autocast: Literal["float32", "bfloat16"] = "float32"
    """Matrix products of the training passes. The log-probabilities at pi_old are float32 always."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """How the model computes."""
    parallel: ParallelSettings = field(default_factory=ParallelSettings)
    """How ranks share one pass."""
    max_log_prob_difference: float = 1e-3
    """Largest |engine - trainer| over the rollout tokens of a batch, nats."""
    mean_log_prob_difference: float = 1e-5
    """Largest mean of it, nats."""
    deepspeed: Mapping[str, Any] = field(default_factory=dict)
    """DeepSpeed's own settings, passed through: ZeRO stages and their sizes. What would change the update is refused."""

    def __post_init__(self) -> None:
        objective = get_objective(self.objective)
        try:
            check_settings(objective, self.objective_settings)
        except ValueError as error:
            raise ValueError(f"trainer.objective_settings: {error}") from error
        checks = {
            "ptx_weight": (self.ptx_weight >= 0, "at least 0"),
            "gradient_steps": (self.gradient_steps >= 1, "at least 1"),
            "mini_batches": (self.mini_batches in ("split", "whole"), '"split" or "whole"'),
            "max_grad_norm": (self.max_grad_norm >= 0, "at least 0"),
            "tokens_per_micro_batch": (self.tokens_per_micro_batch >= 1, "at least 1"),
            "autocast": (self.autocast in ("float32", "bfloat16"), '"float32" or "bfloat16"'),
            "max_log_prob_difference": (self.max_log_prob_difference > 0, "above 0"),
            "mean_log_prob_difference": (self.mean_log_prob_difference > 0, "above 0"),
            "deepspeed": (is_supported(self.deepspeed), SUPPORTED),
        }
        for key, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"trainer.{key} must be {wanted}, not {getattr(self, key)!r}")
        if self.model.reference != "none" and not reads_reference(objective, self.objective_settings):
            raise ValueError(
                f"trainer.model.reference must be none with objective={self.objective}, not {self.model.reference!r}: it reads "
                "no reference (k15 does, and grpo with beta above 0)"
            )
        if self.parallel.experts > 1 and self.model.lora is not None:
            raise ValueError(f"trainer.parallel.experts must be 1 with trainer.model.lora, not {self.parallel.experts}")
        if self.parallel.experts > 1 and zero_stage(self.deepspeed):
            raise ValueError(
                f"trainer.deepspeed.zero_optimization.stage must be 0 where trainer.parallel.experts is above 1, not "
                f"{zero_stage(self.deepspeed)}: the optimizer does not know partitions that only some ranks share"
            )
        if self.model.lora is not None and self.optimizer.qk_clip_threshold is not None:
            raise ValueError(
                f"trainer.optimizer.qk_clip_threshold must be null with trainer.model.lora, not "
                f"{self.optimizer.qk_clip_threshold}: QK-Clip would change the frozen base"
            )
