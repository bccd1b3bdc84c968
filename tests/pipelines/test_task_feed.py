"""The tasks of each iteration: today's without settings, easy to hard with a curriculum, the unsolved ones with priority."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.learning import tasks as learning_tasks
from pipelines.learning.recipe import Curriculum, Grade, Priority, RecipeSettings, Stage
from pipelines.learning.settings import LearningSettings
from pipelines.learning.task_plan import Place, TaskPlan
from pipelines.learning.tasks import TaskFeed, make_tasks
from rewards.composition import RewardConfig
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.stream import TaskStream
from trajectories.canonical import canonical_json
from trajectories.codec import to_row
from trajectories.rewards import Reward
from trajectories.seeds import derive_seed
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

EASY_TO_HARD = Curriculum(
    grades=(Grade(difficulty=1), Grade(difficulty=2, level=2)),
    stages=(Stage(step=1, shares=(1.0, 0.0)), Stage(step=5, shares=(0.0, 1.0))),
)

shares = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(lambda raw: tuple((x + 0.01) / (sum(raw) + 0.03) for x in raw))


@st.composite
def curricula(draw: st.DrawFn) -> Curriculum:
    if draw(st.booleans()):
        return Curriculum()
    steps = [1, *sorted(draw(st.sets(st.integers(2, 12), max_size=2)))]
    return Curriculum(grades=(Grade(),) * 3, stages=tuple(Stage(step=step, shares=draw(shares)) for step in steps))


def solved(place: Place, step: int, of: int) -> float:
    """The pass rate that some policy might have: better with time, worse in higher grades."""
    return min(1.0, derive_seed(of, "solved", *place) / 2**63 * (1 + step / 5) / (1 + place[0]))


def walk(plan: TaskPlan, steps: range, delay: int, seen: list[list[Place]], policy: int) -> list[list[Place]]:
    """Places of `steps`, each asked for as early as `delay` allows; `seen` are those of the iterations before."""
    places = list(seen)
    for step in steps:
        while len(places) < min(step + delay, steps.stop - 1):
            places.append(plan.places(len(places) + 1))
        plan.observe(step, {(step - 1) * 4 + at: solved(place, step, policy) for at, place in enumerate(places[step - 1])})
    return places


@given(curricula(), st.integers(0, 2), st.integers(4, 9), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=40)
def test_a_resumed_plan_has_the_same_tasks(curriculum, delay, pool, killed, seed):
    recipe = RecipeSettings(curriculum=curriculum, priority=Priority(pool=pool))
    whole = walk(TaskPlan(recipe, 4, seed, delay), range(1, 9), delay, [], policy=seed)
    first = TaskPlan(recipe, 4, seed, delay)
    walk(first, range(1, killed + 1), delay, [], policy=seed)
    resumed = TaskPlan(recipe, 4, seed, delay)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert walk(resumed, range(killed + 1, 9), delay, whole[:killed], policy=seed) == whole
    assert [resumed.places(step) for step in range(1, 9)] == whole, "any iteration can be drawn again"
    assert all(len(set(places)) == 4 for places in whole), "no problem comes twice in an iteration"


@given(st.integers(1, 3), st.integers(1, 6))
def test_what_is_newer_than_the_delay_changes_nothing(delay, step):
    recipe = RecipeSettings(priority=Priority(pool=8))
    known, more = TaskPlan(recipe, 8, 0, delay), TaskPlan(recipe, 8, 0, delay)
    for number in range(1, step + delay):
        if number < step - delay:
            known.observe(number, {})
        more.observe(number, dict.fromkeys(range(8), 1.0) if number >= step - delay else {})
    assert known.places(step) == more.places(step)


def test_an_iteration_that_is_not_observed_yet_is_named():
    plan = TaskPlan(RecipeSettings(priority=Priority(pool=4)), 2, 0, delay=1)
    plan.places(2)
    with pytest.raises(ValueError, match="iteration 3 depend on iteration 1, which has not been observed"):
        plan.places(3)


def test_problems_are_drawn_in_proportion_to_one_minus_their_success_rate():
    recipe = RecipeSettings(priority=Priority(pool=4, floor=0.1))
    drawn: Counter[int] = Counter()
    for seed in range(2000):
        plan = TaskPlan(recipe, 4, seed)
        rates = {(0, 0): 1.0, (0, 1): 0.5, (0, 2): 0.0}
        plan.observe(1, {at: rates[place] for at, place in enumerate(plan.places(1)) if place in rates})
        assert plan.weights(2, 0).tolist() == [0.1, 0.5, 1.0, 1.0], "solved but for the floor, half, never, unknown"
        drawn[plan.places(2)[0][1]] += 1
    expected = np.array([0.1, 0.5, 1.0, 1.0]) / 2.6
    assert [drawn[problem] / 2000 for problem in range(4)] == pytest.approx(expected, abs=0.035)


def test_the_newest_rate_of_a_problem_counts():
    plan = TaskPlan(RecipeSettings(priority=Priority(pool=1)), 1, 0)
    for step, rate in ((1, 1.0), (2, 0.25)):
        plan.observe(step, {step - 1: rate})
    assert [plan.weights(step, 0).tolist() for step in (1, 2, 3)] == [[1.0], [0.05], [0.75]]


def summed_up(plan: TaskPlan, step: int, grade: int, pool: int, delay: int) -> list[float]:
    """The weights from the whole history."""
    rates = [0.0] * pool
    for number, entries in plan.state_dict():
        for of, problem, rate in entries if number < step - delay else ():
            if of == grade:
                rates[problem] = rate
    return [max(1.0 - rate, 0.05) for rate in rates]


@given(curricula(), st.integers(0, 2), st.integers(4, 9), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=8))
@settings(max_examples=40)
def test_weights_are_those_of_the_whole_history_whenever_they_are_asked_for(curriculum, delay, pool, asked):
    plan = TaskPlan(RecipeSettings(curriculum=curriculum, priority=Priority(pool=pool)), 4, 3, delay)
    places = walk(plan, range(1, 9), delay, [], policy=5)
    for step, grade in asked:
        assert plan.weights(step, grade).tolist() == summed_up(plan, step, grade, pool, delay)
    plan.observe(2, {4 + at: 0.75 for at in range(3)})  # told anew
    for step, grade in asked:
        assert plan.weights(step, grade).tolist() == summed_up(plan, step, grade, pool, delay)
    assert plan.places(1) == places[0]


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_each_iteration_is_added_up_once(delay):
    read: Counter[int] = Counter()

    class Counted(dict):
        def __getitem__(self, number):
            read[number] += 1
            return super().__getitem__(number)

    plan = TaskPlan(RecipeSettings(priority=Priority(pool=8)), 4, 0, delay)
    plan._seen = Counted()
    walk(plan, range(1, 101), delay, [], policy=0)
    assert read == Counter(range(1, 100 - delay))


def test_groups_may_be_learnt_from_in_another_iteration_than_they_were_drawn_for():
    recipe = RecipeSettings(priority=Priority(pool=6))
    plan = TaskPlan(recipe, 2, 0, delay=1)
    second = plan.places(2)
    plan.observe(1, {2: 1.0})  # the first group of the second iteration overtook
    assert plan.weights(3, 0)[second[0][1]] == 0.05 and plan.weights(3, 0).sum() == pytest.approx(5.05)


@given(curricula().filter(lambda curriculum: bool(curriculum.grades)), st.integers(1, 15), st.integers(1, 40), st.integers(0, 9))
def test_each_grade_has_its_share_of_an_iteration_give_or_take_one_task(curriculum, step, count, seed):
    dealt = Counter(curriculum.deal(step, count, seed))
    for grade, share in enumerate(curriculum.shares(step)):
        assert abs(dealt[grade] - share * count) < 1 + 1e-9
    assert sum(curriculum.shares(step)) == pytest.approx(1.0)


def test_shares_change_in_a_straight_line_between_stages_and_stay_after_the_last():
    assert [EASY_TO_HARD.shares(step)[1] for step in (1, 2, 3, 5, 50)] == [0.0, 0.25, 0.5, 1.0, 1.0]
    assert set(EASY_TO_HARD.deal(1, 16, 0)) == {0} and set(EASY_TO_HARD.deal(9, 16, 0)) == {1}


def test_a_grade_changes_what_it_names_and_nothing_else():
    stream = TaskStream(families=("act", "search"), gym=DomainMix(levels=(1,), languages=("zh",)))
    hard = Grade(difficulty=3, level=4, fewest_calls=5, most_calls=9).of(stream)
    wanted = replace(stream, difficulty=3, fewest_calls=5, most_calls=9, gym=DomainMix(levels=(4,), languages=("zh",)))
    assert hard == wanted and Grade().of(stream) == stream
    assert Grade(families=("ask",)).of(stream) == replace(stream, families=("ask",))
    with pytest.raises(ValueError, match="difficulty: is 1, 2 or 3"):
        Grade(difficulty=4).of(stream)


# With tasks that are really made.

STREAM = TaskStream(domains=("tool_use", "maths"))


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def feed(steps: int = 3, **recipe) -> TaskFeed:
    wanted = LearningSettings(steps=steps, prompts_per_step=4, recipe=RecipeSettings(**recipe))
    return TaskFeed(wanted, STREAM, RewardConfig(), seed=7, workers=2)


def judged(tasks: list[Task], value: float) -> list[Trajectory]:
    reward = Reward(value, components={"pass": value})
    fault = Reward.invalid("engine: it died")
    return [Trajectory(task.id, task.id, reward=one) for task in tasks for one in (reward, fault)]


def numbers(step: int) -> range:
    return range((step - 1) * 4, step * 4)


def as_bytes(tasks: list[Task]) -> bytes:
    return canonical_json([to_row(task) for task in tasks]).encode()


def test_without_settings_tasks_are_numbered_through_with_the_seed_of_learning():
    plain = feed()
    made = make_tasks._function(STREAM, list(range(12)), derive_seed(7, "learning"), "train", RewardConfig())
    for step in (1, 2, 3):
        assert as_bytes(plain.batch(step)) == as_bytes(made[(step - 1) * 4 : step * 4])
        plain.observe(step, [], [])
    assert plain.state_dict() == {}
    assert as_bytes(feed().batch(3)) == as_bytes(made[8:]), "a resumed run"


def test_a_resumed_feed_gives_the_same_tasks_and_grades_follow_the_curriculum():
    settings = {"curriculum": EASY_TO_HARD, "priority": Priority(pool=4)}
    whole, first = feed(5, **settings), feed(5, **settings)
    seen = []
    for step in range(1, 6):
        seen.append(whole.batch(step))
        whole.observe(step, numbers(step), judged(seen[-1], step % 2))
    assert [Counter(task.difficulty for task in tasks)[2] for tasks in seen] == [0, 1, 2, 3, 4]
    for step in (1, 2):
        tasks = first.batch(step)
        first.observe(step, numbers(step), judged(tasks, step % 2))
    resumed = feed(5, **settings)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for step in (3, 4, 5):
        tasks = resumed.batch(step)
        assert as_bytes(tasks) == as_bytes(seen[step - 1])
        resumed.observe(step, numbers(step), judged(tasks, step % 2))
    assert resumed.state_dict() == whole.state_dict()


def test_a_resumed_feed_may_learn_from_recorded_rollouts_before_it_asks_for_their_tasks(monkeypatch):
    settings = {"priority": Priority(pool=8)}
    whole, resumed = feed(**settings), feed(**settings)
    tasks = whole.batch(1)
    whole.observe(1, numbers(1), judged(tasks, 1.0))
    with monkeypatch.context() as patched:
        patched.setattr(learning_tasks, "ask_for_tasks", None)  # nobody makes what is recorded
        resumed.observe(1, numbers(1), judged(tasks, 1.0))
    assert as_bytes(resumed.batch(2)) == as_bytes(whole.batch(2))


def test_a_group_without_verdicts_says_nothing():
    plain = feed(priority=Priority(pool=4))
    fault = Reward.invalid("engine: it died")
    plain.observe(1, numbers(1), [Trajectory("x", "x", reward=fault)] * 8)
    assert plain.state_dict() == {"seen": [[1, []]]}
