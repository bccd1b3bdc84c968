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

SECTIONS = ("bf16", "bfloat16", "fp16", "amp", "torch_autocast")
REFUSED = ("data_types", "communication_data_type", "expert_parallel", "tensor_parallel", "sequence_parallel_size")
OURS = ("optimizer", "scheduler", "gradient_clipping", "gradient_accumulation_steps")
"""What has a setting of its own: here it would be overruled without a word, or train by another rule."""
FLOAT32 = f"without {', '.join(SECTIONS + REFUSED + OURS)} (autocast: bfloat16 keeps float32 weights)"
SUPPORTED = f"of zero_optimization.stage 0 to 3, with {', '.join(sorted(ZERO_SETTINGS - {'stage'}))} at most, and {FLOAT32}"
SUPPORTED_BY_SFT = f"of zero_optimization.stage 0 and {FLOAT32}"


def zero_stage(settings: Mapping[str, Any]) -> int:
    """0 where none is named."""
    return settings.get("zero_optimization", {}).get("stage", 0)


def is_supported(settings: Mapping[str, Any]) -> bool:
    """In bf16, fp16 and amp the model's weights are not those that the optimizer steps: what is trained would be
    rounded, and the engine would be proven against something else than what is stepped. Parallel layers have other
    parameters than the model that is exported."""
    zero = settings.get("zero_optimization", {})
    stage = zero_stage(settings)
    known = zero.keys() <= ZERO_SETTINGS or stage == 0
    refused = any(_enabled(settings.get(key)) for key in SECTIONS) or any(settings.get(key) for key in REFUSED + OURS)
    return type(stage) is int and 0 <= stage <= 3 and known and not refused


def is_supported_by_sft(settings: Mapping[str, Any]) -> bool:
    """TRL's own loop hands the optimizer to DeepSpeed and does not tell it where partitions hold which matrix."""
    return is_supported(settings) and zero_stage(settings) == 0


def _enabled(section: Any) -> bool:
    return bool(section.get("enabled", False) if isinstance(section, Mapping) else section)
