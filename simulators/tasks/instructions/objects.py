"""JSON replies: an object with the facts of a card, and the schema that asks for it."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.tasks.instructions.cards import Card, Fact
from simulators.tasks.instructions.speaking import Speaker

__all__ = ["json_reply"]


def json_reply(
    card: Card, facts: Sequence[Fact], clauses: Sequence[tuple[str, str]], speaker: Speaker, asks: Mapping[str, Mapping[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """The object as text, and what was settled: ``schema``."""
    parts = asks["json"]["parts"]
    rng = random.Random(asks["json"]["voice"])
    value: dict[str, Any] = {"name": card.name}
    properties: dict[str, Any] = {"name": {"type": "string", "minLength": 2}}
    told = {fact.field: fact.json for fact in facts}
    fields = {fact.field: {"type": "integer" if isinstance(fact.json, int) else "string", "title": fact.label} for fact in facts}
    if "nested" in parts:
        value["facts"], properties["facts"] = told, _object(fields)
    else:
        value |= told
        properties |= fields
    lines = [speaker.sentence(clause, kind) for clause, kind in clauses]
    lines += [speaker.sentence(speaker.scene(), "scene") for _ in range(asks["json"]["lines"] - len(lines))]
    rng.shuffle(lines)
    lines = _ordered(lines, asks.get("order", {}).get("keywords", ()), speaker)
    value["summary"] = lines
    lengths = sorted(map(len, lines))
    properties["summary"] = {
        "type": "array",
        "items": {"type": "string", "minLength": lengths[0] - rng.randrange(3), "maxLength": lengths[-1] + rng.randrange(9)},
        "minItems": len(lines),
        "maxItems": len(lines),
    }
    if "tags" in parts:
        tags = rng.sample(speaker.words["tags"], 3)
        value["tags"] = tags
        properties["tags"] = {
            "type": "array", "items": {"enum": speaker.words["tags"]}, "uniqueItems": True, "minItems": 3, "maxItems": 3,
        }  # fmt: skip
    if "visit" in parts:
        hour, guests = rng.randint(8, 17), rng.randint(2, 4)
        value["visit"] = {"time": f"{hour:02d}:30", "guests": guests}
        properties["visit"] = _object(
            {
                "time": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
                "guests": {"type": "integer", "minimum": guests - 1, "maximum": guests + 2},
            }
        )
    if "helpers" in parts:
        value["helpers"] = [{"who": speaker.helper(), "often": rng.random() < 0.5} for _ in range(2)]
        properties["helpers"] = {
            "type": "array",
            "items": _object({"who": {"type": "string", "minLength": 2}, "often": {"type": "boolean"}}),
            "minItems": 2,
            "maxItems": 2,
        }
    if "key_order" in asks:
        value = {key: value[key] for key in sorted(value, reverse=bool(asks["key_order"]["down"]))}
    return json.dumps(value, ensure_ascii=False, indent=2), {"schema": _object(properties)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _ordered(lines: list[str], order: Sequence[int], speaker: Speaker) -> list[str]:
    words = [speaker.words["keywords"][at] for at in order]
    places = [at for at, line in enumerate(lines) if any(word in line for word in words)]
    chosen = sorted((lines[at] for at in places), key=lambda line: next(i for i, word in enumerate(words) if word in line))
    for at, line in zip(places, chosen, strict=True):
        lines[at] = line
    return lines
