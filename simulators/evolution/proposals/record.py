"""Accepted proposals as lines of a JSON file: what was taken, who said it, and what was asked."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jsonschema_rs import ValidationError, validator_for

from trajectories.canonical import canonical_json

__all__ = ["Proposal", "ProposalFileError", "ProposalLog", "read_proposals"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One that was accepted."""

    kind: Literal["domain", "extension", "reword"]
    category: str
    domain: str
    tool: str | None
    """Of a reword: whose description it is."""
    text: str
    """The answer as it was given: a domain's document, or the JSON object with an extension or a description."""
    model: str
    """Who proposed it."""
    request: str
    """Digest of the request, as it was first made, to which this is the answer."""


class ProposalFileError(ValueError):
    """A file of proposals that cannot be played again; the text names file and line."""


_TEXT: Final = {"type": "string", "minLength": 1}
_KEYS: Final[dict[str, Any]] = {
    "kind": {"enum": ["domain", "extension", "reword"]}, "category": _TEXT, "domain": _TEXT, "tool": {"type": ["string", "null"]},
    "text": _TEXT, "model": _TEXT, "request": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}  # fmt: skip
_LINE: Final = validator_for(
    {
        "type": "object", "properties": _KEYS, "required": list(_KEYS), "additionalProperties": False,
        "if": {"properties": {"kind": {"const": "reword"}}},
        "then": {"properties": {"tool": _TEXT}}, "else": {"properties": {"tool": {"type": "null"}}},
    },
    mask="the value",
)  # fmt: skip


def read_proposals(path: Path) -> tuple[Proposal, ...]:
    """All of a file, in order.

    Raises:
        ProposalFileError: it cannot be read, or a line of it is no proposal, or proposes what an earlier line did.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ProposalFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProposalFileError(f"{path}: not UTF-8 at byte {error.start}") from error
    found: dict[tuple[str, str, str | None], Proposal] = {}
    for number, line in enumerate(lines, start=1):
        try:
            proposal = _decoded(line)
        except (ValueError, RecursionError) as error:
            raise ProposalFileError(f"{path}:{number}: {error}") from error
        # Of extensions a domain has any number, each with a text of its own.
        what = proposal.text if proposal.kind == "extension" else proposal.tool
        if found.setdefault((proposal.kind, proposal.domain, what), proposal) is not proposal:
            raise ProposalFileError(f"{path}:{number}: {proposal.tool or proposal.domain} stands above already")
    return tuple(found.values())


class ProposalLog:
    """The file that a run writes, line by line as proposals are accepted.

    Args:
        path: where. keep: go on behind the whole lines that are there, of a run that was stopped; else begin anew.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        self._path = path
        text = path.read_text(encoding="utf-8", errors="replace") if keep and path.is_file() else ""
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")  # a line that was cut off is none
        self.kept = read_proposals(path)

    def write(self, proposals: Iterable[Proposal]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(canonical_json(asdict(proposal)) + "\n" for proposal in proposals)


def _decoded(line: str) -> Proposal:
    try:
        value = json.loads(line)
        _LINE.validate(value)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.instance_path)
        raise ValueError(f"no proposal: {where or 'top level'}: {error.message}") from error
    except ValueError as error:
        raise ValueError(f"no proposal: not JSON: {error}") from error
    return Proposal(**value)
