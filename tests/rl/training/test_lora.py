"""Adapters train on a frozen base, and everybody outside sees whole weights that compute the same."""

import pytest
import torch
from safetensors.torch import load_file

from rl.policy import presets
from rl.policy.weights import disk_state, export_weights, read_weights, tensor_digest, weight_names
from rl.rollout.proof import build_probe
from rl.training.forward import log_probs
from rl.training.lora import (
    LoraSettings,
    add_adapters,
    has_adapters,
    load_lora_state_,
    lora_state,
    without_adapters,
)
from rl.training.model import ModelSettings
from rl.training.muonclip import OptimizerConfig, build_optimizer
from rl.training.trainer import Trainer
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.moe_cases import MODELS, batch, gradients, prepared
from tests.rl.training.trainer_cases import nano, rollouts, tokenizer

LORA = LoraSettings(rank=4, alpha=8.0)
OPTIMIZER = OptimizerConfig(adam_lr=1e-2, qk_clip_threshold=None)


def adapted(name: str = "nano_k2", settings: LoraSettings = LORA):
    """A model whose adapters are not zero any more."""
    model = prepared(name, lora=settings)
    draw = torch.Generator().manual_seed(5)
    load_lora_state_(model, {key: torch.randn(t.shape, generator=draw) * 0.05 for key, t in lora_state(model).items()})
    return model


@pytest.mark.parametrize("name", MODELS)
def test_new_adapters_change_no_bit_and_only_they_get_gradients(name):
    packed = batch(name)
    plain, model = prepared(name), prepared(name, lora=LORA)
    values = log_probs(model, packed)
    assert torch.equal(values, log_probs(plain, packed))
    values.sum().backward()
    assert gradients(model).keys() == lora_state(model).keys()
    assert all(bool(g.any()) == key.endswith("lora_b") for key, g in gradients(model).items())
    assert tensor_digest(disk_state(model).items()) == tensor_digest(disk_state(plain).items())


@pytest.mark.parametrize("name", MODELS)
def test_whole_weights_compute_what_the_adapters_do(name, tmp_path):
    """As an update of the engine, as a model directory, and as a state dict."""
    model, packed = adapted(name), batch(name)
    plain = prepared(name)
    with torch.no_grad():
        values, base = log_probs(model, packed), log_probs(plain, packed)
    assert float((values - base).abs().max()) > 1e-3
    digest, _ = export_weights(model, tmp_path / "update")
    assert digest == tensor_digest(read_weights(tmp_path / "update"))
    presets.save(model, tokenizer(), tmp_path / "directory")
    assert digest == tensor_digest(read_weights(tmp_path / "directory"))
    assert weight_names(tmp_path / "update") == frozenset(disk_state(plain))
    loaded, _ = presets.load(tmp_path / "directory", experts="eager")
    with torch.no_grad():
        torch.testing.assert_close(log_probs(loaded, packed), values, atol=1e-5, rtol=0)


def test_the_probe_of_the_proof_agrees_with_the_exported_weights(tmp_path):
    model = adapted()
    probe = build_probe(model, 64, seed=0)
    presets.save(model, tokenizer(), tmp_path)
    merged = build_probe(presets.load(tmp_path)[0], 64, seed=0)
    assert merged.token_ids == probe.token_ids
    torch.testing.assert_close(torch.tensor(merged.log_probs), torch.tensor(probe.log_probs), atol=1e-5, rtol=0)


def test_a_trainer_steps_the_adapters_alone_and_the_base_stays_to_the_bit():
    start = nano()
    model = nano()
    trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER, model=ModelSettings(lora=LORA)), model)
    batches = rollouts(start)
    metrics = trainer.train_batch(batches)
    assert metrics["steps"] == 2
    assert any(bool(tensor.any()) for key, tensor in lora_state(model).items() if key.endswith("lora_b"))
    frozen = dict(start.named_parameters())
    for key, parameter in model.named_parameters():
        assert key in lora_state(model) or torch.equal(parameter, frozen[key]), key
    (packed,) = [batch()]
    with torch.no_grad(), without_adapters(model):
        base = log_probs(model, packed)
    assert has_adapters(model)
    with torch.no_grad():
        torch.testing.assert_close(base, log_probs(start, packed), atol=1e-6, rtol=0)
        assert float((log_probs(model, packed) - base).abs().max()) > 1e-4


def test_adapters_are_adamws_under_muonclip_too():
    model = prepared(lora=LORA)
    optimizer = build_optimizer(model, OptimizerConfig())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(lora_state(model))
    assert not any(group["use_muon"] for group in optimizer.param_groups)


def test_recomputed_layers_give_adapters_the_same_gradients():
    found = []
    for every in (0, 1):
        model = prepared(lora=LORA, recompute_every=every).train()
        load_lora_state_(model, lora_state(adapted()))
        log_probs(model, batch()).sum().backward()
        found.append(gradients(model))
    assert found[0].keys() == found[1].keys()
    for key, gradient in found[0].items():
        torch.testing.assert_close(found[1][key], gradient, atol=1e-6, rtol=0, msg=key)


def test_the_state_of_adapters_comes_back_to_the_bit(tmp_path):
    model = adapted()
    torch.save(lora_state(model), tmp_path / "lora.pt")
    other = prepared(lora=LORA)
    load_lora_state_(other, torch.load(tmp_path / "lora.pt", weights_only=True))
    assert tensor_digest(disk_state(other).items()) == tensor_digest(disk_state(model).items())
    assert lora_state(prepared()) == {}


def test_adapters_of_another_model_are_refused_and_nothing_has_changed():
    model = adapted()
    before = {key: tensor.clone() for key, tensor in lora_state(model).items()}
    for settings in (LoraSettings(rank=2), LoraSettings(rank=4, targets=("o_proj",))):
        with pytest.raises(ValueError, match=r"lora: model.*has shape"):
            load_lora_state_(model, lora_state(prepared(lora=settings)))
    assert all(torch.equal(tensor, before[key]) for key, tensor in lora_state(model).items())


def test_adapters_of_another_base_are_refused():
    model, weights = adapted(), disk_state(adapted())
    other, drifted, biased = (prepared(lora=LORA) for _ in range(3))
    load_lora_state_(other, lora_state(model), weights)
    with torch.no_grad():
        other.model.layers[0].self_attn.o_proj.weight.add_(0.01)
        drifted.model.layers[1].mlp.experts.down_proj[3].add_(1e-6)  # what has no adapter must be the base's as well
        biased.model.layers[1].mlp.gate.e_score_correction_bias.add_(1e-6)
    before = {key: tensor.clone() for key, tensor in lora_state(other).items()}
    for stranger in (other, drifted, biased, prepared(lora=LoraSettings(rank=4, alpha=4.0))):
        with pytest.raises(ValueError, match="another base"):
            load_lora_state_(stranger, lora_state(model), weights)
    assert all(torch.equal(tensor, before[key]) for key, tensor in lora_state(other).items())


def test_a_load_into_merged_weights_is_an_error_rather_than_lost():
    model = adapted(settings=LoraSettings(targets=("o_proj",)))
    name = "model.layers.0.self_attn.o_proj.weight"
    with pytest.raises(RuntimeError, match="[Ii]nference"), torch.no_grad():
        model.state_dict()[name].copy_(torch.zeros_like(model.get_parameter(name)))


def test_adapters_start_as_a_function_of_seed_and_name():
    same, other = prepared(lora=LORA), prepared(lora=LoraSettings(rank=4, alpha=8.0, seed=1))
    first = lora_state(prepared(lora=LORA))
    assert all(torch.equal(tensor, first[key]) for key, tensor in lora_state(same).items())
    starts = [tensor for state in (first, lora_state(other)) for key, tensor in state.items() if key.endswith("lora_a")]
    assert len({tensor.flatten()[0].item() for tensor in starts}) == len(starts)


def test_targets_choose_layers_by_the_end_of_their_names():
    model = prepared(lora=LoraSettings(rank=2, targets=("q_b_proj", "o_proj")))
    owners = {key.rsplit(".", 2)[-2] for key in lora_state(model)}
    assert owners == {"q_b_proj", "o_proj"}
    assert not any(key.startswith("lm_head") for key in lora_state(prepared(lora=LORA)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "lora.rank"),
        ({"alpha": 0.0}, "lora.alpha"),
        ({"alpha": float("nan")}, "lora.alpha"),
        ({"targets": ("w_proj",)}, r"'w_proj' is none; linear layers here are .*o_proj"),
        ({"targets": ("gate_up_proj",)}, "stack of routed experts"),
        ({"targets": ("experts",)}, "stack of routed experts"),
        ({"targets": ("gate",)}, "'gate' is none"),
        ({"targets": ("lm_head",)}, "'lm_head' is none"),
    ],
)
def test_what_cannot_be_adapted_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        add_adapters(nano(), LoraSettings(**settings))


def test_saved_weights_hold_no_adapter(tmp_path):
    presets.save(adapted(), None, tmp_path)
    assert not any("lora" in name for name in load_file(tmp_path / "model.safetensors"))
