"""Settings of the model name their key when they are wrong, and the default changes nothing."""

import pytest
import torch

from rl.training.lora import LoraSettings
from rl.training.model import ModelSettings, prepare_model
from tests.rl.training.trainer_cases import nano


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recompute_every", -1),
        ("router_replay", "rollout"),
        ("router_bias_rate", -1e-3),
        ("router_bias_rate", float("nan")),
        ("router_bias_rate", float("inf")),
        ("reference", ""),
    ],
)
def test_a_wrong_setting_names_its_key(key, value):
    with pytest.raises(ValueError, match=f"model.{key}"):
        ModelSettings(**{key: value})


def test_a_frozen_base_holds_the_biases_too():
    with pytest.raises(ValueError, match=r"model.router_bias_rate .*lora"):
        ModelSettings(lora=LoraSettings(), router_bias_rate=1e-3)


def test_the_default_leaves_weights_hooks_and_layers_alone():
    plain, model = nano(), prepare_model(nano(), ModelSettings(experts="eager"))
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), model.state_dict().values(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_weights_of_low_precision_are_refused():
    with pytest.raises(ValueError, match=r"^model: .* is torch.bfloat16; weights are float32"):
        prepare_model(nano().bfloat16(), ModelSettings(experts="eager"))
