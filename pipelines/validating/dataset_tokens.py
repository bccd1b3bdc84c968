"""The tokenizer that the ids of a data set belong to."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from rl.policy.dialects.declarations import ToolsFormat
from trajectories.checking.tokens import Rendering

__all__ = ["TokenSettings", "open_rendering", "tokenizer_of"]

_NOTE = "orrery_policy.json"


@dataclass(frozen=True)
class TokenSettings:
    path: str | None = None
    """A directory with a tokenizer; null: tokenizer/ in the folder of the data set, if it is there."""
    dialect: str = "kimi_k2"
    """Chat format: kimi_k2 or qwen3. A directory that names its own (orrery_policy.json) goes before this."""
    tools_format: ToolsFormat = "json"
    """How tools are declared: json, typescript or none; as `dialect`."""


def tokenizer_of(settings: TokenSettings, dataset: Path) -> TokenSettings | None:
    """The settings with their directory, and what it says of its own format; None where there is no tokenizer.

    Raises:
        UserError: the tokenizer that was asked for cannot be used.
    """
    path = Path(settings.path) if settings.path is not None else dataset / "tokenizer"
    if settings.path is None and not path.is_dir():
        return None
    note = path / _NOTE
    said = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    found = TokenSettings(
        str(path), said.get("dialect", settings.dialect), said.get("tools_format", settings.tools_format)
    )
    try:
        open_rendering(found)
    except (OSError, ValueError) as error:
        raise UserError(f"tokens.path: {path}: {error}") from error
    return found


@functools.lru_cache(maxsize=2)
def open_rendering(settings: TokenSettings) -> tuple[Rendering, int]:
    """The chat format over the tokenizer, and the number of its token ids.

    Raises:
        OSError, ValueError: no tokenizer that loads, or one that lacks the format's markup.
    """
    from transformers import AutoTokenizer

    from rl.policy import dialects

    tokenizer = AutoTokenizer.from_pretrained(settings.path, local_files_only=True)
    return dialects.get(settings.dialect, tokenizer, settings.tools_format), len(tokenizer)
