"""The kinds of answers, by the key's ``kind``.

- ``number``: ``answer``; ``form`` may be ``integer`` or ``lowest`` (a fraction in lowest terms); ``tolerance`` (absolute) or
  ``relative``, in decimal notation, allow for rounding; ``units`` are spellings that may follow, each with what it is worth.
- ``text``: ``answer``; ``exact`` where case matters, ``verbatim`` where a full stop at the end is part of it.
- ``sequence``: ``answer`` and ``item`` (``number``, ``text``, ``exact``); ``unordered`` where order does not matter;
  ``tolerance``.
  Numbers, and those of a sequence by their places, may stand behind one of ``names`` and an equals sign.
- ``grid``: rows of ``answer``, and ``item``.
- ``assignment``: names and values of ``answer``.
- ``expression``: see `rewards.verifiers.maths.symbolic`; puzzles: see `rewards.verifiers.maths.puzzles`.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from rewards.verifiers.maths.numbers import fraction, is_lowest, quantity
from rewards.verifiers.maths.puzzles import CHECKERS
from rewards.verifiers.maths.structures import assignment, grid, is_item, sequence, without_name
from rewards.verifiers.maths.symbolic import is_formula

__all__ = ["is_right"]

_ABOUT: Final = re.compile(r"^(?:≈|≃|~|\\approx|\\sim) ?")
"""Fair before a number that is rounded."""


def is_right(answer: str, key: Mapping[str, Any]) -> bool:
    """Whether `answer`, without the marks around it, is right.

    Raises:
        KeyError: for a kind that there is none of, or a key that lacks something.
    """
    kind = key["kind"]
    return (_KINDS[kind] if kind in _KINDS else CHECKERS[kind])(answer, key)


def _number(text: str, key: Mapping[str, Any]) -> bool:
    wanted = Fraction(key["answer"])
    text = without_name(text, key.get("names", []))
    if "tolerance" in key or "relative" in key:
        text = _ABOUT.sub("", text)
    form = key.get("form")
    found = quantity(text, key["units"]) if "units" in key else fraction(text)
    if found is None or (form == "lowest" and not is_lowest(text)) or (form == "integer" and "/" in text):
        return False
    if "relative" in key:
        return abs(found - wanted) <= abs(wanted) * Fraction(key["relative"])
    return abs(found - wanted) <= Fraction(key.get("tolerance", "0"))


def _text(text: str, key: Mapping[str, Any]) -> bool:
    return is_item(text, key["answer"], "exact" if key.get("exact") else "text")


def _sequence(text: str, key: Mapping[str, Any]) -> bool:
    found, wanted, item = sequence(text), [str(part) for part in key["answer"]], key["item"]
    if len(found) != len(wanted):
        return False
    names = key.get("names", [])
    found = [without_name(part, names if key.get("unordered") else names[place : place + 1]) for place, part in enumerate(found)]
    if not key.get("unordered"):
        tolerance = key.get("tolerance", "0")
        return all(is_item(part, want, item, tolerance) for part, want in zip(found, wanted, strict=True))
    for want in wanted:
        match = next((index for index, part in enumerate(found) if is_item(part, want, item)), None)
        if match is None:
            return False
        del found[match]
    return True


def _grid(text: str, key: Mapping[str, Any]) -> bool:
    found, wanted = grid(text), key["answer"]
    return (
        found is not None
        and [len(row) for row in found] == [len(row) for row in wanted]
        and all(
            is_item(cell, str(want), key["item"])
            for row, wants in zip(found, wanted, strict=True)
            for cell, want in zip(row, wants, strict=True)
        )
    )


def _assignment(text: str, key: Mapping[str, Any]) -> bool:
    found = assignment(text)
    return found is not None and {name.casefold(): value.casefold() for name, value in found.items()} == {
        name.casefold(): str(value).casefold() for name, value in key["answer"].items()
    }


_KINDS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], bool]]] = {
    "number": _number, "text": _text, "sequence": _sequence, "grid": _grid, "assignment": _assignment, "expression": is_formula,
}  # fmt: skip
