"""Which sandbox, and how much of it."""

import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["WARM_MODULES", "SandboxConfig"]

WARM_MODULES = (
    "abc", "array", "bisect", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "inspect", "io", "itertools", "json", "math", "operator", "pathlib",
    "random", "re", "statistics", "string", "struct", "subprocess", "tempfile", "textwrap", "threading", "time",
    "traceback", "types", "typing", "unittest", "uuid",
)  # fmt: skip
"""Of the standard library: loaded once, before any program; others load when a program imports them."""

_TAKEN = ("/tmp", "/var/tmp", "/dev", "/proc", "/etc", "/box")


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """A sandbox, before it is opened."""

    kind: Literal["local", "weak", "http"] = "local"
    """local: namespaces of its own for every program, or a refusal. weak: nothing but limits on each process; for programs
    that are trusted, where isolation cannot be had. http: a sandbox server at `url`."""
    slots: int = 0
    """Programs at one time; others wait for their turn, which does not count as their time. 0: two for each core."""
    warm: tuple[str, ...] = WARM_MODULES
    """Modules that local Python programs find loaded."""
    readable: tuple[str, ...] = ()
    """Directories of the host that local programs may read, at their own paths, and import from. Beside these they see /usr
    and the interpreter."""
    runs_per_template: int = 2_000
    """After so many programs the local template is replaced by a fresh one."""
    url: str = ""
    """For http, like http://10.0.0.7:8700."""
    token_variable: str | None = None
    """For http: the environment variable that holds the server's token; null for a server that wants none."""
    attempts: int = 5
    """For http: how often a request is sent at most when the server cannot be reached or is busy."""

    def __post_init__(self) -> None:
        if self.slots < 0:
            raise ValueError(f"sandbox.slots is 0 or more, not {self.slots}")
        for key in ("runs_per_template", "attempts"):
            if getattr(self, key) < 1:
                raise ValueError(f"sandbox.{key} is at least 1, not {getattr(self, key)}")
        for path in self.readable:
            if not os.path.isabs(path) or os.path.normpath(path) != path or path == "/":
                raise ValueError(f"sandbox.readable holds absolute paths of directories, not {path!r}")
            if any(path == taken or path.startswith(f"{taken}/") for taken in _TAKEN):
                raise ValueError(f"sandbox.readable: {path} is where programs have something of their own")
        if self.kind == "http":
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError("sandbox.url is a URL like http://10.0.0.7:8700, without a name or password")
        elif self.url:
            raise ValueError(f"sandbox.url is for kind http, not {self.kind}")

    @property
    def width(self) -> int:
        """Programs at one time."""
        return self.slots or 2 * (os.cpu_count() or 1)
