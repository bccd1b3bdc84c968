"""When a row counts as leaked; each rule's measured precision and recall is in docs/decontamination.md."""

from dataclasses import dataclass
from typing import Final

__all__ = ["KINDS", "DecontaminationConfig", "SplitConfig"]

KINDS: Final = ("verbatim", "actions", "renamed", "paraphrased_values", "tool_signature")
"""Kinds of leak, surest first."""


@dataclass(frozen=True, kw_only=True)
class DecontaminationConfig:
    """What leaks, and by how much."""

    reasons: tuple[str, ...] = KINDS
    """Kinds for which a row is dropped: verbatim, actions, renamed, paraphrased_values, tool_signature."""
    ngram: int = 8
    """Words of an n-gram, for verbatim and renamed texts; Chinese counts by characters."""
    share: float = 0.5
    """Share of a passage's n-grams that a row must hold, 0 to 1, for verbatim and renamed texts."""
    enough: int = 30
    """N-grams of one passage that are a leak whatever their share."""
    least_words: int = 5
    """A passage shorter than an n-gram leaks where a whole message equals it and it has this many words."""
    template_ngram: int = 4
    """Words of an n-gram of templates, for paraphrased values."""
    template_share: float = 0.6
    """Share of a template's n-grams that one message must hold."""
    template_least: int = 6
    """N-grams of a template that is judged by its text alone, at least."""
    template_share_with_calls: float = 0.3
    """Share that is enough where the row also makes the item's calls, in order, with other values."""
    mostly_share: float = 0.8
    """Share of all n-grams, boilerplate too, that a row must hold of a masked text or template that is mostly boilerplate."""
    common_items: int = 10
    """An n-gram in more items than this, and than `common_share` of them, is boilerplate and does not count."""
    common_share: float = 0.01
    """Share of a benchmark's items; see `common_items`."""
    action_weight: int = 3
    """Gold calls plus their arguments, at least, for the same calls with equal arguments to be a leak."""
    schema_share: float = 0.8
    """Share of name and arguments (with types) that two tools have in common to count as one tool."""
    tool_share: float = 0.5
    """Share of an item's tools, each weighted by one plus its arguments, that a row must have."""
    tool_weight: int = 5
    """That weight, at least, of the tools in common: one tool of four arguments, or two of two."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.reasons if kind not in KINDS]
        if unknown:
            raise ValueError(f"reasons: {', '.join(map(str, unknown))} is not among {', '.join(KINDS)}")
        for name in ("ngram", "enough", "least_words", "template_ngram", "template_least", "action_weight", "tool_weight"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: is at least 1, not {getattr(self, name)}")
        for name in ("share", "template_share", "template_share_with_calls", "mostly_share", "schema_share", "tool_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: is above 0 and at most 1, not {getattr(self, name)}")
        if self.common_items < 0 or not 0 <= self.common_share <= 1:
            given = f"{self.common_items} and {self.common_share}"
            raise ValueError(f"common_items, common_share: are at least 0, and from 0 to 1, not {given}")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """When a row of one split is also in the other."""

    ngram: int = 5
    """Words of an n-gram of near-equal text."""
    share: float = 0.9
    """Estimated Jaccard similarity of two dialogues' n-grams from which they are near-equal, 0 to 1."""
    sketch: int = 128
    """N-grams of each row that are kept for the estimate; a dialogue with no more is compared exactly."""

    def __post_init__(self) -> None:
        if self.ngram < 1 or self.sketch < 1:
            raise ValueError(f"ngram, sketch: are at least 1, not {self.ngram} and {self.sketch}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share: is above 0 and at most 1, not {self.share}")
