"""A fault is not a failure: what faulty episodes hold reaches neither the loss nor a gradient nor a weight."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rl.training.advantages import group_advantages
from rl.training.packing import TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.gradients import assert_learnt_alike, learnt
from tests.rl.training.trainer_cases import OPTIMIZER, nano, rollouts

SHARES = [0.04, 0.54]
GROUPS, MEMBERS = 5, 5


@pytest.fixture(scope="module")
def episodes() -> Rollouts:
    return rollouts(nano(), GROUPS, MEMBERS, seed=3)


def judged(rows: list[TokenRow], rewards: torch.Tensor, valid: torch.Tensor, groups: torch.Tensor) -> Rollouts:
    return Rollouts(rows, group_advantages(rewards, valid, groups), valid, groups)


def struck(share: float) -> torch.Tensor:
    """[sequences] bool: that share of the episodes, at least one, anywhere."""
    count = GROUPS * MEMBERS
    chosen = np.random.default_rng(7).permutation(count)[: max(1, round(share * count))]
    return torch.isin(torch.arange(count), torch.from_numpy(chosen))


def with_faults(episodes: Rollouts, rewards: torch.Tensor, faulty: torch.Tensor) -> Rollouts:
    """Faulty episodes stay in the batch: some as they were sampled, some cut short; their rewards are garbage."""
    garbage = torch.tensor([float("nan"), float("inf"), -1e30, 1.0, 0.0]).repeat(GROUPS).double()
    rows = []
    for number, row in enumerate(episodes.rows):
        if faulty[number] and number % 2:
            end = int(np.flatnonzero(row.loss_mask)[0]) + 1
            parts = {name: getattr(row, name)[:end] for name in ("token_ids", "loss_mask", "behaviour_log_probs")}
            row = TokenRow(**parts)
        rows.append(row)
    return judged(rows, torch.where(faulty, garbage, rewards), ~faulty, episodes.group_ids)


def healthy(episodes: Rollouts, rewards: torch.Tensor, faulty: torch.Tensor) -> Rollouts:
    """The same batch where the faulty episodes were never played."""
    kept = (~faulty).nonzero().flatten()
    rows = [episodes.rows[number] for number in kept.tolist()]
    return judged(rows, rewards[kept], torch.ones(len(kept), dtype=torch.bool), episodes.group_ids[kept])


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("settings", [{"objective": "k2"}, {"objective": "grpo", "gradient_steps": 1, "mini_batches": "whole"}])
def test_gradients_and_weights_equal_those_of_the_healthy_subset(episodes, monkeypatch, share, settings):
    rewards = (torch.arange(GROUPS * MEMBERS) % 2).double()
    faulty = struck(share)
    assert int(faulty.sum()) == max(1, round(share * len(faulty)))
    mine = learnt(with_faults(episodes, rewards, faulty), monkeypatch, **settings)
    theirs = learnt(healthy(episodes, rewards, faulty), monkeypatch, **settings)
    assert_learnt_alike(mine, theirs, settings.get("gradient_steps") or 2)
    metrics, reference = mine[2], theirs[2]
    assert metrics["trained_sequences"] == reference["trained_sequences"] == int((~faulty).sum())


def test_a_fault_that_counts_as_a_failure_would_change_the_gradient(episodes, monkeypatch):
    rewards = (torch.arange(GROUPS * MEMBERS) % 2).double()
    faulty = struck(0.54)
    right, *_ = learnt(healthy(episodes, rewards, faulty), monkeypatch)
    everybody = torch.ones_like(faulty)
    wrong, *_ = learnt(judged(list(episodes.rows), rewards.masked_fill(faulty, 0.0), everybody, episodes.group_ids), monkeypatch)
    apart = max(float((wrong[0][name] - right[0][name]).abs().max()) for name in right[0])
    assert apart > 1e-4, "or the tests above could not tell"


def test_a_batch_of_faults_alone_takes_no_step(episodes):
    faulty = torch.ones(GROUPS * MEMBERS, dtype=torch.bool)
    batch = with_faults(episodes, torch.zeros(len(faulty)).double(), faulty)
    model = nano()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER), model)
    metrics = trainer.train_batch(batch)
    assert metrics["steps"] == 0 and trainer.version == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_no_advantage_of_a_faulty_episode_is_ever_read(episodes, monkeypatch):
    rewards = (torch.arange(GROUPS * MEMBERS) % 2).double()
    faulty = struck(0.54)
    batch = with_faults(episodes, rewards, faulty)
    poisoned = replace(batch, advantages=batch.advantages.masked_fill(faulty, float("nan")))
    first, weights, _ = learnt(batch, monkeypatch)
    second, same, _ = learnt(poisoned, monkeypatch)
    for name in weights:
        assert torch.equal(weights[name], same[name]), name
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
