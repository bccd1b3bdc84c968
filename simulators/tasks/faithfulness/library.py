"""The tools of the domain: documents that are listed and read, and a register in which a name is looked up.

What they show is prepared by the task (`RecordPatch`), so that an episode needs nothing but the task.
"""

from collections.abc import Mapping
from typing import Any

from simulators.playable import FunctionWorld, ToolError
from trajectories.messages import ToolSpec
from trajectories.tasks import RecordPatch

__all__ = ["LIBRARY", "LIST", "LOOKUP", "READ", "document_patch", "register_patch"]

LIST, READ, LOOKUP = "list_documents", "read_document", "lookup"

_Shelves = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Documents by number, entries by name."""


def document_patch(number: int, title: str, text: str) -> RecordPatch:
    return RecordPatch("documents", str(number), {"title": title, "text": text})


def register_patch(name: str, number: int, date: str, entries: Mapping[str, str]) -> RecordPatch:
    return RecordPatch("register", name, {"document": number, "date": date, "entries": dict(entries)})


def _begin(seed: int, patches: tuple[RecordPatch, ...]) -> _Shelves:
    shelves: dict[str, dict[str, Mapping[str, Any]]] = {"documents": {}, "register": {}}
    for patch in patches:
        shelves[patch.entity][patch.key] = patch.fields
    return shelves


def _list(shelves: _Shelves, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"documents": [{"document": int(number), "title": item["title"]} for number, item in shelves["documents"].items()]}


def _read(shelves: _Shelves, arguments: Mapping[str, Any]) -> dict[str, Any]:
    number = int(arguments["document"])
    if str(number) not in shelves["documents"]:
        raise ToolError(f"there is no document {number}")
    return {"document": number, **shelves["documents"][str(number)]}


def _look_up(shelves: _Shelves, arguments: Mapping[str, Any]) -> dict[str, Any]:
    name = arguments["name"]
    if name not in shelves["register"]:
        raise ToolError(f"the register has no entry {name[:80]!r}; write the full name, without an article")
    return {"name": name, **shelves["register"][name]}


def _schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


LIBRARY = FunctionWorld(
    "faithfulness",
    "You answer from documents. Tools show documents and a register; what they return is all there is to know.",
    begin=_begin,
    tools=(
        (ToolSpec(LIST, "Lists the documents that can be read, with their titles and dates.", _schema()), _list),
        (ToolSpec(READ, "Shows one document.", _schema(document={"type": "integer", "description": "Its number."})), _read),
        (
            ToolSpec(LOOKUP, "Shows what the register says.", _schema(name={"type": "string", "description": "Full name."})),
            _look_up,
        ),
    ),
)
