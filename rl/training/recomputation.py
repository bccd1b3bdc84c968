"""Activation checkpointing: a layer's activations are not kept but computed again in the backward pass.

The second computation is the first one again, to the bit: what else it read (replayed routes) is put back, and watchers
that count (router loads) are told that they have seen it. Chen et al., arXiv 1604.06174. Costs about one more forward
pass of the layers concerned; keeps one [tokens, hidden] tensor per layer instead of everything inside it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from transformers import PreTrainedModel

from rl.training.replay import routes_in_force, with_routes

__all__ = ["checkpoint_activations", "recomputing"]

_RECOMPUTING: ContextVar[bool] = ContextVar("recomputing", default=False)


def checkpoint_activations(model: PreTrainedModel, every: int) -> None:
    """From here on, training passes recompute every `every`-th decoder layer, the first one included.

    Raises:
        ValueError: an architecture that cannot.
    """
    settings = {"use_reentrant": False, "context_fn": _contexts}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings, every_n_layers=every)


def recomputing() -> bool:
    """Whether this forward pass is the repetition of one that was seen before."""
    return _RECOMPUTING.get()


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around a layer's first computation, and around its repetition. The latter may run in a thread of autograd's."""
    return nullcontext(), _repetition(routes_in_force())


@contextmanager
def _repetition(routes: object) -> Iterator[None]:
    token = _RECOMPUTING.set(True)
    try:
        with with_routes(routes):
            yield
    finally:
        _RECOMPUTING.reset(token)
