"""Long to short: a policy of long answers lends its skill to short ones, by averaged weights, chosen rollouts or pairs.

Kimi k1.5 (arXiv 2501.12599, section 2.4). Three actions: `average` merges models, `shortest` keeps the shortest correct rollout
of each task for supervised training, `pairs` makes preference pairs for TRL's `DPOTrainer`. The second phase of reinforcement
learning with a shorter budget is `orrery train` on the result.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.errors import UserError
from pipelines.long2short_choice import RATIO, SAMPLES, pairs_of, shortest
from pipelines.long2short_rows import PAIR_SCHEMA, JudgedRollouts
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from trajectories.formats import FORMATS
from trajectories.shard_files import ShardError
from trajectories.shards import ShardWriter

__all__ = ["Long2Short"]


@dataclass(frozen=True, kw_only=True)
class Long2Short(Command):
    """`seed` and `workers` change nothing here."""

    action: Literal["average", "shortest", "pairs"]
    """average: weights of several models; shortest: the shortest correct rollout of each task; pairs: shortest against longer."""
    models: tuple[str, ...] = ()
    """Model directories of one architecture and tokenizer; for average."""
    weights: tuple[float, ...] = ()
    """Of each of `models`, adding up to 1; empty: equal shares."""
    dataset: str = "outputs/train/latest/rollouts"
    """Judged rollouts with tokens, several of each task, e.g. those of `orrery train`; for shortest and pairs."""
    split: str = "train"
    """Split of `dataset` that is read; the output has the same."""
    samples: int = SAMPLES
    """Rollouts of a task that are looked at: its last ones with a verdict."""
    ratio: float = RATIO
    """How many times as long as the chosen one a correct rollout must at least be to be rejected; for pairs."""
    format: Literal["trl_sft", "native"] = "trl_sft"
    """Columns of shortest: TRL's, or native for `orrery sft`."""
    arguments: Literal["refuse", "keep"] = "refuse"
    """Text of tool-call arguments that is not exactly one JSON object: refuse the row, or keep the text as it is."""
    refused: Literal["stop", "drop"] = "stop"
    """A row that TRL's format cannot say: stop, naming it; or leave it (and its pair) out and count it."""
    rows_per_shard: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("samples", "rows_per_shard"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if not re.fullmatch(r"\w+", self.split):
            raise ValueError(f"split: {self.split!r} is not letters, digits and underscores")
        if not 1 <= self.ratio < float("inf"):
            raise ValueError(f"ratio: must be at least 1, not {self.ratio}")
        if self.action != "average" and (self.models or self.weights):
            raise ValueError(f"models: only action=average has models; {self.action} reads `dataset`")

    @property
    def shares(self) -> tuple[float, ...]:
        """`weights`, or equal ones."""
        return self.weights or (1 / max(len(self.models), 1),) * len(self.models)


def run(config: Long2Short, run: RunDirectory) -> dict[str, Any]:
    """`orrery long2short`."""
    progress = Progress((config.action,))
    if config.action == "average":
        summary = _average(config, run, progress)
        print(f"\n{summary['tensors']} tensors averaged\npolicy: {run.shown_path}/policy")
        return summary
    with progress.phase(config.action):
        summary = _choose(config, run)
    print(
        f"\n{summary['rows']:,} {'pairs' if config.action == 'pairs' else 'dialogues'} of {summary['read']:,} rollouts of"
        f" {summary['tasks']:,} tasks under {run.shown_path}/data"
    )
    if summary["dropped"]:
        print("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in summary["dropped"].items()))
    if summary["rows"]:
        print(f"tokens: {summary['chosen_tokens']:.1f} chosen, {summary['other_tokens']:.1f} the others, in the mean")
    return summary


def _average(config: Long2Short, run: RunDirectory, progress: Progress) -> dict[str, Any]:
    from rl.policy.averaging import average  # seconds to import, for this action only
    from rl.policy.presets import ModelDirectoryError

    try:
        with progress.phase("average"):
            tensors = average(config.models, config.shares, run.path / "policy")
    except ModelDirectoryError as error:
        raise UserError(str(error)) from error
    return {"action": "average", "tensors": tensors, "weights": list(config.shares)}


def _choose(config: Long2Short, run: RunDirectory) -> dict[str, Any]:
    rollouts = JudgedRollouts(config.dataset, config.split, config.arguments, config.refused)
    groups, read = rollouts.groups(config.samples)
    best = {task: shortest(group) for task, group in groups.items()}
    kept = {response.row for response in best.values() if response is not None}
    rollouts.dropped["tasks without a correct rollout"] = len(groups) - len(kept)
    pairs = [pair for group in groups.values() for pair in pairs_of(group, config.ratio)] if config.action == "pairs" else []
    if config.action == "pairs":
        schema, rows = PAIR_SCHEMA, rollouts.preferences(pairs)
    else:
        form = FORMATS[config.format]
        assert form.typed is not None
        schema, rows = form.typed, rollouts.conversations(config.format, kept)
    with ShardWriter(
        run.path, schema=schema, rows_per_shard=config.rows_per_shard, split=config.split, resume=run.resumed,
        keep_rows=0 if run.resumed else None,
    ) as writer:  # fmt: skip
        for row in rows:
            writer.append(row)
    return {
        "action": config.action,
        "rows": writer.rows_written,
        "read": read,
        "tasks": len(groups),
        "kinds": dict(sorted(Counter(pair.kind for pair in pairs).items())),
        "dropped": {reason: count for reason, count in sorted(rollouts.dropped.items()) if count},
        "chosen_tokens": _mean([one.tokens for group in groups.values() for one in group if one.row in kept]),
        "other_tokens": _mean([one.tokens for group in groups.values() for one in group if one.row not in kept]),
    }


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def check(config: Long2Short) -> None:
    """The models fit each other, or the data set is there and whole."""
    if config.action == "average":
        from rl.policy.averaging import check_average
        from rl.policy.presets import ModelDirectoryError

        try:
            check_average(config.models, config.shares)
        except (ModelDirectoryError, ValueError) as error:
            raise UserError(str(error)) from error
        return
    if not Path(config.dataset).is_dir():
        raise UserError(f"dataset: {config.dataset} is not a directory; name the rollouts/ of a run of orrery train")
    JudgedRollouts(config.dataset, config.split).source.digest([config.split])


register("long2short", Long2Short, run, check=check, user_errors=(ShardError,))
