"""Verdicts in other processes: the same as here, in order, and whatever an answer does to its verifier the others get theirs."""

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rewards.composition import CompositeReward, RewardConfig
from rewards.scoring import ScoringConfig, ScoringPool
from tests.rewards.planted import answer, find, planted_task
from trajectories.outcomes import Fault, Outcome
from trajectories.tasks import Task
from trajectories.trajectory import Segment, Trajectory

CALM = ScoringConfig(workers=2, item_seconds=120, patience_seconds=0.1, memory_bytes=2**29)
Answers = list[tuple[Task, Outcome]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ScoringPool]:
    with ScoringPool(scoring=CALM, find=find) as pool:
        yield pool


def batch(size: int, **deed: Any) -> Answers:
    """Every third answer is wrong; the second one's verifier does as told."""
    answers = [(planted_task(number), answer(str(number - (number % 3 == 2)))) for number in range(size)]
    return [answers[0], (planted_task(1, **deed), answer("1")), *answers[2:]] if deed else answers


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid: int) -> bool:
    for _ in range(6000):
        if not is_alive(pid):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_any_number_of_workers_gives_the_same_rewards_in_order(workers: int):
    answers = [*batch(40), (planted_task(2), Outcome("fault", faults=(Fault("tool", "gone"),))), (planted_task(1), answer("x"))]
    answers[40] = (planted_task(2, deed="raise"), answer("2"))
    verifier = find("maths")
    with ScoringPool(scoring=replace(CALM, workers=workers), find=find) as pool:
        rewards = pool.verdicts(answers)
    assert rewards[40].cause == "verifier: maths: RuntimeError: a mistake of ours"
    del answers[40], rewards[40]
    assert rewards == [verifier.verify(*each) for each in answers]
    assert [reward.value for reward in rewards[:6]] == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_nobody_waits_for_a_verdict_that_takes_long(pool: ScoringPool, tmp_path: Path):
    file = tmp_path / "come"
    answers = batch(256, deed="wait", file=str(file))
    futures = [pool.submit(*each) for each in answers]
    others = [future.result() for at, future in enumerate(futures) if at != 1]
    assert others == [find("maths").verify(*each) for at, each in enumerate(answers) if at != 1]
    assert not futures[1].done()
    file.touch()
    assert futures[1].result().value == 1.0


def test_what_never_ends_is_ended_and_invalid():
    deeds: list[dict[str, Any]] = [
        {"deed": "sleep", "seconds": 600},
        {"deed": "power", "digits": 9},
        {"deed": "regex", "length": 60},
        {"deed": "ignore_signals", "seconds": 600},
    ]
    answers = [(planted_task(1, **deed), answer("1")) for deed in deeds * 2]
    with ScoringPool(scoring=replace(CALM, item_seconds=1.0, spares=2), find=find) as pool:
        rewards = pool.verdicts(answers)  # twice as many as there may be processes
    assert all((reward.value, reward.valid) == (None, False) for reward in rewards)
    assert {reward.cause for reward in rewards} == {"verifier: timed out after 1 s (maths)"}


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("exit", "verifier: its process ended with status 3 (maths)"),
        ("crash", "verifier: its process died of signal 11 (maths)"),
        ("eat", "verifier: maths: MemoryError"),
        ("raise", "verifier: maths: RuntimeError: a mistake of ours"),
    ],
)
def test_whatever_befalls_one_verdict_the_others_come_and_it_is_invalid(pool: ScoringPool, deed: str, cause: str):
    answers = batch(64, deed=deed)
    rewards = pool.verdicts(answers)
    assert (rewards[1].value, rewards[1].valid, rewards[1].cause) == (None, False, cause)
    del answers[1], rewards[1]
    assert rewards == [find("maths").verify(*each) for each in answers]


def test_what_a_verifier_started_ends_with_it(pool: ScoringPool, tmp_path: Path):
    file = tmp_path / "pids"
    (reward,) = pool.verdicts([(planted_task(1, deed="start", seconds=600, file=str(file)), answer("1"))])
    assert reward.cause == "verifier: its process ended with status 3 (maths)"
    pids = [int(line) for line in file.read_text().splitlines()]
    assert len(pids) == 2 and all(gone(pid) for pid in pids), "tried twice"


def test_rewards_are_composed_as_they_are_without_a_pool(pool: ScoringPool):
    tasks = [planted_task(1), planted_task(2, deed="exit")]
    policy = [Segment("policy", tuple(range(n)), (0.0,) * n) for n in (10, 40, 30, 20)]
    texts = ["1", "1", "2", "2"]
    pairs = zip(texts, policy, strict=True)
    episodes = [Trajectory("t", "", segments=(segment,), outcome=answer(text)) for text, segment in pairs]
    config = RewardConfig(length_reward=1.0, length_penalty=0.5, length_budget=20)
    with ScoringPool(config, CALM, find) as scoring:
        rewards = scoring.score_groups(tasks, episodes, step=1)
        assert scoring.score(tasks[0], episodes[1].outcome or Outcome("fault"), episodes[1]).value == 0.5
    assert rewards[:2] == CompositeReward(config, find).score_groups(tasks[:1], episodes[:2], step=1)
    assert [reward.value for reward in rewards] == [1.5, 0.0, None, None]


def test_cheap_domains_are_judged_where_the_caller_is():
    here: list[str] = []

    def local(domain: str) -> Any:  # a process could not import it
        here.append(domain)
        return find(domain)

    with ScoringPool(scoring=replace(CALM, in_process=("maths",)), find=local) as pool:
        assert [reward.value for reward in pool.verdicts(batch(4))] == [1.0, 1.0, 0.0, 1.0]
    assert here == ["maths"] * 4


def test_a_verifier_that_cannot_be_imported_is_a_cause(pool: ScoringPool):
    rewards = pool.verdicts([(replace(planted_task(1), domain="alchemy"), answer("1")), (planted_task(1), answer("1"))])
    assert "no verifier for domain 'alchemy'" in (rewards[0].cause or "") and rewards[1].value == 1.0


def test_a_full_queue_makes_the_caller_wait_and_loses_nothing():
    with ScoringPool(scoring=replace(CALM, max_queued=1, workers=1), find=find) as pool:
        assert pool.verdicts(batch(50)) == [find("maths").verify(*each) for each in batch(50)]


def test_processes_start_when_they_are_needed_and_are_used_again():
    held = b"x" * 2**28  # what this process holds is not held against those that it starts
    with ScoringPool(scoring=replace(CALM, workers=1, patience_seconds=100), find=find) as pool:
        assert pool.pids() == () and held
        pool.verdicts(batch(2))
        pids = pool.pids()
        pool.verdicts(batch(2))
        assert pool.pids() == pids and len(pids) == 1


def test_processes_end_when_they_are_not_needed_and_come_again():
    with ScoringPool(scoring=replace(CALM, workers=1, idle_seconds=0.1), find=find) as pool:
        future = pool.submit(*batch(1)[0])
        pids = pool.pids()
        assert future.result().value == 1.0 and all(gone(pid) for pid in pids)
        assert [reward.value for reward in pool.verdicts(batch(2))] == [1.0, 1.0]


def test_a_process_that_does_not_start_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with ScoringPool(scoring=CALM) as pool, pytest.raises(RuntimeError, match="does not start: its process ended with status 1"):
        pool.verify(planted_task(1), answer("1"))


def test_an_answer_that_cannot_be_sent_is_the_callers_error(pool: ScoringPool):
    unsendable = Outcome("completed", changes=(lambda: None,))  # type: ignore[arg-type]
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pool.verify(planted_task(1), unsendable)
    assert pool.verify(planted_task(1), answer("1")).value == 1.0


def test_a_pool_that_is_closed_leaves_no_process_and_takes_no_work():
    pool = ScoringPool(scoring=replace(CALM, workers=1, spares=0), find=find)
    futures = [pool.submit(*each) for each in batch(3)]
    futures.append(pool.submit(planted_task(1, deed="sleep", seconds=600), answer("1")))
    futures.append(pool.submit(planted_task(1), answer("1")))
    assert [future.result().value for future in futures[:3]] == [1.0, 1.0, 0.0]
    pids = pool.pids()
    pool.close()
    assert pids and all(gone(pid) for pid in pids)
    with pytest.raises(CancelledError):
        futures[4].result()
    with pytest.raises((CancelledError, RuntimeError)):
        futures[3].result()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(planted_task(1), answer("1"))


def test_processes_end_with_whoever_held_the_pool_even_where_nothing_interrupts_them(tmp_path: Path):
    script = textwrap.dedent("""
        import os, signal, time
        from rewards.scoring import ScoringConfig, ScoringPool
        from tests.rewards.planted import answer, find, planted_task
        pool = ScoringPool(scoring=ScoringConfig(workers=1, item_seconds=60), find=find)
        pool.verdicts([(planted_task(1), answer("1"))])
        pool.submit(planted_task(1, deed="power", digits=9), answer("1"))
        time.sleep(0.3)
        print(*pool.pids(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
    pids = [int(word) for word in done.stdout.split()]
    assert pids and all(gone(pid) for pid in pids), done.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", 0),
        ("spares", -1),
        ("item_seconds", 0.0),
        ("item_seconds", float("inf")),
        ("patience_seconds", 60.0),
        ("memory_bytes", 0),
        ("max_queued", 0),
        ("in_process", ("tools",)),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_their_key(key: str, value: Any):
    with pytest.raises(ValueError, match=key):
        ScoringConfig(**{key: value})
