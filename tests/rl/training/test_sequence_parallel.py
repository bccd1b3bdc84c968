"""Ranks that share every packed batch train what one rank trains, wherever the cut falls.

One pair of processes serves the file; what needs four is slow.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

from rl.policy.attention import varlen_attention
from rl.policy.presets import build_model
from rl.policy.weights import disk_state
from rl.training.advantages import group_advantages
from rl.training.forward import score
from rl.training.lora import LoraSettings, lora_state
from rl.training.model import ModelSettings
from rl.training.muonclip import OptimizerConfig
from rl.training.optimization import whole_weights
from rl.training.packing import PackedBatch, TokenRow, collate
from rl.training.parallel import ParallelSettings
from rl.training.replay import recorded
from rl.training.sequence_parallel import SequenceGroup, check_model, meet
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts, micro_batches
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_process import Ranks
from tests.rl.training.rank_processes import RankProcesses
from tests.rl.training.trainer_cases import VOCABULARY, nano

CONFIG = TrainerConfig(
    # Adam's first steps turn the sign of a gradient of 1e-8 into a whole step; this epsilon does not.
    optimizer=OptimizerConfig(muon_lr=5e-3, adam_lr=1e-3, eps=1e-6, weight_decay=0.1, qk_clip_threshold=0.02),
    tokens_per_micro_batch=30,
    max_grad_norm=0.5,
    gradient_steps=3,
    mini_batches="whole",
)
MANY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    ranks = RankProcesses(2, tmp_path_factory.mktemp("pair"))
    yield ranks
    ranks.close()


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    ranks = RankProcesses(4, tmp_path_factory.mktemp("four"))
    yield ranks
    ranks.close()


group_of = functools.cache(meet)


# Attention.


def attention_gap(ranks: Ranks, lengths: list[int], heads: int, key_heads: int, widths: tuple[int, int], seed: int) -> float:
    """Largest difference between shared attention and this rank's part of the whole: output, gradients and head maxima."""
    group = group_of(ranks, ranks.world_size)
    torch.manual_seed(seed)
    total = sum(lengths)
    shapes = ((heads, widths[0]), (key_heads, widths[0]), (key_heads, widths[1]))
    whole = [torch.randn(1, number, total, width, dtype=torch.float64, requires_grad=True) for number, width in shapes]
    ahead = torch.randn(1, total, heads, widths[1], dtype=torch.float64)
    boundaries = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    modules = [nn.Module(), nn.Module()]
    for module in modules:
        module.track_max_logits = True
    expected, _ = varlen_attention(modules[0], *whole, None, cu_seq_lens_q=boundaries)
    expected.backward(ahead)
    own = group.computed(total)
    parts = [tensor.detach()[:, :, own].requires_grad_() for tensor in whole]
    output, _ = varlen_attention(modules[1], *parts, None, cu_seq_lens_q=boundaries, head_exchange=group)
    output.backward(ahead[:, own])
    pairs = [(part.grad, tensor.grad[:, :, own]) for part, tensor in zip(parts, whole, strict=True)]
    pairs.append((output, expected[:, own]))
    seen = modules[1].max_logits
    mine = seen > -torch.inf
    assert int(mine.sum()) == heads // ranks.world_size
    pairs.append((seen[mine], modules[0].max_logits[mine]))
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float((one - other).abs().max()) for one, other in pairs)


def attentions(ranks: int) -> Any:
    """Heads are a multiple of the ranks and of the key heads, which need not be."""
    key_heads = st.integers(1, 4)
    heads = key_heads.flatmap(lambda number: st.tuples(st.just(number * ranks), st.just(number)))
    lengths = st.lists(st.integers(1, 12), min_size=1, max_size=5).filter(lambda all_of_them: sum(all_of_them) >= ranks)
    return st.tuples(lengths, heads, st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(0, 2**31))


@MANY
@given(attentions(2))
def test_attention_of_two_ranks_is_that_of_one(pair, case):
    lengths, heads, widths, seed = case
    assert max(pair.call(attention_gap, lengths, *heads, widths, seed)) < 1e-6  # weights are float32 in float64 too


@pytest.mark.slow
@MANY
@given(attentions(4))
def test_attention_of_four_ranks_is_that_of_one(four, case):
    lengths, heads, widths, seed = case
    assert max(four.call(attention_gap, lengths, *heads, widths, seed)) < 1e-6


@given(st.integers(1, 9), st.integers(1, 30))
def test_every_position_is_counted_once_and_no_rank_computes_nothing(size, total):
    groups = [SequenceGroup(rank, size) for rank in range(size)]
    counted = [position for group in groups for position in range(total)[group.counted(total)]]
    assert counted == list(range(total))
    for group in groups:
        assert len(range(total)[group.computed(total)]) >= 1
        assert group.counted(total) in (group.computed(total), slice(0, 0))
    assert max(groups[0].parts(total)) - min(groups[0].parts(total)) <= 1


# One pass.


def row(length: int, in_loss: Sequence[int], seed: int = 0) -> TokenRow:
    ids = np.random.default_rng([seed, length]).integers(0, VOCABULARY, length)
    mask = np.isin(np.arange(length), np.asarray(in_loss) % length) & (np.arange(length) > 0)
    return TokenRow(ids, mask, np.zeros(length, np.float32), np.where(mask, np.float32(0.7), np.float32(1)))


def sequence_loss(batch: PackedBatch, values: torch.Tensor) -> torch.Tensor:
    """Not a sum over tokens: what each position adds depends on all others of its sequence."""
    sums = torch.zeros(len(batch.rows)).index_add(0, batch.sequence_ids, values)
    return (sums / 5).exp().sum()


def one_pass(model: nn.Module, batch: PackedBatch) -> tuple[torch.Tensor, float, dict[str, torch.Tensor]]:
    values, entropy = score(model, batch)
    model.zero_grad()
    sequence_loss(batch, values).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return values.detach(), float(entropy), gradients


cached_nano = functools.cache(nano)


def shared_pass(ranks: Ranks, name: str, rows: list[TokenRow]) -> tuple[torch.Tensor, float, dict[str, torch.Tensor]]:
    """Log-probabilities, entropy, and the sum of the ranks' gradients."""
    batch = replace(collate(rows, range(len(rows))), group=group_of(ranks, ranks.world_size))
    values, entropy, gradients = one_pass(cached_nano(name=name), batch)
    for name in sorted(gradients):
        torch.distributed.all_reduce(gradients[name])
    return values, entropy, gradients


ROWS = st.lists(
    st.builds(row, st.integers(2, 20), st.lists(st.integers(1, 19), min_size=1, max_size=4), st.integers(0, 99)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", ["nano_k2", "nano_gqa_moe"])
@settings(MANY, max_examples=6)
@example([row(2, [1])])  # one position: the second rank only repeats it
@example([row(3, [2])])  # one position each, the first outside the loss
@example([row(21, [20]), row(3, [1])])  # a sequence beyond the cut, whose first part has no token in the loss
@example([row(2, [1]), row(17, range(17))])
@given(ROWS)
def test_a_shared_pass_gives_every_rank_the_whole_and_the_ranks_gradients_add_up(pair, name, rows):
    values, entropy, gradients = one_pass(cached_nano(name=name), collate(rows, range(len(rows))))
    for found, found_entropy, found_gradients in pair.call(shared_pass, name, rows):
        torch.testing.assert_close(found, values, atol=1e-5, rtol=0)
        assert found_entropy == pytest.approx(entropy, rel=1e-5)
        assert found_gradients.keys() == gradients.keys()
        for key, gradient in gradients.items():
            torch.testing.assert_close(found_gradients[key], gradient, atol=1e-5, rtol=1e-4, msg=key)


def bfloat16_pass(ranks: Ranks, name: str, rows: list[TokenRow]) -> tuple[torch.Tensor, bool]:
    """Log-probabilities, and whether every gradient is finite."""
    model = cached_nano(name=name)
    model.zero_grad()
    batch = replace(collate(rows, range(len(rows))), group=group_of(ranks, ranks.world_size))
    values = score(model, batch, torch.bfloat16).log_probs
    values.sum().backward()
    return values.detach(), all(bool(one.grad.isfinite().all()) for one in model.parameters() if one.grad is not None)


def test_bfloat16_passes_are_shared_too(pair):
    rows = [row(21, range(21)), row(9, [3, 8])]
    with torch.no_grad():
        alone = score(cached_nano(name="nano_gqa_moe"), collate(rows, [0, 1]), torch.bfloat16).log_probs
    for values, finite in pair.call(bfloat16_pass, "nano_gqa_moe", rows):
        assert finite
        torch.testing.assert_close(values, alone, atol=0.05, rtol=0)


# Whole steps.


def hard_rollouts(model: nn.Module, seed: int = 0) -> Rollouts:
    """Two groups and a faulty member; odd lengths, one sequence longer than a pass, and two of a single position."""
    rows = [row(46, [45]), row(24, range(24)), row(2, [1]), row(12, [3, 4, 11]), row(17, [2]), row(2, [1], 1), row(7, [5, 6])]
    scored = []
    for number, one in enumerate(rows):
        one = replace(one, token_ids=(one.token_ids + seed) % VOCABULARY)
        batch = collate([one], [0])
        with torch.no_grad(), recorded(model) as record:
            values = score(model, batch).log_probs.numpy()
        known = np.zeros(len(one.token_ids), np.float32)
        known[1 : len(values) + 1] = values
        routes = np.full((len(one.token_ids), *record.routes.shape[1:]), -1, np.int16)
        routes[: len(values)] = record.routes.numpy()
        versions = np.where(one.loss_mask, 0 if number else -1, -1)  # who sampled the first is not known
        scored.append(replace(one, behaviour_log_probs=known, routes=routes, versions=versions))
    rewards = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    valid = torch.tensor([True, True, True, True, True, True, False])
    group_ids = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    return Rollouts(scored, group_advantages(rewards, valid, group_ids), valid, group_ids)


Trained = tuple[dict[str, float], dict[str, torch.Tensor], dict[str, Any]]


def train(ranks: Ranks, config: TrainerConfig, name: str, overrides: dict[str, int], batches: int = 1) -> Trained:
    """Metrics of the last batch, weights, and the optimizer's state."""
    trainer = Trainer(config, policy(name, overrides), ranks)
    for number in range(batches):
        with whole_weights(trainer.model):
            rollouts = hard_rollouts(trainer.model, seed=number)
        demonstrations = [row(19, [18], 5), row(6, [3], 5)] if config.ptx_weight else []
        metrics = trainer.train_batch(rollouts, demonstrations=demonstrations)
    with whole_weights(trainer.model):
        weights = {key: tensor.clone() for key, tensor in disk_state(trainer.model).items()}
        weights |= {key: tensor.clone() for key, tensor in lora_state(trainer.model).items()}
    return metrics, weights, trainer.optimization.state()


def policy(name: str, overrides: dict[str, int]) -> nn.Module:
    return build_model(name, VOCABULARY, 0, num_hidden_layers=2, hidden_size=64, **overrides) if overrides else nano(name=name)


def assert_trains_the_same(
    processes: RankProcesses, config: TrainerConfig, name: str, batches: int = 1, **overrides: int
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Metrics and weights of one rank, which are those of the processes."""
    alone = replace(config, parallel=ParallelSettings(), deepspeed={})
    metrics, weights, state = train(Ranks(), alone, name, overrides, batches)
    trained = processes.call(train, config, name, overrides, batches)
    for found_metrics, found, _ in trained:
        assert found_metrics.keys() == metrics.keys()
        for key in metrics:
            if not key.startswith("seconds"):
                assert found_metrics[key] == pytest.approx(metrics[key], rel=1e-4, abs=2e-6), key
        assert found.keys() == weights.keys()
        for key, tensor in weights.items():
            torch.testing.assert_close(found[key], tensor, atol=1e-5, rtol=0, msg=key)
    found_state = trained[0][2]["state"]
    assert found_state.keys() == state["state"].keys()
    for number, values in state["state"].items():
        for key, tensor in values.items():
            torch.testing.assert_close(found_state[number][key], tensor, atol=1e-5, rtol=1e-4)
    return metrics, weights


def sequence(config: TrainerConfig, degree: int = 2, stage: int = 0) -> TrainerConfig:
    """Several buckets and, at stage 3, nothing that is kept whole."""
    zero: dict[str, int] = {"stage": stage, "reduce_bucket_size": 50_000}
    if stage == 3:
        zero |= {"stage3_param_persistence_threshold": 0, "sub_group_size": 30_000}
    return replace(config, parallel=ParallelSettings(sequence=degree), deepspeed={"zero_optimization": zero})


def test_the_batch_of_these_tests_has_the_hard_cases():
    batch = hard_rollouts(nano())
    group = SequenceGroup(0, 2)
    passes = [micro.packed for micro in micro_batches(batch, [0, 1, 2, 3, 4, 5], 30, 0, 1)]
    sizes = [len(packed.targets) for packed in passes]
    assert any(size % 2 for size in sizes) and any(size > 30 for size in sizes)
    cuts = [group.computed(size).stop for size in sizes]
    assert any(cut not in packed.cu_seq_lens.tolist() for cut, packed in zip(cuts, passes, strict=True))
    assert any(not packed.loss_mask[:cut].any() for cut, packed in zip(cuts, passes, strict=True))


@pytest.mark.parametrize(("name", "objective", "stage"), [("nano_k2", "k2", 0), ("nano_gqa_moe", "gspo", 2)])
def test_two_ranks_that_share_sequences_train_what_one_trains(pair, name, objective, stage):
    """Clipped gradients and clipped heads included."""
    config = replace(CONFIG, objective=objective)
    metrics, weights = assert_trains_the_same(pair, sequence(config, stage=stage), name)
    assert metrics["qk_clipped_heads"] >= 3 and metrics["grad_norm"] > 0.5
    assert metrics["older_tokens"] == 1
    start = disk_state(nano(name=name))
    assert max(float((tensor - start[key]).abs().max()) for key, tensor in weights.items()) > 1e-3


def test_passes_of_a_single_position_train_the_same(pair):
    """No rank may be left without a gradient: ZeRO adds up buckets of equal size."""
    assert_trains_the_same(pair, sequence(replace(CONFIG, tokens_per_micro_batch=1), stage=2), "nano_k2")


def test_replay_references_recomputation_balancing_and_demonstrations_are_those_of_one_rank(pair):
    settings = ModelSettings(
        recompute_every=1, router_replay="old_policy", reference="initial", router_bias_rate=1e-3, router_float32=True
    )
    config = replace(CONFIG, objective="k15", model=settings, ptx_weight=0.5)
    assert_trains_the_same(pair, sequence(config, stage=3), "nano_k2", batches=2)


def test_adapters_and_the_engines_routes_are_those_of_one_rank(pair):
    optimizer = replace(CONFIG.optimizer, qk_clip_threshold=None, adam_lr=1e-2)
    model = ModelSettings(lora=LoraSettings(rank=4), router_replay="engine")
    assert_trains_the_same(pair, sequence(replace(CONFIG, optimizer=optimizer, model=model)), "nano_gqa_moe")


@pytest.mark.slow
@pytest.mark.parametrize(("degree", "stage"), [(2, 3), (4, 1)])
def test_four_ranks_train_what_one_trains(four, degree, stage):
    """Two groups that split the passes; one group of four, with key heads that do not come out even."""
    config = sequence(replace(CONFIG, objective="gspo"), degree, stage)
    assert_trains_the_same(four, config, "nano_gqa_moe", num_attention_heads=8, num_key_value_heads=2)


@pytest.mark.slow
def test_ranks_that_share_the_experts_too_train_what_one_trains(pair):
    config = replace(CONFIG, parallel=ParallelSettings(sequence=2, experts=2))
    assert_trains_the_same(pair, config, "nano_k2")


# What is refused.


def test_degrees_that_the_ranks_or_the_model_cannot_have_are_refused_by_key():
    with pytest.raises(ValueError, match=r"parallel\.sequence=2 does not divide 1 ranks"):
        Trainer(TrainerConfig(parallel=ParallelSettings(sequence=2)), "no directory is read before that")
    check_model(nano(), 2)
    with pytest.raises(ValueError, match=r"trainer\.parallel\.sequence=4 does not divide the 2 attention heads"):
        check_model(nano(), 4)
    other = build_model("nano_k2", VOCABULARY, 0, attention="eager", num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"trainer\.parallel\.sequence=2 needs attention 'orrery_varlen'.*'eager'"):
        check_model(other, 2)
    mixed = nano()
    mixed.model.layers[1].self_attn = nn.Identity()
    with pytest.raises(ValueError, match=r"trainer\.parallel\.sequence=2: 1 of the 2 layers of deepseek_v3"):
        check_model(mixed, 2)
    with pytest.raises(ValueError, match="need its boundaries"):
        varlen_attention(nn.Module(), *[torch.zeros(1, 2, 3, 4)] * 3, None, head_exchange=SequenceGroup(0, 2))
