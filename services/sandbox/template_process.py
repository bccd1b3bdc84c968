"""The template process, seen from the process that starts it: starts, hands out boxes, ends."""

import contextlib
import json
import os
import select
import socket
import subprocess
import weakref
from pathlib import Path
from typing import Any, Final

from services.sandbox.cgroups import ControlGroup
from services.sandbox.config import SandboxConfig
from services.sandbox.interpreter import environment, interpreter

__all__ = ["Refused", "TemplateProcess"]

_START_SECONDS: Final = 60.0
"""For a template to come up, on a very busy machine."""
_STUBS: Final = (
    "import sys, types\n"
    "for name, folder in (('services', sys.argv[3]), ('services.sandbox', sys.argv[4])):\n"
    "    sys.modules[name] = types.ModuleType(name)\n"
    "    sys.modules[name].__path__ = [folder]\n"
    "from services.sandbox.template import main\n"
    "main()\n"
)
"""Loads the template's modules and none of what the packages around them import."""


class Refused(RuntimeError):
    """Isolation cannot be had here."""


class TemplateProcess:
    """Starts when it is made, in `group` where there is one.

    Raises:
        Refused: it cannot have namespaces, or did not start.
    """

    def __init__(self, config: SandboxConfig, group: ControlGroup | None) -> None:
        self.runs = 0
        """Boxes handed out."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings: dict[str, Any] = {"readable": config.readable, "warm": config.warm, "joins": []}
        if group is not None:
            settings |= {"joins": group.joins, "cpu": group.cpu, "version": group.version}
        here = Path(__file__).parent
        with theirs:
            arguments = [str(theirs.fileno()), json.dumps(settings), str(here.parent), str(here)]
            self._process = subprocess.Popen(
                [interpreter(), "-s", "-P", "-c", _STUBS, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment("/box/work"),
                cwd="/",
                pass_fds=(theirs.fileno(), *([group.cpu, *group.joins] if group else [])),
            )
        _alive.add(self)
        word, _, rest = self._first_message().partition(" ")
        if word != "ready":
            self.close()
            raise Refused(f"isolation cannot be had here: {rest}; docs/sandbox.md says what it takes")
        self.facts: dict[str, Any] = json.loads(rest)

    def box(self) -> socket.socket:
        """A connection to the supervisor of a box, which is made ready meanwhile.

        Raises:
            OSError: the template is gone.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"!"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        self.runs += 1
        return ours

    def close(self) -> None:
        """Ends it and everything that it has started, and waits until that is gone."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        _alive.discard(self)

    def abandon(self) -> None:
        """In a forked child: lets go of it, so that it still ends with the process that opened it."""
        self._control.close()
        self._process.returncode = 0  # no child of this process

    def _first_message(self) -> str:
        message = ""
        with contextlib.suppress(OSError):
            if select.select([self._control], [], [], _START_SECONDS)[0]:
                message = self._control.recv(1 << 16).decode()
        if message:
            return message
        self._process.kill()
        said = self._process.stderr.read().decode(errors="replace") if self._process.stderr else ""
        return f"refused the template did not start: {said.strip()[-1_000:]}"


_alive: weakref.WeakSet[TemplateProcess] = weakref.WeakSet()


def _abandon_all() -> None:
    for template in list(_alive):
        template.abandon()


os.register_at_fork(after_in_child=_abandon_all)
