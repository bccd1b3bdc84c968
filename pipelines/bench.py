"""What the parts cost: rollouts, trainer, weight sync, tool calls and cold start, each beside the same work done bare.

Every figure is a median over repeats, beside the median of its limit: raw vLLM on the same prompts and lengths, a bare
torch step on the same packed tokens, a memory copy of the same bytes. Nothing is asserted; figures mean something on a
machine that does nothing else.
"""

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from benchmarks import (
    chat_cache,
    dedup,
    environments,
    export,
    gym,
    rollout,
    sandbox,
    scoring,
    sft,
    state,
    tool_calls,
    trainer,
    trl_grpo,
    weight_sync,
)
from benchmarks.chat_cache import ChatCacheBenchmark
from benchmarks.dedup import DedupBenchmark
from benchmarks.environments import EnvironmentsBenchmark
from benchmarks.export import ExportBenchmark
from benchmarks.figure import Figure
from benchmarks.gym import GymBenchmark
from benchmarks.machine import machine_facts
from benchmarks.rollout import RolloutBenchmark
from benchmarks.sandbox import SandboxBenchmark
from benchmarks.scoring import ScoringBenchmark
from benchmarks.sft import SFTBenchmark
from benchmarks.state import StateBenchmark
from benchmarks.tool_calls import ToolCallsBenchmark
from benchmarks.trainer import TrainerBenchmark
from benchmarks.trl_grpo import TRLBenchmark
from benchmarks.weight_sync import WeightSyncBenchmark
from benchmarks.workload import Workload, prepare
from pipelines.cluster import ray_session
from pipelines.export import export_native
from pipelines.progress import Phase, Progress
from pipelines.report import table
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from pipelines.train import RL_ERRORS
from rl.policy.source import PolicyConfig, read_dialect
from services.sandbox import Program, SandboxConfig, open_sandbox
from simulators.tasks.stream import TaskStream

__all__ = ["BENCHMARKS", "Bench"]

BENCHMARKS = (
    "rollout", "trainer", "weight_sync", "tool_calls", "state", "environments", "dedup", "export", "chat_cache", "gym", "scoring",
    "sandbox", "sft", "trl_grpo",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bench(Command):
    only: tuple[str, ...] = BENCHMARKS
    """Which benchmarks: rollout, trainer, weight_sync, tool_calls, state, environments, dedup, export, chat_cache, gym,
    scoring, sandbox, sft, trl_grpo."""
    repeats: int = 5
    """Measured repeats of everything; one more, before them, warms up and is not counted."""
    quick: bool = False
    """Tiny sizes and one repeat: shows that everything runs, and says nothing about speed."""
    threads: int | None = None
    """Compute threads of trainers and cold start; null takes every core. Engines have their own engine.threads."""
    policy: PolicyConfig = field(default_factory=lambda: PolicyConfig(tools_format="none"))
    """A preset with random weights, or a model directory."""
    tasks: TaskStream = field(default_factory=TaskStream)
    """Where prompts, dialogues and their lengths come from."""
    rollout: RolloutBenchmark = field(default_factory=RolloutBenchmark)
    trainer: TrainerBenchmark = field(default_factory=TrainerBenchmark)
    weight_sync: WeightSyncBenchmark = field(default_factory=WeightSyncBenchmark)
    tool_calls: ToolCallsBenchmark = field(default_factory=ToolCallsBenchmark)
    state: StateBenchmark = field(default_factory=StateBenchmark)
    environments: EnvironmentsBenchmark = field(default_factory=EnvironmentsBenchmark)
    dedup: DedupBenchmark = field(default_factory=DedupBenchmark)
    export: ExportBenchmark = field(default_factory=ExportBenchmark)
    chat_cache: ChatCacheBenchmark = field(default_factory=ChatCacheBenchmark)
    gym: GymBenchmark = field(default_factory=GymBenchmark)
    scoring: ScoringBenchmark = field(default_factory=ScoringBenchmark)
    sandbox: SandboxBenchmark = field(default_factory=SandboxBenchmark)
    sft: SFTBenchmark = field(default_factory=SFTBenchmark)
    trl_grpo: TRLBenchmark = field(default_factory=TRLBenchmark)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.only if name not in BENCHMARKS]
        if unknown or not self.only:
            raise ValueError(f"only: {', '.join(unknown) or 'nothing'} is not among {', '.join(BENCHMARKS)}")
        if self.repeats < 1:
            raise ValueError(f"repeats: must be at least 1, not {self.repeats}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads: must be at least 1 or null, not {self.threads}")

    @property
    def sizes(self) -> "Bench":
        """The settings as measured: tiny ones when `quick`."""
        if not self.quick:
            return self
        tiny = {name: getattr(self, name).quick() for name in BENCHMARKS}
        return replace(self, repeats=1, **tiny)


def run(config: Bench, run: RunDirectory) -> dict[str, Any]:
    """`orrery bench`."""
    if config.policy.path is not None:
        read_dialect(config.policy)
    config, chosen = config.sizes, [name for name in BENCHMARKS if name in config.only]
    progress = Progress(("prepare", *chosen))
    machine = machine_facts()
    figures: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="orrery-bench-") as directory, ray_session(config.workers):
        with progress.phase("prepare"):
            workload = prepare(config.policy, config.tasks, _tasks(config, chosen), Path(directory), config.seed)
        for name in chosen:
            with progress.phase(name) as phase:
                figures[name] = _MEASURES[name](config, workload, phase)
    print(f"\n{_table([figure for group in figures.values() for figure in group])}\n")
    print(f"medians of {config.repeats} repeats, measured by: {shlex.join(sys.argv)}")
    print(_sentence(machine))
    return {
        "command": shlex.join(sys.argv),
        "machine": machine,
        "repeats": config.repeats,
        "quick": config.quick,
        "figures": {name: [figure.as_dict() for figure in group] for name, group in figures.items()},
        "phases": progress.seconds,
        "seconds": sum(progress.seconds.values()),
    }


def _rollout(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return rollout.measure(config.rollout, workload, config.repeats, phase.note)


def _trainer(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    demonstrations = workload.demonstrations(config.trainer.sequences)
    return _apart(config, trainer.measure, config.trainer, workload.model, demonstrations, config.repeats)


def _weight_sync(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    demonstrations = workload.demonstrations(config.weight_sync.sequences)
    return weight_sync.measure(config.weight_sync, workload.model, demonstrations, config.repeats, config.seed)


def _tool_calls(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return tool_calls.measure(config.tool_calls, workload, config.repeats)


def _state(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return state.measure(config.state, config.repeats, config.seed)


def _environments(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return environments.measure(config.environments, config.repeats, config.seed)


def _dedup(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return dedup.measure(config.dedup, config.repeats, config.seed)


def _export(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return export.measure(config.export, config.repeats, config.seed, export_native)


def _chat_cache(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return chat_cache.measure(config.chat_cache, config.repeats)


def _gym(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return gym.measure(config.gym, config.repeats, config.seed)


def _scoring(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return scoring.measure(config.scoring, config.repeats, config.seed)


def _sandbox(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    with open_sandbox(SandboxConfig(slots=1)) as opened:
        if opened.run(Program.python("")).ending == "refused":
            phase.note("left out: programs cannot be isolated on this machine")
            return []
    return sandbox.measure(config.sandbox, config.repeats)


def _sft(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    demonstrations = workload.demonstrations(config.sft.sequences)
    return _apart(config, sft.measure, config.sft, workload.model, demonstrations, config.repeats, config.seed)


def _trl_grpo(config: Bench, workload: Workload, phase: Phase) -> list[Figure]:
    return trl_grpo.measure(config.trl_grpo, workload.model, config.repeats, config.seed, config.threads, phase.note)


_MEASURES: dict[str, Callable[[Bench, Workload, Phase], list[Figure]]] = {
    "rollout": _rollout,
    "trainer": _trainer,
    "weight_sync": _weight_sync,
    "tool_calls": _tool_calls,
    "state": _state,
    "environments": _environments,
    "dedup": _dedup,
    "export": _export,
    "chat_cache": _chat_cache,
    "gym": _gym,
    "scoring": _scoring,
    "sandbox": _sandbox,
    "sft": _sft,
    "trl_grpo": _trl_grpo,
}


def _apart(config: Bench, measure: Callable[..., list[Figure]], *arguments: Any) -> list[Figure]:
    """In a process of its own, with the threads and the waiting of a trainer actor."""
    threads = config.threads or os.cpu_count() or 1
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
    remote = ray.remote(num_cpus=1, max_calls=1, max_retries=0, runtime_env={"env_vars": environment})(measure)
    return ray.get(remote.remote(*arguments))


def _tasks(config: Bench, chosen: Sequence[str]) -> int:
    """Different tasks that the chosen benchmarks need; demonstrations go round."""
    needed = {
        "rollout": config.rollout.tasks,
        "trainer": config.trainer.sequences,
        "tool_calls": config.tool_calls.slots,
    }
    return max(needed.get(name, 8) for name in chosen)


def _table(figures: Sequence[Figure]) -> str:
    rows = []
    for figure in figures:
        spread = f"{_number(min(figure.repeats))} to {_number(max(figure.repeats))}"
        limit, aim, ratio = "", "", ""
        if figure.limit is not None and figure.ratio is not None:
            described = figure.as_dict()["limit"]
            limit, aim = f"{_number(described['median'])} ({figure.limit.name})", figure.limit.aim
            ratio = f"{figure.ratio:.2f}" if figure.ratio < 100 else f"{figure.ratio:,.0f}"
        rows.append([figure.name, f"{_number(figure.median)} {figure.unit}", spread, limit, ratio, aim])
    return table(["", "median", "repeats", "limit", "ratio", "aim"], rows)


def _sentence(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = f"load {machine['load']:.1f} when it began"
    return f"{machine['usable_cores']} of {machine['cores']} cores, {machine['processor']}, {load}; {versions}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-3 else f"{value * 1e6:,.0f}e-6"


register("bench", Bench, run, user_errors=RL_ERRORS)
