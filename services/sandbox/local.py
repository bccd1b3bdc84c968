"""The strong sandbox of this machine: namespaces of its own for every program, forked from a warm template.

What it holds without exception: no network, no file of the host but /usr and the interpreter (read-only), no environment, no
capability, no process of anybody else in sight, all of it gone when the program ends. Where that cannot be had, every program is
refused. Memory and CPU time are limited for all processes of a program together where control groups can be had, otherwise for
each process; `describe` says which.
"""

import os
import queue
from collections.abc import Mapping, Sequence

from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Limits, Program, Sandbox, SandboxError, SandboxResult
from services.sandbox.paths import check_paths
from services.sandbox.slot import Slot
from services.sandbox.template_process import Refused

__all__ = ["LocalSandbox"]


class LocalSandbox(Sandbox):
    """Programs from any number of threads, `config.width` at a time."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self.refusal = ""
        """Why programs are refused; empty where they are not."""
        self._owner = os.getpid()
        self._closed = False
        self._all = [Slot(self.config) for _ in range(self.config.width)]
        self._free: queue.Queue[Slot] = queue.Queue()
        try:
            self._all[0].run(Program.python(""), {}, Limits(), ())
            self._facts = self._all[0].facts()
        except (Refused, SandboxError) as error:
            self.refusal = str(error)
            self._all[0].close()
        for slot in self._all:
            self._free.put(slot)

    def describe(self) -> Mapping[str, str]:
        """What holds here, in words, by guarantee."""
        return {"isolation": f"none: {self.refusal}"} if self.refusal else self._facts

    def run(
        self,
        program: Program,
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        collect: Sequence[str] = (),
    ) -> SandboxResult:
        check_paths(files or {}, collect)
        if os.getpid() != self._owner:
            raise SandboxError("the sandbox was opened by another process; open one in this process")
        if self.refusal:
            return SandboxResult(ending="refused", reason=self.refusal)
        slot = self._free.get()
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            return slot.run(program, files or {}, limits or Limits(), collect)
        except Refused as error:
            raise SandboxError(f"local sandbox: {error}") from error
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Ends every process of the sandbox, programs that still run too."""
        self._closed = True
        if os.getpid() == self._owner:
            for slot in self._all:
                slot.close()
