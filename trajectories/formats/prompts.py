"""The prompt of a dialogue: everything before the policy's first turn."""

import json
from collections.abc import Sequence
from typing import Any

from trajectories.formats.format import UnsayableError
from trajectories.json_text import JsonText

__all__ = ["opening", "plain_opening", "role_of"]


def opening(messages: Sequence[JsonText], row: int = 0) -> list[dict[str, Any]]:
    """The messages before the first assistant message.

    Args:
        row: which of the group's rows has them, for errors.

    Raises:
        UnsayableError: there are none, or they end with a role that asks for no answer.
    """
    prompt: list[dict[str, Any]] = []
    for text in messages:
        if (message := json.loads(text))["role"] == "assistant":
            break
        prompt.append(message)
    if not prompt or prompt[-1]["role"] not in ("user", "tool"):
        last = prompt[-1]["role"] if prompt else "nothing"
        raise UnsayableError(f"the first assistant message follows {last}; a prompt ends with the user's message", row)
    return prompt


def plain_opening(messages: Sequence[JsonText]) -> list[dict[str, str]]:
    """`opening` with role and content only.

    Raises:
        UnsayableError: as `opening`, or a message has more than that.
    """
    prompt = opening(messages)
    for message in prompt:
        if more := message.keys() - {"role", "content"}:
            raise UnsayableError(f"a {message['role']} message of the prompt has {', '.join(sorted(more))}")
    return prompt


def role_of(text: JsonText) -> str:
    return json.loads(text)["role"]
