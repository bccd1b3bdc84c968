"""Values of attributes: drawn as numbers, written as people write them, and in the one form in which the verifier compares."""

import random
from collections.abc import Mapping
from typing import Any, Final

from simulators.tasks.faithfulness.lexicon import POOLS, lexicon

__all__ = ["CURRENCIES", "canonical", "draw_value", "written"]

CURRENCIES: Final = ("EUR", "USD", "GBP")

_RANGES: Final[Mapping[str, tuple[int, int, int]]] = {
    "year": (1851, 1999, 1), "count": (21, 98_000, 1), "money": (110_000, 90_000_000, 10_000), "percent": (15, 985, 1),
    "metres": (12, 2_400, 1), "square_metres": (310, 90_000, 10),
}  # fmt: skip
"""Least, most, step; percentages in tenths."""


def draw_value(type_: str, rng: random.Random) -> Any:
    """A value as JSON: a number, an index, or a list of these."""
    match type_:
        case "date":
            return [rng.randint(1951, 2009), rng.randint(1, 12), rng.randint(1, 28)]
        case "person":
            return [rng.randrange(POOLS["given"]), rng.randrange(POOLS["family"])]
        case "place":
            return rng.randrange(POOLS["towns"])
        case "organisation":
            return [rng.randrange(POOLS["holders"]), rng.randrange(POOLS["forms"])]
        case _:
            least, most, step = _RANGES[type_]
            return rng.randrange(least, most + 1, step)


def canonical(type_: str, value: Any, currency: str, language: str) -> str:
    """As `rewards.verifiers.faithfulness.values` reads it."""
    match type_:
        case "date":
            return f"{value[0]}-{value[1]:02}-{value[2]:02}"
        case "money":
            return f"{currency} {value}"
        case "percent":
            return f"{_tenths(value)} %"
        case "metres":
            return f"{value} m"
        case "square_metres":
            return f"{value} m2"
        case "year" | "count":
            return str(value)
        case _:
            return _name(type_, value, language)


def written(type_: str, value: Any, currency: str, style: int, language: str) -> str:
    """As it stands in a text; `style` chooses among the usual forms."""
    english, second = language == "en", style % 2 == 1
    match type_:
        case "year":
            return str(value) if english else f"{value}年"
        case "date":
            return _date(value, style, language)
        case "count":
            return f"{value:,}" if second else str(value)
        case "money":
            return _money(value, currency, second, language)
        case "percent":
            return f"{_tenths(value)} percent" if english and second else f"{_tenths(value)}%"
        case "metres":
            return (f"{value:,} m" if second else f"{value} metres") if english else f"{value}米"
        case "square_metres":
            return f"{value:,} square metres" if english else f"{value}平方米"
        case _:
            return _name(type_, value, language)


def _tenths(value: int) -> str:
    return str(value // 10) if value % 10 == 0 else f"{value // 10}.{value % 10}"


def _date(value: list[int], style: int, language: str) -> str:
    year, month, day = value
    if language == "zh":
        return f"{year}年{month}月{day}日"
    name = lexicon("en")["months"][month - 1]
    return (f"{day} {name} {year}", f"{name} {day}, {year}", f"{year}-{month:02}-{day:02}")[style % 3]


def _money(value: int, currency: str, second: bool, language: str) -> str:
    word = lexicon(language)["currencies"][currency]
    if language == "zh":
        return f"{value:,}{word}" if second else f"{_hundredths(value, 10_000)}万{word}"
    if second or value < 1_000_000:
        return f"{currency} {value:,}"
    return f"{_hundredths(value, 1_000_000)} million {word}"


def _hundredths(value: int, unit: int) -> str:
    """`value` in `unit`; exact, for values are multiples of a hundredth of a million."""
    whole, rest = divmod(value * 100 // unit, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".")


def _name(type_: str, value: Any, language: str) -> str:
    words, space = lexicon(language), " " if language == "en" else ""
    if type_ == "place":
        return str(words["towns"][value])
    if type_ == "person":
        given, family = words["given"][value[0]], words["family"][value[1]]
        return f"{given} {family}" if language == "en" else f"{family}{given}"
    return f"{words['holders'][value[0]]}{space}{words['forms'][value[1]]}"
