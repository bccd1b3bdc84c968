"""What a command is: its configuration, its page of prose, and the errors that are the user's to mend.

A new command is a module ``pipelines/<name>.py`` (a dash in the name is an underscore there) whose docstring opens with
one line for ``orrery --help``, that derives its configuration from `Command` and ends with ``register("<name>",
<Config>, run)``; its name joins ``pipelines.cli.COMMANDS``. Nested settings are the packages' own dataclasses, so a key
exists once, with its docstring beneath it.
"""

import dataclasses
import importlib
import importlib.resources
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.config_store import ConfigStore

from pipelines.structured import mirror

if TYPE_CHECKING:
    from pipelines.run_directory import RunDirectory

__all__ = ["App", "Command", "Counted", "Run", "load", "page", "register", "registered"]

Run = Callable[[Any, "RunDirectory"], Mapping[str, Any] | None]
"""The command itself: (its configuration, its run directory) to the content of ``summary.json``, or None for none."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """The keys that mean the same in every command."""

    seed: int = 0
    """Of the whole run; every random draw is derived from it."""
    out: str | None = None
    """The run directory; null: outputs/<command>/<date_time>. With -m: the directory that holds one run directory per
    arm."""
    workers: int = 1
    """Processes that simulate worlds side by side; changes the speed, never the result."""
    resume: Literal["never", "auto"] = "never"
    """auto: continue the run that `out` (or, without it, outputs/<command>/latest) holds, if it is not finished."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers: must be at least 1, not {self.workers}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: must be in [0, 2**63), not {self.seed}")


@dataclass(frozen=True, kw_only=True)
class Counted(Command):
    """A command that makes or measures a number of things."""

    count: int = 1000
    """How many (tasks, unless the command says otherwise)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 1:
            raise ValueError(f"count: must be at least 1, not {self.count}")


@dataclass(frozen=True)
class App:
    """A registered command."""

    name: str
    config: type
    run: Run
    check: Callable[[Any], object] | None = None
    """Looks for what is wrong with the input before a run directory is made and anything starts."""
    user_errors: tuple[type[Exception], ...] = ()
    """Errors of the packages beneath that tell the user what to do; shown without a traceback."""
    unfinished: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether a run that wrote this summary left something that ``resume=auto`` should make up for."""


_APPS: dict[str, App] = {}


def register(
    name: str,
    config: type,
    run: Run,
    *,
    check: Callable[[Any], object] | None = None,
    user_errors: tuple[type[Exception], ...] = (),
    unfinished: Callable[[Mapping[str, Any]], bool] | None = None,
) -> None:
    """Make `run` the command ``orrery <name>``, with the keys of the dataclass `config`."""
    if not (dataclasses.is_dataclass(config) and issubclass(config, Command)):
        raise TypeError(f"{config.__name__} is not a dataclass derived from pipelines.schema.Command")
    _APPS[name] = App(name, config, run, check, user_errors, unfinished)
    # conf/<name>.yaml begins its defaults list with schema/<name>, which types every key that follows. Without such a
    # page, the dataclass with its own defaults is the whole configuration.
    store, node = ConfigStore.instance(), mirror(config)
    store.store(group="schema", name=name, node=node, package="_global_", provider="orrery")
    if not importlib.resources.files("conf").joinpath(f"{name}.yaml").is_file():
        store.store(name=name, node=node, provider="orrery")


def registered() -> tuple[str, ...]:
    """The commands whose modules have been imported."""
    return tuple(_APPS)


def page(name: str) -> str:
    """The module that is the command's page of prose."""
    return _APPS[name].config.__module__ if name in _APPS else f"pipelines.{name.replace('-', '_')}"


def load(name: str) -> App:
    """The registered command, importing its page if need be."""
    if name not in _APPS:
        importlib.import_module(page(name))
    return _APPS[name]
