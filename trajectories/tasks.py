"""A task: a seeded world, a user with a goal, the rubric that judges the result, and the proof that it can be done.

A task is data only. Its id is the digest of its content (certificate excluded), so equal tasks have equal ids. Fields
that came later count only where they are set, so that a task keeps its id.
The rubric follows Kimi K2 (arXiv 2507.20534, section 3.1.1): success criteria, tool-use patterns, evaluation checkpoints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, Literal

from trajectories.canonical import canonical_json, digest
from trajectories.outcomes import CallRecord, StateChange

__all__ = [
    "AgentSpec", "Certificate", "Checkpoint", "Criterion", "Fact", "Gold", "GoldCall", "Ledger", "Persona", "RecordPatch",
    "Rubric", "Split", "Task", "ToolPattern",
]  # fmt: skip

Split = Literal["train", "held_out"]


_LATER: Final = {"later": True}
"""Marks a field that the first tasks did not have."""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the user is; decides how it speaks and what it bears, never what it knows."""

    name: str = "plain"
    style: str = "plain"
    language: str = "en"
    patience: int = field(default=0, metadata=_LATER)
    """How many questions that it has no answer to the user bears before it leaves."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the user knows and says only when asked."""

    slot: str
    """What it is, e.g. ``order_id``."""
    value: str
    keywords: tuple[str, ...]
    """The user answers a question that contains one of these (case does not matter)."""
    answer: str
    """The user's words, holding the value."""
    kind: Literal["value", "confirmation"] = field(default="value", metadata=_LATER)
    """A `confirmation` is the user's yes or no to an act; while one is asked for and not given, the user does not leave."""
    slips: tuple[str, ...] = field(default=(), metadata=_LATER)
    """What an error-prone user says instead of `answer` the first times it is asked; each holds a value that is wrong."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the user wants, and what may be said when."""

    opening: str
    """The user's first message."""
    facts: tuple[Fact, ...] = ()
    """Withheld until asked for."""
    goal: str = ""
    """The goal in plain words, for a person or a model that plays the user; never shown to the agent."""
    follow_ups: tuple[str, ...] = field(default=(), metadata=_LATER)
    """Further wishes and changes of mind, in order: each is said when the agent hands over, that is, writes a message that
    neither calls a tool nor asks for anything. The user leaves after the last."""


@dataclass(frozen=True, slots=True)
class ToolPattern:
    """A call the rubric speaks of: the tool's name, and the arguments that must be equal (others are free)."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, call: CallRecord) -> bool:
        """Whether `call` is a successful call of this kind."""
        if call.is_error or call.name != self.tool or isinstance(call.arguments, str):
            return False
        given = call.arguments
        return all(name in given and _same(given[name], value) for name, value in self.arguments.items())


def _same(given: Any, wanted: Any) -> bool:
    """As JSON: 25 equals 25.0, and true is not 1."""
    if type(given) is str and type(wanted) is str:
        return given == wanted
    return canonical_json(given) == canonical_json(wanted)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event that must happen, by order where `before` names calls that must not come earlier: a call, or words of the
    user."""

    name: str
    pattern: ToolPattern | None
    """The call; None where `said` has the words."""
    before: tuple[ToolPattern, ...] = ()
    """The checkpoint counts only when it is reached before every call that matches one of these."""
    said: str | None = field(default=None, metadata=_LATER)
    """Words that a message of the user, other than its opening, must hold."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One success criterion. `state` compares the whole difference of the world; `refusal` wants an explicit refusal."""

    name: str
    kind: Literal["state", "refusal", "no_refusal", "says"]
    expected: tuple[str, ...] = ()
    """By kind. `state`: the tools that change the world; more successful calls of them than gold makes is a failure, so that
    acting and undoing does not pass. `refusal`: a ``(subject, reason)`` pair. `no_refusal`: the tool that declines. `says`: texts
    that the agent's messages to the user must hold, or, with the prefix ``not:``, must not hold."""


@dataclass(frozen=True, slots=True)
class Rubric:
    criteria: tuple[Criterion, ...] = ()
    tool_patterns: tuple[ToolPattern, ...] = ()
    """Calls that a good trajectory makes."""
    checkpoints: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordPatch:
    """Initialise: fields of one record of the fresh world are set before the episode starts."""

    entity: str
    key: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GoldCall:
    """Fix: one act of the oracle: a tool call, a question to the user for a withheld fact (`ask`), or words that hand over
    to the user (`say`)."""

    tool: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    ask: str | None = None
    """The slot of the fact that is asked for; then there is no tool."""
    say: str | None = field(default=None, metadata=_LATER)
    """What is said, without a question; then there is neither tool nor `ask`."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Initialise, fix and assert: how the world is prepared, one way to do the task, and the difference it must leave."""

    initialise: tuple[RecordPatch, ...] = ()
    calls: tuple[GoldCall, ...] = ()
    changes: tuple[StateChange, ...] = ()
    reply: str = ""
    """The oracle's last message."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdicts of law 4: reward of the oracle and of every cheat that was tried, by name."""

    oracle: float
    cheats: Mapping[str, float]
    certified: bool
    reasons: tuple[str, ...] = ()
    """Why not, when not certified."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Who the assistant is and what it has: Kimi K2's agents are system prompts times tool sets."""

    name: str
    preamble: str = ""
    """Stands before the world's instructions in the system prompt."""
    tools: tuple[str, ...] = ()
    """Names of its tools, in the order in which they are shown: those that the task needs, and distractors."""


@dataclass(frozen=True, slots=True)
class Task:
    id: str
    world: str
    """A name or path that `simulators.tasks.domains.open_world` takes."""
    seed: int
    """Of the world's instance."""
    split: Split
    difficulty: int
    """Number of sub-goals in a tool world, 1 to 3; elsewhere the domain's level."""
    persona: Persona
    ledger: Ledger
    rubric: Rubric
    gold: Gold
    certificate: Certificate | None = None
    tags: tuple[str, ...] = ()
    """What is hard about it, e.g. ``refuse``, ``search``, ``ask``."""
    agent: AgentSpec | None = field(default=None, metadata=_LATER)
    """None for an assistant that has every tool of the world, and no other prompt than its instructions."""
    domain: str = field(default="tool_use", metadata=_LATER)
    """Whose verifier judges it; `simulators.tasks.domains` has the generators of those that are not played in a tool world."""
    key: Mapping[str, Any] | None = field(default=None, metadata=_LATER)
    """What the verifier needs and nobody is shown: answers, constraints, hidden tests. JSON values only."""

    def content_id(self) -> str:
        """Digest of everything but id and certificate."""
        return digest({key: value for key, value in _content(self).items() if key not in ("id", "certificate")})[:16]

    def with_id(self) -> "Task":
        return replace(self, id=self.content_id())


def _content(value: Any) -> Any:
    """The record as JSON values, without later fields that are not set."""
    if is_dataclass(value):
        return {
            item.name: _content(getattr(value, item.name))
            for item in fields(value)
            if not (item.metadata.get("later") and getattr(value, item.name) == item.default)
        }
    if isinstance(value, Mapping):
        return {key: _content(item) for key, item in value.items()}
    return [_content(item) for item in value] if isinstance(value, list | tuple) else value
