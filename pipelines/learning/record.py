"""What a training run remembers: the rollouts it learnt from, and its totals.

Rollouts are recorded before they are learnt from. A run that is killed goes on behind its last checkpoint and takes the
recorded rollouts of the iterations after it: what a live engine said is not said twice.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory, write_atomically
from rl.rollout.error_budget import ErrorBudget
from rl.training.synchronise import Synchronisation
from trajectories.codec import TASK_SCHEMA, from_row, to_row
from trajectories.columns import from_batch
from trajectories.shard_files import Layout, read_batches, verify_shard
from trajectories.shards import ShardWriter
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["RolloutRecord", "Tally"]


class RolloutRecord(AbstractContextManager["RolloutRecord"]):
    """The rollouts of a run as a data set, one shard per iteration.

    Args:
        prompts: tasks of one iteration, kept under ``tasks``.
        group_size: rollouts of each.
        done: iterations that are learnt; recorded ones behind them are learnt again.
    """

    def __init__(self, directory: Path, prompts: int, group_size: int, done: int) -> None:
        rows = prompts * group_size
        self._waiting: dict[int, list[Trajectory]] = {}
        whole = 0
        for number, path in enumerate(Layout(directory, "train").sealed(), start=1):
            if verify_shard(path) != rows:
                break
            whole = number
            if number > done:
                batches = read_batches(path)
                self._waiting[number] = [from_row(Trajectory, row) for batch in batches for row in from_batch(batch)]
        if whole < done:
            raise UserError(f"{directory} holds the rollouts of {whole} iterations, the checkpoint has learnt {done}")
        self._next = whole + 1
        self._tasks = ShardWriter(
            directory / "tasks", schema=TASK_SCHEMA, rows_per_shard=prompts, resume=True, keep_rows=whole * prompts
        )
        self._writer = ShardWriter(directory, rows_per_shard=rows, resume=True, keep_rows=whole * rows)

    def stored(self, step: int) -> list[Trajectory] | None:
        """The recorded rollouts of an iteration, once; None where there are none."""
        return self._waiting.pop(step, None)

    def store(self, step: int, tasks: Sequence[Task], trajectories: Sequence[Trajectory]) -> None:
        """Record an iteration: its tasks, then its rollouts, so that no rollout is ever without its task."""
        if step != self._next:
            raise ValueError(f"iteration {self._next} is to be recorded next, not {step}")
        for task in tasks:
            self._tasks.append(to_row(task))
        self._tasks.flush()
        for trajectory in trajectories:
            self._writer.append(to_row(trajectory))
        self._writer.flush()
        self._next = step + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.__exit__(kind, error, trace)
        self._writer.__exit__(kind, error, trace)


@dataclass
class Tally:
    """Totals of a run up to `step`; saved with each checkpoint, right after it."""

    step: int = 0
    """Iterations that are learnt and in a checkpoint, or were when this was saved."""
    rollouts: int = 0
    tokens: int = 0
    """Sampled by the policy."""
    version: int = 0
    """Of the trainer's weights."""
    weight_syncs: int = 0
    min_probe_coverage: float = 1.0
    """Smallest share of the routed experts that the probe of an update reached."""
    sync_seconds: float = 0.0
    """Transfer and loading, without the proofs."""
    max_logprob_difference: float = 0.0
    """Nats, engine against the trainer's float32 forward pass, over every sampled token."""
    sum_logprob_difference: float = 0.0
    training_max_logprob_difference: float = 0.0
    """The same against the training passes, where they are bfloat16; 0 where they are not."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often which fault ended an episode."""
    pass_rates: list[float | None] = field(default_factory=list)
    """Of each iteration; None where no episode was valid."""

    @staticmethod
    def of(run: RunDirectory) -> "Tally":
        """The totals at the run's last checkpoint; zeros for a new run."""
        file = run.path / "checkpoints" / "tally.json"
        return Tally(**json.loads(file.read_text())) if file.is_file() else Tally()

    def save(self, run: RunDirectory) -> None:
        """Call when the checkpoint of `step` is whole."""
        write_atomically(run.file("checkpoints/tally.json"), json.dumps(asdict(self)) + "\n")

    def add_sync(self, sync: Synchronisation) -> None:
        self.weight_syncs += 1
        self.sync_seconds += sync.seconds
        self.min_probe_coverage = min(self.min_probe_coverage, sync.coverage)

    def add_step(
        self,
        step: int,
        trajectories: Sequence[Trajectory],
        figures: Mapping[str, float],
        pass_rate: float,
        budget: ErrorBudget,
    ) -> None:
        tokens = int(figures["policy_tokens"])
        self.step = step
        self.version = int(figures["version"])
        self.faults = dict(budget.causes)
        self.rollouts += len(trajectories)
        self.tokens += tokens
        self.max_logprob_difference = max(self.max_logprob_difference, figures["log_prob_difference_max"])
        self.sum_logprob_difference += figures["log_prob_difference_mean"] * tokens
        training = figures.get("training_log_prob_difference_max", 0.0)
        self.training_max_logprob_difference = max(self.training_max_logprob_difference, training)
        self.pass_rates.append(pass_rate if math.isfinite(pass_rate) else None)

    def summary(self) -> dict[str, Any]:
        """The ``train`` part of ``summary.json``."""
        known = [rate for rate in self.pass_rates if rate is not None]
        tenth = max(1, len(known) // 10)
        return {
            "steps": self.step,
            "rollouts": self.rollouts,
            "tokens": self.tokens,
            "weight_syncs": self.weight_syncs,
            "sync_seconds": self.sync_seconds,
            "min_probe_coverage": self.min_probe_coverage,
            "max_logprob_difference": self.max_logprob_difference,
            "mean_logprob_difference": self.sum_logprob_difference / max(self.tokens, 1),
            "training_max_logprob_difference": self.training_max_logprob_difference,
            "first_pass_rate": _mean(known[:tenth]),
            "last_pass_rate": _mean(known[-tenth:]),
            "pass_rates": self.pass_rates,
            "faults": self.faults,
        }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
