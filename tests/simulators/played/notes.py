"""A tiny service of notes: its tools, and a script that plays it honestly out of the state document in the prompt."""

import json
from typing import Any

from services.chat import ChatRequest

TOOLS: list[dict[str, Any]] = [
    {
        "name": "get_note",
        "description": "Read a note.",
        "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "outputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "put_note",
        "description": "Write a note.",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string", "maxLength": 8}, "text": {"type": "string"}},
            "required": ["id", "text"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
    },
    {"name": "drop_note", "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
]
OPENING = {"notes": {"a": "milk"}}


def asked(request: ChatRequest) -> dict[str, Any]:
    """The JSON object of the first user message."""
    return json.loads(request.messages[1].content)


def answer(state: dict[str, Any], result: Any, is_error: bool = False) -> str:
    return json.dumps({"state": state, "result": result, "is_error": is_error})


def honest(request: ChatRequest) -> str:
    """What a faithful model would say."""
    call = asked(request)
    if "setting" in call:
        return json.dumps({"state": {"notes": {"a": call["setting"]}}})
    notes, arguments = call["state"]["notes"], call["arguments"]
    name, id = call["tool"]["name"], arguments["id"]
    if name != "put_note" and id not in notes:
        return answer({}, f"no note {id}", is_error=True)
    if name == "get_note":
        return answer({}, {"text": notes[id]})
    if name == "drop_note":
        return answer({"notes": {id: None}}, f"dropped {id}")
    return answer({"notes": {id: arguments["text"]}}, {"count": len({*notes, id})})
