"""Recomputed layers give the same gradients, and what watches the forward pass sees it once."""

import pytest
import torch

from rl.policy.attention import pop_max_logits, set_max_logit_tracking
from rl.training.forward import log_probs
from rl.training.replay import recorded, replayed
from rl.training.router import RouterLoad
from tests.rl.training.moe_cases import MODELS, batch, gradients, prepared


def passed(model, packed, routes=None):
    """One training pass, watched: values, gradients, attention maxima and router loads."""
    model.train()
    set_max_logit_tracking(model, True)
    load = RouterLoad(model)
    load.track(True)
    with replayed(model, routes):
        values = log_probs(model, packed)
    values.sum().backward()  # routes are not in force any more
    return values.detach(), gradients(model), pop_max_logits(model), load.pop()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("replaying", [False, True])
def test_recomputation_changes_neither_gradients_nor_what_is_counted(name, every, replaying):
    packed = batch(name)
    model = prepared(name)
    with torch.no_grad(), recorded(model) as record:
        log_probs(model, packed)
    routes = record.routes.flip(0) if replaying else None
    kept = passed(prepared(name, router_replay="engine"), packed, routes)
    again = passed(prepared(name, router_replay="engine", recompute_every=every), packed, routes)
    assert torch.equal(kept[0], again[0])
    assert kept[1].keys() == again[1].keys()
    for key, gradient in kept[1].items():
        torch.testing.assert_close(again[1][key], gradient, atol=1e-6, rtol=0, msg=key)
    for position in (2, 3):
        assert kept[position].keys() == again[position].keys()
        assert kept[position]
        for key, tensor in kept[position].items():
            assert torch.equal(again[position][key], tensor), key


@pytest.mark.parametrize(("every", "layers"), [(0, 0), (1, 2), (2, 1)])
def test_every_nth_layer_is_computed_twice(every, layers):
    model = prepared(recompute_every=every).train()
    calls = []
    for layer in model.model.layers:
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    log_probs(model, batch()).sum().backward()
    assert len(calls) == 2 + layers


def test_scoring_recomputes_nothing():
    model, packed = prepared(recompute_every=1), batch()
    with torch.no_grad():
        assert torch.equal(log_probs(model.train(), packed), log_probs(prepared(), packed))
