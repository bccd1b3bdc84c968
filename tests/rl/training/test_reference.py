"""Reference log-probabilities are those of a policy that does not move while another one trains."""

import pytest
import torch

from rl.policy import presets
from rl.training.forward import log_probs
from rl.training.lora import LoraSettings, load_lora_state_, lora_state
from rl.training.reference import build_reference
from tests.rl.training.moe_cases import MODELS, batch, prepared
from tests.rl.training.trainer_cases import nano, tokenizer


def move(model) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("settings", [{}, {"lora": LoraSettings(rank=2)}, {"router_float32": True, "router_replay": "engine"}])
def test_the_initial_policy_stays_while_the_trained_one_moves(name, settings):
    packed = batch(name)
    model = prepared(name, **settings)
    reference = build_reference(model, "initial")
    with torch.no_grad():
        start = log_probs(model, packed)
    move(model)
    model.train()
    values = reference.log_probs(packed)
    assert torch.equal(values, start)
    assert not values.requires_grad
    with torch.no_grad():
        assert float((log_probs(model, packed) - start).abs().max()) > 1e-3
    assert (reference.model is model) == ("lora" in settings)


def test_the_reference_without_a_copy_leaves_the_adapters_on():
    model, packed = prepared(lora=LoraSettings(rank=2)), batch()
    reference = build_reference(model, "initial")
    load_lora_state_(model, {key: torch.full_like(tensor, 0.05) for key, tensor in lora_state(model).items()})
    with torch.no_grad():
        before = log_probs(model, packed)
        reference.log_probs(packed)
        assert torch.equal(log_probs(model, packed), before)


def test_a_directory_is_a_reference(tmp_path):
    other, packed = nano(seed=3), batch()
    presets.save(other, tokenizer(), tmp_path)
    reference = build_reference(prepared(), str(tmp_path))
    with torch.no_grad():
        torch.testing.assert_close(reference.log_probs(packed), log_probs(other, packed), atol=1e-6, rtol=0)
    assert not any(parameter.requires_grad for parameter in reference.model.parameters())


def test_a_reference_of_another_vocabulary_is_refused(tmp_path):
    presets.save(presets.build_model("nano_gqa_moe", 80, seed=0, num_hidden_layers=1), tokenizer(), tmp_path)
    with pytest.raises(ValueError, match=r"model.reference: .* 80 tokens and the policy 64"):
        build_reference(prepared(), str(tmp_path))


def test_no_reference_costs_nothing():
    assert build_reference(prepared(), "none") is None
