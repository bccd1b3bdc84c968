"""Other words for a tool: asked for, read, and put into what the registry holds of its domain."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from simulators.evolution.proposals.asking import Unacceptable
from simulators.evolution.proposals.wording import Wording
from simulators.evolution.registry import DomainRows
from trajectories.canonical import canonical_json, digest
from trajectories.messages import Message

__all__ = ["WORDING", "asking_for_wording", "read_wording", "reworded"]

WORDING: Final[dict[str, Any]] = {
    "type": "object", "properties": {"description": {"type": "string"}}, "required": ["description"],
    "additionalProperties": False,
}  # fmt: skip
"""JSON Schema of the answer."""

_ASKED: Final = """\
You reword the documentation of tools. The user message is a JSON object: a `tool`, its `kind` and its `description` now. \
Answer one JSON object and nothing else, {"description": ...}: one or two sentences of plain English that say the same in \
other words, 200 characters at most. Begin with one of `verbs`, name the `entity`, keep every word of `must_say`, and use no \
words but these and those of `may_say`."""


def asking_for_wording(wording: Wording) -> tuple[Message, ...]:
    """The dialogue that asks for other words."""
    asked = {
        "tool": wording.tool, "kind": wording.document["kind"], "description": wording.now, "entity": list(wording.entity),
        "verbs": sorted(wording.verbs), "must_say": list(wording.must_say), "may_say": sorted(wording.may_say),
    }  # fmt: skip
    return Message("system", _ASKED), Message("user", canonical_json(asked))


def read_wording(text: str, wording: Wording) -> str:
    """The description in an answer.

    Raises:
        Unacceptable: there is none, or it breaks a rule.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unacceptable("it is not one JSON object and nothing else") from error
    if not isinstance(value, dict) or set(value) != {"description"} or not isinstance(value["description"], str):
        raise Unacceptable('it is not of the form {"description": "..."}')
    return wording.check(value["description"])


def reworded(rows: DomainRows, descriptions: Mapping[str, str]) -> DomainRows:
    """The rows of a domain with other words for some tools, each a cosmetic step of its own: `reword`.

    By construction nothing else changes: not a name, not a schema, not a fingerprint of a tool, not a task.
    """
    world, steps = dict(rows.world), list(rows.steps)
    operations = dict(world["operations"])
    world["operations"] = operations
    for tool, description in descriptions.items():
        operations[tool] = {**operations[tool], "description": description}
        steps.append({
            **steps[-1], "number": len(steps), "operator": "reword", "change": "cosmetic", "about": tool, "added": [],
            "removed": [], "parent": steps[-1]["child"], "child": digest(world),
        })  # fmt: skip
    tools = [row | {"world_fingerprint": steps[-1]["child"]} for row in rows.tools]
    tools = [row | {"description": descriptions.get(row["tool"], row["description"])} for row in tools]
    return replace(rows, tools=tools, steps=steps, world=world)
