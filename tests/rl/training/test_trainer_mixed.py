"""Beside fresh rollouts: demonstrations that are mixed in, and tokens that older weights sampled."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rl.training.forward import LogProbabilityError
from rl.training.objectives import CorrectionConfig
from rl.training.packing import TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts, ptx_batches
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.gradients import learnt
from tests.rl.training.trainer_cases import OPTIMIZER, VOCABULARY, nano, rollouts


@pytest.fixture(scope="module")
def batch() -> Rollouts:
    return rollouts(nano())


def demonstrations(count: int = 5, seed: int = 1) -> list[TokenRow]:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(6, 20, count)
    return [TokenRow(draw.integers(0, VOCABULARY, length), np.arange(length) >= 3) for length in lengths]


def trainer(**settings) -> Trainer:
    return Trainer(TrainerConfig(optimizer=OPTIMIZER, **settings), nano())


def cross_entropy(model, rows: list[TokenRow]) -> torch.Tensor:
    """Mean over all tokens in the loss, row by row."""
    total = torch.zeros(())
    for row in rows:
        ids, mask = torch.from_numpy(row.token_ids), torch.from_numpy(row.loss_mask)
        scored = model(input_ids=ids[None], use_cache=False).logits[0, :-1].log_softmax(-1)
        total = total - scored.gather(-1, ids[1:, None]).squeeze(-1)[mask[1:]].sum()
    return total / sum(row.policy_tokens for row in rows)


def test_demonstrations_add_their_cross_entropy_to_the_gradient(batch, monkeypatch):
    rows, weight = demonstrations(), 0.7
    [alone], *_ = learnt(batch, monkeypatch, gradient_steps=1, objective="reinforce")
    [mixed], _, figures = learnt(batch, monkeypatch, rows, gradient_steps=1, objective="reinforce", ptx_weight=weight)
    model = nano()
    loss = cross_entropy(model, rows)
    loss.backward()
    assert figures["ptx_loss"] == pytest.approx(float(loss.detach()), abs=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(mixed[name], alone[name] + weight * parameter.grad, atol=1e-5, rtol=0, msg=name)


def test_demonstrations_are_split_without_a_trace(batch):
    weights = []
    for tokens in (10_000, 25):
        one = trainer(ptx_weight=0.5, tokens_per_micro_batch=tokens)
        figures = one.train_batch(batch, demonstrations=demonstrations())
        weights.append((one.model.state_dict(), figures["ptx_loss"]))
    assert weights[0][1] == pytest.approx(weights[1][1], abs=1e-5)
    for name, tensor in weights[0][0].items():
        torch.testing.assert_close(weights[1][0][name], tensor, atol=1e-5, rtol=0, msg=name)


def test_fewer_demonstrations_than_steps_are_reported_by_the_steps_that_had_them(batch):
    rows = demonstrations(1)
    figures = trainer(ptx_weight=0.5, gradient_steps=2).train_batch(batch, demonstrations=rows)
    assert figures["steps"] == 2
    assert figures["ptx_loss"] == pytest.approx(float(cross_entropy(nano(), rows).detach()), abs=1e-5)


def test_ranks_share_demonstrations_and_take_equally_many_passes():
    rows = demonstrations(5)
    for ranks in (1, 2, 3):
        passes = [ptx_batches(rows, 30, rank, ranks) for rank in range(ranks)]
        assert len({len(own) for own in passes}) == 1
        counted = [row for own in passes for one in own if one.counts for row in one.packed.rows]
        assert sorted(counted) == list(range(5))
        assert {one.num_tokens for own in passes for one in own} == {sum(row.policy_tokens for row in rows)}


def test_without_demonstrations_or_weight_nothing_is_mixed_in(batch):
    plain = trainer()
    plain.train_batch(batch)
    for settings, rows in (({}, demonstrations()), ({"ptx_weight": 0.5}, [])):
        one = trainer(**settings)
        assert "ptx_loss" not in one.train_batch(batch, demonstrations=rows)
        assert all(torch.equal(tensor, plain.model.state_dict()[name]) for name, tensor in one.model.state_dict().items())


def aged(batch: Rollouts, older: set[int], shift: float, version: int) -> Rollouts:
    """Rows of `older` were sampled one version ago, by weights that found their tokens e^shift times as likely."""
    rows = []
    for number, row in enumerate(batch.rows):
        assert row.behaviour_log_probs is not None
        said = np.where(row.loss_mask, version - (number in older), -1).astype(np.int64)
        moved = np.where(row.loss_mask & (number in older), row.behaviour_log_probs + shift, row.behaviour_log_probs)
        rows.append(replace(row, versions=said, behaviour_log_probs=moved.astype(np.float32)))
    return replace(batch, rows=rows)


def test_tokens_of_older_weights_are_counted_and_not_compared(batch):
    one = trainer()
    one.version = 3
    older = {0, 4, 5}
    figures = one.train_batch(aged(batch, older, 0.3, version=3))
    assert figures["older_tokens"] == sum(batch.rows[number].policy_tokens for number in older)
    assert figures["policy_tokens"] == sum(row.policy_tokens for row in batch.rows)
    assert figures["log_prob_difference_max"] < 1e-4
    fresh = trainer()
    fresh.version = 2  # now the shifted rows are said to be its own
    with pytest.raises(LogProbabilityError):
        fresh.train_batch(aged(batch, older, 0.3, version=3))


def test_a_correction_weighs_older_rows_and_leaves_fresh_ones_alone(batch):
    older = {row for row in range(len(batch.rows)) if bool(batch.valid[row])}
    correction = CorrectionConfig("truncate", "token", high=5.0)
    gains = {}
    for shift in (0.0, np.log(2)):
        one = trainer(gradient_steps=1, objective="reinforce", correction=correction, max_grad_norm=0.0)
        one.version = 1
        figures = one.train_batch(aged(batch, older, float(shift), version=1))
        gains[shift] = figures["grad_norm"]
        assert figures["correction_weight"] == pytest.approx(np.exp(-shift), abs=1e-3)
        assert figures["effective_sample_share"] == pytest.approx(1.0, abs=1e-3)
    assert gains[np.log(2)] == pytest.approx(gains[0.0] / 2, rel=1e-3), "tokens twice as likely then count half"


def test_a_row_without_a_token_in_the_loss_has_no_gradient_and_counts_in_its_group(batch):
    empty = int(batch.valid.nonzero()[0])
    row = batch.rows[empty]
    rows = list(batch.rows)
    nothing = np.zeros(len(row.token_ids), np.float32)
    rows[empty] = replace(row, loss_mask=nothing.astype(bool), behaviour_log_probs=nothing)
    weights = []
    for tokens in (10_000, 1):  # a pass of its own too
        one = trainer(tokens_per_micro_batch=tokens, objective="k2")
        figures = one.train_batch(replace(batch, rows=rows))
        assert figures["policy_tokens"] == sum(row.policy_tokens for row in rows)
        weights.append(one.model.state_dict())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, atol=1e-5, rtol=0, msg=name)


def test_a_negative_weight_of_demonstrations_is_refused():
    with pytest.raises(ValueError, match="trainer.ptx_weight must be at least 0, not -1"):
        TrainerConfig(ptx_weight=-1.0)
