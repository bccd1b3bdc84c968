"""What a follow-up makes of the wishes before it, and what both turns of a dialogue have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["merged", "revised"]

Ask = Mapping[str, Any]
Constraint = Mapping[str, Any]


def revised(told: Sequence[int], asks: Sequence[Ask], later: Mapping[str, Any]) -> tuple[list[int], list[Ask]]:
    """Facts to tell and asks after the follow-up; the same where there is none."""
    new_told, new_asks = list(told), list(asks)
    for drop, take in zip(later.get("drop", ()), later.get("take", ()), strict=True):
        new_told[new_told.index(drop)] = take
    new_asks += later.get("asks", ())
    if later.get("more"):
        form = dict(new_asks[0])
        form["n" if form["kind"] == "paragraphs" else "size"] += 1
        new_asks[0] = form
    if "revoke" in later:
        gone = next(ask for ask in new_asks if ask["kind"] == later["revoke"])
        new_asks.remove(gone)
        new_asks.append({"kind": "without", "what": gone["kind"], "mark": gone.get("mark"), "say": gone["say"]})
    return new_told, new_asks


def merged(last: Sequence[Constraint], first: Sequence[Constraint]) -> tuple[tuple[Constraint, ...], tuple[Constraint, ...]]:
    """The constraints of both turns, with bounds that hold for the replies of both."""
    bounds = {item["kind"]: item for item in first if "least" in item}
    found = []
    for item in last:
        other = bounds.get(item["kind"], item)
        if "least" in item:
            least, most = _outer(min, item["least"], other["least"]), _outer(max, item["most"], other["most"])
            item = {**item, "least": least, "most": most}
        found.append(item)
    shared = {item["kind"]: item for item in found if "least" in item}
    return tuple(found), tuple(shared.get(item["kind"], item) for item in first)


def _outer(pick: Any, one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else pick(one, other)
