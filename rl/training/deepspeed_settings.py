"""What of DeepSpeed's own settings may be passed through: what would train other weights than ours is refused."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SUPPORTED", "SUPPORTED_BY_SFT", "is_supported", "is_supported_by_sft", "zero_stage"]

ZERO_SETTINGS = frozenset(
    {
        "stage",
        "allgather_bucket_size",
        "contiguous_gradients",
        "overlap_comm",
        "reduce_bucket_size",
        "stage3_max_live_parameters",
        "stage3_max_reuse_distance",
        "stage3_param_persistence_threshold",
        "stage3_prefetch_bucket_size",
        "sub_group_size",
    }
)
"""Sizes and timing; what of it moves states elsewhere, reorders or rounds them (offload, round robin, quantised or
hierarchical partitions, ...) has not been shown to give the same update."""

HARMLESS = frozenset(
    {
        "comet",
        "comms_logger",
        "csv_monitor",
        "disable_python_gc",
        "dump_state",
        "flops_profiler",
        "log_level",
        "memory_breakdown",
        "steps_per_print",
        "tensorboard",
        "timers",
        "wall_clock_breakdown",
        "wandb",
        "zero_optimization",
    }
)
"""Reports, timing and the garbage collector. Whatever else DeepSpeed knows changes the update (how gradients are summed, what
is rounded, which tokens or layers take part), has a setting of its own here, or is gone from DeepSpeed."""

OFF = ("bf16", "bfloat16", "fp16", "torch_autocast")
"""May be there, switched off: weights are float32, and trainer.autocast computes in bfloat16."""

NAMED = (
    f"{', '.join(sorted(HARMLESS - {'zero_optimization'}))}; {', '.join(OFF)} only switched off (autocast: bfloat16 keeps "
    "float32 weights)"
)
SUPPORTED = f"of zero_optimization.stage 0 to 3, with {', '.join(sorted(ZERO_SETTINGS - {'stage'}))} at most, and of {NAMED}"
SUPPORTED_BY_SFT = f"of zero_optimization.stage 0, and of {NAMED}"


def zero_stage(settings: Mapping[str, Any]) -> int:
    """0 where none is named."""
    return settings.get("zero_optimization", {}).get("stage", 0)


def is_supported(settings: Mapping[str, Any]) -> bool:
    """Whether all of it leaves the update alone. In bf16, fp16 and amp the model's weights are not those that the optimizer
    steps: what is trained would be rounded, and the engine would be proven against something else than what is stepped.
    Parallel layers of DeepSpeed's have other parameters than the model that is exported."""
    stage = zero_stage(settings)
    known = settings.get("zero_optimization", {}).keys() <= ZERO_SETTINGS
    allowed = all(key in HARMLESS or (key in OFF and not _enabled(value)) for key, value in settings.items())
    return type(stage) is int and 0 <= stage <= 3 and known and allowed


def is_supported_by_sft(settings: Mapping[str, Any]) -> bool:
    """TRL's own loop hands the optimizer to DeepSpeed and does not tell it where partitions hold which matrix."""
    return is_supported(settings) and zero_stage(settings) == 0


def _enabled(section: Any) -> bool:
    return bool(section.get("enabled", False) if isinstance(section, Mapping) else section)
