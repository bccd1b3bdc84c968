"""Dialogues without tokens, rendered once into segments: the turns of a demonstrator, and the context around them."""

import functools
import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from pipelines.errors import UserError
from trajectories.codec import TRAJECTORY_SCHEMA
from trajectories.columns import from_batch, to_batch
from trajectories.formats import UnsayableError
from trajectories.messages import Message, ToolSpec
from trajectories.records import to_json
from trajectories.trajectory import Segment

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect  # seconds to import, for a few exports only
    from rl.policy.source import PolicyConfig

__all__ = ["Tokens", "copy_tokenizer", "demonstrated", "with_segments"]

_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "tokenizer.model", "chat_template.jinja", "orrery_policy.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Tokens:
    path: str | None = None
    """A local model directory, whose tokenizer renders every dialogue that has no segments; null: none is rendered."""
    dialect: Literal["kimi_k2", "qwen3"] = "kimi_k2"
    """Chat format."""
    tools_format: Literal["json", "typescript", "none"] = "json"
    """How tools are declared to the policy."""

    def open(self) -> "Dialect | None":
        """The chat format over the tokenizer; None where nothing is rendered.

        Raises:
            UserError: the directory has no usable tokenizer, or was trained with another chat format.
        """
        return _open(self) if self.path is not None else None


@functools.lru_cache(maxsize=1)
def _open(tokens: Tokens) -> "Dialect":
    from rl.policy.presets import ModelDirectoryError
    from rl.policy.source import read_dialect

    try:
        return read_dialect(_policy(tokens))
    except ModelDirectoryError as error:
        raise UserError(str(error).replace("policy.", "tokens.", 1)) from error


def _policy(tokens: Tokens) -> "PolicyConfig":
    from rl.policy.source import PolicyConfig

    return PolicyConfig(path=tokens.path, dialect=tokens.dialect, tools_format=tokens.tools_format)


def demonstrated(messages: tuple[Message, ...], tools: tuple[ToolSpec, ...], dialect: "Dialect") -> tuple[Segment, ...]:
    """The dialogue as segments of origin ``context`` and ``demonstration``, by turns.

    Raises:
        ValueError: the chat format cannot say it.
    """
    ids, mask = dialect.render(messages, tools)
    return tuple(
        Segment("demonstration" if in_loss else "context", tuple(token for token, _ in run))
        for in_loss, run in groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    )


def with_segments(batch: pa.RecordBatch, dialect: "Dialect") -> tuple[pa.RecordBatch, dict[int, UnsayableError]]:
    """The batch with segments in every row, and why rows have none, by row."""
    segments, refused = [], {}
    for at, row in enumerate(from_batch(batch.select(["messages", "tools", "segments"]))):
        made = row["segments"]
        if not made:
            try:
                messages = tuple(Message.from_openai(message) for message in row["messages"])
                made = [to_json(segment) for segment in demonstrated(messages, _tools(row["tools"]), dialect)]
            except ValueError as error:
                refused[at] = UnsayableError(f"{dialect.name}: {error}", at)
        segments.append({"segments": made})
    column = to_batch(segments, pa.schema([TRAJECTORY_SCHEMA.field("segments")])).column(0)
    return batch.set_column(batch.schema.get_field_index("segments"), TRAJECTORY_SCHEMA.field("segments"), column), refused


def _tools(wire: list[dict[str, dict[str, str]]]) -> tuple[ToolSpec, ...]:
    functions = [tool["function"] for tool in wire]
    return tuple(ToolSpec(item["name"], item["description"], item["parameters"]) for item in functions)  # type: ignore[arg-type]


def copy_tokenizer(tokens: Tokens, directory: Path) -> None:
    """The tokenizer's files, as they are, beside the ids that it made; and the chat format, where they do not tell it."""
    from rl.policy.source import note_format

    assert tokens.path is not None
    directory.mkdir(exist_ok=True)
    note_format(_policy(tokens), directory)
    for name in _FILES:
        if (file := Path(tokens.path, name)).is_file():
            shutil.copyfile(file, directory / name)
