"""From a document to a checked `WorldSpec`: whatever a world could get wrong is found here, before anything runs."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from simulators.worlds.document import Section, WorldSpecError, read_document, read_json
from simulators.worlds.entities import read_entities
from simulators.worlds.fields import EntitySpec, is_numeric
from simulators.worlds.grammar import Scope, read_condition
from simulators.worlds.invariants import InvariantSpec
from simulators.worlds.operations import read_operations
from simulators.worlds.rules import read_policies, read_reasons
from simulators.worlds.spec import WorldSpec

__all__ = ["FILES", "load", "names", "parse"]

Entities = Mapping[str, EntitySpec]

FILES: Final = (".yaml", ".yml", ".json")
"""Endings of paths, in which names of worlds never end."""
LIBRARY: Final = Path(__file__).parent / "library"


def names() -> list[str]:
    """Names of the worlds that ship, sorted."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def load(name_or_path: str | Path) -> WorldSpec:
    """The world of this name, or of the YAML or JSON file at this path.

    Raises:
        WorldSpecError: for an unknown name, an unreadable file, or a spec with anything undefined or inconsistent in
            it; it names the file, the line and the path inside it.
    """
    path = Path(name_or_path)
    if path.suffix not in FILES:
        path = LIBRARY / f"{path.name}.yaml"
        if path.stem != str(name_or_path) or not path.is_file():
            known = ", ".join(names())
            raise WorldSpecError(f"no world {str(name_or_path)!r}; give one of {known}, or the path of a .yaml or .json file")
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise WorldSpecError(f"{path}: cannot be read: {error.strerror}") from error
    return _load(path, changed)


def parse(document: Mapping[str, Any], source: str = "world") -> WorldSpec:
    """The world that a mapping describes, e.g. one that was made by a program; `source` names it in errors.

    Raises:
        WorldSpecError: as `load`, without lines.
    """
    return _read_world(Section(dict(document), source))


@lru_cache(maxsize=64)
def _load(path: Path, changed: int) -> WorldSpec:
    return _read_world(read_document(path) if path.suffix != ".json" else read_json(path))


def _read_world(top: Section) -> WorldSpec:
    top.check_keys(("name", "title", "instructions", "entities", "operations", "policies"), ("invariants",))
    entities = read_entities(top.child("entities"))
    reasons = read_reasons(top.child("policies"))
    operations = read_operations(top.child("operations"), entities, reasons)
    declining = [operation for operation in operations.values() if operation.kind == "decline"]
    if len(declining) != 1:
        top.child("operations").fail(f"a world has exactly one operation of kind decline, not {len(declining)}")
    return WorldSpec(
        name=top.child("name").name(),
        title=top.child("title").text(),
        instructions=top.child("instructions").text(),
        entities=entities,
        operations=operations,
        policies=read_policies(top.child("policies"), entities, operations, declining[0]),
        invariants=_read_invariants(top, entities),
        source=top.value,
    )


def _read_invariants(top: Section, entities: Entities) -> tuple[InvariantSpec, ...]:
    section = top.get("invariants")
    return tuple(_read_invariant(part, entities) for part in section.elements()) if section is not None else ()


def _read_invariant(section: Section, entities: Entities) -> InvariantSpec:
    """`{name, entity, holds: condition}` or `{name, constant: entity.field}`."""
    if "constant" in section.mapping():
        section.check_keys(("name", "constant"))
        entity, field = Scope(entities, records=dict(entities)).field_of(section.child("constant"))
        if not is_numeric(field.value_type):
            section.child("constant").fail(f"has type {field.value_type}, of which there is no sum")
        return InvariantSpec(section.child("name").name(), entity, constant=field.name)
    section.check_keys(("name", "entity", "holds"))
    entity = section.child("entity").one_of(list(entities), "entity")
    scope = Scope(entities, records={entity: entities[entity]}, keys_known=False)
    return InvariantSpec(section.child("name").name(), entity, read_condition(section.child("holds"), scope))
