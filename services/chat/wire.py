"""Between our requests and replies and the chat completions API.

The answer is read from its bytes and checked here, since compatible endpoints differ in what they leave out and the
client takes any shape for the right one.
"""

import json
from dataclasses import replace
from typing import Any, Final

from jsonschema_rs import ValidationError, validator_for

from services.chat.model import ChatError, ChatReply, ChatRequest, Usage
from trajectories.messages import Message

__all__ = ["reply_of", "wire_of"]

_COUNT: Final = {"type": "integer", "minimum": 0}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_TOOL_CALL: Final = {
    "type": "object",
    "required": ["id", "function"],
    "properties": {
        "id": {"type": "string"},
        "function": {
            "type": "object",
            "required": ["name", "arguments"],
            "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}},
        },
    },
}
_MESSAGE: Final = {
    "type": "object",
    "properties": {
        "role": {"const": "assistant"},
        "content": _MAYBE_TEXT,
        "reasoning_content": _MAYBE_TEXT,
        "reasoning": _MAYBE_TEXT,
        "refusal": _MAYBE_TEXT,
        "tool_calls": {"type": ["array", "null"], "items": _TOOL_CALL},
    },
}
_CHOICE: Final = {
    "type": "object",
    "required": ["message", "finish_reason"],
    "properties": {"message": _MESSAGE, "finish_reason": {"enum": ["stop", "length", "tool_calls", "content_filter"]}},
}
_COMPLETION: Final = validator_for(
    {
        "type": "object",
        "required": ["choices"],
        "properties": {
            "choices": {"type": "array", "minItems": 1, "items": _CHOICE},
            "usage": {
                "type": ["object", "null"],
                "required": ["prompt_tokens", "completion_tokens"],
                "properties": {"prompt_tokens": _COUNT, "completion_tokens": _COUNT},
            },
        },
    },
    mask="the value",
)
"""The part of a chat completion that is read."""


def wire_of(request: ChatRequest) -> dict[str, Any]:
    """The request's part of the body, as keyword arguments of the client; what is None is left out."""
    wire: dict[str, Any] = {"messages": [message.to_openai() for message in request.messages]}
    if request.tools:
        wire["tools"] = [tool.to_openai() for tool in request.tools]
    if request.response_schema is not None:
        schema = {"name": "reply", "schema": dict(request.response_schema)}
        wire["response_format"] = {"type": "json_schema", "json_schema": schema}
    for key in ("temperature", "max_tokens", "seed"):
        if getattr(request, key) is not None:
            wire[key] = getattr(request, key)
    return wire


def reply_of(body: bytes) -> ChatReply:
    """The reply in the body of an answer, whatever content type it was sent with.

    Raises:
        ChatError: it holds none (``malformed``), or the model would not answer (``declined``).
    """
    try:
        completion = json.loads(body)
        _COMPLETION.validate(completion)
        choice = completion["choices"][0]
        message = _message_of(choice["message"])
        usage = _usage_of(completion.get("usage"))
        json.dumps(message.to_openai(), ensure_ascii=False).encode()  # raises for half of a surrogate pair
    except ValidationError as error:
        where = ".".join(str(part) for part in error.instance_path)
        raise ChatError("malformed", f"no chat completion: {where or 'top level'}: {error.message}") from error
    except UnicodeEncodeError as error:
        raise ChatError("malformed", "the message holds half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise ChatError("malformed", f"not JSON: {body[:80].decode(errors='replace')!r}") from error
    if choice["finish_reason"] == "content_filter" or choice["message"].get("refusal"):
        said = choice["message"].get("refusal") or "content filter"
        raise ChatError("declined", f"no answer: {said}", usage)
    return ChatReply(message, choice["finish_reason"], usage)


def _message_of(wire: dict[str, Any]) -> Message:
    # vLLM calls it `reasoning`, most others `reasoning_content`.
    reasoning = wire.get("reasoning_content") or wire.get("reasoning")
    message = Message.from_openai({**wire, "role": "assistant", "reasoning_content": reasoning})
    ids = {call.id for call in message.tool_calls}
    if "" in ids or len(ids) < len(message.tool_calls):
        # Some endpoints leave ids empty or give one twice. All that an id does is to say which call a result answers.
        calls = tuple(replace(call, id=f"call_{index}") for index, call in enumerate(message.tool_calls))
        message = replace(message, tool_calls=calls)
    return message


def _usage_of(wire: dict[str, Any] | None) -> Usage | None:
    return Usage(wire["prompt_tokens"], wire["completion_tokens"]) if wire else None
