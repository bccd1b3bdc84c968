"""Verdicts per second of every domain, here and in scoring processes, and how long one pathological answer holds up a batch.

Answers are the oracle's, and an empty one beside each. The batch that is held up is of verdicts that work for a few milliseconds;
the figure is when the last of the others came, with the bad answer among them and without it, in turns.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from benchmarks.figure import Figure, Limit, take_turns
from benchmarks.planted import DEEDS, find
from rewards.composition import verdict_of
from rewards.scoring import ScoringConfig, ScoringPool
from rewards.verifiers import VERIFIERS
from simulators.playable import open_world
from simulators.tasks import OracleAgent, play
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix, candidate
from simulators.tasks.stream import TaskStream
from trajectories.messages import Message
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

__all__ = ["ScoringBenchmark", "answers_of", "measure"]

_RATE: Final = "calls/s"
Answers = list[tuple[Task, Outcome]]


@dataclass(frozen=True, kw_only=True)
class ScoringBenchmark:
    domains: tuple[str, ...] = tuple(VERIFIERS)
    """Whose verdicts are measured."""
    tasks: int = 32
    """Of each domain, with two answers each."""
    workers: int = 2
    """Scoring processes."""
    batch: int = 256
    """Answers of the batch that is held up."""
    verdict_seconds: float = 0.005
    """Processor time of each ordinary verdict in it."""
    deeds: tuple[str, ...] = tuple(DEEDS)
    """What befalls the one bad answer: sleep, power, regex, exit, eat."""
    stuck_seconds: float = 60.0
    """That ``sleep`` sleeps for; ``power`` and ``regex`` take longer."""
    item_seconds: float = 3.0
    """The pool's limit for one verdict."""

    def __post_init__(self) -> None:
        for key in ("tasks", "workers", "batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        for key, known in (("domains", VERIFIERS), ("deeds", DEEDS)):
            unknown = [name for name in getattr(self, key) if name not in known]
            if unknown:
                raise ValueError(f"{key}: {', '.join(unknown)} is not among {', '.join(known)}")

    def quick(self) -> "ScoringBenchmark":
        return replace(self, tasks=2, batch=16, item_seconds=0.5, deeds=("sleep", "exit"))


def measure(settings: ScoringBenchmark, repeats: int, seed: int) -> list[Figure]:
    """Verdicts per second by domain, and seconds by what befalls one answer."""
    scoring = ScoringConfig(workers=settings.workers, in_process=())
    with ScoringPool(scoring=scoring) as pool:
        rates = [_rates(answers_of(name, settings.tasks, seed), name, pool, repeats) for name in settings.domains]
    scoring = replace(scoring, item_seconds=settings.item_seconds, patience_seconds=min(0.25, settings.item_seconds))
    with ScoringPool(scoring=scoring, find=find) as pool:
        return rates + [_held_up(settings, deed, pool, repeats) for deed in settings.deeds]


def answers_of(domain: str, tasks: int, seed: int) -> Answers:
    """The oracle's answer to each of so many tasks, and an empty one."""
    answers: Answers = []
    for number in range(tasks):
        if domain == "tool_use":
            task = TaskStream().task(number, run_seed=seed, split="train", verify=verdict_of)
        else:
            made = domain_of(domain)
            mix = DomainMix(levels=tuple(range(1, made.levels + 1)), languages=made.languages)
            task, _ = candidate(made, number, mix=mix, run_seed=seed, split="train")
        best = play(task, open_world(task.world), OracleAgent(task), task.seed, max_turns=24)[2]
        answers += [(task, best), (task, replace(best, messages=(*best.messages[:-1], Message("assistant", ""))))]
    return answers


def _rates(answers: Answers, domain: str, pool: ScoringPool, repeats: int) -> Figure:
    found: list[Sequence[Reward]] = []

    def here() -> float:
        started = time.perf_counter()
        found.append([verdict_of(*answer) for answer in answers])
        return len(answers) / (time.perf_counter() - started)

    def away() -> float:
        started = time.perf_counter()
        found.append(pool.verdicts(answers))
        return len(answers) / (time.perf_counter() - started)

    away_rates, here_rates = take_turns(repeats, away, here)
    rewards = found[-1]
    details = {
        "answers": float(len(answers)),
        "passes": sum(reward.value or 0.0 for reward in rewards),
        "invalid": float(sum(not reward.valid for reward in rewards)),
        "the same here and there": float(all(each == rewards for each in found)),
    }
    name = f"verdicts of {domain}, in {pool.scoring.workers} processes"
    return Figure(name, _RATE, away_rates, Limit("in this process", here_rates), details)


def _held_up(settings: ScoringBenchmark, deed: str, pool: ScoringPool, repeats: int) -> Figure:
    ordinary = [_planted(number, "work", settings.verdict_seconds) for number in range(settings.batch)]
    bad = [ordinary[0], _planted(1, deed, settings.stuck_seconds), *ordinary[2:]]
    fates: list[tuple[float, Reward]] = []

    def with_it() -> float:
        last, fate = _last_of_others(bad, pool)
        fates.append(fate)
        return last

    seconds, without = take_turns(repeats, with_it, lambda: _last_of_others(ordinary, pool)[0])
    details = {
        "delay at most": max(one - other for one, other in zip(seconds, without, strict=True)),
        "the bad answer came after": max(after for after, _ in fates[1:]),
        "and was invalid": float(all(not reward.valid for _, reward in fates)),
    }
    name = f"{settings.batch - 1} answers beside one that {DEEDS[deed].format(seconds=settings.stuck_seconds)}"
    return Figure(name, "s", seconds, Limit("without it", without, "< 1 s more"), details)


def _last_of_others(answers: Answers, pool: ScoringPool) -> tuple[float, tuple[float, Reward]]:
    """Seconds until all but the second answer had their verdicts; and when it had its own, which is that."""
    ended = [0.0] * len(answers)

    def note(at: int, _: Future[Reward]) -> None:
        ended[at] = time.perf_counter()

    started = time.perf_counter()
    futures: list[Future[Reward]] = []
    for at, answer in enumerate(answers):
        futures.append(pool.submit(*answer))
        futures[-1].add_done_callback(partial(note, at))
    rewards = [future.result() for future in futures]
    others = max(end for at, end in enumerate(ended) if at != 1)
    return others - started, (ended[1] - started, rewards[1])


def _planted(number: int, deed: str, seconds: float) -> tuple[Task, Outcome]:
    key = {"deed": deed, "seconds": seconds}
    task = Task("", "none", number, "train", 1, Persona(), Ledger("Say it."), Rubric(), Gold(), domain="maths", key=key)
    return task, Outcome("completed", messages=(Message("assistant", "It."),))
