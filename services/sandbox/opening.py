"""From a configuration to a sandbox; and the one that all verifiers of a process share."""

import atexit
import os
import threading

from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Sandbox
from services.sandbox.local import LocalSandbox

__all__ = ["configure_shared", "open_sandbox", "shared_sandbox"]


def open_sandbox(config: SandboxConfig | None = None) -> Sandbox:
    """The sandbox that `config` describes; whoever opens it closes it.

    A local one always opens: where isolation cannot be had, it refuses every program, with the reason.

    Raises:
        ValueError: settings that cannot be, such as a token variable that is not set.
    """
    config = config or SandboxConfig()
    if config.kind == "http":
        from services.sandbox.http import HttpSandbox

        return HttpSandbox(config)
    if config.kind == "weak":
        from services.sandbox.weak import WeakSandbox

        return WeakSandbox(config)
    return LocalSandbox(config)


_shared: Sandbox | None = None
_config = SandboxConfig()
_lock = threading.Lock()


def shared_sandbox() -> Sandbox:
    """The sandbox of this process: opened by the first who asks, closed when the process exits, never shared with a fork."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = open_sandbox(_config)
        return _shared


def configure_shared(config: SandboxConfig) -> None:
    """Which sandbox `shared_sandbox` is, from now on and in forks of this process; one that is open is closed."""
    global _config
    with _lock:
        _config = config
    _close()


def _close() -> None:
    global _shared
    with _lock:
        closing, _shared = _shared, None
    if closing is not None:
        closing.close()


def _forget() -> None:
    """In a forked child: the parent's sandbox stays the parent's."""
    global _shared, _lock
    _shared, _lock = None, threading.Lock()


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)
