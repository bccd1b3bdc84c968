"""Asks a chat model for one thing until it can be used, a bounded number of times."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from services.chat import ChatErrorKind, ChatModel, ChatReply, NoUsableAnswer, UnusableAnswer, ask_until, wait_for
from simulators.evolution.proposals.settings import ProposalSettings
from trajectories.canonical import digest
from trajectories.messages import Message
from trajectories.seeds import derive_seed

__all__ = ["Answer", "Proposer", "Unacceptable"]

Read = TypeVar("Read")

_UNUSABLE: Final[tuple[ChatErrorKind, ...]] = ("truncated", "declined", "malformed")
"""Errors that are an answer of the model, if no good one. Others are the service's: they stop the run, and say nothing about
what the model proposes."""


class Unacceptable(UnusableAnswer):
    """A proposal breaks a rule."""


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
        settings = self._settings
        request = digest(
            {"messages": [message.to_openai() for message in dialogue], "temperature": settings.temperature,
             "max_tokens": settings.max_tokens, "seed": self._drawn(kind, about, 0), "schema": dict(schema or {})}
        )  # fmt: skip
        self.counts[f"{kind}_asked"] += 1
        if (kept := self._kept.get(request)) is not None:
            self.counts[f"{kind}_accepted"] += 1
            return Answer(accept(kept), kept, request)

        def read(reply: ChatReply) -> Answer[Read]:
            text = reply.message.content
            if reply.finish_reason == "length":
                raise Unacceptable(f"it is cut off at {settings.max_tokens} tokens (proposals.max_tokens)")
            return Answer(accept(text), text, request)

        def draw(attempt: int) -> int:
            self.counts["requests"] += 1
            return self._drawn(kind, about, attempt)

        asked = ask_until(
            self._model,
            dialogue,
            read,
            attempts=settings.attempts,
            seed=draw,
            response_schema=schema,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            spoilt=_UNUSABLE,
        )
        try:
            answer = wait_for(asked)
        except NoUsableAnswer as error:
            self.dropped.append({"kind": kind, "about": about, "problem": error.problem})
            self.counts[f"{kind}_dropped"] += 1
            return None
        self.counts[f"{kind}_accepted"] += 1
        return answer

    def _drawn(self, kind: str, about: str, attempt: int) -> int:
        return derive_seed(self._seed, "propose", kind, about, attempt)
