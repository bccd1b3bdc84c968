"""One Ray session per command: started here, ended here, or an existing cluster's when RAY_ADDRESS names one."""

import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import ray

__all__ = ["in_order", "ray_session"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# A small machine shares its cores between roles that take turns (engine, trainer, environments), so the session offers
# more than there are; what really runs side by side is decided by the pipelines.
_LOGICAL_CORES_PER_CORE = 8


@contextlib.contextmanager
def ray_session(workers: int = 1) -> Iterator[None]:
    """Ray for the time of the block; joins the session that is already there, if this process has one.

    Args:
        workers: processes that should be able to run side by side.
    """
    if ray.is_initialized():
        yield
        return
    # Ray would otherwise turn the working directory of every `uv run` into a runtime environment of its own.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    address = os.environ.get("RAY_ADDRESS")
    cores = max(workers, _LOGICAL_CORES_PER_CORE * (os.cpu_count() or 1))
    local = {} if address else {"num_cpus": cores, "include_dashboard": False}
    # "local": a cluster that somebody else runs on this machine is not ours to join.
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.WARNING, **local)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray's own handler would end the process without a word
    try:
        yield
    finally:
        ray.shutdown()


def in_order(
    work: Callable[[Any, Item], Answer], context: Any, items: Iterable[Item], workers: int
) -> Iterator[Answer]:
    """``work(context, item)`` of every item, on Ray; few more answers than workers wait at any time."""
    task, shared = ray.remote(num_cpus=1)(work), ray.put(context)
    waiting: deque[ray.ObjectRef] = deque()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) > workers:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())
