"""A killed run goes on behind its checkpoint: recorded iterations come back once, and nothing is kept twice."""

import json
import shutil
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.learning import record as learning_record
from pipelines.learning.record import RolloutRecord
from pipelines.learning.tally import Tally
from pipelines.run_directory import RunDirectory
from rl.rollout.error_budget import ErrorBudget
from rl.rollout.proof import Proof
from rl.rollout.scheduling import Group
from rl.training.synchronise import Synchronisation
from trajectories.codec import from_row
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.shards import ShardError, ShardWriter, read
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Sampling, Segment, Trajectory

ROWS = 3


def tasks(step: int) -> list[Task]:
    """The one task of an iteration."""
    return [Task(f"task-{step}", "order_desk", step, "train", 1, Persona(), Ledger("Hello"), Rubric(), Gold())]


def episodes(step: int, attempt: int = 0, rows: int = ROWS, ended: bool = True) -> tuple[Trajectory, ...]:
    """What an engine said in one iteration; it would say something else the next time."""
    return tuple(
        Trajectory(
            id=f"{step}/task/{number}",
            task_id=f"task-{step}",
            rollout=number,
            seed=attempt,
            segments=(
                Segment("context", (1, 2)),
                Segment("policy", (5 + number,), (-0.1234567890123456 * (attempt + 1),), Sampling(), step - 1),
            ),
            outcome=Outcome("completed") if ended else None,
            reward=Reward(float(number % 2), components={"pass": float(number % 2)}) if ended else None,
        )
        for number in range(rows)
    )


def group(step: int, attempt: int = 0, ended: bool = True) -> Group:
    return Group(step - 1, step, tasks(step)[0], max(0, step - 2), episodes(step, attempt, ended=ended))


def store(record: RolloutRecord, step: int, attempt: int = 0) -> None:
    if step > record.begun:
        record.begin(step, tasks(step))
    record.store(step, step - 1, [group(step, attempt)])


def kept(directory: Path) -> list[Trajectory]:
    return [from_row(Trajectory, row) for row in read(directory)]


@given(st.data())
@settings(max_examples=8)
def test_whatever_the_kill_each_iteration_is_recorded_once_and_learnt_from_as_it_was_sampled(data):
    steps = data.draw(st.integers(1, 4))
    recorded = data.draw(st.integers(0, steps))
    done = data.draw(st.integers(0, recorded))
    with tempfile.TemporaryDirectory() as place:
        living, killed = Path(place, "living"), Path(place, "killed")
        first = RolloutRecord(living, 1, ROWS, 0)
        for step in range(1, recorded + 1):
            assert first.stored(step) is None
            store(first, step)
        shutil.copytree(living, killed)  # the disk at this moment is what kill -9 leaves
        first.__exit__(None, None, None)

        with RolloutRecord(killed, 1, ROWS, done) as second:
            for step in range(done + 1, steps + 1):
                found = second.stored(step)
                assert found == ([group(step)] if step <= recorded else None)
                assert second.stored(step) is None, "once"
                if found is None:
                    store(second, step, attempt=1)
        expected = [each for step in range(1, steps + 1) for each in episodes(step, attempt=int(step > recorded))]
        assert kept(killed) == expected


def test_a_finished_record_is_taken_up_again(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
        store(record, 2)
    with RolloutRecord(tmp_path, 1, ROWS, 2) as again:
        assert again.stored(1) is None and again.stored(2) is None
        assert again.tasks(2) == tasks(2)
    assert kept(tmp_path) == [*episodes(1), *episodes(2)]
    assert [from_row(Task, row) for row in read(tmp_path / "tasks")] == tasks(1) + tasks(2)


def test_a_run_that_ends_by_an_error_keeps_what_it_sampled(tmp_path):
    with pytest.raises(RuntimeError, match="weight sync"), RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
        raise RuntimeError("weight sync")
    assert RolloutRecord(tmp_path, 1, ROWS, 0).stored(1) == [group(1)]


def test_a_run_that_ends_while_another_thread_stores_keeps_the_whole_iteration(tmp_path, monkeypatch):
    writing, go_on, rows = threading.Event(), threading.Event(), learning_record._rows

    def slowly(groups):
        for number, row in enumerate(rows(groups)):
            yield row
            if number == 0:
                writing.set()
                go_on.wait()

    monkeypatch.setattr(learning_record, "_rows", slowly)
    record = RolloutRecord(tmp_path, 1, ROWS, 0)
    record.begin(1, tasks(1))
    storing = threading.Thread(target=record.store, args=(1, 0, [group(1)]))
    with pytest.raises(KeyboardInterrupt), record:
        storing.start()
        writing.wait()
        threading.Timer(0.1, go_on.set).start()
        raise KeyboardInterrupt
    assert RolloutRecord(tmp_path, 1, ROWS, 0).stored(1) == [group(1)], "closing has waited for it"
    storing.join()
    with pytest.raises(ValueError, match="the record is closed; iteration 2 is not in it"):
        record.store(2, 1, [group(2)])
    assert len((tmp_path / "commits.jsonl").read_text().splitlines()) == 1


def test_a_resumed_run_reads_each_shard_once_and_once_more_what_it_learns_from_again(tmp_path, monkeypatch):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        for step in (1, 2, 3):
            store(record, step)
    whole, read_rows = pq.ParquetFile.iter_batches, Counter()

    def counted(file, *args, columns=None, **kwargs):
        for batch in whole(file, *args, columns=columns, **kwargs):
            read_rows[batch.num_columns > 0, batch.schema.get_field_index("segments") >= 0] += batch.num_rows
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    RolloutRecord(tmp_path, 1, ROWS, 2)
    assert read_rows[True, True] == 3 * ROWS + ROWS, "rollouts: all of them to verify them, and those of iteration 3"
    assert read_rows[True, False] == 3 + 1, "tasks: the same"


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
        store(record, 2)
    shard = tmp_path / "tasks" / "data" / "train-00000-of-00002.parquet"
    good = shard.read_bytes()
    shard.write_bytes(good[:4] + bytes(20) + good[24:])  # its footer is as it was
    with pytest.raises(ShardError, match=r"tasks/data/train-00000-of-00002.parquet is truncated or damaged"):
        RolloutRecord(tmp_path, 1, ROWS, 2)
    shard.write_bytes(good)
    with RolloutRecord(tmp_path, 1, ROWS, 2) as again:
        assert again.tasks(1) == tasks(1)
    assert kept(tmp_path) == [*episodes(1), *episodes(2)]


@given(st.integers(0, 2 * ROWS), st.booleans())
@settings(max_examples=6)
def test_an_iteration_without_its_line_or_without_all_its_rollouts_is_sampled_anew(rows, torn):
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with pytest.raises(KeyboardInterrupt), RolloutRecord(place, 1, ROWS, 0) as record:
            store(record, 1)
            store(record, 2)
            raise KeyboardInterrupt
        log = place / "commits.jsonl"
        if torn:
            log.write_text(log.read_text()[:-10])
        ShardWriter(place, rows_per_shard=ROWS, resume=True, keep_rows=rows).__exit__(
            KeyboardInterrupt, KeyboardInterrupt(), None
        )
        whole = min(rows // ROWS, 2 - torn)
        with RolloutRecord(place, 1, ROWS, 0) as record:
            assert [commit.iteration for commit in record.commits] == list(range(1, whole + 1))
            for step in (1, 2):
                assert record.stored(step) == ([group(step)] if step <= whole else None)
                if step > whole:
                    store(record, step, attempt=1)
        expected = [each for step in (1, 2) for each in episodes(step, attempt=int(step > whole))]
        assert kept(place) == expected and len(log.read_text().splitlines()) == 2


def test_groups_come_back_in_the_order_they_were_learnt_from_with_their_own_tasks(tmp_path):
    with RolloutRecord(tmp_path, 2, ROWS, 0) as record:
        for iteration in (1, 2):
            record.begin(iteration, tasks(2 * iteration - 1) + tasks(2 * iteration))
        groups = [replace(group(step), iteration=(step + 1) // 2) for step in (1, 2, 3, 4)]
        batches = [[groups[2], groups[1]], [groups[0], groups[3]]]
        for step, batch in enumerate(batches, start=1):
            record.store(step, step - 1, batch)
        assert [place.task for place in record.commits[0].groups] == ["task-3", "task-2"]
    with RolloutRecord(tmp_path, 2, ROWS, 0) as again:
        assert [again.stored(1), again.stored(2)] == batches


def test_unfinished_groups_wait_beside_the_last_commit_and_batches_may_vary(tmp_path):
    waiting = group(2, ended=False)
    with pytest.raises(KeyboardInterrupt), RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.begin(1, tasks(1))
        record.store(1, 0, [group(1)])
        record.begin(2, tasks(2))
        record.begin(3, tasks(3))
        record.store(2, 1, [group(3)], [waiting])
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), RolloutRecord(tmp_path, 1, ROWS, 1) as again:
        assert again.waiting == [waiting] and again.stored(2) == [group(3)]
        again.begin(4, tasks(4))
        again.store(3, 2, [group(2), group(4)])
        raise KeyboardInterrupt
    with RolloutRecord(tmp_path, 1, ROWS, 2) as last:
        assert last.waiting == [] and last.stored(3) == [group(2), group(4)]
    assert not list((tmp_path / "waiting").glob("*"))


def test_tasks_are_recorded_in_the_order_of_dispatch(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        record.begin(1, tasks(1))
        for iteration in (1, 3):
            with pytest.raises(ValueError, match=f"iteration 2 are to be recorded next, not those of {iteration}"):
                record.begin(iteration, tasks(iteration))


def test_a_checkpoint_that_learnt_more_than_is_recorded_is_refused(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
    with pytest.raises(UserError, match=r"holds the rollouts of 1 iterations, the checkpoint has learnt 2"):
        RolloutRecord(tmp_path, 1, ROWS, 2)


def test_rollouts_that_are_not_those_of_the_log_are_refused(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
    log = tmp_path / "commits.jsonl"
    digest = json.loads(log.read_text())["digest"]
    log.write_text(log.read_text().replace(digest, digest[::-1]))
    with pytest.raises(UserError, match=r"the rollouts of iteration 1 are not those that commits.jsonl tells of"):
        RolloutRecord(tmp_path, 1, ROWS, 0)
    RolloutRecord(tmp_path, 1, ROWS, 1)  # learnt already
    log.write_text("[]\n" + log.read_text())
    with pytest.raises(UserError, match=r"commits.jsonl: line 1 is no commit .*; restore the file, or start a new run"):
        RolloutRecord(tmp_path, 1, ROWS, 1)


def test_a_truncated_shard_of_rollouts_is_named(tmp_path):
    with RolloutRecord(tmp_path, 1, ROWS, 0) as record:
        store(record, 1)
        store(record, 2)
    shard = tmp_path / "data" / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ShardError, match="train-00001-of-00002.parquet is truncated or damaged"):
        RolloutRecord(tmp_path, 1, ROWS, 1)


def figures(step: int) -> dict[str, float]:
    return {
        "version": float(step),
        "policy_tokens": 10.0 * step,
        "older_tokens": float(step),
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
    assert (summary["steps"], summary["rollouts"], summary["tokens"]) == (3, 3 * ROWS, 3 * ROWS)
    assert summary["weight_syncs"] == 3 and summary["sync_seconds"] == 0.75
    assert summary["max_logprob_difference"] == 1e-4
    assert summary["mean_logprob_difference"] == pytest.approx((9 * 1 + 18 * 2 + 27 * 3) * 1e-7 / 54)
    assert summary["training_max_logprob_difference"] == pytest.approx(3e-2)
    assert (summary["first_pass_rate"], summary["last_pass_rate"]) == (0.1, 0.3)
    assert summary["min_probe_coverage"] == pytest.approx(0.97)
    assert summary["faults"] == {} and summary["fault_examples"] == {}


def test_the_first_example_of_a_fault_is_kept_over_checkpoints():
    tally = Tally()
    for step in (1, 2):
        budget = ErrorBudget(0.5)  # as a resumed run begins: it counts on and has seen no example
        budget.spend([Reward.invalid(f"engine: request {step}/task/0 failed"), Reward.invalid(f"tool: broke in step {step}")])
        tally.add_step(step, episodes(step), figures(step), 0.5, budget)
    assert tally.summary()["fault_examples"] == {
        "engine: request … failed": "engine: request 1/task/0 failed",
        "tool: broke in step 1": "tool: broke in step 1",
        "tool: broke in step 2": "tool: broke in step 2",
    }
