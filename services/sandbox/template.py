"""The template: a jailed interpreter with common modules loaded, which forks a supervisor for every program.

It runs nothing itself, is reached by one socket, and its end is the end of all that it started: it is the first process of its
own process namespace. Started as a program of its own by `services.sandbox.local`.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys

from services.sandbox import frames
from services.sandbox.box import supervise
from services.sandbox.cgroups import CPUClock, cpu_clock
from services.sandbox.jail import enter_jail, leave_host
from services.sandbox.seccomp import system_call_filter
from services.sandbox.syscalls import PR_SET_PDEATHSIG, prctl

__all__ = ["main"]


def main() -> None:
    """Started with a socket's descriptor and the settings as arguments; says `ready`, or `refused` and why, and serves."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    os.umask(0o022)
    for descriptor in settings["joins"]:
        os.write(descriptor, b"0")
        os.close(descriptor)
    cpu = cpu_clock(settings["cpu"], settings["version"]) if settings["joins"] else None
    try:
        root = leave_host()
        child = os.fork()
        if child:
            control.close()
            os.waitpid(child, 0)
            return
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        enter_jail(settings["readable"], root=root)
    except (OSError, KeyError, ValueError) as error:
        control.send(f"refused {error}".encode())
        return
    sys.path += settings["readable"]
    for name in settings["warm"]:
        importlib.import_module(name)
    system_calls = system_call_filter()
    os.chdir("/")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    control.send(b"ready " + json.dumps({"filter": bool(system_calls)}).encode())
    _serve(control, system_calls, cpu)


def _serve(control: socket.socket, system_calls: bytes, cpu: CPUClock | None) -> None:
    """Every message brings a connection for one program."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            os._exit(0)  # nobody is left to serve
        if os.fork() == 0:
            gc.disable()  # a collection here would only copy pages
            control.close()
            with contextlib.suppress(BaseException):
                _serve_one(socket.socket(fileno=descriptors[0]), system_calls, cpu)
            os._exit(0)
        os.close(descriptors[0])


def _serve_one(connection: socket.socket, system_calls: bytes, cpu: CPUClock | None) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        supervise(connection, system_calls, cpu)
    except EOFError:
        pass  # nobody waits any more
    except BaseException as error:
        frames.send(connection, {"broke": f"{type(error).__name__}: {error}"})
