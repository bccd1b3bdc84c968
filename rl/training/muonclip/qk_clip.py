"""QK-Clip: after an optimizer step, heads whose attention logits passed a threshold get their projections scaled back.

    gamma_h = threshold / S_h   where S_h = max over the batch of q.k / sqrt(d) > threshold

MLA: the head's q^C and k^C rows by sqrt(gamma), its q^R rows by gamma; the k^R rows are shared by all heads and stay.
MHA: the head's W_q and W_k rows by sqrt(gamma). GQA (ours): key heads are shared, so W_q rows by gamma. Rows of other
heads stay byte-identical. Source: Kimi K2 (arXiv 2507.20534, section 2.1 and algorithm 1).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["clip_model_", "clippable_attentions", "qk_clip_", "row_factors"]

NORMS = ("q_norm", "k_norm", "q_layernorm", "k_layernorm", "query_layernorm", "key_layernorm", "qk_norm")


def qk_clip_(attention: Any, max_logits: Tensor, threshold: float) -> Tensor:
    """Scales the rows of one attention module in place.

    Args:
        attention: a transformers attention module (MLA as in DeepseekV3, MHA or GQA with q_proj and k_proj).
        max_logits: [heads], S_h in logits, reduced over micro-batches and ranks.
        threshold: in logits, above 0.

    Returns:
        [heads] float64: gamma per head, exactly 1 where it was left alone.

    Raises:
        ValueError: a module that normalises q and k after the projection, or whose projections are not known; maxima of
            the wrong shape or not finite.
    """
    factors = row_factors(attention, max_logits, threshold)
    with torch.no_grad():
        for name, factor in factors.items():
            scale_rows_(attention.get_parameter(name), factor)
    return _gammas(max_logits, threshold)


def row_factors(attention: Any, max_logits: Tensor, threshold: float) -> dict[str, Tensor]:
    """What to multiply the rows of which parameter by ([rows] float64, 1 where nothing changes); empty if no head is
    over.

    Apart from `qk_clip_`, so that the same factors reach an optimizer's own copy of the weights.
    """
    _refuse_normalised(attention)
    heads = _heads(attention)
    if tuple(max_logits.shape) != (heads,):
        raise ValueError(f"qk_clip: max_logits has shape {tuple(max_logits.shape)}; this attention has {heads} heads")
    gamma = _gammas(max_logits, threshold)
    if bool((gamma == 1).all()):
        return {}
    factors: dict[str, Tensor] = {}
    for projection, factor in _projections(attention, gamma):
        factors[f"{projection}.weight"] = factor
        if getattr(attention.get_submodule(projection), "bias", None) is not None:
            factors[f"{projection}.bias"] = factor
    return factors


def scale_rows_(parameter: Tensor, factor: Tensor) -> None:
    """Multiplies the rows whose factor is not 1; the others are not written."""
    rows = (factor != 1).nonzero().squeeze(1).to(parameter.device)
    chosen = factor.to(parameter.device)[rows].to(torch.promote_types(parameter.dtype, torch.float32))
    scaled = parameter[rows] * chosen.view(-1, *[1] * (parameter.ndim - 1))
    parameter[rows] = scaled.to(parameter.dtype)


def clip_model_(model: nn.Module, max_logits: Mapping[str, Tensor], threshold: float) -> dict[str, float]:
    """`qk_clip_` on every attention module named in `max_logits` (module name -> [heads]).

    Returns:
        `qk_max_logit` (largest S_h, logits), `qk_clipped_heads` (count) and `qk_heads` (count looked at).
    """
    largest, clipped, heads = float("-inf"), 0, 0
    for name, maxima in max_logits.items():
        gamma = qk_clip_(model.get_submodule(name), maxima, threshold)
        largest = max(largest, float(maxima.max()))
        clipped += int((gamma != 1).sum())
        heads += len(gamma)
    return {"qk_max_logit": largest, "qk_clipped_heads": float(clipped), "qk_heads": float(heads)}


def clippable_attentions(model: nn.Module) -> dict[str, nn.Module]:
    """Module name -> attention module for all that QK-Clip applies to; empty for models that normalise q and k."""
    found = {}
    for name, module in model.named_modules():
        projects = hasattr(module, "kv_b_proj") or (hasattr(module, "q_proj") and hasattr(module, "k_proj"))
        if projects and not _normalised_by(module):
            found[name] = module
    return found


def _gammas(max_logits: Tensor, threshold: float) -> Tensor:
    maxima = max_logits.detach().to("cpu", torch.float64)
    if not threshold > 0:
        raise ValueError(f"qk_clip: threshold must be above 0, not {threshold}")
    if not bool(torch.isfinite(maxima).all()):
        raise ValueError(f"qk_clip: attention maxima are not finite: {maxima.tolist()}")
    return torch.where(maxima > threshold, threshold / maxima.clamp(min=threshold), 1.0)


def _normalised_by(attention: Any) -> list[str]:
    return [name for name in NORMS if getattr(attention, name, None) not in (None, False)]


def _refuse_normalised(attention: Any) -> None:
    if norms := _normalised_by(attention):
        raise ValueError(
            f"qk_clip: {type(attention).__name__} normalises queries and keys after projecting ({', '.join(norms)}), "
            "so its logits are bounded and scaling the weights would change nothing; set qk_clip_threshold to null"
        )


def _heads(attention: Any) -> int:
    if hasattr(attention, "kv_b_proj"):
        return attention.num_heads
    if not all(hasattr(attention, name) for name in ("q_proj", "k_proj", "head_dim")):
        raise ValueError(f"qk_clip: {type(attention).__name__} has neither MLA's kv_b_proj nor q_proj, k_proj and head_dim")
    return attention.q_proj.out_features // attention.head_dim


def _projections(attention: Any, gamma: Tensor) -> Iterator[tuple[str, Tensor]]:
    """(projection name, [rows] factor) pairs for one attention module."""
    root = gamma.sqrt()
    if hasattr(attention, "kv_b_proj"):
        nope, rope, value = attention.qk_nope_head_dim, attention.qk_rope_head_dim, attention.v_head_dim
        query = "q_proj" if attention.q_lora_rank is None else "q_b_proj"
        yield query, _rows((root, nope), (gamma, rope))
        yield "kv_b_proj", _rows((root, nope), (torch.ones_like(gamma), value))
        return
    size = attention.head_dim
    if attention.k_proj.out_features == attention.q_proj.out_features:
        yield "q_proj", _rows((root, size))
        yield "k_proj", _rows((root, size))
    else:
        yield "q_proj", _rows((gamma, size))


def _rows(*blocks: tuple[Tensor, int]) -> Tensor:
    """[heads x rows of a head]: each head's rows are blocks of the given sizes, each with that head's factor."""
    return torch.cat([factor[:, None].expand(-1, size) for factor, size in blocks], dim=1).flatten()
