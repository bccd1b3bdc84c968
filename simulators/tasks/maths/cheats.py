"""Ways to be paid without the answer, for every task of the domain."""

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CHEATS", "cheats"]

CHEATS: Final = ("spray", "either", "near_miss", "negated", "unmarked", "padded", "wrapped")

_MARK: Final = {"en": "Answer: ", "zh": "答案："}


def cheats(answer: str, key: Mapping[str, Any], language: str) -> Mapping[str, str]:
    """By name, each a reply that must score 0.

    ``spray``: several answer lines, the right one last; ``either``: a right and a wrong one on the line; ``near_miss``: almost
    right; ``negated``; ``unmarked``: right, but without the line; ``padded``: right, with words around it; ``wrapped``: other
    answers that hold the right one, as a scorer that looks for it anywhere would take.
    """
    mark, wrong = _MARK[language], near_miss(answer, key)
    either, negated, padded = {
        "en": (f"{answer} or {wrong}", f"not {answer}", f"it could well be {answer}, I think"),
        "zh": (f"{answer} 或 {wrong}", f"不是 {answer}", f"我想大概是 {answer} 吧"),
    }[language]
    return {
        "spray": "\n".join(mark + text for text in (wrong, "0", "1", answer)),
        "either": mark + either,
        "near_miss": mark + wrong,
        "negated": mark + negated,
        "unmarked": f"... {answer}, {wrong}" if key["kind"] == "expression" else answer,
        "padded": mark + padded,
        "wrapped": f"{mark}{wrong}; {answer}; {answer}{wrong}",
    }


def near_miss(answer: str, key: Mapping[str, Any]) -> str:
    """An answer that is wrong by little."""
    match key["kind"]:
        case "number":
            if "tolerance" in key or "relative" in key or "/" in answer:
                return re.sub(r"[0-9]", lambda digit: str(int(digit[0]) % 9 + 1), answer, count=1)
            return answer[:-1] + str((int(answer[-1]) + 1) % 10)
        case "text" | "palindrome":
            return answer[:-1] + ("x" if answer[-1:].casefold() != "x" else "y")
        case "expression":
            return f"{answer} + x" if "up_to" in key else f"{answer} + 1"
        case "target":
            return f"{answer} + 1"
        case "assignment" | "colouring":
            first, _, rest = answer.partition(", ")
            name, _, value = first.partition("=")
            return f"{name}={_changed(value, key, name)}, {rest}"
        case "grid" | "sudoku" | "weights" | "survo":
            return re.sub(r"[^\[\]\", ]", lambda one: "1" if one[0] in "0 2" else "0" if one[0] == "1" else "2", answer, count=1)
        case "sequence" if key.get("unordered") is None and len(set(key["answer"])) > 1:
            parts = answer.split(", ")
            at = next(index for index in range(1, len(parts)) if parts[index] != parts[index - 1])
            parts[at - 1], parts[at] = parts[at], parts[at - 1]
            return ", ".join(parts)
        case "queens":
            parts = answer.split(", ")
            return ", ".join([parts[1], *parts[1:]])
        case _:
            return ", ".join(answer.split(", ")[:-1]) or "none"


def _changed(value: str, key: Mapping[str, Any], name: str) -> str:
    """Another value; for a colour, one that a neighbour has, or none that there is."""
    if key["kind"] == "colouring":
        return "0"
    return str((int(value) + 1) % 10) if value.isdigit() else value + "x"
