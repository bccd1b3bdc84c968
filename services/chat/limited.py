"""A chat model that is asked no faster than it can take, and asked again when what went wrong may pass.

Only when a reply comes depends on any of this, never which one. A request that waits to be tried again keeps its place among
those under way, so that an endpoint in trouble is asked less. Waiting is drawn from the request, and `Retry-After` is kept.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay

from services.chat.accounting import Event, Ledger
from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest, Usage
from services.chat.stored import asked
from trajectories.canonical import digest
from trajectories.seeds import derive_rng

__all__ = ["LimitedChatModel", "Limits"]

_PASSING: Final[tuple[ChatErrorKind, ...]] = ("unreachable", "timeout", "overloaded", "failed", "malformed")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is asked of a model at once, and how long before it is given up."""

    in_flight: int = 16
    """Requests under way at once in one process; more wait for their turn."""
    attempts: int = 5
    """For one request; what cannot pass (400, 401, 403, 404, ...) has only one."""
    first_wait_seconds: float = 1.0
    """Before the second attempt; doubled with each further one, and between half and all of it is waited."""
    longest_wait_seconds: float = 60.0
    """Of these waits. What the endpoint asks for (Retry-After) may be longer."""
    deadline_seconds: float = 900.0
    """For one request, from its first attempt on, waits included."""

    def __post_init__(self) -> None:
        for key in ("in_flight", "attempts"):
            if getattr(self, key) < 1:
                raise ValueError(f"limits.{key} is at least 1, not {getattr(self, key)}")
        for key in ("first_wait_seconds", "longest_wait_seconds", "deadline_seconds"):
            if not getattr(self, key) > 0:
                raise ValueError(f"limits.{key} is above 0, not {getattr(self, key)}")


class LimitedChatModel(ChatModel):
    """Stands around `model`, and can be sent to other processes if that can; each has the limits for itself.

    Args:
        ledger: where every attempt is counted, as it ends.
    """

    def __init__(self, model: ChatModel, limits: Limits | None = None, ledger: Ledger | None = None) -> None:
        self.name = model.name
        self._model, self._limits, self._ledger = model, limits or Limits(), ledger
        self._slots: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._model, self._limits, self._ledger)

    async def respond(self, request: ChatRequest) -> ChatReply:
        async with self._slots_of_this_loop():
            return await self._tried(request)

    async def close(self) -> None:
        await self._model.close()

    async def _tried(self, request: ChatRequest) -> ChatReply:
        limits, errors = self._limits, list[ChatError]()

        async def attempt() -> ChatReply:
            try:
                reply = await self._model.respond(request)
            except ChatError as error:
                errors.append(error)
                self._count("failed_attempt", error.usage)
                raise
            self._count("answered", reply.usage)
            return reply

        trying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, ChatError) and error.kind in _PASSING),
            wait=self._waits(request),
            # A wait that would end too late is not begun.
            stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.deadline_seconds),
            reraise=True,
        )
        try:
            async with asyncio.timeout(limits.deadline_seconds):
                return await trying(attempt)
        except TimeoutError:
            errors.append(ChatError("timeout", f"{self.name}: no answer"))
            self._count("failed_attempt")
        except ChatError:
            pass
        self._count("given_up")
        raise self._given_up(errors)

    def _given_up(self, errors: list[ChatError]) -> ChatError:
        last, limits = errors[-1], self._limits
        why = ""
        if last.kind in _PASSING and len(errors) == limits.attempts:
            why = f" (the last of limits.attempts={limits.attempts})"
        elif last.kind in _PASSING:
            asked_for = f", and Retry-After is {last.retry_after:g} s" if last.retry_after else ""
            left = f"limits.deadline_seconds={limits.deadline_seconds:g} leaves no time for another"
            why = f" (attempt {len(errors)}; {left}{asked_for})"
        elif len(errors) > 1:
            why = f" (attempt {len(errors)})"
        return ChatError(last.kind, last.message + why, last.usage, last.retry_after, len(errors))

    def _waits(self, request: ChatRequest) -> Callable[[RetryCallState], float]:
        limits = self._limits

        def seconds(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            wanted = error.retry_after if isinstance(error, ChatError) else None
            doubled = limits.first_wait_seconds * 2.0 ** min(state.attempt_number - 1, 64)
            jitter = derive_rng(0, "chat.wait", digest(asked(request)), state.attempt_number).uniform(0.5, 1.0)
            # On top of what the endpoint asks for, so that those who were told the same do not come back together.
            return (wanted or 0.0) + min(doubled, limits.longest_wait_seconds) * jitter

        return seconds

    def _slots_of_this_loop(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._slots is None or self._loop is not loop:
            self._slots, self._loop = asyncio.Semaphore(self._limits.in_flight), loop
        return self._slots

    def _count(self, event: Event, usage: Usage | None = None) -> None:
        if self._ledger is not None:
            self._ledger.add(event, usage)
