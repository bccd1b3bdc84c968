"""A world in the making: its document, which grows, and the steps by which it grew.

Every step is named, has a class, and carries the fingerprints of the document before and after it, so that a registry can
tell where each tool came from.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from simulators.evolution.domains import Domain
from trajectories.canonical import digest

__all__ = ["Change", "Draft", "Extension", "Step", "a", "spoken"]

Change = Literal["additive", "breaking", "cosmetic"]
"""additive: whoever used the world before notices nothing. breaking: a call or an act that was right before is not any
more. cosmetic: only words have changed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One application of one operator."""

    operator: str
    change: Change
    domain: str
    about: str
    """What it was applied to: a tool, an entity, or a field of one."""
    added: tuple[str, ...]
    """Tools that are new."""
    removed: tuple[str, ...]
    parent: str
    """Fingerprint of the world before the step."""
    child: str
    """And after it."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A further field of an entity."""

    entity: str
    name: str
    document: Mapping[str, Any]
    """A field of the world document."""
    meaning: str
    """Follows "Set the <name> of a <entity>: "."""


@dataclass
class Draft:
    """A domain's world, as far as it has grown."""

    domain: Domain
    document: dict[str, Any]
    rng: random.Random
    extensions: tuple[Extension, ...] = ()
    """Fields that were proposed for it, beside those that the operators draw."""
    steps: list[Step] = field(default_factory=list)
    origin: dict[str, str] = field(default_factory=dict)
    """By tool: the operator that made it."""
    _print: str = ""

    @property
    def operations(self) -> dict[str, dict[str, Any]]:
        return self.document["operations"]

    @property
    def entities(self) -> dict[str, dict[str, Any]]:
        return self.document["entities"]

    def fields(self, entity: str) -> Mapping[str, Mapping[str, Any]]:
        """Fields of the world document, those that were added included."""
        return self.entities[entity]["fields"]

    def plural(self, entity: str) -> str:
        known = self.domain.entities.get(entity)
        return known.plural if known is not None else f"{entity}s"

    def grow(
        self, operator: str, change: Change, about: str, tools: Mapping[str, Mapping[str, Any]],
        removed: tuple[str, ...] = (), edit: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        """One step: tools come and go, and `edit` changes other parts of the document. Tools whose name is taken are left
        out; a step that would change nothing is none."""
        new = {name: dict(tool) for name, tool in tools.items() if name not in self.operations and len(name) <= 64}
        if not new and not removed and edit is None:
            return
        parent = self._print or digest(self.document)
        for name in removed:
            del self.operations[name]
            self.origin.pop(name, None)
        self.operations.update(new)
        self.origin |= dict.fromkeys(new, operator)
        if edit is not None:
            edit(self.document)
        self._print = digest(self.document)
        if self._print != parent:
            self.steps.append(
                Step(operator, change, self.domain.name, about, tuple(new), removed, parent, self._print)
            )

    def say(self, *sentences: str) -> str:
        """One of these ways to put it."""
        return self.rng.choice(sentences)


def spoken(name: str, of: str = "") -> str:
    """A name as a person says it.

    Args:
        of: the entity, when it is a field's name: "bearer_email" of a bearer is its e-mail, "issued_on" its issued date.
    """
    words = name.removeprefix(f"{of}_") if of else name
    if words.endswith("_on") and of:
        words = words.removesuffix("_on") + "_date"
    return words.replace("_", " ")


def a(noun: str) -> str:
    """The noun with its article."""
    words = spoken(noun)
    vowel = words[0] in "aeio" and not words.startswith(("one", "eu"))
    return f"{'an' if vowel or (words.startswith(('un', 'up', 'ur')) and not words.startswith('uni')) else 'a'} {words}"
