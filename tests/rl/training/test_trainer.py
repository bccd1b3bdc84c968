"""The trainer's step is the formula's step, whatever the split; and a disagreement with the engine changes nothing."""

import numpy as np
import pytest
import torch

from rl.training.checkpoints import CheckpointError
from rl.training.forward import LogProbabilityError
from rl.training.muonclip import OptimizerConfig, build_optimizer
from rl.training.packing import collate
from rl.training.schedules import ScheduleConfig
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts, micro_batches, mini_batches
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.trainer_cases import OPTIMIZER, VOCABULARY, nano, rollouts


def trained(batch: Rollouts, start, **settings) -> dict[str, torch.Tensor]:
    model = nano()
    model.load_state_dict(start)
    Trainer(TrainerConfig(optimizer=OPTIMIZER, **settings), model).train_batch(batch)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module")
def start():
    return nano().state_dict()


@pytest.fixture(scope="module")
def batch():
    return rollouts(nano())


def test_one_step_equals_the_closed_form_of_k2_and_one_optimizer_step(start, batch):
    tau = 0.1
    after = trained(batch, start, gradient_steps=1, max_grad_norm=0.0, objective_settings={"tau": tau})
    model = nano()
    optimizer = build_optimizer(model, OPTIMIZER)
    loss = torch.zeros(())
    for row in batch.valid.nonzero().flatten().tolist():
        ids, mask = torch.from_numpy(batch.rows[row].token_ids), torch.from_numpy(batch.rows[row].loss_mask)
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        scored = logits.log_softmax(-1).gather(-1, ids[1:, None]).squeeze(-1)[mask[1:]].sum()
        size = int((batch.valid & (batch.group_ids == batch.group_ids[row])).sum())
        groups = len(set(batch.group_ids[batch.valid].tolist()))
        loss = loss + (batch.advantages[row] - tau * (scored - scored.detach())) ** 2 / (size * groups)
    loss.backward()
    optimizer.step()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(after[name], tensor, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("mode", ["split", "whole"])
def test_micro_batch_split_does_not_change_the_step(start, batch, mode):
    whole = trained(batch, start, mini_batches=mode, tokens_per_micro_batch=10_000)
    parts = trained(batch, start, mini_batches=mode, tokens_per_micro_batch=30)
    moved = max(float((whole[name] - start[name]).abs().max()) for name in start)
    assert moved > 1e-4
    for name in start:
        torch.testing.assert_close(parts[name], whole[name], atol=1e-5, rtol=0, msg=name)


def test_log_probs_of_another_policy_stop_the_batch_and_change_nothing(start, batch):
    model = nano()
    model.load_state_dict(start)
    trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER), model)
    with pytest.raises(LogProbabilityError, match="log-probability"):
        trainer.train_batch(rollouts(nano(seed=1)))
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())
    assert trainer.version == 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_weights_of_a_batch_whose_second_step_fails_have_another_version(start, batch):
    one = Trainer(TrainerConfig(optimizer=OPTIMIZER), nano())
    step, norms = one.optimization.step, []

    def failing(factor, max_grad_norm):
        if norms:
            raise FloatingPointError("the norm of the gradient is nan")
        norms.append(step(factor, max_grad_norm))
        return norms[0]

    one.optimization.step = failing
    with pytest.raises(FloatingPointError):
        one.train_batch(batch)
    assert not torch.equal(one.model.lm_head.weight, start["lm_head.weight"])
    assert one.version == 1


def test_metrics_cover_every_rollout_token_and_say_what_was_taken(batch):
    model = nano()
    metrics = Trainer(TrainerConfig(optimizer=OPTIMIZER, skip_zero_advantage=True), model).train_batch(batch)
    assert metrics["policy_tokens"] == sum(row.policy_tokens for row in batch.rows)
    assert metrics["sequences"] == len(batch.rows)
    kept = {int(g) for g, a in zip(batch.group_ids, batch.advantages, strict=True) if a != 0}
    groups = batch.group_ids[batch.valid].tolist()
    assert metrics["trained_sequences"] == sum(group in kept for group in groups)
    assert 0 < metrics["log_prob_difference_mean"] <= metrics["log_prob_difference_max"] < 1e-4
    assert 0 < metrics["entropy_per_token"] <= np.log(VOCABULARY)
    assert metrics["qk_max_logit"] > 0
    assert metrics["steps"] == 2


def test_a_batch_without_any_signal_takes_no_step_when_such_groups_are_skipped(start, batch):
    flat = Rollouts(batch.rows, torch.zeros_like(batch.advantages), batch.valid, batch.group_ids)
    model = nano()
    trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER, skip_zero_advantage=True), model)
    metrics = trainer.train_batch(flat)
    assert metrics["steps"] == 0
    assert metrics["log_prob_difference_max"] < 1e-4
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())


def test_bfloat16_training_keeps_float32_log_probs_at_the_old_policy(start, batch):
    model = nano()
    metrics = Trainer(TrainerConfig(optimizer=OPTIMIZER, autocast="bfloat16"), model).train_batch(batch)
    assert metrics["log_prob_difference_max"] < 1e-4 < metrics["training_log_prob_difference_max"]


def test_qk_clip_pulls_heads_back_and_counts_them(batch):
    model = nano(name="nano_gqa_moe")
    low = OptimizerConfig(muon_lr=1e-2, adam_lr=1e-3, qk_clip_threshold=1e-4)
    metrics = Trainer(TrainerConfig(optimizer=low), model).train_batch(rollouts(model))
    assert metrics["qk_clipped_heads"] > 0


def test_the_learning_rate_follows_the_schedule_in_steps_or_in_the_progress_given(batch):
    model = nano()
    config = TrainerConfig(optimizer=OPTIMIZER, schedule=ScheduleConfig("linear", total=8), gradient_steps=2)
    trainer = Trainer(config, model)
    assert trainer.train_batch(batch)["learning_rate_factor"] == pytest.approx((1 + 7 / 8) / 2)
    with pytest.raises(LogProbabilityError):
        trainer.train_batch(batch)
    assert trainer.train_batch(rollouts(model), progress=4)["learning_rate_factor"] == pytest.approx(0.5)


def test_a_resumed_trainer_continues_to_the_bit(tmp_path, batch):
    model = nano()
    trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER), model)
    trainer.train_batch(batch)
    trainer.save_checkpoint(str(tmp_path / "one"))
    second = rollouts(model, seed=5)
    trainer.train_batch(second)
    resumed = Trainer(TrainerConfig(optimizer=OPTIMIZER), nano(seed=9))
    resumed.load_checkpoint(str(tmp_path / "one"))
    assert (resumed.steps, resumed.version) == (2, 1)
    resumed.train_batch(second)
    for name, tensor in model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_log_probs_of_plain_tokens_are_those_of_the_model(batch):
    model = nano()
    tokens = [[1, 2, 3, 4], [5, 6]]
    scored = Trainer(TrainerConfig(), model).log_probs(tokens)
    ids = torch.tensor([tokens[0]])
    expected = model(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
    np.testing.assert_allclose(scored[0], expected.detach().squeeze(-1), atol=1e-6)
    assert [len(values) for values in scored] == [3, 1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gradient_steps", 0),
        ("mini_batches", "half"),
        ("autocast", "fp8"),
        ("deepspeed", {"zero_optimization": {"stage": 2, "round_robin_gradients": True}}),
        ("deepspeed", {"bf16": {"enabled": True}}),
        ("deepspeed", {"fp16": {"enabled": True}}),
        ("deepspeed", {"amp": {"enabled": True}}),
        ("objective_settings", {"tua": 0.1}),
    ],
)
def test_a_wrong_setting_names_its_key(key, value):
    with pytest.raises(ValueError, match=f"trainer.{key}"):
        TrainerConfig(**{key: value})


@pytest.mark.parametrize(
    ("objective", "settings", "message"),
    [
        ("k2", {"tau": 0.0}, "tau must be a number above 0, not 0.0"),
        ("k2", {"tau": float("nan")}, "tau must be"),
        ("k15", {"tau": "0.1"}, "tau must be a number above 0, not '0.1'"),
        ("k25", {"alpha": 0.1}, "alpha must be a number below 0"),
        ("k25", {"beta": 0}, "beta must be a number above 0"),
        ("grpo", {"beta": -1}, "beta must be a number at least 0"),
        ("grpo", {"low": 1.5}, r"low must be a number in \[0, 1\]"),
        ("dr_grpo", {"length": 0}, "length must be a number above 0"),
        ("reinforce", {"tau": 0.1}, "unexpected keyword argument 'tau'; it takes no settings"),
        ("k2", {"inputs": 1}, "multiple values for argument 'inputs'; it takes tau"),
    ],
)
def test_objective_settings_are_checked_before_anything_is_rolled_out(objective, settings, message):
    with pytest.raises(ValueError, match=f"trainer.objective_settings: {objective}: .*{message}"):
        TrainerConfig(objective=objective, objective_settings=settings)


def test_low_precision_that_is_switched_off_is_no_obstacle():
    TrainerConfig(deepspeed={"bf16": {"enabled": False}, "zero_optimization": {"stage": 0}})


def test_a_checkpoint_of_another_optimizer_is_refused_and_nothing_has_changed(tmp_path):
    Trainer(TrainerConfig(optimizer=OPTIMIZER), nano(seed=1)).save_checkpoint(str(tmp_path / "one"))
    other = Trainer(TrainerConfig(optimizer=OptimizerConfig(name="adamw")), nano())
    before = {name: tensor.clone() for name, tensor in other.model.state_dict().items()}
    with pytest.raises(CheckpointError, match="another optimizer"):
        other.load_checkpoint(str(tmp_path / "one"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.model.state_dict().items())
    assert (other.steps, other.version) == (0, 0)


def test_mini_batches_keep_groups_whole_and_use_every_valid_row_once(batch):
    parts = mini_batches(batch, 3, "split", skip_zero_advantage=False)
    groups = [{int(batch.group_ids[row]) for row in part} for part in parts]
    assert all(not a & b for n, a in enumerate(groups) for b in groups[n + 1 :])
    assert sorted(row for part in parts for row in part) == batch.valid.nonzero().flatten().tolist()


def test_ranks_share_a_mini_batch_without_overlap_and_take_equally_many_passes(batch):
    members = batch.valid.nonzero().flatten().tolist()
    per_rank = [micro_batches(batch, members, 60, rank, 3) for rank in range(3)]
    assert len({len(passes) for passes in per_rank}) == 1
    counted = [row for passes in per_rank for one in passes if one.counts for row in one.packed.rows]
    assert sorted(counted) == members
    total = sum(float(one.weights.sum()) for passes in per_rank for one in passes)
    assert total == pytest.approx(1.0)


def test_more_ranks_than_rows_leave_some_ranks_with_a_pass_of_no_weight(batch):
    per_rank = [micro_batches(batch, [0, 1], 1000, rank, 3) for rank in range(3)]
    assert [one.counts for passes in per_rank for one in passes] == [True, True, False]
    assert collate(batch.rows, [0]).rows == (0,)
