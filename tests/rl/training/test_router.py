"""Router loads are counted once per position, and the bias follows them to wherever the model's weights go."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.policy.weights import disk_state, export_weights, read_weights, tensor_digest
from rl.training.forward import log_probs
from rl.training.packing import TokenRow, pack
from rl.training.replay import recorded
from rl.training.router import BIAS, RouterLoad, load_metrics, update_router_bias_
from rl.training.routing import float32_routers, moe_blocks
from rl.training.trainer import Trainer
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.moe_cases import MODELS, batch, prepared

LAYER = "model.layers.1.mlp"


def biases(model) -> dict[str, torch.Tensor]:
    return {name: block.gate.e_score_correction_bias.clone() for name, block in moe_blocks(model).items()}


@pytest.mark.parametrize("name", MODELS)
def test_loads_are_those_of_the_routers_and_add_up_over_micro_batches(name):
    model, packed = prepared(name), batch(name)
    with torch.no_grad(), recorded(model) as record:
        log_probs(model, packed)
    load = RouterLoad(model)
    load.track(True)
    with torch.no_grad():
        log_probs(model, packed)
        log_probs(model, packed)
    loads = load.pop()
    assert list(loads) == list(moe_blocks(model))
    for layer, counts in enumerate(loads.values()):
        expected = np.bincount(record.routes[:, layer].flatten().numpy(), minlength=8)
        assert counts.tolist() == (2 * expected).tolist()
    assert load_metrics(load.pop()) == {}


def test_nothing_is_counted_while_nothing_is_tracked():
    model = prepared()
    load = RouterLoad(model)
    with torch.no_grad():
        log_probs(model, batch())
        load.track(True)
        load.track(False)
        log_probs(model, batch())
    load.track(True)
    load.close()
    with torch.no_grad():
        log_probs(model, batch())
    assert {name: counts.tolist() for name, counts in load.pop().items()} == {LAYER: [0] * 8}


def test_metrics_of_known_loads():
    even, one = torch.full((4,), 3), torch.tensor([8, 0, 0, 0])
    assert load_metrics({"a": even}) == pytest.approx(
        {
            "router_max_violation": 0.0,
            "router_max_violation_mean": 0.0,
            "router_load_entropy": 1.0,
            "router_idle_experts": 0.0,
        }
    )
    both = load_metrics({"a": even, "b": one})
    assert (both["router_max_violation"], both["router_max_violation_mean"]) == (3.0, 1.5)
    assert (both["router_load_entropy"], both["router_idle_experts"]) == (pytest.approx(0.5), 3)
    assert load_metrics({}) == {}


@given(st.lists(st.integers(0, 50), min_size=8, max_size=8))
def test_the_bias_rises_under_the_mean_load_and_falls_above_it(load):
    model = torch.nn.ModuleDict({"mlp": torch.nn.ModuleDict({"gate": torch.nn.Module()})})
    gate = model.get_submodule("mlp.gate")
    gate.register_buffer(BIAS, torch.zeros(8))
    update_router_bias_(model, {"mlp": torch.tensor(load)}, rate=0.5)
    assert gate.e_score_correction_bias.tolist() == [0.5 * np.sign(np.mean(load) - one) for one in load]


def test_the_update_balances_the_load_of_a_batch():
    model, packed = prepared(), batch(groups=4)
    load = RouterLoad(model)
    load.track(True)
    violations = []
    for _ in range(60):
        with torch.no_grad():
            log_probs(model, packed)
        loads = load.pop()
        violations.append(load_metrics(loads)["router_max_violation"])
        update_router_bias_(model, loads, rate=2e-3)
    assert violations[-1] < 0.5 * violations[0]


def test_the_new_bias_reaches_export_digest_and_checkpoint(tmp_path):
    model, before = prepared(), prepared()
    update_router_bias_(model, {LAYER: torch.tensor([9, 1, 1, 1, 1, 1, 1, 1])}, rate=0.25)
    moved = biases(model)[LAYER] - biases(before)[LAYER]
    assert moved.tolist() == pytest.approx([-0.25] + [0.25] * 7)
    assert tensor_digest(disk_state(model).items()) != tensor_digest(disk_state(before).items())
    export_weights(model, tmp_path / "update")
    assert torch.equal(dict(read_weights(tmp_path / "update"))[f"{LAYER}.gate.{BIAS}"], biases(model)[LAYER])
    Trainer(TrainerConfig(), model).save_checkpoint(str(tmp_path / "checkpoint"))
    resumed = Trainer(TrainerConfig(), before)
    resumed.load_checkpoint(str(tmp_path / "checkpoint"))
    assert torch.equal(biases(resumed.model)[LAYER], biases(model)[LAYER])


def test_the_bias_moves_no_weight_and_gets_no_gradient():
    model = prepared()
    start = {name: parameter.clone() for name, parameter in model.named_parameters()}
    update_router_bias_(model, {LAYER: torch.arange(8)}, rate=0.1)
    assert all(torch.equal(parameter, start[name]) for name, parameter in model.named_parameters())
    assert not model.get_buffer(f"{LAYER}.gate.{BIAS}").requires_grad


def test_a_router_without_a_bias_is_refused_by_the_setting_and_by_the_update():
    with pytest.raises(ValueError, match=r"model.router_bias_rate .*mixtral"):
        prepared("nano_gqa_moe", router_bias_rate=1e-3)
    with pytest.raises(ValueError, match=f"has no {BIAS}"):
        update_router_bias_(prepared("nano_gqa_moe"), {"model.layers.0.mlp": torch.arange(8)}, rate=1e-3)


def test_autocast_leaves_a_float32_router_alone_and_not_another():
    plain, exact = prepared(), prepared(router_float32=True)
    ids = np.random.default_rng(0).integers(0, 64, 200)
    (packed,) = pack([TokenRow(ids, np.arange(200) > 0)], 1000)
    kinds = []
    for model in (plain, exact):
        gate = moe_blocks(model)[LAYER].gate
        gate.register_forward_hook(lambda module, arguments, output: kinds.append(output[0].dtype))
        with torch.no_grad():
            log_probs(model, packed, torch.bfloat16)
            assert torch.equal(log_probs(model, packed), log_probs(prepared(), packed))
    assert kinds[0] == torch.bfloat16
    assert kinds[len(kinds) // 2] == torch.float32
    with pytest.raises(ValueError, match=r"model.router_float32"):
        float32_routers(torch.nn.Linear(2, 2))


@pytest.mark.slow
def test_ranks_sum_their_loads_even_where_one_had_nothing_to_count(tmp_path):
    torch.multiprocessing.spawn(_rank, args=(str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    loads = [torch.load(tmp_path / f"{rank}.pt")[LAYER].tolist() for rank in range(2)]
    load = RouterLoad(model := prepared())
    load.track(True)
    with torch.no_grad():
        log_probs(model, batch())
    assert loads == [load.pop()[LAYER].tolist()] * 2


def _rank(rank: int, meeting: str, directory: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    load = RouterLoad(model := prepared())
    load.track(rank == 1)
    with torch.no_grad():
        log_probs(model, batch())
    torch.save(load.pop(over_ranks=True), f"{directory}/{rank}.pt")
    torch.distributed.destroy_process_group()
