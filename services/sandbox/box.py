"""One program in a box of its own: fresh namespaces and a fresh file system, gone when it has ended.

Three processes, all forked from the template: the supervisor outside of the new process namespace, which alone is trusted; an
idle first process, whose end is the end of everything in the namespace; and the program. What the supervisor knows of the
program comes from the kernel and from pipes.
"""

import contextlib
import errno
import gc
import os
import signal
import socket
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from services.sandbox import frames
from services.sandbox.cgroups import CPUClock
from services.sandbox.interface import Limits
from services.sandbox.jail import BOX, INSIDE_ID, map_self
from services.sandbox.running import run_command, run_python
from services.sandbox.supervising import Pipes, set_limits, watch
from services.sandbox.syscalls import (
    CLONE_NEWALL,
    MNT_DETACH,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    PR_SET_DUMPABLE,
    clear_capabilities,
    install_filter,
    mount,
    open_beneath,
    prctl,
    umount,
    unshare,
)

__all__ = ["collected", "supervise", "write_files"]

_WORK: Final = f"{BOX}/work"
_SOURCE: Final = f"{BOX}/program/main.py"
_INODES: Final = 16_384
"""Files and directories that one program may have."""
_OTHERS: Final = 2
"""Processes in a program's user namespace that are not its own: the supervisor and the first process."""


def supervise(connection: socket.socket, system_calls: bytes, cpu: CPUClock | None) -> None:
    """Prepares a box, reads one request, runs the program, answers. In a process of its own, which has to end afterwards.

    Args:
        cpu: of the control group that the program is in; None where there is no group.
    """
    _new_namespaces()
    first, leash = _start_first()
    waiting = _start_program(system_calls, leash)
    request, (stdin, source, *contents) = frames.receive(connection)
    limits = Limits(**request["limits"])
    deadline = time.monotonic() + limits.wall_seconds
    before = cpu() if cpu else 0.0
    _make_file_system(dict(zip(request["files"], contents, strict=True)), source, limits)
    contents.clear()  # they would count twice as the program's memory
    work = os.open(_WORK, os.O_RDONLY | os.O_DIRECTORY)  # now: a program may put something else in its place
    waiting.start({"kind": request["kind"], "argv": request["argv"], "limits": request["limits"], "grouped": cpu is not None})

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)

    watched = watch(
        waiting.pid,
        waiting.pipes,
        stdin,
        limits,
        deadline=deadline,
        kill=kill,
        settle=lambda: os.waitpid(first, 0),
        cpu_used=(lambda: cpu() - before) if cpu else None,
        caller=connection.fileno(),
    )
    found = collected(work, request["collect"], limits.disk_bytes)
    answer = {
        "ending": watched.ending,
        "reason": watched.reason,
        "exit_code": watched.exit_code,
        "cpu_seconds": watched.cpu_seconds,
        "peak_memory_bytes": watched.peak_memory_bytes,
        "files": list(found),
    }
    frames.send(connection, answer, [watched.stdout, watched.stderr, *found.values()])
    for file in found.values():
        file.close()
    os.close(work)
    umount(BOX, MNT_DETACH)  # its pages count in the control group, which the next program is going to have
    connection.shutdown(socket.SHUT_WR)


def write_files(folder: str, files: Mapping[str, bytes]) -> None:
    """Below `folder`, by relative paths that were checked before."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def collected(directory: int, names: Sequence[str], most: int) -> dict[str, BinaryIO]:
    """Of `names` those that are regular files below the open `directory`, as long as they are `most` bytes together.

    Nothing that a program may have put there is followed or waited for: links, pipes, devices, directories.
    """
    found: dict[str, BinaryIO] = {}
    for name in dict.fromkeys(names):
        try:
            descriptor = open_beneath(directory, name)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # ours to blame, not the program's
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size <= most:
            found[name] = os.fdopen(descriptor, "rb")
            most -= status.st_size
        else:
            os.close(descriptor)
    return found


def _new_namespaces() -> None:
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWALL)
    map_self(INSIDE_ID, user, group)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")  # no second chance to become somebody
    socket.sethostname("sandbox")


def _make_file_system(files: Mapping[str, bytes], source: bytes, limits: Limits) -> None:
    given = sum(-(-len(content) // 4096) + 2 for content in (source, *files.values())) * 4096 + (1 << 15)
    inodes = _INODES + sum(name.count("/") + 1 for name in files)
    options = f"size={given + limits.disk_bytes},nr_inodes={inodes},mode=755"
    mount("tmpfs", BOX, "tmpfs", MS_NOSUID | MS_NODEV, options)
    for name in ("work", "tmp", "shm", "program"):
        os.mkdir(f"{BOX}/{name}", 0o700)
    write_files(_WORK, files)
    write_files(BOX, {"program/main.py": source})


def _start_first() -> tuple[int, int]:
    """The namespace's first process, and a descriptor whose closing, by whatever cause, ends it."""
    end, leash = os.pipe()
    pid = os.fork()
    if pid:
        os.close(end)
        return pid, leash
    with _exiting():
        clear_capabilities()
        prctl(PR_SET_DUMPABLE, 0)  # nobody looks into it
        for number in (signal.SIGINT, signal.SIGCHLD):  # orphans that end are buried by the kernel
            signal.signal(number, signal.SIG_IGN)
        os.dup2(end, 0)
        os.closerange(1, 1 << 20)
        os.read(0, 1)
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class _Waiting:
    """A process that is ready to become the program."""

    pid: int
    pipes: Pipes
    _orders: socket.socket
    _failures: int

    def start(self, orders: Mapping[str, Any]) -> None:
        """Returns when the program runs, or has ended.

        Raises:
            RuntimeError: it could not be started.
        """
        with contextlib.suppress(OSError):  # already dead, which is seen below or when it is watched
            frames.send(self._orders, orders)
        with open(self._failures, "rb") as file:
            failure = file.read()
        if failure:
            raise RuntimeError(f"no program could be started: {failure.decode(errors='replace')}")


def _start_program(system_calls: bytes, leash: int) -> _Waiting:
    (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr), (said, says) = (os.pipe() for _ in range(4))
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with _exiting():
            os.close(leash)
            for number, descriptor in enumerate((stdin, stdout, stderr)):
                os.dup2(descriptor, number)
            try:
                _confine(system_calls)
                orders, _ = frames.receive(theirs)
                os.chdir(_WORK)
                set_limits(Limits(**orders["limits"]), memory=not orders["grouped"], processes=_OTHERS)
            except BaseException as error:
                os.write(says, f"{type(error).__name__}: {error}".encode())
                os._exit(1)
            theirs.detach()
            os.closerange(3, 1 << 20)
            gc.enable()
            if orders["kind"] == "python":
                run_python(_SOURCE, _WORK)
            run_command(orders["argv"])
    for descriptor in (stdin, stdout, stderr, says):
        os.close(descriptor)
    theirs.close()
    return _Waiting(pid, Pipes(stdin=to_stdin, stdout=from_stdout, stderr=from_stderr), ours, said)


def _confine(system_calls: bytes) -> None:
    """For good: no way to more rights, and only its own processes in /proc."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.setsid()
    Path("/proc/self/oom_score_adj").write_text("1000")  # when memory runs out, nobody of ours has to go
    clear_capabilities()
    if system_calls:
        install_filter(system_calls)


class _exiting(contextlib.AbstractContextManager[None]):
    """A child never returns into its parent's code."""

    def __exit__(self, *_: object) -> NoReturn:
        os._exit(1)
