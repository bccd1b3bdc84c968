"""Values in the forms in which people write them, each with one canonical text: what is equal is written alike.

Canonical texts: ``1250`` (a number), ``EUR 3200000``, ``12.5 %``, ``312 m``, ``5400 m2``, and ``1985``, ``1985-03`` or
``1985-03-12`` (time, as precise as it is told).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

__all__ = ["Kind", "Value", "entails", "value_at"]

Kind = Literal["number", "money", "percent", "m", "m2", "time", "name"]


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was mentioned; of a name, the kind is told by the facts."""

    kind: Kind
    text: str

    def fits(self, type_: str) -> bool:
        """Whether an attribute of this type can have such a value."""
        if self.kind == "number":
            return type_ == "count" or (type_ in ("year", "date") and re.fullmatch(r"\d{4}", self.text) is not None)
        if self.kind == "time":
            return type_ in ("year", "date")
        return type_ == {"money": "money", "percent": "percent", "m": "metres", "m2": "square_metres"}.get(self.kind)


def entails(stated: str, told: str, type_: str) -> bool:
    """Whether who says that it is `stated` says that it is `told`: a date entails its month and its year."""
    return stated == told or (type_ == "date" and stated.startswith(f"{told}-"))


_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH: Final = "|".join([*_MONTHS, *(rf"{name[:3]}\.?" for name in _MONTHS), "Sept"])
_NUMBER: Final = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,5}|[0-9]{1,15})(?:\.[0-9]{1,6})?"
_BEFORE: Final = r"(?<![A-Za-z0-9.+\-−])"
_AFTER: Final = r"(?![A-Za-z0-9]|[.,][0-9])"
_TIMES: Final = {"thousand": 3, "million": 6, "billion": 9, "万": 4, "百万": 6, "亿": 8}
_MULTIPLE: Final = r"(?:[ ]?(?P<times>thousand|million|billion|百万|万|亿))?"
_CURRENCIES: Final = {
    "EUR": ("EUR", "€", "euros", "euro", "欧元"),
    "USD": ("USD", "US$", "$", "US dollars", "dollars", "dollar", "美元"),
    "GBP": ("GBP", "£", "pounds", "pound", "英镑"),
}
_CODES: Final = {word: code for code, words in _CURRENCIES.items() for word in words}
_CURRENCY: Final = "|".join(re.escape(word) for word in sorted(_CODES, key=len, reverse=True))
_FORMS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_BEFORE}(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}}){_AFTER}(?!-)",
        rf"{_BEFORE}(?P<year>[0-9]{{4}}) ?年(?: ?(?P<month>[0-9]{{1,2}}) ?月(?: ?(?P<day>[0-9]{{1,2}}) ?[日号])?)?",
        rf"{_BEFORE}(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<name>{_MONTH}),? (?P<year>[0-9]{{4}}){_AFTER}",
        rf"(?P<name>{_MONTH}) (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}}){_AFTER}",
        rf"(?P<name>{_MONTH}),? (?P<year>[0-9]{{4}}){_AFTER}",
        rf"(?P<currency>{_CURRENCY}) ?(?P<money>{_NUMBER}){_MULTIPLE}{_AFTER}",
        rf"{_BEFORE}(?P<money>{_NUMBER}){_MULTIPLE} ?(?P<currency>{_CURRENCY})(?![A-Za-z])",
        rf"{_BEFORE}(?P<percent>{_NUMBER})(?: ?%| per ?cent(?![A-Za-z]))",
        rf"{_BEFORE}(?P<m2>{_NUMBER})(?: ?(?:m²|m2|㎡|平方米)| ?-?(?:square met(?:re|er)s?|sq m|sqm))(?![A-Za-z])",
        rf"{_BEFORE}(?P<m>{_NUMBER})(?: ?(?:m(?![²2])|米)| (?:met(?:re|er)s?))(?![A-Za-z])",
        rf"{_BEFORE}(?P<number>{_NUMBER}){_MULTIPLE}{_AFTER}",
    )
)
_STARTS: Final = frozenset("0123456789€$£EUGJFMASOND")


def value_at(text: str, at: int) -> tuple[Value, int] | None:
    """The value that begins at `at`, and where it ends; the longest reading of those that fit."""
    if text[at] not in _STARTS or (text[at].isalpha() and at and text[at - 1].isascii() and text[at - 1].isalpha()):
        return None
    for form in _FORMS:
        if (found := form.match(text, at)) is not None and (value := _read(found.groupdict())) is not None:
            return value, found.end()
    return None


def _read(parts: dict[str, str | None]) -> Value | None:
    if parts.get("year"):
        name = parts.get("name")
        month = next(str(at) for at, item in enumerate(_MONTHS, 1) if item[:3] == name[:3]) if name else parts.get("month")
        return _time(str(parts["year"]), month, parts.get("day"))
    times = _TIMES.get(parts.get("times") or "", 0)
    if parts.get("money"):
        return Value("money", f"{_CODES[str(parts['currency'])]} {_plain(str(parts['money']), times)}")
    if parts.get("percent"):
        return Value("percent", f"{_plain(str(parts['percent']))} %")
    if parts.get("m2"):
        return Value("m2", f"{_plain(str(parts['m2']))} m2")
    if parts.get("m"):
        return Value("m", f"{_plain(str(parts['m']))} m")
    return Value("number", _plain(str(parts["number"]), times))


def _time(year: str, month: str | None, day: str | None) -> Value | None:
    if month is None:
        return Value("time", year)
    if not 1 <= int(month) <= 12 or not 1 <= int(day or 1) <= 31:
        return None
    return Value("time", f"{year}-{int(month):02}" + (f"-{int(day):02}" if day else ""))


def _plain(number: str, times: int = 0) -> str:
    """Without separators and needless zeros: 3.20 million is 3200000. Exact."""
    value = Decimal(number.replace(",", "")).scaleb(times)
    return format(value.to_integral_value() if value == value.to_integral_value() else value.normalize(), "f")
