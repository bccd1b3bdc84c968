"""Asks a chat model for one thing until it can be used, a bounded number of times.

The model is shown its last answer and what is wrong with it, and no earlier ones: they would make the dialogue longer, and
the next answer no better. Each attempt has a seed of its own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply
from trajectories.messages import Message

__all__ = ["NoUsableAnswer", "UnusableAnswer", "ask_until"]

Read = TypeVar("Read")

_SHOWN_CHARACTERS: Final = 20_000
"""Of an answer that is shown again."""


class UnusableAnswer(ValueError):
    """An answer breaks a rule; says which, in words for the model."""


class NoUsableAnswer(RuntimeError):
    """Every attempt is spent; `problem` is what was wrong with the last answer."""

    def __init__(self, model: str, attempts: int, problem: str) -> None:
        which = "the one answer" if attempts == 1 else f"the last of {attempts} answers"
        super().__init__(f"{which} of {model} cannot be used: {problem}")
        self.model, self.attempts, self.problem = model, attempts, problem

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.attempts, self.problem)


async def ask_until(
    model: ChatModel,
    dialogue: Sequence[Message],
    read: Callable[[ChatReply], Read],
    *,
    attempts: int,
    seed: Callable[[int], int | None],
    response_schema: Mapping[str, Any] | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    spoilt: Collection[ChatErrorKind] = (),
    last: Sequence[Message] | None = None,
) -> Read:
    """What `read` made of the first answer that it took.

    Args:
        read: raises `UnusableAnswer` for an answer that breaks a rule. It runs on the event loop, so it is quick, or nothing
            else waits there.
        seed: of the attempt 0, 1, ...; called once for each, in order.
        spoilt: errors that count as an answer that cannot be used. Any other one ends the asking at once.
        last: what is asked at the last attempt in place of the dialogue and of what was answered to it.

    Raises:
        ChatError: there is no reply.
        NoUsableAnswer: `attempts` answers could not be used.
    """
    asked, problem = tuple(dialogue), ""
    for attempt in range(attempts):
        if last is not None and attempt == attempts - 1:
            asked = tuple(last)
        answer = ""
        try:
            reply = await model.complete(
                asked,
                response_schema=response_schema,
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed(attempt),
            )
            answer = reply.message.content
            return read(reply)
        except UnusableAnswer as error:
            problem = str(error)
        except ChatError as error:
            if error.kind not in spoilt:
                raise
            problem = f"there is none: {error.kind}: {error.message}"
        told = f"That answer cannot be used: {problem}\nAnswer again, with the whole of it."
        asked = (*dialogue, Message("assistant", _shown(answer)), Message("user", _shown(told)))
    raise NoUsableAnswer(model.name, attempts, problem)


def _shown(text: str) -> str:
    """As much of a text as is worth showing again, and nothing that no wire can carry."""
    return text[:_SHOWN_CHARACTERS].encode(errors="replace").decode() or "(nothing)"
