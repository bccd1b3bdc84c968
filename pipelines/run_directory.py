"""One directory per run: what was asked (config.yaml), what happened (run.log, events), what came out (summary.json).

A directory holds one run, ever. ``config.yaml`` is the first file written and ``summary.json`` the last, both
atomically: a directory with the first and without the second is a run that was stopped, and ``resume=auto`` continues
it, with the same settings only. While a process works in a directory it holds a lock, which the operating system lets
go when the process dies, however it dies.
"""

import contextlib
import fcntl
import json
import logging
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from pipelines.errors import UserError
from pipelines.structured import plain
from pipelines.tensorboard import EventWriter

__all__ = ["RunDirectory", "link_latest", "new_default_path", "require_same_settings", "write_atomically"]

OUTPUTS = Path("outputs")
# These say where and how fast, not what: a run may be continued under other values.
_FREE_KEYS = ("out", "resume", "workers")
_ELSEWHERE = "choose another directory with out=..."
log = logging.getLogger("orrery")


class RunDirectory:
    """An open run. Use as a context manager, made by `open`."""

    def __init__(self, path: Path, command: str, *, resumed: bool) -> None:
        self.path = path.absolute()
        self.command = command
        self.resumed = resumed
        """Whether an earlier process has already worked here."""
        self.finished = resumed and (path / "summary.json").is_file()
        """Whether that process wrote its summary: there is nothing left to do."""
        self._events: EventWriter | None = None
        self._closing = contextlib.ExitStack()

    @classmethod
    def open(
        cls,
        command: str,
        config: Mapping[str, Any],
        *,
        out: str | Path | None = None,
        resume: Literal["never", "auto"] = "never",
    ) -> "RunDirectory":
        """Make the run's directory, or take up the one that it left unfinished.

        Args:
            command: the command's name. config: the resolved settings as plain values; stored, and compared when a
            run is continued. out: the directory; None for ``outputs/<command>/<date_time>``, to which
            ``outputs/<command>/latest`` then points. resume: ``auto`` continues the run that `out` (without it:
            ``latest``) holds, if there is one.

        Raises:
            UserError: the directory holds another run or other files, another process works in it, or the settings
                differ.
        """
        path = Path(out) if out is not None else _unfinished(command) if resume == "auto" else None
        default = path is None
        path = path or new_default_path(command)
        held = (path / "config.yaml").is_file()
        if held and resume == "never":
            raise UserError(f"{path} already holds a run; {_ELSEWHERE}, or continue it with resume=auto")
        if path.exists() and not path.is_dir():
            raise UserError(f"out: {path} is not a directory")
        if not held and path.is_dir() and any(item.name != ".lock" for item in path.iterdir()):
            raise UserError(f"{path} is not empty and holds no run; {_ELSEWHERE}")
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, command, resumed=held)
        run._closing.enter_context(_lock(path))
        try:
            if held:
                require_same_settings(path, command, config)
            else:
                text = yaml.safe_dump({"command": command, **plain(config)}, sort_keys=False, allow_unicode=True)
                write_atomically(path / "config.yaml", text)
            if default:
                link_latest(command, path)
        except BaseException:
            run._closing.close()
            raise
        return run

    def __enter__(self) -> "RunDirectory":
        handler = logging.FileHandler(self.path / "run.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.setLevel(logging.INFO)
        root = logging.getLogger()
        root.addHandler(handler)
        self._closing.callback(handler.close)
        self._closing.callback(root.removeHandler, handler)
        level = log.level
        log.setLevel(logging.INFO)
        self._closing.callback(log.setLevel, level)
        if not self.finished:
            log.info("%s %s", "continuing" if self.resumed else "starting", shlex.join(sys.argv))
            machine = (platform.python_version(), platform.platform(), os.cpu_count(), os.getpid())
            log.info("python %s on %s, %d cores, process %d", *machine)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            log.error("stopped by %s", type(error).__name__, exc_info=error)
        self.close()

    def close(self) -> None:
        """Flush the events, close the log, let the lock go."""
        if self._events is not None:
            self._events.close()
        self._closing.close()

    def file(self, name: str) -> Path:
        """A path inside the directory, its parent made."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def child(self, command: str, config: Mapping[str, Any]) -> "RunDirectory":
        """The directory of a step that is a command itself; taken up again whenever its parent is."""
        return RunDirectory.open(command, config, out=self.path / command, resume="auto")

    @property
    def shown_path(self) -> str:
        """Relative to where the user stands, when it is below."""
        return os.path.relpath(self.path) if self.path.is_relative_to(Path.cwd()) else str(self.path)

    @property
    def events(self) -> EventWriter:
        """The curves of this run; made on first use."""
        if self._events is None:
            self._events = EventWriter(self.path)
        return self._events

    def write_summary(self, summary: Mapping[str, Any]) -> Path:
        """Write ``summary.json``, which marks the run as finished. Not-a-number becomes null: JSON has no word for
        it."""
        path = self.path / "summary.json"
        write_atomically(path, json.dumps(_json_value(summary), indent=2, allow_nan=False) + "\n")
        self.finished = True
        return path

    def reopen(self) -> None:
        """Go on with a finished run: its summary is taken away until there is a new one."""
        (self.path / "summary.json").unlink()
        self.finished = False

    def read_summary(self) -> dict[str, Any]:
        """The stored result of a finished run."""
        return json.loads((self.path / "summary.json").read_text())


def write_atomically(path: Path, text: str) -> None:
    """All of the text or none of it, and on the disk when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def new_default_path(command: str) -> Path:
    """``outputs/<command>/<date_time>``, numbered when two runs start in the same second."""
    path = OUTPUTS / command / time.strftime("%Y-%m-%d_%H-%M-%S")
    number = 2
    while path.exists():
        path = path.with_name(f"{path.name.split('.')[0]}.{number}")
        number += 1
    return path


def link_latest(command: str, path: Path) -> None:
    """Point ``outputs/<command>/latest`` at `path`."""
    link = OUTPUTS / command / "latest"
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".latest.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(path, link.parent), target_is_directory=True)
    temporary.replace(link)


def _unfinished(command: str) -> Path | None:
    latest = OUTPUTS / command / "latest"
    stopped = (latest / "config.yaml").is_file() and not (latest / "summary.json").exists()
    return latest.resolve() if stopped else None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with (path / ".lock").open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process is working in {path}; wait for it, or {_ELSEWHERE}") from None
        yield


def require_same_settings(
    path: Path, command: str, config: Mapping[str, Any], *, free: Collection[str] = (), advice: str = _ELSEWHERE
) -> None:
    """Check that the run in `path` was started with these settings.

    Args:
        free: top-level keys that may differ, beside those that change no result.
        advice: what else the user can do.

    Raises:
        UserError: a run of another command, or another value of a key; names the keys.
    """
    stored = yaml.safe_load((path / "config.yaml").read_text())
    if stored.pop("command", None) != command:
        raise UserError(f"{path} holds a run of another command; {advice}")
    before, now = dict(_flat(stored)), dict(_flat(plain(config)))
    different = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    differing = [key for key in different if key.split(".")[0] not in (*_FREE_KEYS, *free)]
    if differing:
        shown = ", ".join(f"{key} (was {before.get(key)}, now {now.get(key)})" for key in differing[:5])
        raise UserError(f"{path} was started with other settings: {shown}; give the same ones, or {advice}")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _json_value(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, scalars and arrays
        return _json_value(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
