"""The totals of a training run, saved with each checkpoint: what a resumed run goes on from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.run_directory import RunDirectory, write_atomically
from rl.rollout.error_budget import ErrorBudget
from rl.training.synchronise import Synchronisation
from trajectories.trajectory import Trajectory

__all__ = ["Tally"]


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
    """Nats, engine against the trainer's float32 forward pass, over every sampled token that is compared."""
    sum_logprob_difference: float = 0.0
    compared_tokens: int = 0
    """Those of them that the trainer's version at that time sampled: engine and trainer must agree on them."""
    training_max_logprob_difference: float = 0.0
    """The same against the training passes, where they are bfloat16; 0 where they are not."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often which kind of fault ended an episode."""
    fault_examples: dict[str, str] = field(default_factory=dict)
    """By kind: the first such cause, in full."""
    pass_rates: list[float | None] = field(default_factory=list)
    """Of each iteration; None where no episode was valid."""
    feed: dict[str, Any] = field(default_factory=dict)
    """State of the feed of tasks."""

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
        self.step = step
        self.version = int(figures["version"])
        self.faults = dict(budget.causes)
        self.fault_examples = budget.examples | self.fault_examples
        self.rollouts += len(trajectories)
        self.tokens += sum(trajectory.num_policy_tokens for trajectory in trajectories)
        self.max_logprob_difference = max(self.max_logprob_difference, figures["log_prob_difference_max"])
        compared = int(figures["policy_tokens"] - figures["older_tokens"])
        self.compared_tokens += compared
        self.sum_logprob_difference += figures["log_prob_difference_mean"] * compared
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
            "mean_logprob_difference": self.sum_logprob_difference / max(self.compared_tokens, 1),
            "training_max_logprob_difference": self.training_max_logprob_difference,
            "first_pass_rate": _mean(known[:tenth]),
            "last_pass_rate": _mean(known[-tenth:]),
            "pass_rates": self.pass_rates,
            "faults": self.faults,
            "fault_examples": self.fault_examples,
        }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
