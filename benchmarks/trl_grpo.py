"""Reinforcement learning steps of this project over those of TRL's `GRPOTrainer`, and what both learn from them.

Same machine, threads and dtype; same policy to begin with, same questions in the same order, same number of completions
and tokens in each step; GRPO with the same clip and scale, AdamW with the same settings. Ours samples with the engine, and
its step ends when the engine has the new weights and they are proven; TRL's samples with the model that it trains. The
first steps of each run are not timed.
"""

import asyncio
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean, median, stdev
from typing import Any

import ray

from benchmarks.digits import Step, questions, reads_digit_by_digit, warm_up
from benchmarks.figure import Figure, Limit
from benchmarks.grpo_run import train_with_engine
from benchmarks.trl_trainer import train_with_trl
from rl.policy.presets import load
from rl.rollout.engine_config import EngineConfig
from rl.training.trainer_group import Placement
from trajectories.seeds import derive_seed

__all__ = ["TRLBenchmark", "measure"]

_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t, two-sided 95 %, by degrees of freedom from 1; the last one stands for more."""


@dataclass(frozen=True, kw_only=True)
class TRLBenchmark:
    prompts: int = 32
    """Questions of one step."""
    group_size: int = 8
    """K, completions of each question."""
    length: int = 22
    """Tokens of a completion."""
    steps: int = 20
    """Of one run; there is a run of each side for every repeat, each with a seed of its own."""
    untimed: int = 2
    """Steps at the begin of a run that warm it up."""
    warm_up_steps: int = 40
    """Supervised steps, 16 sequences each, from which both sides begin."""
    learning_rate: float = 1e-3
    """Of AdamW, constant."""
    trl_micro_batch: int = 64
    """Completions that TRL generates and trains on together; a step of it is as many of them as it takes."""
    trl_own_steps: int = 4
    """Steps of TRL's runs with its own batches (a whole step generated together, trained on by eights), which are only timed;
    0 leaves them out."""
    trl_experts: str = "grouped_mm"
    """Expert layers in TRL's runs: transformers' name of the implementation."""
    engine: EngineConfig = field(
        default_factory=lambda: EngineConfig(model="", max_model_len=128, max_num_seqs=128, kv_cache_gb=0.25, threads=1)
    )
    """Of our runs; the model is the warm policy."""
    replicas: int = 2
    """Engines of our runs."""
    ranks: int = 2
    """Of our trainer; each has its share of the threads."""

    def __post_init__(self) -> None:
        for key in ("prompts", "length", "warm_up_steps", "trl_micro_batch", "replicas", "ranks"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if self.group_size < 2:
            raise ValueError(f"group_size: an advantage needs at least 2 completions, not {self.group_size}")
        if not 0 <= self.untimed < self.steps:
            raise ValueError(f"untimed: must leave some of the {self.steps} steps, not {self.untimed}")
        if self.trl_own_steps and self.trl_own_steps <= self.untimed:
            raise ValueError(f"trl_own_steps: must be 0 or more than untimed, {self.untimed}, not {self.trl_own_steps}")
        if self.trl_micro_batch % self.group_size or self.prompts * self.group_size % self.trl_micro_batch:
            raise ValueError(
                f"trl_micro_batch: {self.trl_micro_batch} completions are not whole groups of {self.group_size}, "
                f"or no part of the {self.prompts * self.group_size} completions of a step"
            )

    def quick(self) -> "TRLBenchmark":
        engine = replace(self.engine, max_num_seqs=8)
        return replace(
            self, prompts=2, group_size=4, length=4, steps=2, untimed=1, warm_up_steps=1, trl_micro_batch=8, trl_own_steps=0,
            engine=engine, replicas=1, ranks=1,
        )  # fmt: skip


def measure(
    settings: TRLBenchmark,
    model: str,
    repeats: int,
    seed: int,
    threads: int | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[Figure]:
    """Seconds of a step, and rewards, of both sides; needs a running Ray.

    Args:
        threads: compute threads of a side's trainer; None takes every core.
    """
    tokenizer = load(model)[1]
    if not reads_digit_by_digit(tokenizer):
        note("left out: this policy does not read digit by digit")
        return []
    runs: dict[str, list[list[Step]]] = {"ours": [], "trl": [], "trl_own": []}
    cores = Placement(threads=threads).threads_per_rank
    placement = Placement(ranks=settings.ranks, threads=max(1, cores // settings.ranks))
    apart = {"OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
    options: dict[str, Any] = {"num_cpus": 1, "max_calls": 1, "max_retries": 0, "runtime_env": {"env_vars": apart}}
    with tempfile.TemporaryDirectory(prefix="orrery-bench-") as start:
        note("warming up")
        ray.get(ray.remote(**options)(warm_up).remote(model, start, settings.warm_up_steps, 16, settings.length, seed))
        for repeat in range(repeats):
            of_repeat = derive_seed(seed, "trl", repeat)
            asked = questions(tokenizer, settings.steps * settings.prompts, settings.length, of_repeat)
            batches = [asked[first : first + settings.prompts] for first in range(0, len(asked), settings.prompts)]
            own = batches[: settings.trl_own_steps]
            for side, given, together in (("trl", batches, settings.trl_micro_batch), ("trl_own", own, None)):
                if given:
                    note(f"TRL, run {repeat + 1}")
                    learner = ray.remote(**options)(train_with_trl).remote(
                        start, given, settings.group_size, settings.learning_rate, together, settings.trl_experts,
                        of_repeat % 2**31,
                    )  # fmt: skip
                    runs[side].append(ray.get(learner))
            note(f"ours, run {repeat + 1}")
            engine = replace(settings.engine, model=start)
            ours = train_with_engine(
                start, batches, settings.group_size, settings.learning_rate, engine, settings.replicas, placement, of_repeat
            )
            runs["ours"].append(asyncio.run(ours))
    return _figures(settings, **runs)


def _figures(
    settings: TRLBenchmark,
    ours: Sequence[Sequence[Step]],
    trl: Sequence[Sequence[Step]],
    trl_own: Sequence[Sequence[Step]] = (),
) -> list[Figure]:
    due = settings.prompts * settings.group_size * settings.length
    other = {step.tokens for run in (*ours, *trl, *trl_own) for step in run} - {due}
    if other:
        raise RuntimeError(f"steps of {sorted(other)} tokens where {due} were due")

    def seconds(runs: Sequence[Sequence[Step]]) -> tuple[float, ...]:
        return tuple(median(step.seconds for step in run[settings.untimed :]) for run in runs)

    def late(runs: Sequence[Sequence[Step]]) -> tuple[float, ...]:
        return tuple(mean(step.reward for step in run[settings.steps // 2 :]) for run in runs)

    completions = settings.prompts * settings.group_size
    sizes = {"completions": float(completions), "tokens": float(due), "steps": float(settings.steps)}
    name = f"RL step, {completions} completions of {settings.length} tokens"
    learnt = "reward over the last half of the steps"
    difference = [mine - theirs for mine, theirs in zip(late(ours), late(trl), strict=True)]
    curves = _curve("ours", ours) | _curve("trl", trl)
    curves |= _with_interval("difference", difference)
    best = Limit(f"TRL's GRPOTrainer, {settings.trl_micro_batch} together", seconds(trl), "<= 0.33")
    own = [Limit("TRL's GRPOTrainer, its own batches", seconds(trl_own), "<= 0.33")] if trl_own else []
    return [
        *(Figure(name, "s", seconds(ours), limit, sizes) for limit in (best, *own)),
        Figure(learnt, "share", late(ours), None, sizes | curves),
        Figure(f"{learnt}, TRL's GRPOTrainer", "share", late(trl)),
    ]


def _curve(side: str, runs: Sequence[Sequence[Step]]) -> dict[str, float]:
    """Mean reward of each step over the runs, with its interval."""
    points: dict[str, float] = {}
    for number, steps in enumerate(zip(*runs, strict=True), start=1):
        points |= _with_interval(f"{side}_{number:03d}", [step.reward for step in steps])
    return points


def _with_interval(name: str, values: Sequence[float]) -> dict[str, float]:
    """The mean, and where there are two values or more, half of its 95 % interval (Student's t)."""
    if len(values) == 1:
        return {name: values[0]}
    quantile = _T95[min(len(values) - 2, len(_T95) - 1)]
    return {name: mean(values), f"{name}_ci95": quantile * stdev(values) / math.sqrt(len(values))}
