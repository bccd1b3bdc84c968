"""Control groups: what is written where, and that groups that cannot be had are done without."""

import os
from pathlib import Path

import pytest

from services.sandbox import Limits, cgroups
from services.sandbox.cgroups import open_group

FILES = {
    "cgroup.procs": "", "memory.current": "1000", "memory.max": "max", "memory.peak": "5000",
    "memory.events": "oom 3\noom_kill 2\n", "pids.max": "max", "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
}  # fmt: skip


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tree with the files of version 2: this process is in /above/own, and /above hands its controllers down."""
    above = tmp_path / "above"
    (above / "own").mkdir(parents=True)
    for folder, controllers in ((tmp_path, "memory"), (above, "cpu memory pids"), (above / "own", "")):
        (folder / "cgroup.subtree_control").write_text(controllers)
    monkeypatch.setattr(cgroups, "_mounts", lambda kind: {"": str(tmp_path)} if kind == "cgroup2" else {})
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": "/above/own"})
    made = cgroups._made

    def populated(folder: Path) -> bool:
        if not made(folder):
            return False
        for name, content in FILES.items():
            (folder / name).write_text(content)
        return True

    monkeypatch.setattr(cgroups, "_made", populated)
    return above


def test_version_2_goes_beside_the_own_group_and_limits_above_what_is_used(version_2: Path) -> None:
    group = open_group()
    assert group is not None and group.version == 2
    folder = group.folders["memory"]
    assert folder.parent == version_2 and len(group.joins) == 1
    assert int((folder / "cgroup.procs").read_text()) > 0  # a process was moved there, to see whether that can be done
    group.limit(Limits(memory_bytes=5_000, processes=7))
    assert (folder / "memory.max").read_text() == "6000" and int((folder / "pids.max").read_text()) >= 7
    assert group.cpu_seconds() == 1.5 and group.out_of_memory() == 2 and group.peak_memory() == 0
    for name in (*FILES, "memory.swap.max"):
        (folder / name).unlink()
    group.close()
    assert not folder.exists() and not group.joins


def test_where_controllers_are_not_handed_down_there_is_no_group(version_2: Path) -> None:
    (version_2 / "cgroup.subtree_control").write_text("cpu")
    assert open_group() is None


def test_what_a_killed_process_has_left_is_removed(version_2: Path) -> None:
    dead, new, alive = (version_2 / f"orrery-sandbox-{name}" for name in ("4999999-0", "4999998-0", f"{os.getpid()}-999"))
    for folder in (dead, new, alive):
        folder.mkdir()
    for folder in (dead, alive):
        os.utime(folder, (0, 0))
    assert open_group() is not None
    assert not dead.exists() and new.exists() and alive.exists()


def test_a_group_of_this_machine_is_empty_and_gone_when_closed() -> None:
    group = open_group()
    if group is None:  # nothing may be made here: programs are limited without
        return
    group.limit(Limits())
    assert group.out_of_memory() == 0
    assert not any((folder / "cgroup.procs").read_text() for folder in group.folders.values())
    assert group.cpu_seconds() >= 0
    group.close()
    assert not any(folder.exists() for folder in group.folders.values())
    group.close()
