"""The registry of grown tools: one row per tool and one per step, as Parquet; what they say is a function of the seed."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from simulators.evolution.domains import Domain
from simulators.evolution.draft import Step
from simulators.evolution.growing import Grown, grow
from simulators.evolution.probing import example_call
from trajectories.canonical import canonical_json
from trajectories.seeds import derive_rng

__all__ = ["STEP_SCHEMA", "TOOL_SCHEMA", "grown_rows"]

_TEXT: Final = pa.string()
TOOL_SCHEMA: Final = pa.schema(
    [
        ("category", _TEXT), ("domain", _TEXT), ("tool", _TEXT), ("kind", _TEXT), ("entity", _TEXT), ("operator", _TEXT),
        ("description", _TEXT), ("input_schema", _TEXT), ("output_schema", _TEXT), ("annotations", _TEXT),
        ("fingerprint", _TEXT), ("local_fingerprint", _TEXT), ("world_fingerprint", _TEXT), ("called", pa.bool_()),
        ("example_seed", pa.int64()), ("example_arguments", _TEXT),
    ]
)  # fmt: skip
STEP_SCHEMA: Final = pa.schema(
    [
        ("category", _TEXT), ("domain", _TEXT), ("number", pa.int64()), ("operator", _TEXT), ("change", _TEXT),
        ("about", _TEXT), ("added", pa.list_(_TEXT)), ("removed", pa.list_(_TEXT)), ("parent", _TEXT), ("child", _TEXT),
    ]
)  # fmt: skip


def grown_rows(domain: Domain, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Mapping[str, Any]]:
    """Rows of tools, rows of steps, and the world document of one domain."""
    grown = grow(domain, seed)
    rng = derive_rng(seed, "evolve-examples", domain.category, domain.name)
    tools = [_tool_row(grown, name, example_call(grown.world, name, rng)) for name in grown.world.operations]
    steps = [_step_row(domain, number, step) for number, step in enumerate(grown.steps)]
    return tools, steps, grown.world.source


def _tool_row(grown: Grown, name: str, example: tuple[int, dict[str, Any]] | None) -> dict[str, Any]:
    operation = grown.world.operations[name]
    return {
        "category": grown.domain.category,
        "domain": grown.domain.name,
        "tool": name,
        "kind": operation.kind,
        "entity": operation.entity,
        "operator": grown.origin[name],
        "description": operation.description,
        "input_schema": canonical_json(dict(operation.inputSchema)),
        "output_schema": canonical_json(dict(operation.outputSchema)),
        "annotations": canonical_json(dict(operation.annotations)),
        "fingerprint": grown.fingerprints[name],
        "local_fingerprint": grown.local_fingerprints[name],
        "world_fingerprint": grown.world.fingerprint(),
        "called": example is not None,
        "example_seed": example[0] if example else None,
        "example_arguments": canonical_json(example[1]) if example else None,
    }


def _step_row(domain: Domain, number: int, step: Step) -> dict[str, Any]:
    return {
        "category": domain.category,
        "domain": domain.name,
        "number": number,
        "operator": step.operator,
        "change": step.change,
        "about": step.about,
        "added": list(step.added),
        "removed": list(step.removed),
        "parent": step.parent,
        "child": step.child,
    }
