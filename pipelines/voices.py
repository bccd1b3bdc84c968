"""Who words what simulated users say: the built-in grammar, a chat model behind an endpoint, or its recorded replies."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.models import RoleModel, check_model, open_model
from simulators.users.spoken import SpokenConfig, SpokenVoice

__all__ = ["UserVoice", "check_voice", "open_voice"]


@dataclass(frozen=True, kw_only=True)
class UserVoice(RoleModel):
    """Off by default: the grammar speaks, and nothing is asked of any model. What is said, and when the user leaves, the
    ledger decides in any case."""

    spoken: SpokenConfig = field(default_factory=SpokenConfig)
    """How the model is asked for words."""


def open_voice(config: UserVoice, directory: Path) -> SpokenVoice | None:
    """The voice, whose replies are kept in ``models/voice.sqlite``; None for the built-in one."""
    model = open_model("voice", config, directory)
    return None if model is None else SpokenVoice(model, config.spoken)


def check_voice(config: UserVoice, key: str) -> None:
    """The settings can be used.

    Raises:
        UserError: otherwise, naming `key`.
    """
    check_model(config, key)
