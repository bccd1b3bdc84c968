"""The few Linux calls that Python has no names for; each raises OSError with the call's name when it fails."""

import ctypes
import os
import platform
from typing import Any, Final

__all__ = [
    "CLONE_NEWALL", "CLONE_NEWIPC", "CLONE_NEWNET", "CLONE_NEWNS", "CLONE_NEWPID", "CLONE_NEWUSER", "CLONE_NEWUTS", "MNT_DETACH",
    "MS_BIND", "MS_NODEV", "MS_NOEXEC", "MS_NOSUID", "MS_PRIVATE", "MS_REC", "PR_SET_DUMPABLE", "PR_SET_NO_NEW_PRIVS",
    "PR_SET_PDEATHSIG", "clear_capabilities",
    "install_filter", "mount", "open_beneath", "pivot_root", "prctl", "restrict_mounts", "umount", "unshare",
]  # fmt: skip

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWALL: Final = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH: Final = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAP_AMBIENT = 1, 4, 24, 38, 22, 47

# Since Linux 5.3 every architecture gives a new call the same number.
_MOUNT_SETATTR, _OPENAT2 = 442, 437
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    _checked("unshare", _libc.unshare(flags))


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    status = _libc.mount(os.fsencode(source), os.fsencode(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(options))
    _checked(f"mount {target}", status)


def umount(target: str, flags: int = 0) -> None:
    _checked(f"umount {target}", _libc.umount2(os.fsencode(target), flags))


def pivot_root(new: str, old: str) -> None:
    _syscall("pivot_root", _PIVOT_ROOT[platform.machine()], os.fsencode(new), os.fsencode(old))


def prctl(option: int, value: int = 0, third: Any = 0) -> None:
    _checked(f"prctl {option}", _libc.prctl(option, ctypes.c_ulong(value), third, ctypes.c_ulong(0), ctypes.c_ulong(0)))


def restrict_mounts(target: str, *, below: bool = True) -> None:
    """`target` and, unless not `below`, all mounts in it become read-only, without set-user-id programs and without devices."""
    read_only, no_suid, no_devices, recursive, here = 1, 2, 4, 0x8000, -100
    attributes = (ctypes.c_uint64 * 4)(read_only | no_suid | no_devices)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    flags = recursive if below else 0
    _syscall(f"mount_setattr {target}", _MOUNT_SETATTR, here, os.fsencode(target), flags, ctypes.byref(attributes), size)


def open_beneath(directory: int, path: str) -> int:
    """A file below `directory`, reached without any symbolic link, opened for reading without waiting for a writer."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
    no_magic_links, no_symlinks, beneath = 2, 4, 8
    how = (ctypes.c_uint64 * 3)(flags, 0, no_magic_links | no_symlinks | beneath)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    return _syscall(f"openat2 {path}", _OPENAT2, directory, os.fsencode(path), ctypes.byref(how), size)


def clear_capabilities() -> None:
    """None of any kind is left, and no program that is started can bring one back."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0):
            break  # the kernel knows no higher one
    prctl(PR_CAP_AMBIENT, 4)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    version_3, own = 0x20080522, 0
    header, empty = (ctypes.c_uint32 * 2)(version_3, own), (ctypes.c_uint32 * 6)()
    _syscall("capset", _CAPSET[platform.machine()], ctypes.byref(header), ctypes.byref(empty))


def install_filter(instructions: bytes) -> None:
    """A classic BPF program over system calls, for this thread and all that it starts; needs no_new_privs."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    filter_mode = 2
    program = Program(len(instructions) // 8, instructions)
    prctl(PR_SET_SECCOMP, filter_mode, ctypes.byref(program))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def _syscall(name: str, number: int, *arguments: Any) -> int:
    return _checked(name, _libc.syscall(ctypes.c_long(number), *arguments))


def _checked(name: str, status: int) -> int:
    if status < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return status
