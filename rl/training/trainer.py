"""One training iteration: score the rollouts at pi_old, prove that the engine sampled from it, take gradient steps.

Nothing depends on how the batch is split: what normalises is global, parts of a loss add up, gradients are summed over
ranks. Consecutive ranks may share every pass (`parallel.sequence`): they are dealt the same rows, find the same figures, and
count once. Before the first optimizer step of a batch, every rollout token's log-probability in the engine is compared with
the trainer's own in float32 (law 5). The weights change in `train_batch` and in `load_checkpoint`, nowhere else.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rl.training import checkpoints
from rl.training.forward import Difference, log_probs, score
from rl.training.lora import lora_state
from rl.training.model import prepare_model
from rl.training.objectives import corrected, effective_sample_share, get_objective
from rl.training.optimization import Optimization, whole_weights
from rl.training.packing import PackedBatch, TokenRow, pack
from rl.training.reference import build_reference
from rl.training.replay import replayed, routed
from rl.training.router import RouterLoad, load_metrics, update_router_bias_
from rl.training.sequence_parallel import check_model, meet
from rl.training.trainer_batch import (
    MicroBatch,
    PTXBatch,
    Rollouts,
    micro_batches,
    mini_batches,
    ptx_batches,
    scoring_batches,
)
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_process import Ranks, join

__all__ = ["Trainer"]


class Trainer:
    """One rank of the trainer. Every rank gets the same calls with the same arguments."""

    def __init__(self, config: TrainerConfig, model: str | PreTrainedModel, ranks: Ranks | None = None) -> None:
        """Loads the model and starts DeepSpeed around it.

        Args:
            model: a directory that `rl.policy.presets.load` takes, or a model with the `orrery_varlen` attention.

        Raises:
            ValueError: settings that these ranks or this model cannot have; it names the key.
        """
        self.config = config
        self.ranks = ranks or Ranks()
        config.parallel.check(self.ranks.world_size)
        join(self.ranks)
        self.source = model if isinstance(model, str) else None
        self.model: Any = prepare_model(model, config.model, config.parallel.experts)
        check_model(self.model, config.parallel.sequence)
        self._group = meet(self.ranks, config.parallel.sequence)
        """The ranks that share every pass with this one; None: it computes alone."""
        self._part = (self.ranks.rank // config.parallel.sequence, self.ranks.world_size // config.parallel.sequence)
        """Which part of the passes is theirs, and of how many."""
        self.reference = build_reference(self.model, config.model.reference)
        counted = config.model.router_statistics or config.model.router_bias_rate
        self.load = RouterLoad(self.model) if counted else None
        self.optimization = Optimization(self.model, config.optimizer, config.deepspeed, self.ranks)
        self.steps = 0
        """Optimizer steps that were due so far, those of batches without any signal included."""
        self.version = 0
        """Of the weights: how many batches have changed them."""
        self._objective = corrected(get_objective(config.objective), config.correction)

    def train_batch(
        self, rollouts: Rollouts, progress: float | None = None, demonstrations: Sequence[TokenRow] = ()
    ) -> dict[str, float]:
        """Learns from one batch of rollouts.

        Args:
            progress: how much of `schedule.total` is done, in its unit; optimizer steps when absent.
            demonstrations: rows for the PTX loss, dealt out to the optimizer steps; a batch without any signal takes no
                step, for them neither.

        Returns:
            Metrics of the batch over all ranks; see `_report` for their units.

        Raises:
            LogProbabilityError: engine and trainer disagree; no weight has changed.
        """
        clock = [time.perf_counter()]
        steps = mini_batches(
            rollouts, self.config.gradient_steps, self.config.mini_batches, self.config.skip_zero_advantage
        )
        work = self._work(rollouts, steps)
        scored = _Scored(self.version)
        self._score(rollouts, steps, work, scored)
        if not work:
            self._compare(scored)
        clock.append(time.perf_counter())
        mixed = [demonstrations[number :: len(work)] for number in range(len(work))]
        taken = [self._step(passes, mixed[number], scored, number, progress) for number, passes in enumerate(work)]
        clock.append(time.perf_counter())
        self.steps += self.config.gradient_steps
        used = len({row for members in steps for row in members})
        return self._report(rollouts, used, taken, scored) | {
            "seconds_scoring": clock[1] - clock[0],
            "seconds_stepping": clock[2] - clock[1],
        }

    def log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """log p (nats, float32, temperature 1) of every token but the first of each sequence, given those before it.

        Each rank computes all of it: one may be asked alone.
        """
        result: list[list[float]] = [[] for _ in token_ids]
        with torch.no_grad():
            for packed in pack([_every_token(tokens) for tokens in token_ids], self.config.tokens_per_micro_batch):
                parts = log_probs(self.model, packed).split(packed.cu_seq_lens.diff().tolist())
                for number, part in zip(packed.rows, parts, strict=True):
                    result[number] = part.tolist()
        return result

    def reset_optimizer(self) -> None:
        """Forgets momentum and moments, as K1.5 does when the reference changes."""
        self.optimization.reset()

    def save_checkpoint(self, directory: str) -> None:
        """Everything that the next `train_batch` depends on; only the first rank writes, all wait for it."""
        optimizer = self.optimization.state()
        with whole_weights(self.model):
            if self.ranks.rank == 0:
                counters = {"steps": self.steps, "version": self.version}
                state = checkpoints.TrainerState(optimizer, counters, torch.get_rng_state(), lora_state(self.model))
                checkpoints.write(directory, self.model, state, self.source)
        if self.ranks.world_size > 1:
            torch.distributed.barrier()

    def load_checkpoint(self, directory: str) -> None:
        """Continues where `save_checkpoint` was.

        Raises:
            CheckpointError: not a whole checkpoint, or one of another architecture or optimizer; nothing has changed.
        """
        with self.optimization.changing_weights():
            state = checkpoints.read(directory, self.model, self.optimization)
        self.optimization.load_state(state.optimizer)
        torch.set_rng_state(state.torch_rng)
        self.steps, self.version = state.counters["steps"], state.counters["version"]

    # One iteration, in order: cut the batch, score it, step, report.

    def _work(self, rollouts: Rollouts, steps: list[list[int]]) -> list[list[MicroBatch]]:
        """This rank's passes of each step. Equal steps share their passes, and so the log-probabilities at pi_old."""
        made: dict[tuple[int, ...], list[MicroBatch]] = {}
        for members in steps:
            if tuple(members) not in made:
                passes = micro_batches(rollouts, members, self.config.tokens_per_micro_batch, *self._part)
                for micro in passes:
                    micro.packed = self._shared(micro.packed)
                    micro.routes = self._engine_routes(micro.packed)
                made[tuple(members)] = passes
        return [made[tuple(members)] for members in steps]

    def _score(
        self, rollouts: Rollouts, steps: list[list[int]], work: list[list[MicroBatch]], scored: "_Scored"
    ) -> None:
        """Float32 forward passes at pi_old over every row that the first step's own passes do not score."""
        in_steps = {row for members in steps for row in members}
        rest = [row for row in range(len(rollouts.rows)) if row not in in_steps]
        first = {id(micro) for micro in work[0]} if work and self.config.autocast == "float32" else set()
        due = {id(micro): micro for passes in work for micro in passes if id(micro) not in first}
        self.optimization.track_max_logits(False)
        with torch.no_grad():
            for whole, counts in scoring_batches(rollouts, rest, self.config.tokens_per_micro_batch, *self._part):
                packed = self._shared(whole)
                with replayed(self.model, self._engine_routes(packed)):
                    scores = score(self.model, packed)
                if counts:
                    scored.add(packed, *scores)
            for micro in due.values():
                with routed(self.model, self.config.model.router_replay, micro):
                    micro.old_log_probs, entropy = score(self.model, micro.packed)
                if micro.counts:
                    scored.add(micro.packed, micro.old_log_probs, entropy)
            if self.reference is not None:
                for micro in {id(micro): micro for passes in work for micro in passes}.values():
                    micro.ref_log_probs = self.reference.log_probs(micro.packed)

    def _step(
        self,
        passes: list[MicroBatch],
        demonstrations: Sequence[TokenRow],
        scored: "_Scored",
        number: int,
        progress: float | None,
    ) -> dict[str, float]:
        """One optimizer step, QK-Clip included."""
        factor = self.config.schedule.factor(self.steps + number if progress is None else progress)
        self.optimization.track_max_logits(True)
        self.optimization.engine.train()
        sums: dict[str, float] = {}
        mixed = self._mixed(demonstrations)
        self._count_loads(None)
        for index, micro in enumerate(passes):
            for name, value in self._backward(micro, scored, number, last=index == len(passes) - 1 and not mixed).items():
                sums[name] = sums.get(name, 0.0) + float(value)
        for index, batch in enumerate(mixed):
            sums["ptx_loss"] = sums.get("ptx_loss", 0.0) + self._imitate(batch, last=index == len(mixed) - 1)
        if number == 0:
            self._compare(scored)
        taken = self.optimization.step(factor, self.config.max_grad_norm)
        self.version += number == 0  # other weights from here on, also where a later step fails
        sums = self._sum_over_ranks(sums)
        if "correction_weight" in sums:
            sums["effective_sample_share"] = effective_sample_share(sums)
        return sums | taken | self._balance() | {"learning_rate_factor": factor}

    def _backward(self, micro: MicroBatch, scored: "_Scored", number: int, last: bool) -> dict[str, Tensor]:
        autocast = torch.bfloat16 if self.config.autocast == "bfloat16" else None
        self._count_loads(micro.counts, micro.packed)
        with routed(self.model, self.config.model.router_replay, micro):
            values, entropy = score(self.optimization.engine, micro.packed, autocast, micro.old_log_probs is None)
        if micro.old_log_probs is None:
            # The first pass at pi_old: its own log-probabilities are the old ones.
            micro.old_log_probs = values.detach()
            if micro.counts:
                scored.add(micro.packed, values, entropy)
        elif number == 0 and micro.counts:
            scored.training_difference.add(values, micro.packed)
        output = self._objective(micro.loss_inputs(values), **self.config.objective_settings)
        self.optimization.backward(output.loss, last)
        return output.metrics

    def _mixed(self, demonstrations: Sequence[TokenRow]) -> list[PTXBatch]:
        if not demonstrations or not self.config.ptx_weight:
            return []
        return ptx_batches(demonstrations, self.config.tokens_per_micro_batch, *self._part)

    def _imitate(self, batch: PTXBatch, last: bool) -> float:
        """Adds the gradient of one pass over demonstrations; returns its share of the loss, nats per token."""
        autocast = torch.bfloat16 if self.config.autocast == "bfloat16" else None
        packed = self._shared(batch.packed)
        self._count_loads(batch.counts, packed)
        loss = batch.loss(score(self.optimization.engine, packed, autocast, with_entropy=False).log_probs)
        self.optimization.backward(self.config.ptx_weight * loss, last)
        return float(loss.detach())

    def _shared(self, packed: PackedBatch) -> PackedBatch:
        """The batch as the ranks that share passes compute it."""
        return packed if self._group is None else replace(packed, group=self._group)

    def _engine_routes(self, packed: PackedBatch) -> Tensor | None:
        """[positions that this rank computes, ...] where the engine's routes are to be replayed; "old_policy" replays the
        trainer's own, whatever the engine says."""
        if self.config.model.router_replay != "engine" or packed.routes is None:
            return None
        return packed.routes[packed.computed]

    def _count_loads(self, enabled: bool | None, packed: PackedBatch | None = None) -> None:
        """Whether passes from here on count as load of the experts; None forgets what a step that failed had counted.

        Args:
            packed: the next pass, which does not count where it only repeats positions of another rank.
        """
        if self.load is not None:
            self.load.track(bool(enabled) and (packed is None or packed.counted == packed.computed))
            if enabled is None:
                self.load.pop()

    def _balance(self) -> dict[str, float]:
        """After an optimizer step: what its passes asked of the experts, and the routers' answer."""
        if self.load is None:
            return {}
        self.load.track(False)
        loads = self.load.pop(over_ranks=self.ranks.world_size > 1)
        if self.config.model.router_bias_rate:
            update_router_bias_(self.model, loads, self.config.model.router_bias_rate)
        return load_metrics(loads)

    def _compare(self, scored: "_Scored") -> None:
        for difference in (scored.difference, scored.training_difference):
            difference.reduce(self._part[1] > 1, self._replicas)
        try:
            scored.difference.check(self.config.max_log_prob_difference, self.config.mean_log_prob_difference)
        except RuntimeError:
            self.optimization.zero_grad()
            raise

    @property
    def _replicas(self) -> Any:
        """The ranks whose figures add up: those that share passes have the same ones. None: all."""
        return None if self._group is None else self._group.replicas

    def _sum_over_ranks(self, values: dict[str, float]) -> dict[str, float]:
        if self._part[1] == 1:
            return values
        totals = torch.tensor([values[name] for name in sorted(values)], dtype=torch.float64)
        torch.distributed.all_reduce(totals, group=self._replicas)
        return dict(zip(sorted(values), totals.tolist(), strict=True))

    def _report(
        self, rollouts: Rollouts, used: int, taken: list[dict[str, float]], scored: "_Scored"
    ) -> dict[str, float]:
        """Means over the optimizer steps, but for what says otherwise.

        loss, what the objective and its correction report, kl_per_token (nats, k3 against pi_old, of the last step),
        log_ratio_per_sequence (nats, last step), ptx_loss (nats per token of the demonstrations), entropy_per_token (nats,
        at pi_old), grad_norm (before clipping), learning_rate_factor, qk_max_logit (largest), qk_clipped_heads (summed over
        steps), log_prob_difference_{max,mean} (nats, engine against the float32 trainer),
        training_log_prob_difference_{max,mean} (nats, engine against a bfloat16 training pass), policy_tokens,
        older_tokens (those of them that older weights sampled, which the comparison leaves out), tokens, sequences,
        trained_sequences, steps (optimizer steps taken), version (of the weights, after).
        """
        report: dict[str, float] = {}
        for name in taken[0] if taken else ():  # ptx_loss: fewer demonstrations than steps leave the last ones without
            values = [step[name] for step in taken if name in step]
            if name in ("kl_per_token", "log_ratio_per_sequence"):
                report[name] = values[-1]
            elif name == "qk_max_logit":
                report[name] = max(values)
            else:
                report[name] = sum(values) / (1 if name == "qk_clipped_heads" else len(values))
        sums = self._sum_over_ranks({"entropy": scored.entropy, "tokens": float(scored.tokens)})
        report["entropy_per_token"] = sums["entropy"] / max(sums["tokens"], 1)
        report["log_prob_difference_max"] = scored.difference.max
        report["log_prob_difference_mean"] = scored.difference.mean
        if scored.training_difference.tokens:
            report["training_log_prob_difference_max"] = scored.training_difference.max
            report["training_log_prob_difference_mean"] = scored.training_difference.mean
        return report | {
            "policy_tokens": sums["tokens"],
            "older_tokens": sums["tokens"] - scored.difference.tokens,
            "tokens": float(sum(len(row.token_ids) for row in rollouts.rows)),
            "sequences": float(len(rollouts.rows)),
            "trained_sequences": float(used),
            "steps": float(len(taken)),
            "version": float(self.version),
        }


class _Scored:
    """What the passes at pi_old found, over all rollout tokens of this rank."""

    def __init__(self, version: int) -> None:
        self.difference = Difference(version)
        self.training_difference = Difference(version)
        self.entropy = 0.0
        self.tokens = 0

    def add(self, packed: Any, values: Tensor, entropy: Tensor) -> None:
        self.difference.add(values, packed)
        self.entropy += float(entropy)
        self.tokens += len(packed.loss_positions)


def _every_token(tokens: Sequence[int]) -> TokenRow:
    mask = np.ones(len(tokens), dtype=bool)
    mask[:1] = False
    return TokenRow(np.asarray(tokens, dtype=np.int64), mask)
