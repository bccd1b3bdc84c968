"""Engines are really killed, at random moments of a run in every schedule: it ends with the weights of the undisturbed one."""

import asyncio
import json
import random
from dataclasses import replace

import pytest

from pipelines.learning.schedule import ScheduleSettings
from pipelines.rollouts import RolloutSettings
from rl.rollout.engine import EngineLostError
from rl.rollout.scheduling import CommitLog
from rl.rollout.supervised_engine import SupervisedEngine
from tests.pipelines.learning_run import SCHEDULES, STEPS, Watched, make_policy, settings, speak, train, weights
from tests.rl.rollout.engine_process import ProcessEngine
from trajectories.shards import read

WAYS = SCHEDULES | {f"async {update}": {"mode": "async", "update": update} for update in ("wait", "recompute")}
RATE = 3e-4


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return make_policy(tmp_path_factory.mktemp("learning") / "start")


@pytest.fixture(scope="module")
def undisturbed(policy, tmp_path_factory):
    """Weights of a run that nothing disturbed: in turns, or in turns and in parts."""
    made = {}

    def run(schedule):
        if schedule not in made:
            train(settings(schedule), policy, place := tmp_path_factory.mktemp("undisturbed") / schedule)
            made[schedule] = weights(place)
        return made[schedule]

    return run


class Mortal:
    """Engines in processes, of which the one that lives is killed at random moments: shortly after randomly chosen events."""

    def __init__(self, seed, kills, allowed):
        draw = random.Random(seed)
        self._moments = {moment: draw.uniform(0, 5e-3) for moment in draw.sample(range(3, 140), kills)}
        self._allowed, self._events = allowed, 0
        self.killed, self.started = set(), []

    def supervise(self, score):
        async def start():
            self.started.append(engine := await ProcessEngine.start(speak, score, RATE))
            return Watched(engine, self.watch)

        self.engine = SupervisedEngine(start, self._allowed)
        return self.engine

    def watch(self, event):
        self._events += 1
        if (delay := self._moments.get(self._events)) is not None:
            asyncio.get_running_loop().call_later(delay, self.kill)

    def kill(self):
        if (living := self.started[-1]).process.returncode is None:
            living.kill()
            self.killed.add(living.process.pid)

    def train(self, schedule, policy, directory, **options):
        plan = replace(settings(schedule.partition(" ")[0]), schedule=ScheduleSettings(**WAYS[schedule]))
        return train(plan, policy, directory, watch=self.watch, supervise=self.supervise, **options)


def commits(run):
    return CommitLog(run / "rollouts" / "commits.jsonl").commits


def check(schedule, seed, policy, undisturbed, run):
    mortal = Mortal(seed, kills=3, allowed=12)
    summary = mortal.train(schedule, policy, run)
    assert 1 <= summary["engine"]["restarts"] <= len(mortal.killed), "each death was seen once, but one after the last request"
    assert summary["train"]["faults"] == {}, "what was in flight was asked again"
    curve = [json.loads(line)["engine/restarts"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert curve == sorted(curve) and len(curve) == STEPS and curve[-1] <= summary["engine"]["restarts"]
    log, rule = commits(run), ScheduleSettings(**WAYS[schedule]).rule(2, STEPS)
    assert sorted(place.number for commit in log for place in commit.groups) == list(range(2 * STEPS))
    names = [row["id"] for row in read(run / "rollouts")]
    assert len(names) == len(set(names)) == 4 * STEPS, "nothing is lost or doubled"
    for commit in log:
        versions = [int(version) for version in commit.tokens]
        assert commit.version - rule.max_staleness <= min(versions) and max(versions) <= commit.version
        if schedule == "sync":
            assert versions == [commit.version]
    if WAYS[schedule].get("order") != "completion":  # there time decides what is learnt from when
        assert weights(run) == undisturbed("parts" if schedule == "parts" else "sync")


@pytest.mark.parametrize("schedule", ["sync", "one_step_off", "async", "async recompute"])
def test_a_run_whose_engines_are_killed_goes_on(schedule, policy, undisturbed, tmp_path):
    check(schedule, schedule, policy, undisturbed, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("schedule", WAYS)
def test_a_run_whose_engines_are_killed_at_other_moments_goes_on(schedule, seed, policy, undisturbed, tmp_path):
    check(schedule, seed, policy, undisturbed, tmp_path / "run")


def test_the_number_of_restarts_is_no_less_than_none():
    with pytest.raises(ValueError, match="engine_restarts: must be at least 0, not -1"):
        RolloutSettings(engine_restarts=-1)


def test_a_run_whose_restarts_are_spent_says_so_and_the_resumed_one_ends_with_the_same_weights(policy, undisturbed, tmp_path):
    run, mortal = tmp_path / "run", Mortal(0, kills=0, allowed=1)
    mortal._moments = dict.fromkeys(range(60, 400, 20), 0.0)
    with pytest.raises(EngineLostError, match="its process died; it was started anew 1 times.*go on with resume=auto"):
        mortal.train("sync", policy, run)
    before = commits(run)
    assert len(before) < STEPS and all(engine.process.returncode is not None for engine in mortal.started)
    train(settings("sync"), policy, run, resume=True)
    assert commits(run)[: len(before)] == before and weights(run) == undisturbed("sync")
