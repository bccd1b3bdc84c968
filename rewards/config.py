"""The settings of a composed reward, and what is refused in them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rewards.verifiers import VERIFIERS

__all__ = ["CRITERION", "PASS", "PRODUCT", "RewardConfig"]

PASS: Final = "pass"
"""The component that is the verdict itself."""
CRITERION: Final = "criterion/"
"""Before the name of a verifier's component."""
PRODUCT: Final = "product/"
"""Before the name of a product."""

_AMOUNTS: Final = (
    "pass_weight",
    "malformed_penalty",
    "length_penalty",
    "budget_penalty",
    "repetition_penalty",
    "length_reward",
)


@dataclass(frozen=True)
class RewardConfig:
    """Settings of `CompositeReward`; the default is the bare verdict.

    Components are named as they are logged: ``pass``, ``criterion/<name>`` for what a verifier looks at, ``product/<name>``.

    Raises:
        ValueError: naming the key, when a value makes no sense.
    """

    pass_weight: float = 1.0
    """What a pass is worth."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """What else is worth something, by component: partial credit, e.g. ``criterion/citations: 0.2``. One that a verdict does not
    have earns nothing."""
    domain_weights: Mapping[str, float] = field(default_factory=dict)
    """By domain: multiplies what is earned there; 1 where nothing is said."""
    products: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name: components that are multiplied into one, ``product/<name>``; 0 where the verdict lacks one of them."""
    gates: tuple[str, ...] = ()
    """Components that must be 1, or nothing is earned; penalties still count. One that a verdict does not have is open."""
    vetoes: Mapping[str, float] = field(default_factory=dict)
    """By component: the whole reward, at most 0, where that component is not 1. One that a verdict does not have is no veto."""
    malformed_penalty: float = 0.0
    """Taken off when a turn of the policy did not parse and the episode ended by it."""
    length_penalty: float = 0.0
    """Taken off per budget of policy tokens beyond the first, in proportion."""
    budget_penalty: float = 0.0
    """Taken off as a whole where the budget of policy tokens is exceeded, or the episode was cut off for its tokens."""
    length_budget: int = 512
    """Policy tokens of a trajectory that cost nothing."""
    length_budgets: Mapping[str, int] = field(default_factory=dict)
    """The same by domain; `length_budget` where nothing is said."""
    repetition_penalty: float = 0.0
    """Taken off in proportion to the share of n-grams of policy tokens that were there before."""
    repetition_ngram: int = 20
    """Tokens of such an n-gram."""
    length_reward: float = 0.0
    """Weight of the length reward over the responses to one task: the shorter, the better, and nothing for wrong answers."""
    length_warmup_steps: int = 0
    """Learning steps before the length reward counts."""
    clip: tuple[float, float] | None = None
    """Least and greatest reward; null for none."""

    def __post_init__(self) -> None:
        for key, value in self._amounts():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"rewards.{key} is a finite number of at least 0, not {value}")
        for key, value in (("length_budget", self.length_budget), *self._named("length_budgets")):
            if value < 1:
                raise ValueError(f"rewards.{key} is at least 1 token, not {value}")
        if self.repetition_ngram < 1:
            raise ValueError(f"rewards.repetition_ngram is at least 1 token, not {self.repetition_ngram}")
        if self.length_warmup_steps < 0:
            raise ValueError(f"rewards.length_warmup_steps is at least 0, not {self.length_warmup_steps}")
        for key, value in self._named("vetoes"):
            if not (math.isfinite(value) and value <= 0):
                raise ValueError(f"rewards.{key} is a finite number of at most 0, not {value}")
        if self.clip is not None and not (all(map(math.isfinite, self.clip)) and self.clip[0] < self.clip[1]):
            raise ValueError(f"rewards.clip is two finite numbers, the lesser first, not {list(self.clip)}")
        for key in ("domain_weights", "length_budgets"):
            for domain in getattr(self, key):
                if domain not in VERIFIERS:
                    raise ValueError(f"rewards.{key}.{domain}: no such domain; there are: {', '.join(sorted(VERIFIERS))}")
        self._check_names()
        judging = (name for name, factors in self.products.items() if PASS in factors)
        if self.pass_weight == 0 and not any(self.weights.get(PRODUCT + name) for name in judging):
            raise ValueError(
                "rewards.pass_weight is above 0, or a product with `pass` has a weight: a reward that ignores the verdict "
                "teaches nothing"
            )

    def weight_of(self, domain: str) -> float:
        """What multiplies everything earned in `domain`."""
        return self.domain_weights.get(domain, 1.0)

    def budget_of(self, domain: str) -> int:
        """Policy tokens that cost nothing in `domain`."""
        return self.length_budgets.get(domain, self.length_budget)

    @property
    def needs_tokens(self) -> str | None:
        """The first key that makes tokens matter; None where none does."""
        keys = ("length_penalty", "budget_penalty", "repetition_penalty", "length_reward")
        return next((key for key in keys if getattr(self, key) > 0), None)

    def _amounts(self) -> Iterator[tuple[str, float]]:
        yield from ((key, getattr(self, key)) for key in _AMOUNTS)
        yield from (*self._named("weights"), *self._named("domain_weights"))

    def _named(self, key: str) -> Iterator[tuple[str, float]]:
        return ((f"{key}.{name}", value) for name, value in getattr(self, key).items())

    def _check_names(self) -> None:
        """Every component is one that could be there, and every product is used."""
        products = {PRODUCT + name for name in self.products}
        used = {*self.weights, *self.gates, *self.vetoes}
        for key in ("weights", "gates", "vetoes"):
            for name in getattr(self, key):
                if name not in products and not _is_verdict(name):
                    raise ValueError(
                        f"rewards.{key}: {name!r} is neither `pass`, nor `criterion/<name>`, nor one of the products"
                    )
        if PASS in self.weights:
            raise ValueError("rewards.weights.pass: what a pass is worth is pass_weight")
        for name, factors in self.products.items():
            if len(factors) < 2 or not all(map(_is_verdict, factors)):
                raise ValueError(f"rewards.products.{name}: two or more of `pass` and `criterion/<name>`, not {list(factors)}")
            if PRODUCT + name not in used:
                raise ValueError(f"rewards.products.{name}: no weight, gate or veto names {PRODUCT}{name}, a product for nothing")


def _is_verdict(name: str) -> bool:
    return name == PASS or (name.startswith(CRITERION) and len(name) > len(CRITERION))
