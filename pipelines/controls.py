"""What reinforcement learning is worth: the quickstart at several seeds, beside controls that cost as much.

Per seed one cold start, from which every arm goes on for about the same time: `rl` is the quickstart itself; `shuffled`
deals out the advantages anew inside each group, so that there is nothing to learn from; `adamw` optimises everything with
AdamW instead of MuonClip; `more_sft` goes on fine-tuning on the same demonstrations. All are examined on the same tasks.
On request `grpo` and `reinforce` learn by these objectives instead of K2's, everything else alike.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.controls_report import Outcome, summary_of, write_report
from pipelines.errors import UserError
from pipelines.evaluate import pass_values
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.trajectory import Trajectory

__all__ = ["ARMS", "Controls"]

ARMS: Mapping[str, tuple[str, ...]] = {
    "rl": (),
    "shuffled": ("learning.shuffle_advantages=true",),
    "adamw": tuple(f"learning.trainer.optimizer.{key}" for key in ("name=adamw", "adam_lr=1e-4", "qk_clip_threshold=null")),
    "more_sft": (),
    "grpo": (
        "learning.trainer.objective=grpo",
        "~learning.trainer.objective_settings.tau",
        *(f"+learning.trainer.objective_settings.{key}" for key in ("low=0.2", "high=0.2", "beta=0.0")),
        "learning.advantage_scale=std",
    ),
    "reinforce": ("learning.trainer.objective=reinforce", "~learning.trainer.objective_settings.tau"),
}
"""Ways to go on from the cold start, and what each changes in `orrery quickstart`; more_sft is `orrery sft` instead."""

_START = "from pipelines.cli import main; main()"


@dataclass(frozen=True, kw_only=True)
class Controls(Command):
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the quickstarts, fixed before the first one is run; `seed` is only that of the intervals."""
    arms: tuple[str, ...] = ("rl", "shuffled", "adamw", "more_sft")
    """Which to run: any of these, grpo and reinforce; rl comes always, since the others start from its cold start."""
    overrides: tuple[str, ...] = ()
    """Further keys of `orrery quickstart`, for every arm alike: ["learning.steps=10"]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: at least one, each once, not {list(self.seeds)}")
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise ValueError(f"arms: there is no {unknown[0]!r}; there are {', '.join(ARMS)}")


def run(config: Controls, run: RunDirectory) -> dict[str, Any]:
    """`orrery controls`."""
    arms = ["rl", *(arm for arm in ARMS if arm in config.arms and arm != "rl")]
    progress = Progress(tuple(f"{arm}, seed {seed}" for arm in arms for seed in config.seeds))
    outcomes: dict[str, dict[int, Outcome]] = {arm: {} for arm in arms}
    teacher: dict[int, Any] = {}
    for arm in arms:
        play = _more_sft if arm == "more_sft" else _quickstart
        for seed in config.seeds:
            base = run.path / f"seed-{seed}" / "rl"
            with progress.phase(f"{arm}, seed {seed}"):
                outcomes[arm][seed] = play(config, arm, seed, base, base.with_name(arm))
            teacher[seed] = json.loads((base / "summary.json").read_text())["held_out"]["teacher"]
    write_report(run, config.seed, outcomes, teacher)
    print((run.path / "report.md").read_text())
    return {
        "seconds": progress.elapsed,
        "phases": progress.seconds,
        "teacher": {str(seed): rate for seed, rate in teacher.items()},
        "arms": {arm: summary_of(by_seed, config.seed) for arm, by_seed in outcomes.items()},
    }


def _quickstart(config: Controls, arm: str, seed: int, base: Path, directory: Path) -> Outcome:
    again = () if arm == "rl" else (f"cold_start={base}",)
    _orrery(directory, "quickstart", f"seed={seed}", *config.overrides, *again, *ARMS[arm])
    summary = json.loads((directory / "summary.json").read_text())
    return Outcome(
        values=_verdicts(directory / "examined" / "after"),
        before=_verdicts(base / "examined" / "before"),
        seconds=summary["phases"]["learn"],
    )


def _more_sft(config: Controls, arm: str, seed: int, base: Path, directory: Path) -> Outcome:
    """As many seconds of the same fine-tuning, from its result, as reinforcement learning took."""
    settings = yaml.safe_load((base / "config.yaml").read_text())
    seconds = json.loads((base / "summary.json").read_text())["phases"]["learn"]
    policy = dict(_overrides(settings["policy"], "policy"))
    tuning = dict(_overrides(settings["sft"], "sft")) | {"sft.steps": "null", "sft.seconds": f"{seconds:.0f}"}
    # Another order of the demonstrations than the cold start's; the demonstrations are the same.
    _orrery(
        directory / "sft",
        "sft",
        f"seed={seed + 1_000_000}",
        f"data={base / 'synthesize'}",
        *_typed(policy | tuning | {"policy.path": str(base / "sft" / "policy")}),
    )
    same = {
        key: value
        for section in ("rollouts", "rewards")
        for key, value in _overrides(settings[section], section)
    }
    set_of_tasks = {f"examination.{key}": value for key, value in _overrides(settings["tasks"], "tasks")}
    _orrery(
        directory / "examined",
        "evaluate",
        f"seed={seed}",
        f"workers={settings['workers']}",
        f"count={settings['held_out']}",
        *_typed(policy | same | set_of_tasks | {"policy.path": str(directory / "sft" / "policy")}),
        *("examination.unseen_count=0", "examination.harder_count=0", "examination.greedy_count=0"),
    )
    return Outcome(
        values=_verdicts(directory / "examined" / "rollouts"),
        before=_verdicts(base / "examined" / "before"),
        seconds=json.loads((directory / "sft" / "summary.json").read_text())["sft"]["seconds"],
    )


def _orrery(directory: Path, command: str, *arguments: str) -> None:
    """Run a command in a process of its own, or go on with what is left of it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.log").open("a") as log:
        line = [sys.executable, "-c", _START, command, f"out={directory}", "resume=auto", *arguments]
        status = subprocess.run(line, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        tail = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-8:])
        raise UserError(f"orrery {command} ended with status {status}; {log.name} ends with\n{tail}")


def _verdicts(directory: Path) -> dict[str, float | None]:
    episodes = [from_row(Trajectory, row) for row in read(directory, "held_out")]
    return dict(zip((episode.task_id for episode in episodes), pass_values(episodes), strict=True))


def _overrides(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a stored configuration."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _overrides(item, f"{key}.{name}")
    else:
        yield key, value


def _typed(leaves: Mapping[str, Any]) -> list[str]:
    """As a command line takes them; ++ because mappings that are passed through have keys of their own."""
    return [f"++{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in leaves.items()]


register("controls", Controls, run)
