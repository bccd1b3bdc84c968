"""Watches one program until it ends or has used up what it may, and then ends all of it.

The same loop serves every kind of local sandbox; how everything is killed is handed in.
"""

import dataclasses
import math
import os
import resource
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.sandbox.interface import Ending, Limits, SandboxResult

__all__ = ["Pipes", "Watched", "as_out_of_memory", "cpu_rlimits", "set_limits", "watch"]

_CHUNK: Final = 1 << 16
_OPEN_FILES: Final = 256


@dataclass(frozen=True)
class Watched:
    """What was seen of it."""

    ending: Ending
    reason: str
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    cpu_seconds: float
    """Of the program and those of its children that it waited for."""
    peak_memory_bytes: int
    """Of the largest single process of these."""


@dataclass(frozen=True, kw_only=True)
class Pipes:
    """This side's ends, all of them closed when `watch` returns."""

    stdin: int
    stdout: int
    stderr: int


def watch(
    pid: int,
    pipes: Pipes,
    stdin: bytes,
    limits: Limits,
    *,
    deadline: float,
    kill: Callable[[], object],
    settle: Callable[[], object] = lambda: None,
    cpu_used: Callable[[], float] | None = None,
    caller: int | None = None,
) -> Watched:
    """Feeds, drains and finally buries the child process `pid`.

    Args:
        deadline: on the monotonic clock.
        kill: ends every process of the program, whether or not `pid` has ended.
        settle: waits until they are gone.
        cpu_used: by all of them so far, in seconds, where that can be told.
        caller: a descriptor that becomes readable when nobody waits for the result any more.
    """
    stopped: tuple[Ending, str] | None = None
    outputs = {pipes.stdout: bytearray(), pipes.stderr: bytearray()}
    pidfd = os.pidfd_open(pid)
    unsent = memoryview(stdin)
    for descriptor in (pipes.stdin, pipes.stdout, pipes.stderr):
        os.set_blocking(descriptor, False)
    with selectors.DefaultSelector() as selector:
        for descriptor in (pidfd, pipes.stdout, pipes.stderr, *([] if caller is None else [caller])):
            selector.register(descriptor, selectors.EVENT_READ)
        if stdin:
            selector.register(pipes.stdin, selectors.EVENT_WRITE)
        else:
            os.close(pipes.stdin)
        ended = False
        while not ended and stopped is None:
            now = time.monotonic()
            pause = deadline - now
            if cpu_used is not None:
                left = limits.cpu_seconds - cpu_used()
                if left <= 0:
                    stopped = "timeout", f"more than {limits.cpu_seconds:g} s of CPU time"
                    break
                pause = min(pause, max(0.02, left / (os.cpu_count() or 1)))
            if now >= deadline:
                stopped = "timeout", f"not done after {limits.wall_seconds:g} s"
                break
            for key, _ in selector.select(pause):
                if key.fd == pidfd:
                    ended = True
                elif key.fd == caller:
                    stopped = "killed", "nobody waits for it"
                elif key.fd == pipes.stdin:
                    unsent = _feed(pipes.stdin, unsent)
                    if not unsent:
                        selector.unregister(pipes.stdin)
                        os.close(pipes.stdin)
                elif _drain(key.fd, outputs[key.fd], limits.output_bytes, once=True):
                    selector.unregister(key.fd)
                elif len(outputs[key.fd]) > limits.output_bytes:
                    stopped = "output", f"more than {limits.output_bytes} bytes of output"
        if unsent:
            os.close(pipes.stdin)
    kill()
    _, status, usage = os.wait4(pid, 0)
    settle()
    os.close(pidfd)
    for descriptor, output in outputs.items():
        _drain(descriptor, output, limits.output_bytes)
        os.close(descriptor)
        if len(output) > limits.output_bytes and stopped is None:
            stopped = "output", f"more than {limits.output_bytes} bytes of output"
    cpu = usage.ru_utime + usage.ru_stime
    ending, reason = stopped or _ending(status, cpu, limits)
    return Watched(
        ending,
        reason,
        os.WEXITSTATUS(status) if stopped is None and os.WIFEXITED(status) else None,
        bytes(outputs[pipes.stdout][: limits.output_bytes]),
        bytes(outputs[pipes.stderr][: limits.output_bytes]),
        cpu,
        usage.ru_maxrss * 1024,
    )


def set_limits(limits: Limits, *, memory: bool, processes: int) -> None:
    """For this process and all that it starts, each by itself; the number of processes is that of its user namespace.

    Args:
        memory: whether nothing better bounds it.
        processes: those that are there already and are not the program's.
    """
    wanted = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: cpu_rlimits(limits),
        resource.RLIMIT_FSIZE: (limits.disk_bytes, limits.disk_bytes),
        resource.RLIMIT_NOFILE: (_OPEN_FILES, _OPEN_FILES),
        resource.RLIMIT_NPROC: (limits.processes + processes, limits.processes + processes),
    }
    if memory:
        wanted[resource.RLIMIT_AS] = (limits.memory_bytes + _mapped(), limits.memory_bytes + _mapped())
    for kind, (soft, hard) in wanted.items():
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))


def cpu_rlimits(limits: Limits) -> tuple[int, int]:
    """Seconds until a process is asked to end, and until it must."""
    seconds = math.ceil(limits.cpu_seconds)
    return seconds, seconds + 1


def as_out_of_memory(result: SandboxResult, limits: Limits, *, sure: bool) -> SandboxResult:
    """`result` with the ending ``memory``, if it is `sure` or the program's last word is a MemoryError.

    Where an rlimit bounds memory, wanting more is an exception in Python and not an end from outside.
    """
    last = result.stderr.rstrip().rpartition(b"\n")[2]
    if not sure and not (result.ending == "error" and last.startswith(b"MemoryError")):
        return result
    reason = f"more than {limits.memory_bytes} bytes of memory"
    return dataclasses.replace(result, ending="memory", exit_code=None, reason=reason)


def _mapped() -> int:
    """Bytes of address space that an interpreter has before it runs anything."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _ending(status: int, cpu: float, limits: Limits) -> tuple[Ending, str]:
    if os.WIFEXITED(status):
        return ("ok", "") if os.WEXITSTATUS(status) == 0 else ("error", "")
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu >= limits.cpu_seconds):
        return "timeout", f"more than {limits.cpu_seconds:g} s of CPU time"
    try:
        return "killed", f"by {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return "killed", f"by signal {number}"


def _feed(descriptor: int, unsent: memoryview) -> memoryview:
    """What is still to be sent; nothing when the program no longer reads."""
    try:
        return unsent[os.write(descriptor, unsent[:_CHUNK]) :]
    except BlockingIOError:
        return unsent
    except BrokenPipeError:
        return memoryview(b"")


def _drain(descriptor: int, output: bytearray, most: int, *, once: bool = False) -> bool:
    """Reads what is there until there is more than `most`; whether the end has come."""
    while len(output) <= most:
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            return True
        output += data
        if once:
            break
    return False
