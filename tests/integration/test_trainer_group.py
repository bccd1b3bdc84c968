"""Two ranks in Ray actors over gloo train what one rank trains, at every ZeRO stage; the exported weights are the trainer's.

Starting processes costs seconds: one pair of ranks serves the whole file, with a trainer of its own for every test.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ray
import torch

from rl.policy.presets import save
from rl.policy.weights import disk_state, read_weights, tensor_digest
from rl.training.muonclip import OptimizerConfig
from rl.training.objectives import OBJECTIVES
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import Placement, TrainerGroup
from rl.training.trainer_process import Ranks
from rl.training.weight_sync import WeightSyncConfig
from tests.rl.training.trainer_cases import nano, rollouts, tokenizer

CONFIG = TrainerConfig(
    # Adam's first steps turn the sign of a gradient of 1e-8 into a whole step; this epsilon does not.
    optimizer=OptimizerConfig(muon_lr=5e-3, adam_lr=1e-3, eps=1e-6, weight_decay=0.1, qk_clip_threshold=0.02),
    tokens_per_micro_batch=80,
    max_grad_norm=0.1,
)
FIVE_STEPS = replace(CONFIG, gradient_steps=5, mini_batches="whole")
METRICS = ("loss", "kl_per_token", "policy_tokens", "entropy_per_token", "qk_max_logit", "qk_clipped_heads", "grad_norm")


def at_stage(config: TrainerConfig, stage: int) -> TrainerConfig:
    """Several buckets and, at stage 3, several parts of a group; it keeps small parameters whole unless told otherwise."""
    zero: dict[str, int] = {"stage": stage, "reduce_bucket_size": 50_000}
    if stage == 3:
        zero |= {"stage3_param_persistence_threshold": 0, "sub_group_size": 30_000}
    return replace(config, deepspeed={"zero_optimization": zero})


@pytest.fixture(scope="module")
def pair(ray_cluster, tmp_path_factory):
    """(call, directories): `call(work, config, name)` runs `work(group)` on two ranks that train the named model."""
    directories = {name: str(tmp_path_factory.mktemp(name)) for name in ("nano_k2", "nano_gqa_moe")}
    for name, directory in directories.items():
        save(nano(name=name), tokenizer(), directory)
    loop = asyncio.new_event_loop()
    group = loop.run_until_complete(TrainerGroup.start(CONFIG, directories["nano_k2"], Placement(ranks=2, threads=1)))
    meeting = "tcp://unused: the ranks have met"

    def call(work: Callable[[TrainerGroup], Coroutine], config: TrainerConfig, name: str = "nano_k2") -> Any:
        starts = [
            actor.start.remote(config, directories[name], Ranks(rank, 2, meeting, threads=1), WeightSyncConfig())
            for rank, actor in enumerate(group._actors)
        ]
        assert len(set(ray.get(starts))) == 1
        return loop.run_until_complete(work(group))

    yield call
    loop.run_until_complete(group.close())
    loop.close()


def alone(config: TrainerConfig, name: str, batch: Rollouts) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Metrics and weights of one rank, without partitions."""
    trainer = Trainer(replace(config, deepspeed={}), nano(name=name))
    metrics = trainer.train_batch(batch)
    return metrics, disk_state(trainer.model)


def assert_same(weights: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float = 1e-5) -> None:
    assert weights.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(weights[key], tensor, atol=atol, rtol=0, msg=key)


async def exported(group: TrainerGroup) -> dict[str, torch.Tensor]:
    export = await group.export_weights()
    weights = dict(read_weights(export.update.path))
    assert tensor_digest(weights.items()) == export.update.digest
    return weights


@pytest.fixture(scope="module")
def five_steps():
    """What one rank makes of five steps, by model."""
    batches = {name: rollouts(nano(name=name), groups=6) for name in ("nano_k2", "nano_gqa_moe")}
    return {name: alone(FIVE_STEPS, name, batch) for name, batch in batches.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "stage"),
    [("nano_k2", 0), ("nano_k2", 1), ("nano_k2", 2), ("nano_k2", 3), ("nano_gqa_moe", 2), ("nano_gqa_moe", 3)],
)
def test_two_ranks_train_what_one_rank_trains_and_continue_to_the_bit(pair, five_steps, tmp_path, name, stage):
    """Clipped gradients, clipped heads, weight decay, probe, export and checkpoint included."""
    batch, checkpoint = rollouts(nano(name=name), groups=6), str(tmp_path / "one")

    async def work(group: TrainerGroup) -> None:
        metrics = await group.train_batch(batch)
        weights = await exported(group)
        expected_metrics, expected = five_steps[name]
        assert expected_metrics["grad_norm"] > 0.1 and expected_metrics["qk_clipped_heads"] >= 5
        assert_same(weights, expected)
        for metric in METRICS:
            assert metrics[metric] == pytest.approx(expected_metrics[metric], rel=1e-4, abs=1e-7), metric
        probe = await group.probe(seed=1)
        assert probe.coverage == 1.0
        assert np.allclose(probe.log_probs, await group.log_probs(probe.token_ids), atol=1e-5)
        await group.save_checkpoint(checkpoint)
        elsewhere = Trainer(FIVE_STEPS, nano(seed=3, name=name))  # one rank, no partitions
        elsewhere.load_checkpoint(checkpoint)
        assert (elsewhere.version, elsewhere.steps) == (1, 5)
        second = rollouts(elsewhere.model, groups=2, seed=7)
        await group.train_batch(second)
        straight = await exported(group)
        await group.load_checkpoint(checkpoint)
        await group.train_batch(second)
        assert_same(await exported(group), straight, atol=0)
        elsewhere.train_batch(second)
        assert_same(straight, disk_state(elsewhere.model))

    pair(work, at_stage(FIVE_STEPS, stage), name)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_every_objective_trains_the_same_on_one_rank_and_on_two(pair, objective):
    config = replace(CONFIG, objective=objective, objective_settings={})
    batch = rollouts(nano(), groups=6)

    async def work(group: TrainerGroup) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        return await group.train_batch(batch), await exported(group)

    metrics, weights = pair(work, config)
    expected_metrics, expected = alone(config, "nano_k2", batch)
    start = disk_state(nano())
    assert max(float((tensor - start[key]).abs().max()) for key, tensor in expected.items()) > 1e-4
    assert_same(weights, expected)
    assert metrics.keys() == expected_metrics.keys()
    for metric in METRICS:
        assert metrics[metric] == pytest.approx(expected_metrics[metric], rel=1e-4, abs=1e-7), metric
