"""Plain processes with limits on each, and no isolation: for programs that are trusted, where nothing better can be had.

A program can read what this user can read, use the network, and leave processes behind when it means to. What holds is the time
and the output of the program itself, and of each process CPU time, memory and file size.
"""

import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from services.sandbox.box import collected, write_files
from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Limits, Program, Sandbox, SandboxError, SandboxResult
from services.sandbox.interpreter import environment, interpreter
from services.sandbox.paths import check_paths
from services.sandbox.supervising import Pipes, as_out_of_memory, cpu_rlimits, watch

__all__ = ["WeakSandbox"]

_LIMITED: Final = 'ulimit -c 0; ulimit -S -t "$1"; ulimit -H -t "$2"; ulimit -f "$3"; ulimit -v "$4"; shift 4; exec "$@"'
"""A shell sets the limits before it becomes the program: code of ours between fork and exec is unsafe where there are threads."""
_FILE_BLOCK: Final = 512
"""Bytes: a shell's unit for the size of files."""


class WeakSandbox(Sandbox):
    """Programs from any number of threads, `config.width` at a time, with the rights of this process."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig(kind="weak")
        self._closed = False
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(self.config.width):
            self._turns.put(None)

    def describe(self) -> Mapping[str, str]:
        """What holds here, in words, by guarantee."""
        each = "each process, by rlimits"
        return {
            "isolation": "none: plain processes",
            "memory": each,
            "processes": "not limited",
            "cpu": each,
            "disk": "each file, by rlimits",
        }

    def run(
        self,
        program: Program,
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        collect: Sequence[str] = (),
    ) -> SandboxResult:
        check_paths(files or {}, collect)
        self._turns.get()
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            return self._run(program, files or {}, limits or Limits(), collect)
        except OSError as error:
            raise SandboxError(f"weak sandbox: {error}") from error
        finally:
            self._turns.put(None)

    def close(self) -> None:
        """Starts no more programs; those that run end by their own limits."""
        self._closed = True

    def _run(self, program: Program, files: Mapping[str, bytes], limits: Limits, collect: Sequence[str]) -> SandboxResult:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as folder:
            work, source = Path(folder, "work"), Path(folder, "main.py")
            work.mkdir()
            write_files(str(work), files)
            source.write_bytes(program.source.encode(errors="surrogatepass"))
            argv = program.argv if program.kind == "command" else (interpreter(), "-s", "-P", str(source))
            process, pipes = self._start(argv, work, limits)

            def kill() -> None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

            deadline = started + limits.wall_seconds
            directory = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
            watched = watch(process.pid, pipes, program.stdin, limits, deadline=deadline, kill=kill)
            process.returncode = 0  # `watch` has waited for it
            files = {}
            for name, file in collected(directory, collect, limits.disk_bytes).items():
                with file:
                    files[name] = file.read(limits.disk_bytes)
            os.close(directory)
            result = SandboxResult(**dataclasses.asdict(watched), files=files, seconds=time.monotonic() - started)
        return as_out_of_memory(result, limits, sure=False)

    def _start(self, argv: Sequence[str], work: Path, limits: Limits) -> tuple["subprocess.Popen[bytes]", Pipes]:
        blocks, kibibytes = -(-limits.disk_bytes // _FILE_BLOCK), limits.memory_bytes // 1024 + 1
        amounts = map(str, (*cpu_rlimits(limits), blocks, kibibytes))
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = (os.pipe() for _ in range(3))
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _LIMITED, "sh", *amounts, *argv],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env={**environment(str(work)), "PYTHONPATH": ":".join((str(work), *self.config.readable))},
                cwd=work,
                start_new_session=True,
            )
        except BaseException:
            for descriptor in (to_stdin, from_stdout, from_stderr):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        return process, Pipes(stdin=to_stdin, stdout=from_stdout, stderr=from_stderr)
