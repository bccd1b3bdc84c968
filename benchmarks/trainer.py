"""`Trainer.train_batch` over a bare torch step on identical packed tokens with the same optimizer.

Learning rates are 0: every repeat then does the same work on the same weights, and the rollouts stay those of the
policy, which the trainer checks in every batch. Nothing in the optimizer is cheaper for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from benchmarks.bare_torch import BareTrainer
from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from benchmarks.workload import Demonstration
from rl.training.advantages import group_advantages
from rl.training.muonclip import OptimizerConfig
from rl.training.packing import PackedBatch, TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts, micro_batches, mini_batches
from rl.training.trainer_config import TrainerConfig

__all__ = ["TrainerBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class TrainerBenchmark:
    sequences: int = 128
    """Rollouts of one batch; as long as the oracle's dialogues."""
    group_size: int = 8
    """Rollouts that share a baseline."""
    gradient_steps: tuple[int, ...] = (1, 2)
    """Optimizer steps per batch; one figure for each. From the second step on a batch also needs the log-probabilities
    at pi_old, one more forward pass."""
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(
            objective_settings={"tau": 0.1}, optimizer=OptimizerConfig(muon_lr=0.0, adam_lr=0.0)
        )
    )
    """Its learning rates have to be 0, and `gradient_steps` above stands for its own."""

    def __post_init__(self) -> None:
        if self.group_size < 2 or self.sequences < self.group_size:
            raise ValueError(f"sequences: must hold a group of {self.group_size} (at least 2), not {self.sequences}")
        if not self.gradient_steps or min(self.gradient_steps) < 1:
            raise ValueError(f"gradient_steps: must be numbers of at least 1, not {self.gradient_steps}")
        if self.trainer.optimizer.muon_lr or self.trainer.optimizer.adam_lr:
            raise ValueError("trainer: learning rates must be 0, so that every repeat does the same work")

    def quick(self) -> "TrainerBenchmark":
        return replace(self, sequences=8, group_size=4)


def measure(
    settings: TrainerBenchmark, model: str, demonstrations: Sequence[Demonstration], repeats: int
) -> list[Figure]:
    """Seconds per optimizer step, and how much of a step is padding; best in a process of its own, whose threads are set.

    Args:
        demonstrations: `settings.sequences` of them.
    """
    figures = []
    for steps in settings.gradient_steps:
        config = replace(settings.trainer, gradient_steps=steps)
        trainer = Trainer(config, model)
        rollouts = _rollouts(trainer, demonstrations, settings.group_size)
        work = [
            [micro.packed for micro in micro_batches(rollouts, members, config.tokens_per_micro_batch, 0, 1)]
            for members in mini_batches(rollouts, steps, config.mini_batches, config.skip_zero_advantage)
        ]
        bare = BareTrainer(model, config.optimizer, config.model.experts, config.autocast)

        def ours(trainer: Trainer = trainer, rollouts: Rollouts = rollouts, steps: int = len(work)) -> float:
            return seconds_of(lambda: trainer.train_batch(rollouts)) / steps

        def limit(bare: BareTrainer = bare, work: list = work) -> float:
            return seconds_of(lambda: bare.train(work)) / len(work)

        ours_seconds, bare_seconds = take_turns(repeats, ours, limit)
        name = "trainer step" if steps == 1 else f"trainer step, {steps} per batch, with a pass at pi_old"
        tokens = sum(packed.input_ids.shape[1] for passes in work for packed in passes) / len(work)
        details = {"tokens": tokens, "threads": float(torch.get_num_threads())}
        aim = "<= 1.10" if steps == 1 else ""
        figures.append(Figure(name, "s", ours_seconds, Limit("bare torch step", bare_seconds, aim), details))
    return figures + _padding(rollouts, [packed for passes in work for packed in passes])


def _padding(rollouts: Rollouts, passes: Sequence[PackedBatch]) -> list[Figure]:
    """How much of what the passes compute is about tokens of the rollouts: positions, and products of attention, which
    takes the sequences of a pass as a rectangle of the longest."""
    lengths = [packed.cu_seq_lens.diff().double() for packed in passes]
    computed = sum(packed.input_ids.numel() for packed in passes)
    tokens = sum(rollouts.rows[row].positions for packed in passes for row in packed.rows)
    padded = sum(float(len(of_pass) * of_pass.max()) for of_pass in lengths)
    square = sum(float(of_pass.square().sum()) for of_pass in lengths)
    rectangle = sum(float(len(of_pass) * of_pass.max().square()) for of_pass in lengths)
    all_of_them = Limit("all of them", (1.0,), ">= 0.95")
    details = {"tokens": float(tokens), "positions": float(computed), "positions_if_padded": padded}
    return [
        Figure("trainer, positions that hold a token", "share", (tokens / computed,), all_of_them, details),
        Figure("trainer, attention between tokens", "share", (square / rectangle,), Limit("all of it", (1.0,))),
    ]


def _rollouts(trainer: Trainer, demonstrations: Sequence[Demonstration], group_size: int) -> Rollouts:
    """The dialogues as if the policy had sampled them: with the log-probabilities that it gives them."""
    scored = trainer.log_probs([ids for ids, _ in demonstrations])
    rows = [_row(ids, mask, log_probs) for (ids, mask), log_probs in zip(demonstrations, scored, strict=True)]
    groups = torch.arange(len(rows)) // group_size
    valid = torch.ones(len(rows), dtype=torch.bool)
    rewards = (torch.arange(len(rows)) % 2).double()
    return Rollouts(rows, group_advantages(rewards, valid, groups), valid, groups)


def _row(ids: Sequence[int], mask: Sequence[bool], log_probs: Sequence[float]) -> TokenRow:
    """`log_probs` are those of all tokens but the first."""
    behaviour = np.where(mask, np.concatenate([[0.0], log_probs]), 0.0).astype(np.float32)
    return TokenRow(np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool), behaviour)
