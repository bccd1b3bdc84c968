"""What a list is sorted by, and what is computed over many records at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from simulators.worlds.expressions import Expression, Frame, compile_expression

__all__ = ["FORMS", "Form", "Sort", "Total", "compile_totals"]

Form = Literal["count", "sum", "least", "most"]
FORMS: Final[tuple[Form, ...]] = ("count", "sum", "least", "most")


@dataclass(frozen=True, slots=True)
class Sort:
    """Order of a list; records that are alike in it come in the order of their keys."""

    by: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """One figure over the records that match. `least` and `most` of none are null; `count` has no expression of its own."""

    form: Form
    of: Expression


def compile_totals(totals: Mapping[str, Total]) -> Callable[[Iterable[Frame]], dict[str, Any]]:
    """A function of the frames in which each record is bound, one after the other."""
    compiled = tuple((name, total.form, compile_expression(total.of)) for name, total in totals.items())

    def compute(frames: Iterable[Frame]) -> dict[str, Any]:
        found: dict[str, Any] = {name: 0 if form in ("count", "sum") else None for name, form, _ in compiled}
        for frame in frames:
            for name, form, value_of in compiled:
                value, so_far = value_of(frame), found[name]
                if form in ("count", "sum"):
                    found[name] = so_far + value
                elif so_far is None or (value < so_far if form == "least" else value > so_far):
                    found[name] = value
        return found

    return compute
