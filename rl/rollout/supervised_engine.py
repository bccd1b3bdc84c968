"""An engine that outlives its processes: when they die another one is started, and what was in flight is asked again.

A request that an engine took with it into death was answered nowhere, so asking the next engine the same loses and doubles
nothing, and each token is the version's that sampled it. Before the next engine is asked anything it must hold the weights
that the dead one held or newer ones, proven like any (`SupervisedEngine.bring_up`).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from rl.rollout.engine import (
    Completion,
    Engine,
    EngineDiedError,
    EngineError,
    EngineLostError,
    UpdateMode,
    UpdateReceipt,
    WeightSyncError,
    WeightUpdate,
)
from trajectories.trajectory import Sampling

__all__ = ["StartEngine", "SupervisedEngine"]

StartEngine = Callable[[], Awaitable[Engine]]
"""Starts an engine with the weights of its directory, version 0; whatever it began to start ends with its error."""

log = logging.getLogger("orrery")

_PATIENCE = 20.0
"""Seconds that what is left of a dead engine has to end."""


class SupervisedEngine:
    """See `rl.rollout.engine.Engine`; belongs to one event loop.

    Requests survive a death. An update, a probe or an interruption does not, nor does it wait for the next engine: it fails
    with an `EngineDiedError`, because what is due then is up to whoever brings that one up.

    Args:
        most: times that an engine is started in a dead one's place; a start that fails counts. After them every call fails
            with an `EngineLostError`.
    """

    def __init__(self, start: StartEngine, most: int = 0) -> None:
        self._start, self._most = start, most
        self.restarts = 0
        """So far."""
        self.bring_up: Callable[[Engine], Awaitable[None]] | None = None
        """Brings an engine that begins anew to the weights that are due, and proves it; called before it serves. Without it
        an engine that held other weights than those of its directory is not replaced."""
        self._serving: Engine | None = None
        self._coming: asyncio.Task[Engine] | None = None  # who serves next, and after that who serves
        self._version = 0
        self.down = False
        """Whether it died and the next one does not serve yet."""
        self._closed = False

    @property
    def version(self) -> int:
        """Of the engine that serves, or of the dead one until the next one serves."""
        return self._version if self._serving is None else self._serving.version

    async def start(self) -> None:
        await self.living()

    async def living(self) -> Engine:
        """The engine that serves; after a death, once the next one does.

        Raises:
            EngineLostError: there will be no next one.
            WeightSyncError: it could not be brought to its weights.
            EngineError: the first one could not be started, or this is closed.
        """
        if self._closed:
            raise EngineError("rollout engine: a request came after close")
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._first())
        return await asyncio.shield(self._coming)

    def died(self, engine: Engine, error: EngineDiedError) -> None:
        """Told by whoever found `engine` dead, once or more often; another one is started at once."""
        if engine is self._serving:
            self._version, self._serving, self.down = engine.version, None, True
            self._coming = asyncio.ensure_future(self._next(engine, error))
            self._coming.add_done_callback(_noticed)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        while True:
            engine = await self.living()
            try:
                return await engine.generate(
                    prompt_token_ids,
                    sampling,
                    max_tokens=max_tokens,
                    stop_token_ids=stop_token_ids,
                    request_id=request_id,
                    grammar=grammar,
                )
            except EngineDiedError as error:
                self.died(engine, error)
            except EngineError:
                if engine is self._serving or self._closed:
                    raise
                # Others found it dead, and it was closed: what it says is no answer.

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        async with self._watched() as engine:
            return await engine.update_weights(update, mode)

    async def interrupt(self) -> None:
        async with self._watched() as engine:
            await engine.interrupt()

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        async with self._watched() as engine:
            return await engine.prompt_log_probs(token_ids)

    async def close(self) -> None:
        self._closed = True
        if self._coming is None:
            return
        if self._serving is None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        else:
            await self._serving.close()

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[Engine]:
        if self.down:
            raise EngineDiedError("rollout engine: it died, and the next one does not serve yet")
        engine = await self.living()
        try:
            yield engine
        except EngineDiedError as error:
            self.died(engine, error)
            raise
        except (EngineError, WeightSyncError) as error:
            if engine is self._serving or self._closed:
                raise
            raise EngineDiedError(f"rollout engine: it died meanwhile, and said: {error}") from error

    async def _first(self) -> Engine:
        self._serving = await self._start()
        return self._serving

    async def _next(self, dead: Engine, error: EngineError) -> Engine:
        left: Engine | None = dead
        while True:
            if left is not None:
                await _ended(left)
            self._may_restart(error)
            self.restarts += 1
            log.warning("%s; an engine is started anew (%d of %d)", _first_line(error), self.restarts, self._most)
            left = None
            try:
                left = await self._start()
                if self.bring_up is not None:
                    await self.bring_up(left)
            except EngineError as another:
                error = another
            except BaseException as failure:
                if left is not None:
                    await _ended(left)
                if not isinstance(failure, Exception) or isinstance(failure, WeightSyncError):
                    raise
                reason = f"the next one could not be brought up: {type(failure).__name__}: {_first_line(failure)}"
                raise EngineLostError(f"{_first_line(error)}; {reason}") from failure
            else:
                self._serving, self.down = left, False
                return left

    def _may_restart(self, error: EngineError) -> None:
        if self.restarts >= self._most:
            spent = f"it was started anew {self.restarts} times, and rollouts.engine_restarts={self._most} allows no more"
            raise EngineLostError(f"{_first_line(error)}; {spent}. What was recorded is kept: go on with resume=auto")
        if self.bring_up is None and self._version:
            raise EngineLostError(f"{_first_line(error)}; nobody has version {self._version} of the weights for another one")


async def _ended(engine: Engine) -> None:
    """Closes what is left of an engine, as far as it still can be."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await engine.close()
    except Exception as error:
        log.warning("rollout engine: what was left of a dead one did not end: %r", error)


def _noticed(coming: "asyncio.Task[Engine]") -> None:
    """Somebody may ask for it later, or nobody: an error is raised where it is asked for."""
    if not coming.cancelled():
        coming.exception()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
