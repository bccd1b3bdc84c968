"""What ranks that share the experts do, each in a process of its own; what they find is left in a directory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from rl.policy.weights import disk_state
from rl.training.model import ModelSettings
from rl.training.muonclip import OptimizerConfig
from rl.training.optimization import whole_weights
from rl.training.packing import TokenRow
from rl.training.parallel import ParallelSettings
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_process import Ranks, leave
from tests.rl.training.trainer_cases import nano, rollouts

MODELS = ("nano_k2", "nano_gqa_moe")
MUONCLIP = TrainerConfig(
    # Adam's first steps turn the sign of a gradient of 1e-8 into a whole step; this epsilon does not.
    optimizer=OptimizerConfig(muon_lr=5e-3, adam_lr=1e-3, eps=1e-6, weight_decay=0.1, qk_clip_threshold=0.02),
    tokens_per_micro_batch=80,
    max_grad_norm=0.1,
    gradient_steps=4,
    mini_batches="whole",
    ptx_weight=0.5,
)
ADAMW = replace(MUONCLIP, optimizer=replace(MUONCLIP.optimizer, name="adamw"))
EVERYTHING = replace(
    MUONCLIP,
    objective="k15",
    objective_settings={"tau": 0.5},
    model=ModelSettings(
        experts="eager", recompute_every=1, router_replay="old_policy", router_bias_rate=0.01, reference="initial"
    ),
)
"""What else looks into the layers."""
CONFIGS = {"muonclip": MUONCLIP, "adamw": ADAMW, "everything": EVERYTHING}

Weights = dict[str, torch.Tensor]
Found = tuple[dict[str, float], Weights]


def shared(config: TrainerConfig, experts: int) -> TrainerConfig:
    return replace(config, parallel=ParallelSettings(experts=experts))


def start(name: str, seed: int = 0) -> PreTrainedModel:
    """Routers with biases choose other experts than without."""
    model = nano(seed=seed, name=name)
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    return model


def batch(name: str, seed: int = 0) -> Rollouts:
    return rollouts(start(name), groups=6, seed=seed)


def demonstration(name: str) -> TokenRow:
    """One row for all ranks: the others repeat it in passes that do not count."""
    return replace(rollouts(start(name), groups=2, members=2, seed=3).rows[0], behaviour_log_probs=None)


def weights(trainer: Trainer) -> Weights:
    with whole_weights(trainer.model):
        return {name: tensor.clone() for name, tensor in disk_state(trainer.model).items()}


def trained(config: TrainerConfig, name: str, ranks: Ranks | None = None) -> Found:
    trainer = Trainer(config, start(name), ranks)
    steps = config.gradient_steps
    return trainer.train_batch(batch(name), demonstrations=[demonstration(name)] * steps), weights(trainer)


def held(trainer: Trainer) -> dict[str, int]:
    """Numbers that this rank keeps, outside `whole_weights`: weights, gradients to come and the optimizer's state."""
    parameters = dict(trainer.model.named_parameters())
    experts = [parameter for name, parameter in parameters.items() if ".experts." in name]
    state = trainer.optimization.optimizer.state
    return {
        "experts": sum(parameter.numel() for parameter in experts),
        "others": sum(parameter.numel() for parameter in parameters.values()) - sum(one.numel() for one in experts),
        "state of experts": sum(value.numel() for one in experts for value in state[one].values() if value.ndim),
    }


def spawned(work: Callable[[Ranks, Path], Any], ranks: int, directory: Path) -> list[Any]:
    """What `work(ranks, directory)` gives on each of several ranks; it must be a function of a module."""
    torch.multiprocessing.spawn(_rank, args=(work, ranks, directory), nprocs=ranks)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(ranks)]


def _rank(rank: int, work: Callable[[Ranks, Path], Any], ranks: int, directory: Path) -> None:
    me = Ranks(rank, ranks, f"file://{directory}/meeting", threads=1)
    torch.save(work(me, directory), directory / f"{rank}.pt")
    leave()
