"""What could be observed when an episode ended: the only thing a verifier may look at besides the task.

Because an Outcome is complete, a stored trajectory can be scored again without any simulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trajectories.messages import Message

__all__ = ["CallRecord", "Ending", "Fault", "Outcome", "StateChange", "ToolTrouble"]

Ending = Literal["completed", "turn_limit", "token_limit", "malformed", "fault"]
"""Why the episode ended: the dialogue was closed; too many turns; too many tokens; the policy's turn did not parse; something
that is not the policy broke."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """The difference of one record between the start and the end of the episode."""

    entity: str
    key: str
    kind: Literal["created", "updated", "deleted"]
    fields: Mapping[str, tuple[Any, Any]]
    """Field name to (before, after); only fields that differ. None stands for "no such field" in created and deleted records."""


@dataclass(frozen=True, slots=True)
class ToolTrouble:
    """A tool misbehaved on purpose, as the task's world has it do; no `Fault`, and nothing that the policy did."""

    kind: str
    """``timeout``, ``rate_limit``, ``partial``, ...; see docs/troubles.md."""
    seconds: float = 0.0
    """Virtual time that the call took; nobody waits for it."""
    lost: bool = False
    """The call changed the state, but the agent was not told."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One tool call as it was executed."""

    name: str
    arguments: Mapping[str, Any] | str
    """The parsed object, or the raw text when it was not a JSON object."""
    is_error: bool
    """Whether the tool did not do, or did not tell, what it is there for; a change that was made is no error even where
    its reply was lost."""
    content: str
    """What the agent was told."""
    trouble: ToolTrouble | None = None
    """What befell the call; None when it went as it should."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something other than the policy broke."""

    source: Literal["environment", "tool", "judge", "user", "engine", "infrastructure"]
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    ending: Ending
    changes: tuple[StateChange, ...] = ()
    calls: tuple[CallRecord, ...] = ()
    messages: tuple[Message, ...] = ()
    """The dialogue as the agent saw it, system prompt excluded."""
    checkpoints: tuple[str, ...] = ()
    """Names of the rubric's checkpoints that were reached, in the order in which they were reached."""
    faults: tuple[Fault, ...] = ()
