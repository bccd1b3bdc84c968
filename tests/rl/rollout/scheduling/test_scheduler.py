"""The scheduler in virtual time: nothing lost, nothing twice, nobody starved, and no second wasted."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.rollout.scheduling import Group, Rule, Scheduler
from tests.rl.rollout.scheduling.virtual_time import Timed, played, simulate, task

SYNC = {"ahead": 0, "max_staleness": 0}
ONE_STEP = {"ahead": 1, "max_staleness": 1}
ASYNC = {"ahead": 2, "max_staleness": 4, "order": "completion"}


def numbers(run: Timed) -> list[list[int]]:
    return [[group.number for group in batch] for batch in run.batches]


@pytest.mark.parametrize("schedule", [ONE_STEP, ASYNC])
@pytest.mark.parametrize(("generation", "training"), [(10.0, 10.0), (30.0, 10.0), (10.0, 30.0)])
def test_side_by_side_a_run_takes_what_the_slower_side_takes(schedule, generation, training):
    """Steps per hour against those of turns, at least 0.9 of the pipeline's bound (Tg + Tt) / max(Tg, Tt)."""
    steps, size = 60, 4
    seconds = {}
    for name, rule in (("turns", Rule(size, steps, **SYNC)), ("beside", Rule(size, steps, **schedule))):
        # As many slots as one iteration has groups: a pass of the engine over one iteration takes `generation` seconds.
        run = Timed(rule, lambda number: generation, training, slots=size)
        seconds[name] = simulate(run.run())
    assert seconds["turns"] == pytest.approx(steps * (generation + training))
    bound = (generation + training) / max(generation, training)
    assert 0.9 * bound <= seconds["turns"] / seconds["beside"] <= bound


def test_with_a_long_tail_overtaking_beats_waiting_and_waiting_beats_turns():
    draw = np.random.default_rng(0)
    lengths = draw.lognormal(2.0, 1.0, 200 * 8)
    turns, waiting, overtaking = [
        simulate(Timed(Rule(8, 200, **schedule), lambda number: lengths[number], 10.0, slots=16).run())
        for schedule in (SYNC, {"ahead": 2, "max_staleness": 2}, ASYNC)
    ]
    assert turns > 2 * waiting and waiting > 1.2 * overtaking


def bimodal(share: float, seed: int, count: int) -> np.ndarray:
    """Whether each of `count` groups is a slow one."""
    return np.random.default_rng(seed).random(count) < share


def test_slow_tasks_are_learnt_from_as_often_as_they_are_begun_and_discarding_what_is_stale_fails_the_same_test():
    size, steps = 8, 200
    slow = bimodal(0.3, 1, size * (steps + 1))
    run = Timed(Rule(size, steps, **ASYNC), lambda number: 95.0 if slow[number] else 5.0, 10.0)
    simulate(run.run())
    trained = [number for batch in numbers(run) for number in batch]
    assert sorted(trained) == list(range(size * steps))
    dispatched = slow[: size * steps]
    assert p_value(dispatched, slow[trained]) > 0.05
    half = [number for batch in numbers(run)[: steps // 2] for number in batch]
    assert p_value(dispatched, slow[half]) > 0.05, "nor are they put off to the end"
    assert p_value(dispatched, slow[discarding(slow, size, steps, max_staleness=4)]) < 1e-6


def p_value(dispatched: np.ndarray, trained: np.ndarray) -> float:
    """Pearson's chi-square test, one degree of freedom: were slow and quick trained in the shares of the dispatched?"""
    share, count = dispatched.mean(), len(trained)
    statistic = (trained.sum() - share * count) ** 2 * (1 / (share * count) + 1 / ((1 - share) * count))
    return math.erfc(math.sqrt(statistic / 2))


def discarding(slow: np.ndarray, size: int, steps: int, max_staleness: int) -> list[int]:
    """The usual alternative: always `3 * size` groups on their way, batches by completion, and what has grown too old is
    thrown away and replaced."""
    running: list[tuple[float, int, int]] = []
    began, trained, clock, following = {}, [], 0.0, 0
    done: list[int] = []
    for step in range(1, steps + 1):
        while len(done) < size:
            while len(running) + len(done) < 3 * size:
                number = following % len(slow)
                running.append((clock + (95.0 if slow[number] else 5.0), following, number))
                began[following], following = step - 1, following + 1
            running.sort()
            clock, key, number = max(running[0][0], clock), *running.pop(0)[1:]
            if step - 1 - began[key] <= max_staleness:
                done.append(number)
        trained, done, clock = trained + done[:size], done[size:], clock + 10.0
    return trained


schedules = st.sampled_from([SYNC, ONE_STEP, ASYNC, {"ahead": 1, "max_staleness": 3, "order": "completion"}])
lengths = st.lists(st.floats(0.1, 60), min_size=1, max_size=12)


@given(schedules, lengths, st.floats(0, 30), st.integers(1, 3), st.integers(1, 6), st.booleans())
@settings(max_examples=60)
def test_every_group_is_played_once_learnt_from_once_and_never_too_old(schedule, seconds, training, size, slots, together):
    rule = Rule(size, 7, **schedule)
    run = Timed(rule, lambda number: seconds[number % len(seconds)], training, slots=slots, together=together)
    simulate(run.run())
    everybody = list(range(size * 7))
    assert sorted(run.plays) == everybody == sorted(number for batch in numbers(run) for number in batch)
    for step, batch in enumerate(run.batches, start=1):
        for group in batch:
            assert step - 1 - group.began <= rule.max_staleness
            assert run.beginnings[group.number] >= max(0, group.iteration - 1 - rule.ahead), "admission"


@given(schedules, lengths, st.integers(0, 7), st.integers(0, 7))
@settings(max_examples=40)
def test_a_resumed_run_plays_what_was_not_committed_and_nothing_else(schedule, seconds, committed, learnt):
    """Killed with `committed` iterations on the disk, the last checkpoint at `learnt` of them."""
    learnt = min(learnt, committed)
    rule = Rule(2, 7, **schedule)

    def length(number: int) -> float:
        return seconds[number % len(seconds)]

    whole = Timed(rule, length, 5.0)
    simulate(whole.run())
    resumed = Timed(rule, length, 5.0)
    simulate(resumed.run(learnt=learnt, recorded=whole.batches[:committed]))
    gone = {number for batch in numbers(whole)[:committed] for number in batch}
    assert sorted(resumed.plays) == sorted(set(range(14)) - gone)
    assert numbers(resumed)[: committed - learnt] == numbers(whole)[learnt:committed], "in the order of the log"
    later = [number for batch in numbers(whole)[:learnt] + numbers(resumed) for number in batch]
    assert sorted(later) == list(range(14))
    for step, batch in enumerate(resumed.batches, start=learnt + 1):
        assert all(step - 1 - group.began <= rule.max_staleness for group in batch)


@given(st.lists(st.integers(1, 6), min_size=8, max_size=8), st.integers(1, 4))
@settings(max_examples=30)
def test_in_parts_a_group_goes_on_until_it_is_finished_and_waits_no_longer_than_it_may(parts, max_staleness):
    rule = Rule(2, 4, ahead=0, max_staleness=max_staleness, in_parts=True)
    run = Timed(rule, lambda number: 1.0, 1.0, together=True, parts=lambda number: parts[number])
    simulate(run.run())
    assert [run.plays.count(number) for number in range(8)] == parts, "no part is lost, none is played twice"
    assert sorted(number for batch in numbers(run) for number in batch) == list(range(8))
    for step, batch in enumerate(run.batches, start=1):
        assert batch and all(step - 1 - group.began <= max_staleness for group in batch)


def test_in_parts_the_unfinished_wait_while_the_others_are_learnt_from():
    run = Timed(
        Rule(2, 4, max_staleness=2, in_parts=True), lambda number: 1.0, together=True, parts=lambda number: 1 + 2 * (number == 0)
    )
    simulate(run.run())
    assert numbers(run) == [[1], [2, 3], [0, 4, 5], [6, 7]]


def test_what_waits_at_a_kill_goes_on_with_what_it_had():
    async def tasks(iteration):
        return [task(f"{iteration}")]

    seen = []

    async def play(groups):
        seen.extend(groups)
        return [played(group) for group in groups]

    async def resume():
        waiting = Group(0, 1, task("1"), 0, tuple(played(Group(0, 1, task("1"), 0), ended=False)))
        rule = Rule(1, 3, max_staleness=2, in_parts=True)
        async with Scheduler(rule, tasks, play, learnt=1, committed=[[1]], waiting=[waiting]) as scheduler:
            return await scheduler.batch(2), waiting

    batch, waiting = simulate(resume())
    assert seen[0] == waiting and batch[0].number == 0 and batch[0].began == 0


def test_an_error_of_one_group_is_the_learners_and_ends_what_still_plays():
    ended = []

    async def tasks(iteration):
        return [task("quick"), task("slow")]

    async def play(groups):
        if groups[0].task.id == "quick":
            raise RuntimeError("weight sync")
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(groups[0].task.id)

    async def run():
        async with Scheduler(Rule(2, 1), tasks, play, together=False) as scheduler:
            await scheduler.batch(1)

    with pytest.raises(RuntimeError, match="weight sync"):
        simulate(run())
    assert ended == ["slow"]


def test_an_error_is_raised_at_the_next_batch_although_others_would_fill_it():
    async def tasks(iteration):
        return [task(f"{iteration}-{place}") for place in range(2)]

    async def play(groups):
        await asyncio.sleep(5)
        if groups[0].number == 0:
            raise RuntimeError("weight sync")
        return [played(group) for group in groups]

    async def run():
        async with Scheduler(Rule(2, 6, **ASYNC), tasks, play, together=False) as scheduler:
            with pytest.raises(RuntimeError, match="weight sync"):
                await scheduler.batch(1)

        async with Scheduler(Rule(2, 6, **ASYNC), tasks, late, together=False) as scheduler:
            assert [group.number for group in await scheduler.batch(1)] == [1, 2]
            await asyncio.sleep(100)
            scheduler.learnt(1)
            with pytest.raises(RuntimeError, match="weight sync"):
                await scheduler.batch(2)

    async def late(groups):
        await asyncio.sleep(20 * (groups[0].number == 0))
        return await play(groups)

    simulate(run())


def test_settling_waits_for_all_that_plays_and_begins_nothing():
    async def tasks(iteration):
        return [task(f"{iteration}")]

    begun = []

    async def play(groups):
        begun.append(groups[0].iteration)
        await asyncio.sleep(7 * groups[0].iteration)
        return [played(group) for group in groups]

    async def run():
        clock = asyncio.get_running_loop().time
        async with Scheduler(Rule(1, 5, **ONE_STEP), tasks, play) as scheduler:
            await scheduler.batch(1)
            scheduler.learnt(1)
            await scheduler.settle()
            return clock()

    assert simulate(run()) == 14.0 and begun == [1, 2]
