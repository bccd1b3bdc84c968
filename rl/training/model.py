"""The model that is trained: loaded, told how to compute, and adapted, before an optimizer sees it."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from rl.policy.presets import load

__all__ = ["ModelSettings", "prepare_model"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How the trained model computes; what it is, is said by its directory."""

    experts: str = "grouped_mm"
    """transformers' implementation of the expert layers."""


def prepare_model(model: str | PreTrainedModel, settings: ModelSettings) -> PreTrainedModel:
    """The model of a directory that `rl.policy.presets.load` takes, or the given one, set up for training in place."""
    prepared = load(model)[0] if isinstance(model, str) else model
    prepared.set_experts_implementation(settings.experts)
    return prepared
