"""Settings of the rollout engine, and what they become in vLLM.

The two cures for vLLM on CPU live here and in `worker_extension` and nowhere else; whatever else runs on an engine does
not know which device it has.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from rl.rollout.worker_extension import OWNER_VARIABLE

__all__ = ["EngineConfig", "engine_arguments", "engine_environment"]


@dataclass(frozen=True)
class EngineConfig:
    """How the policy is served for rollouts."""

    model: str
    """Directory of the policy as `rl.policy.presets.save` or `save_pretrained` writes it."""
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    """Of the engine's weights and activations."""
    max_model_len: int = 1024
    """Longest dialogue, in tokens, prompt and completion together."""
    max_num_seqs: int = 64
    """Requests that are decoded together; more wait inside the engine."""
    max_num_batched_tokens: int | None = None
    """Tokens of one engine step; None leaves it to vLLM."""
    kv_cache_gb: float = 1.0
    """Memory for the key/value cache, in GiB."""
    threads: int | None = None
    """CPU threads of the engine; None means every core that this process may use."""
    spin: bool = False
    """Whether idle CPU threads spin before they sleep: for cores that nothing else wants (two to four times slower else)."""
    tensor_parallel_size: int = 1
    """Devices that share the model."""
    enable_prefix_caching: bool = False
    """Whether later turns of a dialogue reuse the cache of earlier ones (vLLM has it off for MLA on CPU)."""
    grammars: bool = False
    """Whether turns can be held to a grammar (not for RL, see `Sampling.grammar`); the model then needs its tokenizer."""
    seed: int = 0
    """Of draws by requests that bring no seed."""
    plant_bug: Literal["", "rotary", "experts"] = ""
    """For tests of the proofs only: leaves out one of the two cures, so that the engine computes wrongly."""

    def __post_init__(self) -> None:
        for key in ("max_model_len", "max_num_seqs", "tensor_parallel_size"):
            if getattr(self, key) < 1:
                raise ValueError(f"engine.{key} is at least 1, not {getattr(self, key)}")
        if self.kv_cache_gb <= 0:
            raise ValueError(f"engine.kv_cache_gb is above 0, not {self.kv_cache_gb}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"engine.threads is at least 1 or null, not {self.threads}")
        if self.plant_bug not in ("", "rotary", "experts"):
            raise ValueError(f"engine.plant_bug is '', 'rotary' or 'experts', not {self.plant_bug!r}")


def engine_arguments(config: EngineConfig) -> dict[str, Any]:
    """Keyword arguments for ``vllm.AsyncEngineArgs``; call it inside `engine_environment`."""
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "model": config.model,
        "skip_tokenizer_init": not config.grammars,  # tokens in, tokens out; a grammar knows what each one spells
        "generation_config": "vllm",  # no sampling defaults from the model's directory
        "dtype": config.dtype,
        "enforce_eager": True,
        "max_model_len": config.max_model_len,
        "max_num_seqs": config.max_num_seqs,
        "kv_cache_memory_bytes": int(config.kv_cache_gb * 2**30),
        "tensor_parallel_size": config.tensor_parallel_size,
        "enable_prefix_caching": config.enable_prefix_caching,
        "seed": config.seed,
        "logprobs_mode": "processed_logprobs",  # those of the distribution that is sampled from
        "worker_extension_cls": "rl.rollout.worker_extension.WorkerExtension",
        "disable_log_stats": True,
    }
    if config.grammars:
        arguments["structured_outputs_config"] = {"backend": "guidance"}  # its grammars can name special tokens by id
    if config.max_num_batched_tokens is not None:
        arguments["max_num_batched_tokens"] = config.max_num_batched_tokens
    if current_platform.is_cpu() and config.plant_bug != "rotary":
        # vLLM's CPU rotary kernel reads MLA's strided queries and keys wrongly: log-probabilities are off by 1e-2.
        arguments["compilation_config"] = {"custom_ops": ["all", "-rotary_embedding"]}
    elif current_platform.is_cpu():
        arguments["compilation_config"] = {"custom_ops": ["all"]}
    return arguments


@contextmanager
def engine_environment(config: EngineConfig) -> Iterator[None]:
    """The environment variables that the engine's processes inherit, for as long as they are being started."""
    wanted = {
        OWNER_VARIABLE: str(os.getpid()),
        "OMP_NUM_THREADS": str(config.threads or len(os.sched_getaffinity(0))),
        "OMP_WAIT_POLICY": None if config.spin else "passive",
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": None,  # would override kv_cache_gb
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the trainer and the worlds run on the same cores in turn
        # The sampler's two small compiled functions need a C++ compiler and seconds of start-up, and gain nothing.
        "TORCHDYNAMO_DISABLE": "1",
        # One device needs no second process: the scheduler then runs the model itself, without a queue in between.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0" if config.tensor_parallel_size == 1 else "1",
    }
    before = {key: os.environ.get(key) for key in [*wanted, "LD_PRELOAD"]}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)  # LD_PRELOAD too, which vLLM sets for its own children


def _set(variables: dict[str, str | None]) -> None:
    for key, value in variables.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
