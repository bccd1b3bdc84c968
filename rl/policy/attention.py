"""Causal attention over packed sequences, exact per sequence, that can report each head's largest logit.

Registers ``"orrery_varlen"`` with transformers, so every causal model there can use it (`attn_implementation=`, or
`model.set_attn_implementation`). A packed batch is one row, ``[1, tokens]``, with ``cu_seq_lens_q`` passed to the
model's forward (the names are those of transformers' ``FlashAttentionKwargs``); no token ever sees another sequence,
and no ``[tokens, tokens]`` mask is built. Without ``cu_seq_lens_q`` the batch is a full rectangle of equally long
sequences. What would silently mix sequences (packed positions without lengths, padded rectangles) is an error.

The largest scaled logit per head, S_max of QK-Clip (Kimi K2, arXiv 2507.20534, section 2.1), is taken over the causal
pairs of the very forward pass that the gradient comes from.

Ranks that share a batch (`HeadExchange`) each pass their positions in, with all heads, and get the output of their
positions back; in between each computes all positions of its heads.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

__all__ = ["NAME", "HeadExchange", "attention_modules", "pop_max_logits", "set_max_logit_tracking"]

NAME = "orrery_varlen"

LARGEST_SCORES = 2**27
"""Up to this many scores (sequences x heads x length x length) are held in memory at once. The plain product is then
faster than the fused kernel on a CPU where query and value widths differ (MLA), and its maxima are free."""


class HeadExchange(Protocol):
    """How ranks that share a batch swap positions for heads (`rl.training.sequence_parallel`)."""

    def scatter_heads(self, query: Tensor, key: Tensor, value: Tensor, total: int) -> tuple[Tensor, Tensor, Tensor]:
        """Own positions of all heads ``[1, heads, own, D]`` to all positions of own heads ``[1, own heads, total, D]``."""
        ...

    def gather_heads(self, output: Tensor) -> Tensor:
        """``[1, total, own heads, D]`` back to ``[1, own, heads, D]``."""
        ...

    def place_heads(self, values: Tensor) -> Tensor:
        """``[own heads]`` to ``[heads]``, -inf for the heads of other ranks."""
        ...


def set_max_logit_tracking(model: nn.Module, enabled: bool) -> None:
    """Starts or stops the recording of head maxima in every attention layer, and forgets what was recorded.

    Raises:
        ValueError: when the model does not use this attention, so that nothing would ever be recorded.
    """
    modules = attention_modules(model)
    for name, module in modules.items():
        used = module.config._attn_implementation  # type: ignore[union-attr]
        if enabled and used != NAME:
            raise ValueError(f"{name} uses attention {used!r}; call model.set_attn_implementation({NAME!r}) first")
        module.track_max_logits = enabled  # type: ignore[assignment]
        module.max_logits = None  # type: ignore[assignment]
    if enabled and not modules:
        raise ValueError(f"{type(model).__name__} has no attention layers to track")


def pop_max_logits(model: nn.Module) -> dict[str, Tensor]:
    """Head maxima since tracking began or since the last call: layer name to float32 ``[heads]`` (query heads).

    Layers that saw no forward pass are absent. Heads that only other ranks computed (`HeadExchange`) are at -inf.
    """
    recorded = {}
    for name, module in attention_modules(model).items():
        if getattr(module, "max_logits", None) is not None:
            recorded[name] = module.max_logits
            module.max_logits = None  # type: ignore[assignment]
    return recorded  # type: ignore[return-value]


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The attention layers by their names in the model, in order. A layer's own module has the empty name."""
    return {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "o_proj") and hasattr(module, "scaling") and hasattr(module, "layer_idx")
    }


def varlen_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | Tensor | None = None,
    position_ids: Tensor | None = None,
    sliding_window: int | None = None,
    head_exchange: HeadExchange | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention signature: query ``[B, heads, T, D]``, key and value ``[B, key heads, T, .]``.

    Args:
        cu_seq_lens_q: ``[sequences + 1]``, cumulative lengths from 0 to T; then B is 1.
        max_length_q: the longest length, in tokens; found from `cu_seq_lens_q` when absent.
        head_exchange: of ranks that share the packed batch: the tensors hold this rank's positions, in the order of ranks,
            and `cu_seq_lens_q` the boundaries of the whole.

    Returns:
        ``[B, T, heads, value width]``, and None for the weights.

    Raises:
        ValueError: where the arguments could mix sequences, or ask for attention that is not plain causal.
    """
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if head_exchange is not None:
        if cu_seq_lens_q is None:
            raise ValueError("ranks that share a batch need its boundaries: pass cu_seq_lens_q")
        query, key, value = head_exchange.scatter_heads(query, key, value, int(cu_seq_lens_q[-1]))
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    _refuse_other_attention(attention_mask, sliding_window, query.shape[2], kwargs)
    track = getattr(module, "track_max_logits", False)
    if cu_seq_lens_q is None:
        _refuse_packed_positions(position_ids)
        output, maxima = _causal(query, key, value, scale, dropout, track)
        if maxima is not None:
            _record(module, maxima.amax(dim=(0, 2)))
        return output.transpose(1, 2).contiguous(), None
    if query.shape[0] != 1 or int(cu_seq_lens_q[-1]) != query.shape[2]:
        raise ValueError(
            f"a packed batch is one row whose cu_seq_lens_q ends at its length; got {query.shape[0]} rows of "
            f"{query.shape[2]} tokens and cu_seq_lens_q ending at {int(cu_seq_lens_q[-1])}"
        )
    lengths = cu_seq_lens_q.diff().long()
    longest = int(max_length_q) if max_length_q is not None else int(lengths.max())
    slots = _slots(cu_seq_lens_q.long(), lengths, longest)
    query, key, value = (_pad(tensor, slots, len(lengths), longest) for tensor in (query, key, value))
    output, maxima = _causal(query, key, value, scale, dropout, track)
    if maxima is not None:
        heads = _without_padding(maxima, lengths).amax(dim=(0, 2))
        _record(module, heads if head_exchange is None else head_exchange.place_heads(heads))
    packed = output.transpose(1, 2).flatten(0, 1).index_select(0, slots).unsqueeze(0)
    return packed if head_exchange is None else head_exchange.gather_heads(packed), None


def _causal(
    query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float, track: bool
) -> tuple[Tensor, Tensor | None]:
    """Causal attention over ``[B, heads, T, .]``, and if `track` each query's largest logit ``[B, heads, T]``."""
    batch, heads, rows, columns = *query.shape[:3], key.shape[2]
    if batch * heads * rows * columns > LARGEST_SCORES:
        maxima = _row_maxima_in_blocks(query.detach(), key.detach(), scale) if track else None
        output = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=rows > 1, scale=scale
        )
        return output, maxima
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if rows > 1:
        scores = scores.masked_fill_(_future(rows, 0, rows, query.device), float("-inf"))
    maxima = scores.detach().amax(dim=-1) if track else None
    weights = functional.dropout(scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype), dropout, dropout > 0)
    return torch.matmul(weights, value), maxima


def _without_padding(row_maxima: Tensor, lengths: Tensor) -> Tensor:
    """``[sequences, heads, longest]`` with -inf in the rows past each length, which nobody reads."""
    padding = torch.arange(row_maxima.shape[2], device=row_maxima.device) >= lengths[:, None]
    return row_maxima.masked_fill(padding[:, None], float("-inf"))


def _record(module: nn.Module, maxima: Tensor) -> None:
    """Folds ``[heads]`` maxima into the module's running ones."""
    heads = maxima.float()
    running = getattr(module, "max_logits", None)
    module.max_logits = heads if running is None else torch.maximum(running, heads)  # type: ignore[assignment, arg-type]


def _row_maxima_in_blocks(query: Tensor, key: Tensor, scale: float, block: int = 512) -> Tensor:
    """Each query's largest causal logit, ``[B, heads, T]``, by blocks of queries so that memory stays linear."""
    rows = query.shape[2]
    maxima = []
    for start in range(0, rows, block):
        end = min(start + block, rows)
        scores = torch.matmul(query[:, :, start:end] * scale, key[:, :, :end].transpose(2, 3))
        maxima.append(scores.masked_fill_(_future(end, start, end, query.device), float("-inf")).amax(dim=-1))
    return torch.cat(maxima, dim=2)


def _future(columns: int, start: int, end: int, device: torch.device) -> Tensor:
    """True where a key comes after its query: queries `start` to `end`, ``[end - start, columns]``."""
    return torch.arange(columns, device=device) > torch.arange(start, end, device=device)[:, None]


def _slots(boundaries: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """Where each packed token lies in the flattened ``[sequences, longest]`` rectangle."""
    sequence = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    offset = torch.arange(len(sequence), device=lengths.device) - boundaries[sequence]
    return sequence * longest + offset


def _pad(packed: Tensor, slots: Tensor, sequences: int, longest: int) -> Tensor:
    """``[1, heads, T, D]`` to ``[sequences, heads, longest, D]``, zeros where there is no token."""
    tokens = packed[0].transpose(0, 1)
    rectangle = tokens.new_zeros(sequences * longest, *tokens.shape[1:]).index_copy(0, slots, tokens)
    return rectangle.unflatten(0, (sequences, longest)).transpose(1, 2)


def _refuse_other_attention(mask: Tensor | None, window: int | None, tokens: int, kwargs: dict[str, Any]) -> None:
    if mask is not None:
        raise ValueError(f"attention {NAME!r} takes packed sequences (cu_seq_lens_q) or full rectangles, not a mask")
    if window is not None and window < tokens:
        raise ValueError(f"attention {NAME!r} has no sliding window; the model asks for one of {window} tokens")
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise ValueError(f"attention {NAME!r} is plain causal attention; the model asks for {name}")


def _refuse_packed_positions(position_ids: Tensor | None) -> None:
    if position_ids is not None and position_ids.shape[-1] > 1 and bool((position_ids.diff(dim=-1) != 1).any()):
        raise ValueError("position_ids start anew inside a row: pass cu_seq_lens_q, or sequences would see each other")


def varlen_mask(*, attention_mask: Tensor | None = None, q_length: int, kv_length: int, **kwargs: Any) -> None:
    """transformers' mask signature: there is never a mask; padding and cached multi-token prefill are refused."""
    if attention_mask is not None and not bool(attention_mask.all()):
        raise ValueError(f"attention {NAME!r} takes no padding: pack the sequences and pass cu_seq_lens_q")
    if 1 < q_length != kv_length:
        raise ValueError(f"attention {NAME!r} continues a cache one token at a time, not {q_length}")


AttentionInterface.register(NAME, varlen_attention)
AttentionMaskInterface.register(NAME, varlen_mask)
