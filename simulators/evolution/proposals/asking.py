"""Asks a chat model for one thing until it can be used, a bounded number of times."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from services.chat import ChatError, ChatErrorKind, ChatModel, wait_for
from simulators.evolution.proposals.settings import ProposalSettings
from trajectories.canonical import digest
from trajectories.messages import Message
from trajectories.seeds import derive_seed

__all__ = ["Answer", "Proposer", "Unacceptable", "shown_text"]

Read = TypeVar("Read")

_UNUSABLE: Final[tuple[ChatErrorKind, ...]] = ("truncated", "declined", "malformed")
"""Errors that are an answer of the model, if no good one. Others are the service's: they stop the run, and say nothing about
what the model proposes."""
_SHOWN_CHARACTERS: Final = 20_000


class Unacceptable(ValueError):
    """A proposal breaks a rule; says which, in words for the model."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Read]):
    """One that can be used."""

    value: Read
    text: str
    request: str


class Proposer:
    """A model, what it was asked, and what was dropped.

    Args:
        seed: of the model's draws; each request has one of its own, by what it is for and by attempt.
        kept: texts that were accepted before by the digest of their request: this is not asked again.
    """

    def __init__(
        self, model: ChatModel, settings: ProposalSettings, seed: int, kept: Mapping[str, str] | None = None
    ) -> None:
        self.name = model.name
        self._model, self._settings, self._seed, self._kept = model, settings, seed, dict(kept or {})
        self.counts: Counter[str] = Counter()
        self.dropped: list[dict[str, str]] = []
        """What was asked for, and the last reason against it."""

    def ask(
        self, kind: str, about: str, dialogue: tuple[Message, ...], accept: Callable[[str], Read],
        schema: Mapping[str, Any] | None = None,
    ) -> Answer[Read] | None:  # fmt: skip
        """What `accept` made of the first text that it took; None when it took none.

        Args:
            kind: what is proposed, for the counts. about: what this one is for. accept: raises `Unacceptable`.

        Raises:
            ChatError: the service does not answer.
            Unacceptable: what was accepted before is not any more.
        """
        settings, problem, asked = self._settings, "", dialogue
        request = digest(
            {"messages": [message.to_openai() for message in dialogue], "temperature": settings.temperature,
             "max_tokens": settings.max_tokens, "seed": self._drawn(kind, about, 0), "schema": dict(schema or {})}
        )  # fmt: skip
        self.counts[f"{kind}_asked"] += 1
        if (kept := self._kept.get(request)) is not None:
            self.counts[f"{kind}_accepted"] += 1
            return Answer(accept(kept), kept, request)
        for attempt in range(settings.attempts):
            self.counts["requests"] += 1
            text = ""
            try:
                text = self._reply(asked, schema, self._drawn(kind, about, attempt))
                answer = Answer(accept(text), text, request)
                self.counts[f"{kind}_accepted"] += 1
                return answer
            except Unacceptable as error:
                problem = str(error)
            # With the last answer only: earlier ones would make the dialogue longer, and the next answer no better.
            words = f"That answer cannot be used: {problem}\nAnswer again, with the whole of it."
            asked = (*dialogue, Message("assistant", shown_text(text)), Message("user", words))
        self.dropped.append({"kind": kind, "about": about, "problem": problem})
        self.counts[f"{kind}_dropped"] += 1
        return None

    def _reply(self, dialogue: tuple[Message, ...], schema: Mapping[str, Any] | None, seed: int) -> str:
        settings = self._settings
        asked = self._model.complete(
            dialogue, response_schema=schema, temperature=settings.temperature, max_tokens=settings.max_tokens, seed=seed
        )
        try:
            reply = wait_for(asked)
        except ChatError as error:
            if error.kind in _UNUSABLE:
                raise Unacceptable(f"there is none: {error.message}") from error
            raise
        if reply.finish_reason == "length":
            raise Unacceptable(f"it is cut off at {settings.max_tokens} tokens (proposals.max_tokens)")
        return reply.message.content

    def _drawn(self, kind: str, about: str, attempt: int) -> int:
        return derive_seed(self._seed, "propose", kind, about, attempt)


def shown_text(text: str) -> str:
    """As much of an answer as is worth showing again, and nothing that no wire can carry."""
    return text[:_SHOWN_CHARACTERS].encode(errors="replace").decode() or "(nothing)"
