"""One program at a time: a template, the control group that they are in, and a box made ready for the next program."""

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.sandbox import frames
from services.sandbox.cgroups import ControlGroup, open_group
from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Limits, Program, SandboxError, SandboxResult
from services.sandbox.supervising import as_out_of_memory
from services.sandbox.template_process import TemplateProcess

__all__ = ["Slot"]

_GRACE_SECONDS: Final = 60.0
"""Beyond its wall-clock time, until a program whose supervisor says nothing is a fault."""


class Slot:
    """Starts its template when its first program comes."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._group: ControlGroup | None = None
        self._template: TemplateProcess | None = None
        self._box: socket.socket | None = None
        self._closed = False
        self._lock = threading.Lock()
        """Held while the template is replaced or the slot closed, so that none outlives it."""

    def run(self, program: Program, files: Mapping[str, bytes], limits: Limits, collect: Sequence[str]) -> SandboxResult:
        """Raises:
        Refused: no template can be had.
        SandboxError: the box broke.
        """
        request = {
            "kind": program.kind,
            "argv": program.argv,
            "limits": dataclasses.asdict(limits),
            "files": list(files),
            "collect": list(collect),
        }
        blobs = [program.stdin, program.source.encode(errors="surrogatepass"), *files.values()]
        started = time.monotonic()
        self._prepare()
        try:
            result = self._judged(limits, request, blobs)
        except (OSError, EOFError) as error:
            self._drop()
            what = "the sandbox was closed" if self._closed else f"a program's supervisor is gone: {error}"
            raise SandboxError(f"local sandbox: {what}") from error
        seconds = time.monotonic() - started
        with contextlib.suppress(SandboxError, OSError):  # the next program tries again, and tells
            self._prepare()
        return dataclasses.replace(result, seconds=seconds)

    def facts(self) -> dict[str, str]:
        """What holds in this slot, in words, by guarantee; after its first program."""
        each = f"all processes together, by control groups v{self._group.version}" if self._group else "each process, by rlimits"
        filtered = self._template is not None and self._template.facts["filter"]
        return {
            "isolation": "user, mount, process, network, IPC, UTS and cgroup namespaces",
            "capabilities": "none, and no new privileges",
            "system calls": "filtered" if filtered else "not filtered: unknown architecture",
            "memory": each,
            "processes": "all together, by an rlimit in a user namespace",
            "cpu": each,
            "disk": "a file system in memory, of limited size",
        }

    def close(self) -> None:
        """Ends the program, the template and the group."""
        with self._lock:
            self._closed = True
        self._drop()

    def _judged(self, limits: Limits, request: Mapping[str, Any], blobs: Sequence[bytes]) -> SandboxResult:
        """The answer, with what the control group knows of it."""
        group = self._group
        if group is None:
            return as_out_of_memory(_result(*self._answer(limits, request, blobs)), limits, sure=False)
        group.limit(limits)
        kills, cpu = group.out_of_memory(), group.cpu_seconds()
        try:
            result = _result(*self._answer(limits, request, blobs))
        except (SandboxError, OSError, EOFError):
            if group.out_of_memory() == kills:
                raise
            self._drop()  # the kernel took one of ours for the program's memory
            return as_out_of_memory(SandboxResult(ending="memory"), limits, sure=True)
        if group.out_of_memory() > kills:
            result = as_out_of_memory(result, limits, sure=True)
        return dataclasses.replace(result, cpu_seconds=group.cpu_seconds() - cpu, peak_memory_bytes=group.peak_memory())

    def _answer(self, limits: Limits, request: Mapping[str, Any], blobs: Sequence[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        box, self._box = self._box, None
        if box is None:
            raise EOFError("it was closed")
        with box:
            box.settimeout(limits.wall_seconds + _GRACE_SECONDS)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said why before it went
                frames.send(box, request, blobs)
            answer = frames.receive(box)
            box.recv(1)  # nothing more comes, and then the program's file system is gone
            return answer

    def _prepare(self) -> None:
        """Has a box made ready, without waiting for it; from a fresh template when the present one has served its time."""
        template = self._template
        if self._box is not None:
            return
        if template is not None and template.runs < self._config.runs_per_template:
            try:
                self._box = template.box()
                return
            except OSError:
                pass  # it is gone: a fresh one follows
        self._drop()
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            self._group = open_group()
            self._template = TemplateProcess(self._config, self._group)
            self._box = self._template.box()

    def _drop(self) -> None:
        with self._lock:
            box, template, group = self._box, self._template, self._group
            self._box = self._template = self._group = None
        if box is not None:
            box.close()
        if template is not None:
            template.close()
        if group is not None:
            group.close()


def _result(header: Mapping[str, Any], blobs: Sequence[bytes]) -> SandboxResult:
    if "broke" in header:
        raise SandboxError(f"local sandbox: {header['broke']}")
    stdout, stderr, *contents = blobs
    return SandboxResult(
        ending=header["ending"],
        exit_code=header["exit_code"],
        stdout=stdout,
        stderr=stderr,
        files=dict(zip(header["files"], contents, strict=True)),
        cpu_seconds=header["cpu_seconds"],
        peak_memory_bytes=header["peak_memory_bytes"],
        reason=header["reason"],
    )
