"""The registry of grown tools: one row per tool and one per step, as Parquet; what they say is a function of the seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from simulators.evolution.domains import Domain
from simulators.evolution.draft import Extension, Step
from simulators.evolution.errands import errand
from simulators.evolution.growing import Grown, grow
from simulators.evolution.probing import example_call
from trajectories.canonical import canonical_json
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.tasks import Task

__all__ = ["STEP_SCHEMA", "TOOL_SCHEMA", "DomainRows", "domain_rows"]

_TEXT: Final = pa.string()
TOOL_SCHEMA: Final = pa.schema(
    [
        ("category", _TEXT), ("domain", _TEXT), ("tool", _TEXT), ("kind", _TEXT), ("entity", _TEXT), ("operator", _TEXT),
        ("description", _TEXT), ("input_schema", _TEXT), ("output_schema", _TEXT), ("annotations", _TEXT),
        ("fingerprint", _TEXT), ("local_fingerprint", _TEXT), ("world_fingerprint", _TEXT),
        ("called", pa.bool_()), ("certified", pa.bool_()), ("example_seed", pa.int64()), ("example_arguments", _TEXT),
    ]
)  # fmt: skip
STEP_SCHEMA: Final = pa.schema(
    [
        ("category", _TEXT), ("domain", _TEXT), ("number", pa.int64()), ("operator", _TEXT), ("change", _TEXT),
        ("about", _TEXT), ("added", pa.list_(_TEXT)), ("removed", pa.list_(_TEXT)), ("parent", _TEXT), ("child", _TEXT),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class DomainRows:
    """What the registry holds of one domain."""

    tools: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    tasks: list[Task]
    """A certified one for each tool where one was found; their world is called by its name."""
    world: Mapping[str, Any]
    """The world's document."""


def domain_rows(
    domain: Domain, seed: int, verify: Callable[[Task, Outcome], Reward], extensions: tuple[Extension, ...] = ()
) -> DomainRows:
    """Grows a domain, and calls and certifies each of its tools: a function of the arguments, as `grow` has them."""
    grown = grow(domain, seed, extensions)
    rng = derive_rng(seed, "evolve-examples", domain.category, domain.name)
    tools, tasks = [], []
    for name in grown.world.operations:
        task = errand(grown.world, name, run_seed=seed, split="train", verify=verify)
        tools.append(_tool_row(grown, name, example_call(grown.world, name, rng), task))
        tasks += [task] if task is not None else []
    steps = [_step_row(domain, number, step) for number, step in enumerate(grown.steps)]
    return DomainRows(tools, steps, tasks, grown.world.source)


def _tool_row(
    grown: Grown, name: str, example: tuple[int, dict[str, Any]] | None, task: Task | None
) -> dict[str, Any]:
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
        "certified": task is not None,
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
