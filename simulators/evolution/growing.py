"""One domain, grown: a world with its tools, none of which is another one under a different name."""

from dataclasses import dataclass
from typing import Any

from simulators.evolution.domains import Domain
from simulators.evolution.draft import Extension, Step
from simulators.evolution.fingerprints import tool_fingerprint
from simulators.evolution.operators import OPERATORS
from simulators.evolution.seed_world import seed_draft
from simulators.worlds import WorldSpec, parse
from trajectories.seeds import derive_rng

__all__ = ["Grown", "grow"]


@dataclass(frozen=True)
class Grown:
    """What became of a domain."""

    domain: Domain
    world: WorldSpec
    steps: tuple[Step, ...]
    origin: dict[str, str]
    """By tool: the operator that made it."""
    fingerprints: dict[str, str]
    """By tool, entity shapes included: no two are equal."""
    local_fingerprints: dict[str, str]
    """By tool, without entity shapes."""


def grow(domain: Domain, seed: int, extensions: tuple[Extension, ...] = ()) -> Grown:
    """The world of a domain: a function of the arguments.

    Args:
        extensions: further fields, in this order, beside those that the operator `extend` draws.

    Raises:
        WorldSpecError: an operator made what the world language refuses; a defect of the operator or of the lexicon.
    """
    draft = seed_draft(domain, derive_rng(seed, "evolve", domain.category, domain.name))
    draft.extensions = extensions
    for operator in OPERATORS:
        operator(draft)
    document: dict[str, Any] = draft.document
    return Grown(
        domain,
        parse(document, f"{domain.category}/{domain.name}"),
        tuple(draft.steps),
        dict(draft.origin),
        {name: tool_fingerprint(document, name, shapes=True) for name in draft.operations},
        {name: tool_fingerprint(document, name, shapes=False) for name in draft.operations},
    )
