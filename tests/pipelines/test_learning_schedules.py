"""The loop under every schedule: the same learning, the same weights after any kill, and faults within their budget."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict

import pytest

from pipelines.learning.batch import training_batch
from pipelines.learning.schedule import ScheduleSettings
from rewards.composition import CompositeReward
from rl.policy.weights import disk_state, read_weights, tensor_digest
from rl.rollout.engine import EngineError, WeightSyncError
from rl.rollout.error_budget import ErrorBudgetSpentError
from rl.rollout.scheduling import CommitLog
from rl.rollout.scripted_engine import ScriptedEngine
from tests.pipelines.learning_run import (
    SCHEDULES,
    SEED,
    STEPS,
    TRAINER,
    LocalTasks,
    LocalTrainer,
    make_policy,
    open_world,
    settings,
    speak,
    train,
    weights,
)
from tests.rl.rollout.episodes import LocalEpisodes
from trajectories.codec import from_row
from trajectories.seeds import derive_rng, derive_seed
from trajectories.shards import read
from trajectories.trajectory import Trajectory


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return make_policy(tmp_path_factory.mktemp("learning") / "start")


@pytest.fixture(scope="module")
def undisturbed(policy, tmp_path_factory):
    """The directory of a run that nothing disturbed, by schedule."""
    made = {}

    def run(schedule):
        if schedule not in made:
            made[schedule] = tmp_path_factory.mktemp("undisturbed") / schedule
            train(settings(schedule), policy, made[schedule])
        return made[schedule]

    return run


def commits(run):
    return CommitLog(run / "rollouts" / "commits.jsonl").commits


def silent(prompt, sampling, request_id):
    raise AssertionError(f"{request_id} was asked for, and everything was said already")


def replayed(run, policy, schedule, directory):
    """A run that learns from the recorded rollouts in the order of the log, with nobody to ask."""
    shutil.copytree(run / "rollouts", directory / "rollouts")
    shutil.copy(run / "config.yaml", directory)
    train(settings(schedule), policy, directory, respond=silent, resume=True)
    return directory


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_task_is_learnt_from_once_on_weights_no_older_than_the_schedule_allows(schedule, undisturbed):
    run, rule = undisturbed(schedule), ScheduleSettings(**SCHEDULES[schedule]).rule(2, STEPS)
    log = commits(run)
    assert sorted(place.number for commit in log for place in commit.groups) == list(range(2 * STEPS))
    names = [(row["id"], row["task_id"]) for row in read(run / "rollouts")]
    assert len(names) == len(set(names)) == 4 * STEPS
    for commit in log:
        ages = [commit.iteration - 1 - place.began for place in commit.groups]
        assert max(ages) <= rule.max_staleness
        versions = [int(version) for version in commit.tokens]
        assert commit.version - rule.max_staleness <= min(versions) and max(versions) <= commit.version
        if schedule == "sync":
            assert versions == [commit.version]
        if schedule == "one_step_off":
            assert versions == [max(0, commit.iteration - 2)], "one version, the one before the last"
    if schedule == "parts":
        assert any(commit.waiting for commit in log) and not log[-1].waiting
        assert any(len(commit.tokens) > 1 for commit in log), "who waited goes on under newer weights"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(row["schedule/staleness_max"] <= rule.max_staleness for row in rows) and len(rows) == STEPS


def test_in_turns_the_scheduler_is_the_plain_loop(policy, undisturbed):
    async def plain():
        plan, trainer, learnt = settings("sync"), LocalTrainer(TRAINER, policy.path), []
        rollouts = open_world(ScriptedEngine(speak), LocalEpisodes())
        for step in range(1, STEPS + 1):
            seed, tasks = derive_seed(SEED, "rollouts", step), LocalTasks(2).batch(step)
            played = await rollouts.play(tasks, 2, seed, CompositeReward(), prefix=f"{step}/", for_training=True, step=step)
            await trainer.train_batch(training_batch(plan, played, SEED, step), step - 1)
            await rollouts.engine.update_weights((await trainer.export_weights()).update)
            learnt += played
        digest = tensor_digest((name, value) for name, value in disk_state(trainer.trainer.model).items())
        return learnt, digest

    learnt, digest = asyncio.run(plain())
    run = undisturbed("sync")
    assert [from_row(Trajectory, row) for row in read(run / "rollouts")] == learnt
    assert tensor_digest(read_weights(run / "policy")) == digest


def test_where_the_order_is_that_of_dispatch_time_decides_nothing(undisturbed):
    assert weights(undisturbed("sync")) == weights(undisturbed("one_step_off")) == weights(undisturbed("async"))


def kills(schedule, policy, directory, count):
    """Copies of a run's directory at random moments, each what a SIGKILL at that moment leaves, beside the finished run."""
    draw, copies, events = random.Random(schedule), defaultdict(list), defaultdict(int)
    living, sync = directory / "living", os.fsync

    def watch(event):
        events[event] += 1
        if (living / "config.yaml").is_file() and draw.random() < (0.05 if "generate" in event or "step" in event else 0.3):
            copies[event].append(shutil.copytree(living, directory / f"{sum(events.values())}", ignore=passing))

    def told_sync(descriptor):
        watch("before fsync")
        sync(descriptor)
        watch("after fsync")

    os.fsync = told_sync
    try:
        train(settings(schedule), policy, living, watch=watch)
    finally:
        os.fsync = sync
    chosen = []
    while len(chosen) < count and any(copies.values()):  # of every kind of moment as many as can be
        kind = draw.choice(sorted(event for event, found in copies.items() if found))
        chosen.append((kind, copies[kind].pop(draw.randrange(len(copies[kind])))))
    assert len(chosen) == count
    return living, chosen


def passing(directory, names):
    """What is gone by the time it is copied, or locked."""
    return [name for name in names if name in ("tensorboard", ".lock") or name.startswith(".summary")]


def check_kills(schedule, policy, directory, count):
    living, moments = kills(schedule, policy, directory, count)
    for number, (moment, left) in enumerate(moments):
        before = commits(left)
        train(settings(schedule), policy, left, resume=True)
        assert sorted(place.number for commit in commits(left) for place in commit.groups) == list(range(2 * STEPS)), moment
        if SCHEDULES[schedule].get("order") == "completion":
            assert weights(left) == weights(replayed(left, policy, schedule, directory / f"replayed-{number}")), moment
        else:
            assert weights(left) == weights(living), moment
        recorded = [commit for commit in before if commit in commits(left)]
        assert recorded == before[: len(recorded)] and len(before) - len(recorded) <= 1, "but for a line without its rollouts"


@pytest.mark.parametrize("schedule", ["parts", "overtaking"])
def test_a_run_killed_at_a_random_moment_ends_with_the_weights_of_the_undisturbed_one(schedule, policy, tmp_path):
    check_kills(schedule, policy, tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("schedule", ["sync", "overtaking"])
def test_a_run_killed_at_any_of_twenty_random_moments_ends_with_the_weights_of_the_undisturbed_one(schedule, policy, tmp_path):
    check_kills(schedule, policy, tmp_path, 20)


@pytest.mark.slow
def test_a_process_killed_again_and_again_ends_with_the_weights_of_the_undisturbed_one(policy, undisturbed, tmp_path):
    shutil.copytree(policy.path, tmp_path / "start")
    schedule, draw, killed = "async", random.Random(0), 0
    for iteration in (1, 3):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.learning_run", str(tmp_path), schedule],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        log = tmp_path / "run" / "rollouts" / "commits.jsonl"
        while process.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") >= iteration):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    train(settings(schedule), policy, tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(undisturbed(schedule))


def test_an_overtaking_run_replays_exactly_from_its_log_and_its_rollouts(policy, undisturbed, tmp_path):
    run = undisturbed("overtaking")
    assert weights(replayed(run, policy, "overtaking", tmp_path)) == weights(run)
    assert commits(tmp_path) == commits(run)


def failing(share):
    """An engine that fails in this share of the episodes."""

    def respond(prompt, sampling, request_id):
        if fails(request_id.rsplit("/", 1)[0], share):
            raise EngineError("injected")
        return speak(prompt, sampling, request_id)

    return respond


def fails(name, share):
    return derive_rng(0, "failure", name).random() < share


@pytest.mark.parametrize("schedule", ["sync", "overtaking"])
@pytest.mark.parametrize("share", [0.04, 0.54])
def test_learning_goes_on_with_the_healthy_and_counts_the_others(share, schedule, policy, tmp_path):
    plan = settings(schedule, error_budget=0.8, prompts_per_step=4)
    summary = train(plan, policy, tmp_path / "run", respond=failing(share))["train"]
    rows = list(read(tmp_path / "run" / "rollouts"))
    faulty = sum(fails(row["id"], share) for row in rows)
    assert len(rows) == summary["rollouts"] == 32 and faulty / 32 == pytest.approx(share, abs=0.15)
    assert summary["faults"] == ({"engine: injected": faulty} if faulty else {})
    assert [row["reward_valid"] for row in rows].count(False) == faulty
    assert summary["weight_syncs"] > 0 and all(rate is not None for rate in summary["pass_rates"])


@pytest.mark.parametrize("schedule", ["sync", "overtaking"])
def test_the_error_budget_stops_the_run_where_it_is_set(schedule, policy, tmp_path):
    """At more than 0.3 of the episodes, the first eight faults free."""
    with pytest.raises(ErrorBudgetSpentError, match=r"(\d+) of (\d+) episodes ended by a fault, more than error_budget=0.3"):
        plan = settings(schedule, error_budget=0.3, prompts_per_step=4)
        train(plan, policy, tmp_path / "run", respond=failing(0.54))
    learnt = [place for commit in commits(tmp_path / "run") for place in commit.groups]
    names = [f"{place.iteration}/{place.task}/{rollout}" for place in learnt for rollout in (0, 1)]
    assert 0 < len(names) < 32
    assert sum(fails(name, 0.54) for name in names) <= max(8, 0.3 * len(names)), "it was not spent before"


def test_an_engine_that_dies_stops_the_run_and_the_resumed_one_knows_nothing_of_it(policy, undisturbed, tmp_path):
    asked = []

    def dying(prompt, sampling, request_id):
        asked.append(request_id)
        if len(asked) > 15:
            raise EngineError("rollout engine: its actor died")
        return speak(prompt, sampling, request_id)

    run = tmp_path / "run"
    with pytest.raises(ErrorBudgetSpentError, match="its actor died"):
        train(settings("sync", error_budget=0.0), policy, run, respond=dying)
    assert train(settings("sync", error_budget=0.0), policy, run, resume=True)["train"]["faults"] == {}
    assert weights(run) == weights(undisturbed("sync"))


def test_an_iteration_in_which_nobody_said_a_word_is_not_recorded_although_the_budget_allows_it(policy, undisturbed, tmp_path):
    def dead(prompt, sampling, request_id):
        if request_id.startswith("2/"):
            raise EngineError("rollout engine: its actor died")
        return speak(prompt, sampling, request_id)

    run = tmp_path / "run"
    with pytest.raises(
        ErrorBudgetSpentError, match="step 2: no episode has a single sampled token: engine: rollout engine: its actor died"
    ):
        train(settings("sync"), policy, run, respond=dead)
    assert [commit.iteration for commit in commits(run)] == [1]
    assert train(settings("sync"), policy, run, resume=True)["train"]["faults"] == {}
    assert weights(run) == weights(undisturbed("sync"))


def test_a_trainer_that_dies_stops_the_run_and_the_resumed_one_learns_from_the_same_rollouts(policy, undisturbed, tmp_path):
    def watch(event):
        events.append(event)
        if events.count("before train_batch") == 3:
            raise RuntimeError("a rank died")

    events: list[str] = []
    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="a rank died"):
        train(settings("async"), policy, run, watch=watch)
    assert len(commits(run)) == 3, "recorded before it is learnt from"
    train(settings("async"), policy, run, resume=True)
    assert weights(run) == weights(undisturbed("async"))


@pytest.mark.parametrize("schedule", ["sync", "async"])
def test_environments_that_are_lost_fail_their_episodes_and_the_run_goes_on(schedule, policy, tmp_path):
    def watch(event):
        events.append(event)
        if event == "before step" and events.count(event) == 10:
            pool.running.clear()

    events: list[str] = []
    pool = LocalEpisodes()
    summary = train(settings(schedule, error_budget=0.5), policy, tmp_path / "run", watch=watch, pool=pool)["train"]
    assert summary["rollouts"] == 4 * STEPS and 0 < sum(summary["faults"].values()) <= 5, "as many as were in flight"
    assert not pool.running


def test_an_update_that_is_not_proven_stops_a_run_whose_rollouts_never_stop(policy, tmp_path):
    with pytest.raises(WeightSyncError, match="version 2 of the weights is not what the trainer holds"):
        train(settings("async"), policy, tmp_path / "run", is_true=lambda version: version < 2)
    log = commits(tmp_path / "run")
    assert len(log) == 2 and {version for commit in log for version in commit.tokens} <= {"0", "1"}, "nothing is learnt from it"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mode": "later"}, "mode: must be sync, one_step_off or async"),
        ({"mode": "async", "ahead": 0}, "ahead: must be at least 1"),
        ({"ahead": 2}, "ahead: 2 is for mode=async"),
        ({"order": "completion"}, "order: completion is for mode=async"),
        ({"mode": "one_step_off", "update": "keep"}, "update: keep is for mode=async"),
        ({"mode": "async", "ahead": 3, "max_staleness": 2}, "max_staleness: must be at least 3"),
        ({"mode": "async", "order": "completion"}, "order: completion needs max_staleness above 1"),
        ({"mode": "async", "max_staleness": 4}, "max_staleness: 4 changes nothing without"),
        ({"iteration_tokens": 100}, "iteration_tokens: at least 1 token"),
        ({"mode": "async", "iteration_tokens": 100}, "iteration_tokens: at least 1 token"),
        ({"max_staleness": 1, "iteration_tokens": 0}, "iteration_tokens: at least 1 token"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_by_its_key(changes, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        ScheduleSettings(**changes)
