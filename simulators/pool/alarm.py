"""A process's alarm clock: Python code that takes too long is interrupted where it is, by an exception.

What cannot be interrupted: code that never comes back to the interpreter, and code that catches even `TimeUp`.
"""

import signal
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Alarm", "TimeUp"]

Result = TypeVar("Result")


class TimeUp(BaseException):
    """Not an `Exception`: code that answers for whatever goes wrong inside it does not answer for this."""


class Alarm:
    """The process's only user of SIGALRM; made and used in its main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self._armed = False
        signal.signal(signal.SIGALRM, self._ring)

    def call(self, work: Callable[[], Result], seconds: float) -> Result:
        """What `work` returns.

        Raises:
            TimeUp: it took longer than so many seconds; it may have been done in part, or just then as a whole.
        """
        try:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, seconds)
            return work()
        finally:
            self._armed = False  # first of all: from here on the alarm may ring and nobody minds
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, *_: object) -> None:
        if self._armed:
            self._armed = False  # it rings once, so that nothing interrupts the handling of the interruption
            raise TimeUp
