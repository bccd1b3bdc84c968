"""An episode's share of a big world: start and verdict, beside copying the world and hashing all of it.

What a simulator without copy-on-write does for each episode is a deep copy at the start, and at the end the canonical
text of everything and its SHA-256, compared with the expected one. Ours pays for the records that the episode wrote.
"""

import copy
import hashlib
import json
import random
import time
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.desk import support_desk
from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from benchmarks.tool_calls import Call, plan_calls
from simulators.worlds import WorldState
from trajectories.canonical import canonical_json
from trajectories.seeds import derive_rng
from trajectories.tasks import RecordPatch

__all__ = ["StateBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class StateBenchmark:
    episodes: int = 400
    """Episodes per repeat; each has an instance of its own making (patches of its own) over one seed."""
    calls: int = 6
    """Tool calls of each, not measured here: half of them read, half of them change."""
    copies: int = 2
    """Deep copies and full hashes per repeat, for comparison."""

    def __post_init__(self) -> None:
        for key in ("episodes", "calls", "copies"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "StateBenchmark":
        return replace(self, episodes=20, copies=1)


def measure(settings: StateBenchmark, repeats: int, seed: int) -> list[Figure]:
    """Seconds of reset and verify per episode, and calls per second in the big world."""
    world = support_desk()
    base = world.instantiate(seed)
    base.digest()
    content = {entity: base.records(entity) for entity in world.entities}
    rng = derive_rng(seed, "state-benchmark")
    plans = [plan_calls(base, settings.calls, rng) for _ in range(settings.episodes)]
    patches = [_patches(content, rng) for _ in range(settings.episodes * (repeats + 1))]
    turn = iter(range(0, len(patches), settings.episodes))

    measured: list[dict[str, float]] = []

    def ours() -> float:
        first = next(turn)
        measured.append({"digest": 0.0, "difference": 0.0})
        parts = measured[-1]
        for patch, plan in zip(patches[first : first + settings.episodes], plans, strict=True):
            started = time.perf_counter()
            state = world.instantiate(seed, patch)
            reset = time.perf_counter()
            _play(state, plan)
            played = time.perf_counter()
            state.digest()
            hashed = time.perf_counter()
            state.diff()
            parts["digest"] += reset - started + hashed - played
            parts["difference"] += time.perf_counter() - hashed
        return parts["digest"] / settings.episodes

    def copied() -> float:
        def work() -> bool:
            mine = copy.deepcopy(content)
            return hashlib.sha256(canonical_json(mine).encode()).hexdigest() == ""

        return seconds_of(lambda: [work() for _ in range(settings.copies)]) / settings.copies

    def calls() -> float:
        return settings.episodes * settings.calls / seconds_of(lambda: _play_all(base, plans))

    ours_seconds, copied_seconds, rates = take_turns(repeats, ours, copied, calls)
    with_difference = tuple(sum(parts.values()) / settings.episodes for parts in measured[1:])
    size = len(json.dumps(content, separators=(",", ":")))
    details = {"records": float(sum(map(len, content.values()))), "json_bytes": float(size)}
    # The other way round, so that the ratio says how many times faster.
    return [
        Figure(
            "deep copy and full SHA-256 of a support desk",
            "s",
            copied_seconds,
            Limit("copy-on-write: reset and digest", ours_seconds, ">= 1,000"),
            details,
        ),
        Figure(
            "deep copy and full SHA-256 of a support desk (with what changed)",
            "s",
            copied_seconds,
            Limit("copy-on-write: reset, digest and difference", with_difference, ">= 1,000"),
            details,
        ),
        Figure("tool calls in the support desk, in one process", "calls/s", rates, None, details),
    ]


def _play_all(base: WorldState, plans: list[list[Call]]) -> None:
    for plan in plans:
        _play(base.fork(), plan)


def _play(state: WorldState, plan: list[Call]) -> None:
    for tool, arguments in plan:
        state.call(tool, arguments)


def _patches(content: dict[str, dict[str, dict[str, Any]]], rng: random.Random) -> tuple[RecordPatch, ...]:
    """One record set up for the episode, as tasks do it."""
    key = rng.choice(list(content["reservation"]))
    return (RecordPatch("reservation", key, {"bags": rng.randint(0, 5), "status": rng.choice(["booked", "paid"])}),)
