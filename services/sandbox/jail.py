"""The place that the template lives in, made once: the host's programs to read, and nothing else of the host.

A private mount tree on a small file system in memory, with read-only binds of /usr and the interpreter, an /etc of our own, six
devices, a /proc of its own process namespace. /tmp, /var/tmp and /dev/shm are links into `BOX`, where every program gets a
file system of its own. The host's tree is detached before anything untrusted runs.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.sandbox.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    mount,
    pivot_root,
    prctl,
    restrict_mounts,
    umount,
    unshare,
)

__all__ = ["BOX", "INSIDE_ID", "enter_jail", "leave_host", "map_self"]

BOX: Final = "/box"
INSIDE_ID: Final = 1000
"""User and group that programs are, in their own view."""
_NOBODY: Final = 65534
"""Who they are for the host when it is root that starts them; otherwise they are whoever does."""
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")


def leave_host() -> bool:
    """Before the fork: the next child is the first process of a new process namespace, with mounts of its own.

    Returns:
        Whether this took no user namespace, as root can.

    Raises:
        OSError: namespaces cannot be had here.
    """
    ours = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            unshare(ours)
            return True
        except PermissionError:
            pass  # root in name only, as in many containers; a user namespace may still be allowed
    unshare(ours | CLONE_NEWUSER)
    map_self(0, user, group)
    return False


def map_self(inside: int, user: int, group: int) -> None:
    """In a new user namespace: `user` and `group` outside are `inside` here, and nobody else exists."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {group} 1")


def enter_jail(readable: Sequence[str], *, root: bool) -> None:
    """In the child: builds the tree, moves into it, and gives up root.

    Args:
        readable: directories of the host beside /usr and the interpreter, bound at their own paths.
        root: what `leave_host` returned.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    os.mkdir("/tmp/host")
    pivot_root("/tmp", "/tmp/host")  # nothing of the host's own /tmp is hidden below /host
    os.chdir("/")
    for path in ("/dev", "/etc", "/proc", "/var", BOX):
        os.mkdir(path, 0o755)
    interpreter = os.path.realpath(sys.base_prefix)
    libraries = os.path.realpath(sys.base_exec_prefix)
    for path in dict.fromkeys(("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", interpreter, libraries, *readable)):
        _show(path)
    for name, target in {"/tmp": "tmp", "/var/tmp": "tmp", "/dev/shm": "shm"}.items():
        os.symlink(f"{BOX}/{target}", name)
    for device in _DEVICES:
        Path("/dev", device).touch()
        mount(f"/host/dev/{device}", f"/dev/{device}", None, MS_BIND)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/dev/{name}")
    os.symlink("/proc/self/fd", "/dev/fd")
    _make_etc()
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    umount("/host", MNT_DETACH)
    os.rmdir("/host")
    restrict_mounts("/", below=False)
    if root:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 1)  # a new user namespace is mapped through /proc/self, which belongs to root otherwise


def _show(path: str) -> None:
    """Binds `path` of the host, read-only, at the same place; a symbolic link is copied."""
    source = f"/host{path}"
    if os.path.lexists(path) or not os.path.lexists(source):
        return
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if os.path.islink(source):
        os.symlink(os.readlink(source), path)
        return
    os.mkdir(path)
    mount(source, path, None, MS_BIND | MS_REC)
    restrict_mounts(path)


def _make_etc() -> None:
    """What programs look for there, and nothing that tells about the host but where its libraries are."""
    Path("/etc/passwd").write_text(f"user:x:{INSIDE_ID}:{INSIDE_ID}:user:{BOX}/work:/bin/sh\n")
    Path("/etc/group").write_text(f"user:x:{INSIDE_ID}:\n")
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
    for name in ("ld.so.cache", "alternatives"):
        source = Path("/host/etc", name)
        if source.is_dir():
            shutil.copytree(source, f"/etc/{name}", symlinks=True)
        elif source.exists():
            shutil.copy(source, f"/etc/{name}")
