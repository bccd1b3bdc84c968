"""Whether a reply says what it was to say: the facts asked for, each with its own label, and none of the facts left out.

A fact is said where one sentence, list item or row holds its label and its value as the card writes them, holds no other
fact's value, and does not deny it. In a JSON reply it is said where its field has the value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewards.verifiers.instructions.contents import occurrences
from rewards.verifiers.instructions.reading import Reply, fold
from trajectories.canonical import canonical_json

__all__ = ["facts", "left_out"]

_NEGATED: Final = {
    "en": re.compile(r"\b(?:not|never|neither|nor|hardly|no longer|nobody|no one|nowhere)\b|n't\b"),
    "zh": re.compile(r"不是|并非|并不|不为|没有|从未|绝非|不再|未必|不叫|不等于|而非"),
}
"""In the clause before a value."""
_CLAUSE: Final = 200
"""Characters of a clause that are looked at."""
_HARMLESS: Final = {
    "en": re.compile(r"\b(?:why|or|if) not\b|\bnot (?:only|just|merely|until|less than|fewer than|far)\b"),
    "zh": re.compile(r"不(?:仅仅|仅|只|光|单)是?"),
}
_UNTRUE: Final = {
    "en": re.compile(
        r"\b(?:false|falsely|wrong|wrongly|untrue|incorrect|incorrectly|mistaken|mistakenly|a lie"
        r"|not (?:true|the case|correct|so))\b"
    ),
    "zh": re.compile(r"不对|错误|不属实|有误|不正确|不实|假的|谎"),
}
"""Anywhere beside a value."""


def facts(reply: Reply, turn: Mapping[str, Any]) -> dict[str, bool]:
    """``name`` and ``fact:<label>`` for each fact asked for."""
    language = reply.language
    found = {"name": bool(occurrences(turn["name"], fold(reply.plain), language))}
    if reply.value is not None:
        return found | {f"fact:{item['label']}": _same(reply.value, item["path"], item["json"]) for item in turn["facts"]}
    units = [fold(item) for item in reply.sentences]
    return found | {f"fact:{item['label']}": _said(item, turn["facts"], units, language) for item in turn["facts"]}


def left_out(reply: Reply, turn: Mapping[str, Any]) -> bool:
    """None of the card's other values stands anywhere."""
    text = fold(reply.plain)
    return not any(occurrences(value, text, reply.language) for value in turn["left_out"])


def _said(item: Mapping[str, str], asked: Sequence[Mapping[str, str]], units: Sequence[str], language: str) -> bool:
    """In one unit at least, and denied in none."""
    others = [other["value"] for other in asked if other["label"] != item["label"]]
    said = False
    for unit in units:
        if not occurrences(item["value"], unit, language):
            continue
        if _denied(item["value"], unit, language):
            return False
        if occurrences(item["label"], unit, language) and not any(occurrences(other, unit, language) for other in others):
            said = True
    return said


def _denied(value: str, unit: str, language: str) -> bool:
    if _UNTRUE[language].search(unit):
        return True
    for at in occurrences(value, unit, language):
        clause = re.split(r"[,;:，；：—(（]", unit[max(at - _CLAUSE, 0) : at])[-1]
        if _NEGATED[language].search(_HARMLESS[language].sub("", clause)):
            return True
    return False


def _same(value: Any, path: Sequence[str], wanted: Any) -> bool:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return canonical_json(value) == canonical_json(wanted)
