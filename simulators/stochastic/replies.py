"""What an agent is told when a tool misbehaves, and how to read it: the two halves of one convention.

A reply never tells more than a real caller could know: a timeout reads the same whether or not the call was done.
Marks of an imperfect answer stand under ``_meta`` (MCP's own name), which no field of a world can be called.
"""

import json
import random
from typing import Any, Final, Literal

__all__ = [
    "TIMEOUT", "TRANSIENT", "Advice", "advice", "cut_hits", "cut_text", "out_of_service", "rate_limited", "stale",
]  # fmt: skip

Advice = Literal["take", "repeat", "look", "never"]
"""What to do about a reply: take it as it is; make the same call again; find out first whether the call was done (for
a tool that changes nothing, the same as repeating); or do without this tool."""

_RATE_LIMIT: Final = "rate limit"
_OUT_OF_SERVICE: Final = "out of service"

TIMEOUT: Final = '{"error":"timeout: no answer, perhaps done"}'
TRANSIENT: Final = '{"error":"unavailable: try again"}'


def rate_limited(seconds: int) -> str:
    return _encode({"error": _RATE_LIMIT, "retry_after_s": seconds})


def out_of_service(tool: str) -> str:
    return _encode({"error": f"{tool} is {_OUT_OF_SERVICE}"})


def stale(content: str, calls: int) -> str:
    """A tool's answer, marked as the truth of so many calls ago."""
    return _encode({**json.loads(content), "_meta": {"as_of": f"{calls} call{'s' if calls > 1 else ''} ago"}})


def cut_hits(answer: dict[str, Any], rng: random.Random) -> str:
    """`answer` with at least the last hit missing (where there is one), marked as incomplete."""
    cut = {
        name: value[: rng.randrange(len(value))] if isinstance(value, list) and value else value
        for name, value in answer.items()
    }
    return _encode({**cut, "_meta": {"incomplete": True}})


def cut_text(content: str, rng: random.Random) -> str:
    """The first characters of `content`, at most half of them: of a JSON object that is never JSON."""
    return content[: rng.randint(1, max(1, len(content) // 2))]


def advice(content: str) -> Advice:
    """What a patient caller does about a tool's reply."""
    try:
        answer = json.loads(content)
    except ValueError:
        return "look"
    if not isinstance(answer, dict):
        return "take"
    error, marks = answer.get("error"), answer.get("_meta", {})
    if content == TIMEOUT:
        return "look"
    if content == TRANSIENT or (error == _RATE_LIMIT and "retry_after_s" in answer):
        return "repeat"
    if isinstance(error, str) and error.endswith(f" is {_OUT_OF_SERVICE}"):
        return "never"
    return "repeat" if "incomplete" in marks or "as_of" in marks else "take"


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
