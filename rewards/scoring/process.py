"""One scoring process, as the thread that talks to it sees it: verdicts come in time, or the process is ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from rewards.scoring.config import ScoringConfig
from rewards.verifiers import Verifier
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["DiedError", "TimedOutError", "WorkerProcess"]

_STEP_BACK = 5
"""Of nice. A third of what others get where cores are scarce: less harm from what never ends, and no end to what is only slow."""


class TimedOutError(Exception):
    """It did not answer in time."""


class DiedError(Exception):
    """It ended without an answer; says how."""


class WorkerProcess:
    """Started at once; of one thread, which must outlive it: where a thread ends, Linux ends the processes that it started.

    Raises:
        RuntimeError: it does not start, which is no answer's fault.
    """

    def __init__(self, find: Callable[[str], Verifier], config: ScoringConfig) -> None:
        self._config = config
        self._known: dict[str, str | None] = {}
        """By domain whose verifier is imported: what went wrong."""
        self._asked, self._deadline = "", 0.0
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rewards.scoring.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
                process_group=0,  # it ends with all that it starts; and the terminal's interrupt is not for it
            )
        self._connection: Connection = Connection(ours.detach())
        self._exit = os.pidfd_open(self._process.pid)
        """Readable when it has ended."""
        try:
            self._put((find, config.memory_bytes))
            self._get(config.start_seconds, f"no sign of life after {config.start_seconds:g} s")
        except (DiedError, TimedOutError) as error:
            self.end()
            raise RuntimeError(f"rewards/scoring: a scoring process does not start: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, task: Task, outcome: Outcome) -> None:
        """Ask for a verdict; `answer` has it. The first of a domain waits until its verifier is imported.

        Raises:
            TimedOutError, DiedError: the process is of no more use; `end` it.
        """
        self._asked = task.domain
        if task.domain not in self._known:
            self._put(task.domain)
            seconds = self._config.start_seconds
            self._known[task.domain] = self._get(seconds, f"not imported after {seconds:g} s")
        if self._known[task.domain] is None:
            self._put((task, outcome))
            self._deadline = time.monotonic() + self._config.item_seconds

    def answers_within(self, seconds: float) -> bool:
        """Waits so long at most."""
        return self._known[self._asked] is not None or self._has_ended_or_answered(seconds)

    def answer(self) -> tuple[Reward, bool]:
        """The verdict, and whether the process is fit for another.

        Raises:
            TimedOutError, DiedError: the process is of no more use; `end` it.
        """
        if (trouble := self._known[self._asked]) is not None:
            return Reward.invalid(f"verifier: {self._asked} cannot be imported: {trouble}"), True
        reward, is_fit = self._get(self._deadline - time.monotonic(), f"timed out after {self._config.item_seconds:g} s")
        return reward, is_fit

    @contextlib.contextmanager
    def giving_way(self) -> Iterator[None]:
        """A lower priority for the time being, and for good where the system does not let it come back."""
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._set_priority(min(nice + _STEP_BACK, 19))
        try:
            yield
        finally:
            self._set_priority(nice)

    def kill(self) -> None:
        """It and all that it has started; whoever waits for an answer is told that it died."""
        with self._lock:
            if self._process.returncode is None:  # not reaped, so that the number is still its own
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing of it."""
        self.kill()
        with self._lock:
            self._process.wait()
        self._connection.close()
        if self._exit >= 0:
            os.close(self._exit)
            self._exit = -1

    def _set_priority(self, nice: int) -> None:
        with self._lock, contextlib.suppress(OSError):  # it may not, or has just ended
            if self._process.returncode is None:
                os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)

    def _put(self, request: Any) -> None:
        try:
            self._connection.send(request)
        except OSError as error:
            raise self._death() from error

    def _get(self, seconds: float, late: str) -> Any:
        if not self._has_ended_or_answered(max(0.0, seconds)):
            raise TimedOutError(late)
        if not self._connection.poll():
            raise self._death()
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error

    def _has_ended_or_answered(self, seconds: float) -> bool:
        """Waits so long at most. What it has started may hold the connection open when it has ended."""
        return bool(wait([self._connection, self._exit], seconds))

    def _death(self) -> DiedError:
        self.kill()  # what it has started may live on
        with self._lock:
            code = self._process.wait()
        return DiedError(f"its process died of signal {-code}" if code < 0 else f"its process ended with status {code}")
