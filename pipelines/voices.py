"""Who words what simulated users say: the built-in grammar, a chat model behind an endpoint, or its recorded replies."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import UserError
from services.chat import EndpointChatModel, OptionalEndpointConfig, RecordedChatModel
from simulators.users import AnyVoice
from simulators.users.spoken import SpokenConfig, SpokenVoice

__all__ = ["UserVoice", "check_voice", "open_voice"]


@dataclass(frozen=True, kw_only=True)
class UserVoice:
    """Off by default: the grammar speaks, and nothing is asked of any model. What is said, and when the user leaves, the
    ledger decides in any case."""

    endpoint: OptionalEndpointConfig = field(default_factory=OptionalEndpointConfig)
    """The model that finds the words."""
    file: str | None = None
    """The ``voices.sqlite`` of an earlier run, replayed without a model; null for none."""
    spoken: SpokenConfig = field(default_factory=SpokenConfig)
    """How it is asked."""

    def __post_init__(self) -> None:
        if self.file is not None and self.endpoint.base_url:
            raise ValueError("file: is replayed as it is; leave out endpoint, or the file")


def open_voice(config: UserVoice, directory: Path) -> AnyVoice | None:
    """The voice, whose replies are kept in ``voices.sqlite``, so that a run that goes on asks nothing twice; None for the
    built-in one."""
    if config.file is not None:
        return SpokenVoice(RecordedChatModel(config.file), config.spoken)
    if not config.endpoint.base_url:
        return None
    model = RecordedChatModel(directory / "voices.sqlite", EndpointChatModel(config.endpoint))
    return SpokenVoice(model, config.spoken)


def check_voice(config: UserVoice, key: str) -> None:
    """The recording can be read, and the endpoint has its key.

    Raises:
        UserError: otherwise, naming `key`.
    """
    try:
        if config.file is not None:
            RecordedChatModel(config.file)
        if config.endpoint.base_url:
            EndpointChatModel(config.endpoint)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{key}: {error}") from error
