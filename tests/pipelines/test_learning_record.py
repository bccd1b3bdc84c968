"""A killed run goes on behind its checkpoint: recorded iterations come back once, and nothing is kept twice."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.learning.record import RolloutRecord, Tally
from pipelines.run_directory import RunDirectory
from rl.rollout.error_budget import ErrorBudget
from rl.rollout.proof import Proof
from rl.training.synchronise import Synchronisation
from trajectories.codec import TASK_SCHEMA, from_row, to_row
from trajectories.rewards import Reward
from trajectories.shards import ShardError, ShardWriter, read
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Sampling, Segment, Trajectory

ROWS = 3


def tasks(step: int) -> list[Task]:
    """The one task of an iteration."""
    return [Task("task", "order_desk", step, "train", 1, Persona(), Ledger("Hello"), Rubric(), Gold())]


def episodes(step: int, attempt: int = 0) -> list[Trajectory]:
    """What an engine said in one iteration; it would say something else the next time."""
    return [
        Trajectory(
            id=f"{step}/task/{number}",
            task_id="task",
            rollout=number,
            seed=attempt,
            segments=(
                Segment("context", (1, 2)),
                Segment("policy", (5 + number,), (-0.1234567890123456 * (attempt + 1),), Sampling(), step - 1),
            ),
            reward=Reward(float(number % 2), components={"pass": float(number % 2)}),
        )
        for number in range(ROWS)
    ]


def kept(directory: Path) -> list[Trajectory]:
    return [from_row(Trajectory, row) for row in read(directory)]


@given(st.data())
@settings(max_examples=12)
def test_whatever_the_kill_each_iteration_is_recorded_once_and_learnt_from_as_it_was_sampled(data):
    steps = data.draw(st.integers(1, 4))
    recorded = data.draw(st.integers(0, steps))
    done = data.draw(st.integers(0, recorded))
    with tempfile.TemporaryDirectory() as place:
        living, killed = Path(place, "living"), Path(place, "killed")
        first = RolloutRecord(living, 1, ROWS, 0)
        for step in range(1, recorded + 1):
            assert first.stored(step) is None
            first.store(step, tasks(step), episodes(step))
        shutil.copytree(living, killed)  # the disk at this moment is what kill -9 leaves
        first.__exit__(None, None, None)

        with RolloutRecord(killed, 1, ROWS, done) as second:
            for step in range(done + 1, steps + 1):
                found = second.stored(step)
                assert (found == episodes(step)) if step <= recorded else (found is None)
                assert second.stored(step) is None, "once"
                if found is None:
                    second.store(step, tasks(step), episodes(step, attempt=1))
        expected = [each for step in range(1, steps + 1) for each in episodes(step, attempt=int(step > recorded))]
        assert kept(killed) == expected


def test_a_finished_record_is_taken_up_again(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.store(1, tasks(1), episodes(1))
        record.store(2, tasks(2), episodes(2))
    with RolloutRecord(tmp_path, 1, ROWS, 2) as again:
        assert again.stored(1) is None and again.stored(2) is None
    assert kept(tmp_path) == episodes(1) + episodes(2)
    assert [from_row(Task, row) for row in read(tmp_path / "tasks")] == tasks(1) + tasks(2)


def test_a_run_that_ends_by_an_error_keeps_what_it_sampled(tmp_path):
    with pytest.raises(RuntimeError, match="weight sync"), RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.store(1, tasks(1), episodes(1))
        raise RuntimeError("weight sync")
    assert RolloutRecord(tmp_path, 1, ROWS, 0).stored(1) == episodes(1)


def test_half_an_iteration_is_sampled_anew(tmp_path):
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "tasks", schema=TASK_SCHEMA, rows_per_shard=1) as writer:
        for task in tasks(1) + tasks(2):
            writer.append(to_row(task))
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, rows_per_shard=ROWS) as writer:
        for trajectory in episodes(1) + episodes(2)[:1]:
            writer.append(to_row(trajectory))
        raise KeyboardInterrupt
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        assert record.stored(1) == episodes(1) and record.stored(2) is None
        record.store(2, tasks(2), episodes(2, attempt=1))
    assert kept(tmp_path) == episodes(1) + episodes(2, attempt=1)


def test_a_checkpoint_that_learnt_more_than_is_recorded_is_refused(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.store(1, tasks(1), episodes(1))
    with pytest.raises(UserError, match=r"holds the rollouts of 1 iterations, the checkpoint has learnt 2"):
        RolloutRecord(tmp_path, 1, ROWS, 2)


def test_a_truncated_shard_of_rollouts_is_named(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.store(1, tasks(1), episodes(1))
        record.store(2, tasks(2), episodes(2))
    shard = tmp_path / "data" / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ShardError, match="train-00001-of-00002.parquet is truncated or damaged"):
        RolloutRecord(tmp_path, 1, ROWS, 1)


def figures(step: int) -> dict[str, float]:
    return {
        "version": float(step),
        "policy_tokens": 10.0 * step,
        "log_prob_difference_max": 1e-4 / step,
        "log_prob_difference_mean": 1e-7 * step,
        "training_log_prob_difference_max": 1e-2 * step,
    }


def advance(tally: Tally, steps: range) -> Tally:
    proof = Proof(version=1, max_difference=1e-6, mean_difference=1e-7, tokens=64)
    for step in steps:
        tally.add_step(step, episodes(step), figures(step), pass_rate=step / 10, budget=ErrorBudget(0.1))
        tally.add_sync(Synchronisation(proof, coverage=1.0 - step / 100, bytes=1, seconds=0.25, proof_seconds=1.0))
    return tally


@given(st.integers(0, 6), st.integers(0, 6))
@settings(max_examples=10)
def test_totals_of_a_continued_run_are_those_of_an_undisturbed_one(done, lost):
    with tempfile.TemporaryDirectory() as place, RunDirectory.open("train", {}, out=Path(place, "run")) as run:
        assert Tally.of(run) == Tally()
        tally = advance(Tally(), range(1, done + 1))
        tally.save(run)
        advance(tally, range(done + 1, done + lost + 1))  # learnt, but in no checkpoint
        assert advance(Tally.of(run), range(done + 1, 8)) == advance(Tally(), range(1, 8))


def test_the_summary_holds_the_issues_figures_and_weighs_differences_by_tokens():
    summary = advance(Tally(), range(1, 4)).summary()
    assert (summary["steps"], summary["rollouts"], summary["tokens"]) == (3, 3 * ROWS, 60)
    assert summary["weight_syncs"] == 3 and summary["sync_seconds"] == 0.75
    assert summary["max_logprob_difference"] == 1e-4
    assert summary["mean_logprob_difference"] == pytest.approx((10 * 1 + 20 * 2 + 30 * 3) * 1e-7 / 60)
    assert summary["training_max_logprob_difference"] == pytest.approx(3e-2)
    assert (summary["first_pass_rate"], summary["last_pass_rate"]) == (0.1, 0.3)
    assert summary["min_probe_coverage"] == pytest.approx(0.97)
    assert summary["faults"] == {}
