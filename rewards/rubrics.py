"""What a critic compares responses by: criteria as data, one file for each rubric, chosen for a task by a pure function.

Three kinds, after Kimi K2 (arXiv 2507.20534, section 3.2.2 and appendix F): *core* ones hold for every response, *prescriptive*
ones forbid what is written to please a judge, *human* ones are written by people for one context. conf/rubrics has those that
ship, in words of our own. A text that changes, changes its version, because comparisons by two texts are not comparable.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, get_args

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from rewards.verifiers import VERIFIERS
from trajectories.canonical import digest
from trajectories.tasks import Task

__all__ = [
    "Applies",
    "CriticCriterion",
    "CriterionKind",
    "RubricError",
    "criteria_for",
    "criteria_id",
    "load_rubrics",
    "read_rubric",
]

CriterionKind = Literal["core", "prescriptive", "human"]

_KINDS: Final = get_args(CriterionKind)


class RubricError(ValueError):
    """A rubric is wrong; says in which file and under which key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """Which tasks a criterion is for: those that meet every condition that is not empty."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    domains: tuple[str, ...] = ()
    """The task's domain is one of these."""
    tags: tuple[str, ...] = ()
    """The task has one of these tags."""
    languages: tuple[str, ...] = ()
    """The user's language is one of these."""

    def to(self, task: Task) -> bool:
        return (
            (not self.domains or task.domain in self.domains)
            and (not self.tags or not set(self.tags).isdisjoint(task.tags))
            and (not self.languages or task.persona.language in self.languages)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticCriterion:
    """One thing that two responses are compared by."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: str
    """The key in its file; no other criterion has it."""
    text: str
    """For the critic: what the better response does or, for a veto, what breaks it."""
    kind: CriterionKind
    weight: float = 1.0
    """Against the other criteria; a veto needs none."""
    veto: bool = False
    """Whether a response that breaks it loses against one that does not, whatever else is said of them."""
    applies: Applies = field(default_factory=Applies)
    version: int = 1
    """Raised whenever the text, the weight or the veto changes."""

    def __post_init__(self) -> None:
        if not self.id.isidentifier():
            raise ValueError(f"{self.id!r} is no name; letters, digits and underscores are")
        if not self.text.strip():
            raise ValueError("text: is empty; say what the better response does")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"weight: is a finite number above 0, not {self.weight}; leave the criterion out instead")
        if self.version < 1:
            raise ValueError(f"version: is at least 1, not {self.version}")


def criteria_for(criteria: Iterable[CriticCriterion], task: Task) -> tuple[CriticCriterion, ...]:
    """Those that apply to `task`: core ones first, then prescriptive, then human ones, each kind by id."""
    chosen = [item for item in criteria if item.applies.to(task)]
    return tuple(sorted(chosen, key=lambda item: (_KINDS.index(item.kind), item.id)))


def criteria_id(criteria: Sequence[CriticCriterion]) -> str:
    """Digest of everything that a comparison by these criteria depends on, their order too."""
    return digest([asdict(item) for item in criteria])[:16]


def load_rubrics(folder: Path | Traversable, domains: Collection[str] = tuple(VERIFIERS)) -> tuple[CriticCriterion, ...]:
    """The criteria of every ``*.yaml`` in a folder, by file name, then as they stand there.

    Args:
        domains: those that exist; a criterion for another one is refused, because it would never be used.

    Raises:
        RubricError: naming file and key.
    """
    found: dict[str, str] = {}
    criteria: list[CriticCriterion] = []
    for file in sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name):
        for criterion in read_rubric(file.read_text("utf-8"), file.name, domains):
            if criterion.id in found:
                raise RubricError(f"{file.name}: criteria.{criterion.id}: stands in {found[criterion.id]} already")
            found[criterion.id] = file.name
            criteria.append(criterion)
    if not criteria:
        raise RubricError(f"{folder}: holds no rubric; a rubric is a file <name>.yaml with kind and criteria")
    return tuple(criteria)


def read_rubric(text: str, name: str, domains: Collection[str] = tuple(VERIFIERS)) -> tuple[CriticCriterion, ...]:
    """The criteria of one file.

    Args:
        text: YAML with the keys ``kind`` and ``criteria``; the latter maps ids to the other fields of `CriticCriterion`.
        name: what errors call the file.

    Raises:
        RubricError: naming file and key.
    """
    try:
        said = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise RubricError(f"{name}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(said, dict) or set(said) != {"kind", "criteria"}:
        raise RubricError(f"{name}: has the keys kind and criteria, and no others")
    if said["kind"] not in _KINDS:
        raise RubricError(f"{name}: kind: is one of {', '.join(_KINDS)}, not {said['kind']!r}")
    if not isinstance(said["criteria"], dict) or not said["criteria"]:
        raise RubricError(f"{name}: criteria: maps at least one id to a criterion")
    return tuple(_criterion(key, entry, said["kind"], name, domains) for key, entry in said["criteria"].items())


def _criterion(key: Any, entry: Any, kind: str, name: str, domains: Collection[str]) -> CriticCriterion:
    where = f"{name}: criteria.{key}"
    if not isinstance(entry, Mapping):
        raise RubricError(f"{where}: is a mapping with a text, not {entry!r}")
    for given in ("id", "kind"):
        if given in entry:
            raise RubricError(f"{where}.{given}: unknown key; the id is the key of the criterion, the kind is the file's")
    try:
        plain = json.dumps({**entry, "id": key, "kind": kind})  # as JSON, a list is a tuple even where types are strict
        criterion = TypeAdapter(CriticCriterion).validate_json(plain, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        at = "".join(f".{part}" for part in first["loc"])
        raise RubricError(f"{where}{at}: {first['msg'].removeprefix('Value error, ')}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise RubricError(f"{where}: is no plain data: {error}") from error
    for domain in criterion.applies.domains:
        if domain not in domains:
            raise RubricError(f"{where}.applies.domains: no domain {domain!r}; there are: {', '.join(sorted(domains))}")
    return criterion


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a key that stands twice, where YAML's usual loader takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.value[at][0].start_mark)
        return super().construct_mapping(node, deep)
