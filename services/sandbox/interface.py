"""Programs that nobody trusts, run where they can do no harm: one interface for every place where that may be.

What a program did is a `SandboxResult` with a typed ending, whatever the program was; only a sandbox that itself broke raises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

__all__ = ["Ending", "Limits", "Program", "Sandbox", "SandboxError", "SandboxResult"]

Ending = Literal["ok", "error", "timeout", "memory", "output", "killed", "refused"]
"""How a program ended: with exit status 0; with another one; out of wall-clock or CPU time; out of memory; after more output
than it may make; by a signal; or it was never started, because the isolation that was asked for cannot be had here."""


class SandboxError(RuntimeError):
    """The sandbox broke, not the program: a fault of the infrastructure, never a verdict."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use up."""

    wall_seconds: float = 10.0
    cpu_seconds: float = 5.0
    """Of all its processes together where control groups can be had, else of each."""
    memory_bytes: int = 512 * 2**20
    """Of all its processes and its file system together where control groups can be had, else of each."""
    processes: int = 32
    """At one time, threads counted."""
    disk_bytes: int = 64 * 2**20
    """Of everything it writes; files live in memory."""
    output_bytes: int = 2**20
    """Of standard output and standard error, each."""

    def __post_init__(self) -> None:
        for key in ("wall_seconds", "cpu_seconds"):
            if not 0 < getattr(self, key) <= 86_400:
                raise ValueError(f"limits.{key} is above 0 and at most a day, not {getattr(self, key)}")
        for key in ("memory_bytes", "processes", "disk_bytes", "output_bytes"):
            if getattr(self, key) < 1:
                raise ValueError(f"limits.{key} is at least 1, not {getattr(self, key)}")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run: Python source, or a command. Its working directory holds the files that it is given."""

    kind: Literal["python", "command"]
    source: str = ""
    """For ``python``: run as ``__main__`` by an interpreter that is warm where the sandbox keeps some."""
    argv: tuple[str, ...] = ()
    """For ``command``: found on the sandbox's own path."""
    stdin: bytes = b""

    def __post_init__(self) -> None:
        if (self.kind == "command") is not bool(self.argv):
            raise ValueError(f"a program of kind {self.kind} has {'no argv' if self.argv else 'an argv'}")

    @staticmethod
    def python(source: str, stdin: bytes = b"") -> "Program":
        return Program(kind="python", source=source, stdin=stdin)

    @staticmethod
    def command(*argv: str, stdin: bytes = b"") -> "Program":
        return Program(kind="command", argv=argv, stdin=stdin)


@dataclass(frozen=True, kw_only=True)
class SandboxResult:
    """What could be seen of a program that has ended; nothing of it is left."""

    ending: Ending
    exit_code: int | None = None
    """None where it did not end by itself."""
    stdout: bytes = b""
    """At most `Limits.output_bytes` of it."""
    stderr: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Those that were asked for and are regular files inside the working directory, by their relative paths."""
    seconds: float = 0.0
    """Wall-clock, start-up included."""
    cpu_seconds: float | None = None
    """None where it cannot be told."""
    peak_memory_bytes: int | None = None
    reason: str = ""
    """In words, where the ending is not ``ok`` or ``error``."""


class Sandbox(Protocol):
    """A place to run programs, from any number of threads."""

    def run(
        self,
        program: Program,
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        collect: Sequence[str] = (),
    ) -> SandboxResult:
        """Runs `program` to its end, alone and from a fresh file system.

        Args:
            files: by relative path; they lie in the working directory before the program starts.
            collect: relative paths whose content comes back in the result where they are regular files.

        Raises:
            ValueError: a path that is absolute or leads out of the working directory.
            SandboxError: the sandbox broke.
        """
        ...

    def describe(self) -> Mapping[str, str]:
        """What holds here, in words, by guarantee; ``isolation`` begins with "none" where there is none.

        Raises:
            SandboxError: it cannot be told.
        """
        ...

    def close(self) -> None:
        """Ends every process of the sandbox."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
