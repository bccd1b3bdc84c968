"""The models behind the roles that are not trained: users' voices, judges, policies that only demonstrate.

A role's replies are kept in ``models/<role>.sqlite`` of its run directory, and what they cost beside them. So a run that was
killed asks nothing twice, and ``file`` replays a run without its model, byte for byte.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import UserError
from services.chat import (
    CachedChatModel,
    ChatModel,
    EndpointChatModel,
    Ledger,
    LimitedChatModel,
    Limits,
    OptionalEndpointConfig,
    Price,
    RecordedChatModel,
    StoreError,
    price_table,
    read_usage,
)

__all__ = ["RoleModel", "check_model", "open_model", "usage_of"]

_FOLDER, _ACCOUNT = "models", ".usage.sqlite"


@dataclass(frozen=True, kw_only=True)
class RoleModel:
    """Off by default: no model is asked for anything."""

    endpoint: OptionalEndpointConfig = field(default_factory=OptionalEndpointConfig)
    """The model that plays the role."""
    file: str | None = None
    """The record of an earlier run (its ``models/<role>.sqlite``), replayed without a model; null for none."""
    limits: Limits = field(default_factory=Limits)
    """How much is asked at once, and how often again."""
    cache: str | None = None
    """A file that keeps replies for all runs and roles that name it; null for none."""
    prices: str | None = None
    """A table of conf/prices by name, or a YAML file like them; null: the cost is not known."""

    def __post_init__(self) -> None:
        if self.file is not None and self.endpoint.base_url:
            raise ValueError("file: is replayed as it is; leave out endpoint, or the file")


def open_model(role: str, settings: RoleModel, directory: Path) -> ChatModel | None:
    """The model for `role`, which can be sent to Ray workers (they take the key from their own environment); None where the
    settings name none.

    Args:
        directory: of the run.

    Raises:
        FileNotFoundError, ValueError: the recording or the settings cannot be used; see `check_model`.
        StoreError: the record cannot be written.
    """
    if settings.file is None and not settings.endpoint.base_url:
        return None
    folder = directory / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    account = folder / f"{role}{_ACCOUNT}"
    if settings.file is not None:
        file = Path(settings.file).absolute()  # a worker may stand elsewhere
        return RecordedChatModel(file, ledger=Ledger(account, RecordedChatModel(file).name, None))
    endpoint = settings.endpoint
    ledger = Ledger(account, endpoint.model, _prices(settings.prices).get(endpoint.model))
    live: ChatModel = LimitedChatModel(EndpointChatModel(endpoint), settings.limits, ledger)
    if settings.cache is not None:
        live = CachedChatModel(Path(settings.cache).absolute(), live, ledger)
    return RecordedChatModel(folder / f"{role}.sqlite", live, ledger)


def check_model(settings: RoleModel, key: str) -> None:
    """The recording can be read, the endpoint has its key, the cache its file and the prices their table.

    Raises:
        UserError: otherwise, naming `key`.
    """
    try:
        if settings.file is not None:
            RecordedChatModel(settings.file)
        if settings.endpoint.base_url:
            live = EndpointChatModel(settings.endpoint)
            _prices(settings.prices)
            if settings.cache is not None:
                CachedChatModel(settings.cache, live)
    except StoreError as error:
        raise UserError(f"{key}: {error.filename}: {error.strerror}") from error
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{key}: {error}") from error


def usage_of(directory: Path) -> dict[str, dict[str, Any]]:
    """By role, what was asked in the run in `directory` so far, and what it cost; all workers and all its processes together.

    Raises:
        StoreError: an account cannot be read.
    """
    paths = sorted((directory / _FOLDER).glob(f"*{_ACCOUNT}"))
    return {path.name.removesuffix(_ACCOUNT): read_usage(path).summary() for path in paths}


def _prices(name: str | None) -> dict[str, Price]:
    if name is None:
        return {}
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        shipped = files("conf") / "prices"
        names = sorted(entry.name.removesuffix(".yaml") for entry in shipped.iterdir() if entry.name.endswith(".yaml"))
        if name not in names:
            raise ValueError(f"prices: there is no table {name!r}; {', '.join(names)} ship, and your own is a .yaml file")
        return _read(name, (shipped / f"{name}.yaml").read_text())
    try:
        return _read(name, path.read_text())
    except OSError as error:
        raise ValueError(f"prices: {name}: {error.strerror}") from error


def _read(name: str, text: str) -> dict[str, Price]:
    try:
        return price_table(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"prices: {name}: {error}") from error
