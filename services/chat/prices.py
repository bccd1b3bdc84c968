"""What tokens cost. A price has a date and a source, since prices change and nobody remembers where a number came from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from services.chat.model import Usage

__all__ = ["Price", "price_table"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of one model's tokens."""

    currency: str
    """ISO 4217, e.g. ``EUR``."""
    prompt_per_million: float
    completion_per_million: float
    """Of a million tokens; reasoning counts as completion."""
    date: str
    """The day on which this was the price, e.g. ``2025-01-31``."""
    source: str
    """Who says so."""

    def __post_init__(self) -> None:
        if not (isinstance(self.currency, str) and len(self.currency) == 3 and self.currency.isupper()):
            raise ValueError(f"currency: three capitals as in ISO 4217, not {self.currency!r}")
        for key in ("prompt_per_million", "completion_per_million"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{key}: a number that is at least 0, not {value!r}")
        try:
            date.fromisoformat(self.date)
        except ValueError:
            raise ValueError(f"date: a day like 2025-01-31, not {self.date!r}") from None
        if not (isinstance(self.source, str) and self.source.strip()):
            raise ValueError("source: says where the price is from")

    def of(self, usage: Usage) -> float:
        """The price of these tokens, in `currency`."""
        prompt = usage.prompt_tokens * Decimal(str(self.prompt_per_million))
        completion = usage.completion_tokens * Decimal(str(self.completion_per_million))
        return float((prompt + completion) / 1_000_000)


def price_table(content: Any) -> dict[str, Price]:
    """Prices by the endpoint's name of the model.

    Args:
        content: ``{"models": {name: the fields of `Price`}}``.

    Raises:
        ValueError: it is not of this form; names the key.
    """
    if not isinstance(content, Mapping) or set(content) != {"models"} or not isinstance(content["models"], Mapping):
        raise ValueError("a price table has one key, models: prices by model name")
    return {str(name): _price(str(name), given) for name, given in content["models"].items()}


def _price(name: str, given: Any) -> Price:
    keys = [field.name for field in fields(Price)]
    if not isinstance(given, Mapping) or set(given) != set(keys):
        raise ValueError(f"models.{name}: gives {', '.join(keys)}, and nothing else")
    try:
        return Price(**{**given, "date": str(given["date"])})
    except ValueError as error:
        raise ValueError(f"models.{name}.{error}") from error
