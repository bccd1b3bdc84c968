"""Ends processes, and makes sure of it."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence

__all__ = ["end_processes"]


def end_processes(processes: Sequence[int], patience: float = 5.0) -> None:
    """Waits `patience` seconds for processes to end, and kills those that did not; never this one."""
    deadline = time.monotonic() + patience
    left = [process for process in processes if process != os.getpid()]
    while left and time.monotonic() < deadline:
        left = [process for process in left if _alive(process)]
        time.sleep(0.05 if left else 0)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    multiprocessing.active_children()  # reaps those that were this process's children


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
