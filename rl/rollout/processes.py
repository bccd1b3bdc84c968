"""Ends processes, and makes sure of it."""

import contextlib
import os
from collections.abc import Sequence

import psutil

__all__ = ["end_processes"]


def end_processes(processes: Sequence[int], patience: float = 5.0) -> None:
    """Waits `patience` seconds for processes to end, and kills those that did not; never this one."""
    due = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            due.append(psutil.Process(process))
    _, left = psutil.wait_procs([process for process in due if process.pid != os.getpid()], timeout=patience)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=patience)
