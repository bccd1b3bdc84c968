"""Cold start: TRL's `SFTTrainer` on DeepSpeed, with this project's optimizer, packer and checkpoint format.

The loss is the cross-entropy of the tokens of the policy and of nothing else, averaged over the tokens in the loss of
the batch. Demonstrations arrive tokenised; they are packed without padding and never see each other. Batches are drawn
by the seed; a budget in steps makes a run repeatable, a budget in seconds makes it punctual.
"""

import operator
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig

from rl.policy.presets import save
from rl.training.deepspeed_settings import SUPPORTED_BY_SFT, is_supported_by_sft
from rl.training.muonclip import OptimizerConfig, build_optimizer
from rl.training.packing import TokenRow, collate
from rl.training.schedules import ScheduleConfig
from rl.training.sft_trainer import Budget, PackedSFTTrainer, Progress
from rl.training.trainer_process import Ranks, join

__all__ = ["SFTReport", "SFTSettings", "fine_tune"]


@dataclass(frozen=True, slots=True)
class SFTSettings:
    """The defaults are what learnt most in 95 seconds on two cores (ours); Muon's figures follow K2."""

    seconds: float | None = 95.0
    """Length of the training in wall-clock seconds, start-up not counted; null counts `steps` instead."""
    steps: int | None = None
    """Length of the training in optimizer steps; null counts `seconds` instead."""
    batch_sequences: int = 8
    """Demonstrations per optimizer step and rank."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(muon_lr=6e-3, adam_lr=2e-3, qk_clip_threshold=None)
    )
    decay: Literal["linear", "constant"] = "linear"
    """Learning rates fall to 0 at the end of the budget, or stay."""
    warmup: float = 0.0
    """Fraction of the budget over which the learning rates rise from 0."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 never clips."""
    autocast: Literal["float32", "bfloat16"] = "bfloat16"
    """Matrix products of the forward and backward passes; weights and optimizer are float32."""
    experts: str = "grouped_mm"
    """transformers' implementation of the expert layers."""
    threads: int | None = None
    """Compute threads; null keeps torch's choice."""
    deepspeed: Mapping[str, Any] = field(default_factory=dict)
    """DeepSpeed's own settings, passed through. ZeRO stages above 0, bf16, fp16 and amp are refused."""
    log_every: int = 10
    """Optimizer steps between two calls of the progress callback."""

    def __post_init__(self) -> None:
        checks = {
            "seconds": ((self.seconds is None) != (self.steps is None), "set, or steps, but not both"),
            "steps": (self.steps is None or self.steps >= 1, "at least 1 or null"),
            "batch_sequences": (self.batch_sequences >= 1, "at least 1"),
            "decay": (self.decay in ("linear", "constant"), '"linear" or "constant"'),
            "warmup": (0 <= self.warmup < 1, "in [0, 1)"),
            "max_grad_norm": (self.max_grad_norm >= 0, "at least 0"),
            "autocast": (self.autocast in ("float32", "bfloat16"), '"float32" or "bfloat16"'),
            "optimizer.qk_clip_threshold": (self.optimizer.qk_clip_threshold is None, "null: the cold start does not clip"),
            "deepspeed": (is_supported_by_sft(self.deepspeed), SUPPORTED_BY_SFT),
            "log_every": (self.log_every >= 1, "at least 1"),
        }
        for key, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"sft.{key} must be {wanted}, not {operator.attrgetter(key)(self)!r}")


@dataclass(frozen=True, slots=True)
class SFTReport:
    steps: int
    """Optimizer steps taken."""
    seconds: float
    """Wall-clock time of the training, start-up not counted."""
    startup_seconds: float
    """Before the first step: DeepSpeed, TRL, the data set."""
    tokens: int
    """Tokens read, those outside the loss included."""
    epochs: float
    """How often the demonstrations were seen."""
    loss: float
    """Mean over the last tenth of the steps, nats per token in the loss."""


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    demonstrations: Iterable[tuple[Sequence[int], Sequence[bool]]],
    directory: str | os.PathLike[str] | None,
    settings: SFTSettings | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> SFTReport:
    """Trains `model` in place, and writes it to `directory` as a Hugging Face model if that is given.

    Args:
        model: with the `orrery_varlen` attention, in float32.
        demonstrations: (token ids, loss mask) of whole dialogues, as `Dialect.render` gives them.

    Raises:
        ValueError: fewer demonstrations than a batch takes, or one without any token in the loss.
    """
    started = time.perf_counter()
    settings = settings or SFTSettings()
    join(Ranks(threads=settings.threads))
    data = _dataset(demonstrations, settings.batch_sequences)
    model.set_experts_implementation(settings.experts)
    budget = Budget(
        steps=settings.steps,
        seconds=settings.seconds,
        schedule=ScheduleConfig(settings.decay, warmup=settings.warmup, total=1.0),
        log_every=settings.log_every,
        progress=progress,
    )
    trainer = PackedSFTTrainer(
        model=model,
        args=_arguments(settings, seed),
        train_dataset=data,
        processing_class=tokenizer,
        data_collator=_collate,
        make_optimizer=lambda: build_optimizer(model, settings.optimizer),
        budget=budget,
        autocast=torch.bfloat16 if settings.autocast == "bfloat16" else None,
    )
    startup = time.perf_counter() - started
    trainer.train()
    seconds = budget.seconds
    model.eval()
    if directory is not None:
        save(model, tokenizer, directory)
    return SFTReport(
        steps=budget.steps,
        seconds=seconds,
        startup_seconds=startup,
        tokens=budget.tokens,
        epochs=trainer.state.epoch or 0.0,
        loss=budget.mean_loss(max(1, budget.steps // 10)),
    )


def _dataset(demonstrations: Iterable[tuple[Sequence[int], Sequence[bool]]], at_least: int) -> Dataset:
    """One row per demonstration."""
    tokens, masks = [], []
    for token_ids, loss_mask in demonstrations:
        tokens.append(np.asarray(token_ids, dtype=np.int64))
        masks.append(np.asarray(loss_mask, dtype=bool))
        if not masks[-1].any():
            raise ValueError(f"sft: demonstration {len(masks) - 1} has no token in the loss")
    if not tokens:
        raise ValueError("sft: there is no demonstration to learn from")
    if len(tokens) < at_least:
        raise ValueError(
            f"sft: {len(tokens)} demonstrations do not fill one batch of sft.batch_sequences={at_least}; give more, or "
            "lower it"
        )
    columns = {"input_ids": List(Value("int64")), "loss_mask": List(Value("bool"))}
    return Dataset.from_dict({"input_ids": tokens, "loss_mask": masks}, features=Features(columns)).with_format("numpy")


def _collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [TokenRow(example["input_ids"], example["loss_mask"]) for example in examples]
    batch = collate(rows, range(len(rows)))
    return {each.name: getattr(batch, each.name) for each in fields(batch)}


def _arguments(settings: SFTSettings, seed: int) -> SFTConfig:
    stage = {"zero_optimization": {"stage": 0}, "zero_allow_untested_optimizer": True}
    own = {"train_micro_batch_size_per_gpu": "auto", "gradient_clipping": "auto", "steps_per_print": None}
    return SFTConfig(
        output_dir=tempfile.gettempdir(),
        per_device_train_batch_size=settings.batch_sequences,
        max_steps=settings.steps or 10**9,
        max_grad_norm=settings.max_grad_norm,
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        deepspeed=stage | own | dict(settings.deepspeed),
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        max_length=None,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )
