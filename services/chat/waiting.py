"""Plain blocking code that waits for a chat model.

All of a process's waiting callers share one event loop in a thread of its own, so that they share connections too, and
whatever limit a model sets itself holds for all of them together.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["wait_for"]

Result = TypeVar("Result")


def wait_for(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What `coroutine` returns or raises; an interrupt cancels it.

    Raises:
        RuntimeError: when what is waited for waits in turn, which would never end.
    """
    with _STARTING:
        background = _background(os.getpid())  # by process: threads do not survive a fork
    if threading.current_thread() is background.thread:
        coroutine.close()
        raise RuntimeError("wait_for within what is waited for: await it there")
    waiting = asyncio.run_coroutine_threadsafe(coroutine, background.loop)
    try:
        return waiting.result()
    finally:
        waiting.cancel()


@dataclass(frozen=True, slots=True)
class _Background:
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


_STARTING = threading.Lock()


@lru_cache(maxsize=1)
def _background(process: int) -> _Background:
    loop = asyncio.new_event_loop()
    # A daemon: a call that nobody waits for any more does not keep the process from ending.
    thread = threading.Thread(target=loop.run_forever, name="chat models", daemon=True)
    thread.start()
    return _Background(loop, thread)
