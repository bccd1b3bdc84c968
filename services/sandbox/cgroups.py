"""Control groups, version 1 or 2: limits on memory, processes and CPU time of everything that one program starts.

A group holds one template and its programs, one after the other, so that no process is moved between groups (which stops every
fork of the machine for milliseconds) and no kernel object is left behind per program. Where none can be made, nothing here
raises: the limits are then those of each process.
"""

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from services.sandbox.interface import Limits

__all__ = ["CPUClock", "ControlGroup", "cpu_clock", "open_group"]

_numbers = itertools.count()
_PREFIX: Final = "orrery-sandbox-"
_V1: Final = ("memory", "pids", "cpuacct")
_SPARE_PROCESSES: Final = 16
"""More than the template's own processes: the exact limit is an rlimit in the program's user namespace, this a second wall."""
_MOVE: Final = 'for folder; do echo $$ > "$folder/cgroup.procs" || exit 1; done'
_STALE_SECONDS: Final = 60.0

CPUClock = Callable[[], float]
"""CPU seconds of all processes of a group so far."""


@dataclass
class ControlGroup:
    """One directory for version 2; one for each controller for version 1."""

    version: Literal[1, 2]
    folders: dict[str, Path]
    """By controller: memory, pids and cpuacct."""
    joins: list[int] = field(default_factory=list)
    """Whoever writes "0" into one of these descriptors moves itself there."""
    cpu: int = -1
    """A descriptor for `cpu_clock`."""
    _base: int = 0

    def __post_init__(self) -> None:
        try:
            for folder in dict.fromkeys(self.folders.values()):
                self.joins.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
            name = "cpuacct.usage" if self.version == 1 else "cpu.stat"
            self.cpu = os.open(self.folders["cpuacct"] / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.close()
            raise

    def limit(self, limits: Limits) -> None:
        """For the next program, above what the template takes now."""
        memory = self.folders["memory"]
        self._base = int((memory / ("memory.usage_in_bytes" if self.version == 1 else "memory.current")).read_text())
        most = str(self._base + limits.memory_bytes)
        if self.version == 1:
            (memory / "memory.limit_in_bytes").write_text(most)
            (memory / "memory.max_usage_in_bytes").write_text("0")
        else:
            (memory / "memory.max").write_text(most)
            for name in ("memory.swap.max", "memory.peak"):
                with contextlib.suppress(OSError):  # not every kernel has them, or takes this
                    (memory / name).write_text("0")
        (self.folders["pids"] / "pids.max").write_text(str(limits.processes + _SPARE_PROCESSES))

    def cpu_seconds(self) -> float:
        """Of all programs so far."""
        return cpu_clock(self.cpu, self.version)()

    def out_of_memory(self) -> int:
        """How often a process was killed for it so far."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return _field(self.folders["memory"] / name, "oom_kill")

    def peak_memory(self) -> int | None:
        """Bytes, since the last `limit`; None where the kernel cannot tell."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        try:
            return max(0, int((self.folders["memory"] / name).read_text()) - self._base)
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        for descriptor in (*self.joins, *([self.cpu] if self.cpu >= 0 else [])):
            os.close(descriptor)
        self.joins, self.cpu = [], -1
        for folder in dict.fromkeys(self.folders.values()):
            for _ in range(50):  # the kernel may need a moment after the last process
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


def cpu_clock(descriptor: int, version: int) -> CPUClock:
    """From `ControlGroup.cpu`, in whatever process has that descriptor."""
    if version == 1:
        return lambda: int(os.pread(descriptor, 256, 0)) / 1e9
    return lambda: int(os.pread(descriptor, 256, 0).split()[1]) / 1e6


def open_group() -> ControlGroup | None:
    """A new, empty group with all three controllers below or beside this process's own; None where it may not have one."""
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    own = _own_groups()
    return _open_v1(own, name) or _open_v2(own, name)


def _open_v1(own: dict[str, str], name: str) -> ControlGroup | None:
    mounts = _mounts("cgroup")
    made: dict[str, Path] = {}
    for controller in _V1:
        root = mounts.get(controller)
        parent = root and Path(root, own.get(controller, "/").lstrip("/"))
        folder = parent and (parent if parent.is_dir() else Path(root or "")) / name
        if not folder or not _made(folder):
            break
        made[controller] = folder
    if len(made) == len(_V1):
        return _opened(1, made)
    _discard(made)
    return None


def _open_v2(own: dict[str, str], name: str) -> ControlGroup | None:
    """Beside our own group or beside one of its ancestors: a group that holds processes hands no controllers down."""
    root = _mounts("cgroup2").get("")
    if root is None:
        return None
    place = Path(root, own.get("", "/").lstrip("/"))
    for parent in (place, *place.parents):
        with contextlib.suppress(OSError):
            if {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()) and _made(parent / name):
                return _opened(2, dict.fromkeys(_V1, parent / name))
        if parent == Path(root):
            break
    return None


def _opened(version: Literal[1, 2], folders: dict[str, Path]) -> ControlGroup | None:
    """The group, if limits can be set and a process can really be moved into it."""
    try:
        group = ControlGroup(version, folders)
        subprocess.run(["/bin/sh", "-c", _MOVE, "sh", *map(str, folders.values())], check=True, capture_output=True, env={})
        group.limit(Limits())
        group.cpu_seconds()
        group.out_of_memory()
    except (OSError, ValueError, subprocess.SubprocessError):
        _discard(folders)
        return None
    return group


def _discard(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        with contextlib.suppress(OSError):
            folder.rmdir()


def _made(folder: Path) -> bool:
    """Whether there is a new one; what killed processes have left beside it goes, as theirs do not clean up."""
    for stale in folder.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            owner = int(stale.name.removeprefix(_PREFIX).split("-")[0])
            if not os.path.exists(f"/proc/{owner}") and time.time() - stale.stat().st_mtime > _STALE_SECONDS:
                stale.rmdir()  # which the kernel allows only when nobody is in it
    try:
        folder.mkdir()
    except OSError:
        return False
    return True


def _own_groups() -> dict[str, str]:
    """Path of this process's group by controller; "" stands for version 2."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts(kind: str) -> dict[str, str]:
    """Where hierarchies are mounted, by controller; version 2 by ""."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        name, _, options = after.split(" ", 2)
        if name == kind:
            found.update(dict.fromkeys(options.split(",") if kind == "cgroup" else [""], before.split()[4]))
    return found


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    raise ValueError(f"{path} has no {name}")
