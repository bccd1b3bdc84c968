"""How much memory a run holds: the processes of this one and of all that it started, looked at once a second."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

__all__ = ["MemoryMeter"]

_SECONDS = 1.0


class MemoryMeter:
    """Samples resident memory while its block runs; a context manager.

    What is added up over processes counts what they share (Ray's object store, code) once for each of them, so the sum is
    an upper bound. Workers of a cluster that this process joined are on other machines and not seen.

    Args:
        path: a CSV file to which samples are appended: ``seconds,done,driver_bytes,workers_bytes,ray_bytes``. The workers
            are Ray's Python workers, `ray_bytes` is the rest of Ray (raylet, GCS and their helpers).
        done: how much is done at the moment of a sample.
    """

    def __init__(self, path: Path, done: Callable[[], float]) -> None:
        self.peak_bytes = 0
        """Largest sum over all processes at one time."""
        self._path, self._done = path, done
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.is_file():
            self._path.write_text("seconds,done,driver_bytes,workers_bytes,ray_bytes\n")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        began, process = time.monotonic(), psutil.Process()
        while True:
            driver, workers, rest = _resident(process)
            self.peak_bytes = max(self.peak_bytes, driver + workers + rest)
            with contextlib.suppress(OSError), self._path.open("a") as file:  # a full disk costs samples, not the peak
                file.write(f"{time.monotonic() - began:.1f},{self._done():.0f},{driver},{workers},{rest}\n")
            if self._stop.wait(_SECONDS):
                return


def _resident(process: psutil.Process) -> tuple[int, int, int]:
    workers = rest = 0
    for child in process.children(recursive=True):
        try:
            resident, title = child.memory_info().rss, child.cmdline()[:1]
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
        if title and title[0].startswith("ray::"):
            workers += resident
        else:
            rest += resident
    return process.memory_info().rss, workers, rest
