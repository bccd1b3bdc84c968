"""How weights travel from the trainer to the engine."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Backend", "WeightSyncConfig"]

Backend = Literal["memory", "disk", "nccl", "ipc"]


@dataclass(frozen=True)
class WeightSyncConfig:
    """See docs/weight_sync.md."""

    backend: Backend = "memory"
    """`memory`: files in shared memory, for an engine on the same machine. `disk`: files in `directory`, for one on any machine
    that sees it. `nccl`: broadcast between GPUs. `ipc`: the engine reads the trainer's GPU memory; both are on one GPU."""
    directory: str | None = None
    """For `disk`: where the trainer makes a directory of its own."""
    changed_only: bool = False
    """Whether only those parts of the model travel of which a tensor changed since the last update (what is frozen does not);
    the digest covers all of it either way. Through files only."""
    bucket_mb: float | None = None
    """Size of a file, in MiB, and with it the memory that writing takes beside the model: a part of the model (see
    `rl.policy.weights.block_of`) is never split, so one that is larger is a file by itself. None: one file, whole in memory."""
    engine_processes: int = 1
    """For `nccl`: processes of the engine (its tensor parallelism), which with the trainer make the group."""

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise ValueError(f"weight_sync.backend is one of {', '.join(get_args(Backend))}, not {self.backend!r}")
        if (self.backend == "disk") != (self.directory is not None):
            raise ValueError(f"weight_sync.directory={self.directory!r} with backend={self.backend}: disk needs one, others none")
        if self.bucket_mb is not None and self.bucket_mb <= 0:
            raise ValueError(f"weight_sync.bucket_mb is above 0 or null, not {self.bucket_mb}")
        if self.backend in ("nccl", "ipc") and (self.changed_only or self.bucket_mb is not None):
            raise ValueError(f"weight_sync.changed_only and bucket_mb are for files, not for backend={self.backend}")
        if self.engine_processes < 1 or (self.engine_processes > 1 and self.backend != "nccl"):
            raise ValueError(f"weight_sync.engine_processes={self.engine_processes}: at least 1, and more only for backend=nccl")
