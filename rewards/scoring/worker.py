"""What runs inside a scoring process: one request after the other, until nobody is at the other end.

It is started as a program, not forked: it has none of its parent's threads, locks or main module.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from rewards.composition import verdict_of
from rewards.verifiers import Verifier

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the socket whose descriptor is the first argument.

    Begins with ``(find, memory in bytes)``, answered by None. A request is a domain's name, which imports its verifier and
    is answered by None or what went wrong, or ``(task, outcome)``, which is answered by ``(reward, whether the process is fit for
    another)``.
    """
    handle = int(sys.argv[1])
    os.set_inheritable(handle, False)  # what a verifier starts must not keep it open
    connection: Connection = Connection(handle)
    _die_with_parent()
    with contextlib.suppress(EOFError, OSError):  # the pool is gone
        find, memory = connection.recv()
        _limit_data(memory)
        connection.send(None)
        while True:
            request = connection.recv()
            if isinstance(request, str):
                connection.send(_trouble_with(find, request))
            else:
                task, outcome = request
                reward = verdict_of(task, outcome, find)
                connection.send((reward, _held_bytes() < memory / 2))


def _trouble_with(find: Callable[[str], Verifier], domain: str) -> str | None:
    try:
        find(domain)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _die_with_parent() -> None:
    """Even inside a computation that never comes back. Only Linux can do this; elsewhere it ends with its request."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_data(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


def _held_bytes() -> int:
    """Memory that it holds now; not `ru_maxrss`, which begins with what the parent held when it started this process."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
    return 0


if __name__ == "__main__":
    main()
