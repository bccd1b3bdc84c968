"""Replayed tokens go where the record says, with the trainer's own weights; its own routes change nothing to the bit."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.policy.presets import build_model
from rl.training.forward import log_probs
from rl.training.packing import TokenRow, collate
from rl.training.replay import enable_replay, recorded, replayed, routed
from rl.training.routing import moe_blocks
from tests.rl.training.moe_cases import MODELS, batch, gradients, prepared


def scored(model, packed, routes=None):
    """Log-probabilities, gradients and the routes that were used."""
    model.zero_grad()
    with replayed(model, routes), recorded(model) as record:
        values = log_probs(model, packed)
    values.sum().backward()
    return values.detach(), gradients(model), record.routes


@pytest.mark.parametrize("name", [*MODELS, "nano_qwen3_moe"])
def test_the_models_own_routes_change_no_bit(name):
    if name in MODELS:
        model, packed = prepared(name, router_replay="engine"), batch(name)
    else:
        model, packed = build_model(name, 64, seed=0, num_hidden_layers=2, hidden_size=64), batch()
        enable_replay(model)
    values, grads, routes = scored(model, packed)
    grads = {key: grad.clone() for key, grad in grads.items()}
    again, same_grads, used = scored(model, packed, routes)
    assert torch.equal(values, again)
    assert torch.equal(routes, used)
    for key, grad in grads.items():
        assert torch.equal(same_grads[key], grad), key


@pytest.mark.parametrize("name", MODELS)
def test_other_routes_change_the_output_and_their_scores_carry_the_gradient(name):
    model, packed = prepared(name, router_replay="engine"), batch(name)
    values, _, routes = scored(model, packed)
    other = torch.zeros_like(routes) + torch.tensor([6, 7], dtype=torch.int16)
    replayed_values, grads, used = scored(model, packed, other)
    assert torch.equal(used, other)
    assert float((values - replayed_values).abs().max()) > 1e-3
    for layer in moe_blocks(model):
        rows = grads[f"{layer}.gate.weight"].abs().sum(-1)
        assert bool((rows[6:] > 0).all())
        if name == "nano_k2":  # sigmoid scores of the others have no part in the weights
            assert bool((rows[:6] == 0).all())
        assert not bool(grads[f"{layer}.experts.down_proj"][:6].any())


@pytest.mark.parametrize("name", ["nano_k2", "nano_qwen3_moe"])
def test_routers_that_do_not_normalise_their_weights_are_replayed_so(name):
    model = build_model(name, 64, seed=0, num_hidden_layers=2, hidden_size=64, norm_topk_prob=False)
    enable_replay(model)
    values, _, routes = scored(model, batch())
    assert torch.equal(scored(model, batch(), routes)[0], values)


def test_weights_are_the_trainers_own_scores_over_the_replayed_set():
    """R3's equation for softmax routers, and the same rule with sigmoid scores."""
    for name, score in (("nano_gqa_moe", torch.exp), ("nano_k2", torch.sigmoid)):
        model, packed = prepared(name, router_replay="engine"), batch(name)
        block = next(iter(moe_blocks(model).values()))
        seen = []
        block.gate.register_forward_hook(lambda module, arguments, output, seen=seen: seen.append(output))
        routes = torch.tensor([2, 5]).expand(packed.input_ids.shape[1], len(moe_blocks(model)), 2)
        with torch.no_grad(), replayed(model, routes):
            log_probs(model, packed)
        logits, weights, indices = seen[0]
        chosen = score(logits)[:, [2, 5]]
        scale = 2.5 if name == "nano_k2" else 1.0
        assert bool((indices == torch.tensor([2, 5])).all())
        torch.testing.assert_close(weights, scale * chosen / chosen.sum(-1, keepdim=True))


def test_routes_follow_their_tokens_through_packing():
    """Packed in another order, with routes in that order, each sequence keeps its log-probabilities."""
    model = prepared(router_replay="engine")
    draw = np.random.default_rng(3)
    rows = [TokenRow(draw.integers(0, 64, n), np.arange(n) > 0) for n in (7, 12, 5)]
    routes = [torch.from_numpy(draw.permuted(np.tile(np.arange(8), (n - 1, 1, 1)), axis=2)[..., :2]) for n in (7, 12, 5)]
    found = []
    for order in ([0, 1, 2], [2, 0, 1]):
        with torch.no_grad(), replayed(model, torch.cat([routes[row] for row in order])):
            parts = log_probs(model, collate(rows, order)).split([len(routes[row]) for row in order])
        found.append({row: part for row, part in zip(order, parts, strict=True)})
    for row in range(3):
        torch.testing.assert_close(found[0][row], found[1][row], atol=1e-6, rtol=0)
    with torch.no_grad(), replayed(model, torch.cat(routes)):
        wrong = log_probs(model, collate(rows, [2, 0, 1])).split([4, 6, 11])
    assert float((wrong[1] - found[0][0]).abs().max()) > 1e-3


def test_tokens_without_a_record_go_where_the_model_sends_them():
    model, packed = prepared(router_replay="engine"), batch()
    values, _, own = scored(model, packed)
    nowhere, _, _ = scored(model, packed, torch.full_like(own, -1))
    assert torch.equal(values, nowhere)
    half = own.clone()
    half[::2] = -1
    assert torch.equal(scored(model, packed, half)[0], values)


def test_routes_over_all_hidden_layers_are_taken_as_an_engine_records_them():
    model, packed = prepared(router_replay="engine"), batch()  # the first of its two layers is dense
    own = scored(model, packed)[2]
    other = own.flip(0)
    wide = torch.cat([torch.zeros_like(other), other], dim=1).to(torch.uint8)
    assert torch.equal(scored(model, packed, other)[0], scored(model, packed, wide)[0])


def test_the_first_pass_at_the_old_policy_leaves_its_routes_for_later_ones():
    """A step later, or in bfloat16, tokens still go where they went."""
    model, packed = prepared(router_replay="old_policy"), batch()
    micro = SimpleNamespace(routes=None)
    with torch.no_grad():
        with routed(model, "old_policy", micro):
            old = log_probs(model, packed)
        gate = next(iter(moe_blocks(model).values())).gate
        gate.e_score_correction_bias.copy_(torch.linspace(-1, 1, 8))  # a router that moved
        with recorded(model) as moved:
            free = log_probs(model, packed)
        assert not torch.equal(moved.routes, micro.routes)
        with routed(model, "old_policy", micro), recorded(model) as record:
            held = log_probs(model, packed)
        assert torch.equal(record.routes, micro.routes)
        assert torch.equal(held, old)
        assert float((free - old).abs().max()) > 1e-3
        with routed(model, "none", micro):
            assert torch.equal(log_probs(model, packed), free)


def test_bfloat16_passes_keep_the_float32_routes():
    model, packed = prepared(router_replay="old_policy"), batch(groups=4)
    micro = SimpleNamespace(routes=None)
    with torch.no_grad():
        with routed(model, "old_policy", micro):
            exact = log_probs(model, packed)
        gaps = []
        for replay in ("none", "old_policy"):
            with routed(model, replay, micro):
                gaps.append(float((log_probs(model, packed, torch.bfloat16) - exact).abs().max()))
    assert gaps[1] < 0.7 * gaps[0]


def test_engine_routes_that_are_not_there_are_missed_loudly():
    with pytest.raises(ValueError, match="carry no routes"), routed(HOSTILE, "engine", SimpleNamespace(routes=None)):
        pass


def test_nothing_is_replayed_outside():
    model, packed = prepared(router_replay="engine"), batch()
    values, _, routes = scored(model, packed)
    with pytest.raises(RuntimeError, match="stop"), replayed(model, routes.flip(0)):
        raise RuntimeError("stop")
    assert torch.equal(scored(model, packed)[0], values)
    assert torch.equal(scored(prepared(), packed)[0], values)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_hostile_routes_are_refused(data):
    model = HOSTILE
    good = torch.tensor([[[1, 2]], [[3, 0]], [[-1, -1]]])
    kind = data.draw(st.sampled_from(["expert", "negative", "twice", "partly", "layers", "experts", "flat"]))
    row = data.draw(st.integers(0, 1))
    bad = good.clone()
    match kind:
        case "expert":
            bad[row, 0, 0] = data.draw(st.integers(8, 200))
        case "negative":
            bad[row, 0] = data.draw(st.integers(-100, -2))
        case "twice":
            bad[row, 0, 0] = bad[row, 0, 1]
        case "partly":
            bad[row, 0, 1] = -1
        case "layers":
            bad = bad.repeat(1, 3, 1)
        case "experts":
            bad = bad[..., :1]
        case "flat":
            bad = bad.flatten()
    with replayed(model, good):
        pass
    with pytest.raises(ValueError, match="routes"), replayed(model, bad):
        pass


HOSTILE = prepared(router_replay="engine")


def test_routes_of_another_pass_are_refused():
    model, packed = prepared(router_replay="engine"), batch()
    routes = scored(model, packed)[2]
    with pytest.raises(ValueError, match="are due"):
        scored(model, packed, routes[:-1])


def test_a_dense_or_unknown_model_is_refused():
    with pytest.raises(ValueError, match=r"model.router_replay needs a mixture of experts"):
        enable_replay(torch.nn.Linear(2, 2))
