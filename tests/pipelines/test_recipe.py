"""The extras of the recipe: off by default, refused by their keys, and what they do to a batch and to the temperature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import composition
from pipelines.learning.batch import group_curves, training_batch
from pipelines.learning.recipe import Curriculum, Grade, Priority, PTXSettings, RecipeSettings, Stage
from pipelines.learning.settings import LearningSettings
from pipelines.schema import load
from pipelines.structured import build
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.trajectory import Sampling, Segment, Trajectory

PASS, FAIL = (Reward(value, components={"pass": value}) for value in (1.0, 0.0))
SLOW_PASS = Reward(0.9, components={"pass": 1.0, "length_reward": -0.1})
FAULT = Reward.invalid("engine: it died")


def episode(reward: Reward) -> Trajectory:
    turn = Segment("policy", (10, 11), (-0.5, -0.5), Sampling())
    return Trajectory("x", "x", segments=(Segment("context", (1, 2)), turn), outcome=Outcome("completed"), reward=reward)


def learning(*drop: str, **settings) -> LearningSettings:
    return LearningSettings(group_size=3, recipe=RecipeSettings(drop_groups=drop), **settings)  # type: ignore[arg-type]


GROUPS = {
    "all_pass": [(PASS, PASS, PASS), (PASS, FAULT, SLOW_PASS)],
    "all_fail": [(FAIL, FAIL, FAIL), (FAIL, FAULT, FAULT)],
    "mixed": [(PASS, FAIL, FAULT), (FAULT, FAULT, FAULT)],
}


@pytest.mark.parametrize("drop", [(), ("all_pass",), ("all_fail",), ("all_pass", "all_fail")])
def test_groups_are_left_out_by_name_and_members_without_a_verdict_have_no_say(drop):
    groups = [(name, group) for name, groups in GROUPS.items() for group in groups]
    trajectories = [episode(reward) for _, group in groups for reward in group]
    batch = training_batch(learning(*drop), trajectories, seed=0, step=1)
    kept = [reward.valid and name not in drop for name, group in groups for reward in group]
    assert batch.valid.tolist() == kept and len(batch.rows) == len(trajectories)
    curves = group_curves(learning(*drop), trajectories)
    assert curves == pytest.approx(
        {"groups/all_pass_share": 1 / 3, "groups/all_fail_share": 1 / 3, "groups/dropped_share": len(drop) / 3}
    )


@given(st.lists(st.sampled_from([PASS, SLOW_PASS, FAIL, FAULT]), min_size=3, max_size=3))
def test_leaving_groups_out_changes_nothing_of_the_others(rewards):
    others = [PASS, FAIL, PASS]
    trajectories = [episode(reward) for reward in [*rewards, *others]]
    plain = training_batch(learning(), trajectories, seed=0, step=1)
    chosen = training_batch(learning("all_pass", "all_fail"), trajectories, seed=0, step=1)
    assert chosen.advantages[3:].tolist() == plain.advantages[3:].tolist() and chosen.valid[3:].all()
    assert not (chosen.valid & ~plain.valid).any()


def test_the_temperature_falls_from_the_first_iteration_to_the_last():
    assert RecipeSettings().temperature(17, 0.9, 30) == 0.9
    falling = RecipeSettings(final_temperature=0.6)
    assert [falling.temperature(step, 1.0, 5) for step in (1, 2, 5)] == [1.0, pytest.approx(0.9), 0.6]
    soon = RecipeSettings(final_temperature=0.25, temperature_steps=3, temperature_shape="exponential")
    assert [soon.temperature(step, 1.0, 100) for step in (1, 2, 3, 100)] == [1.0, pytest.approx(0.5), 0.25, 0.25]


@given(st.floats(0.1, 2.0), st.floats(0.1, 1.0), st.integers(1, 40), st.sampled_from(["linear", "exponential"]))
def test_the_temperature_never_rises_and_stays_between_its_ends(first, share, steps, shape):
    recipe = RecipeSettings(final_temperature=first * share, temperature_shape=shape)
    found = [recipe.temperature(step, first, steps) for step in range(1, steps + 3)]
    assert found[-1] == first * share and found == sorted(found, reverse=True)
    assert steps == 1 or found[0] == first


def test_the_optimizer_forgets_before_every_nth_iteration_but_never_before_the_first():
    assert not any(RecipeSettings().resets_optimizer(step) for step in range(1, 50))
    assert [step for step in range(1, 10) if RecipeSettings(optimizer_reset_every=3).resets_optimizer(step)] == [4, 7]
    assert [step for step in range(1, 5) if RecipeSettings(optimizer_reset_every=1).resets_optimizer(step)] == [2, 3, 4]


def check(ptx_weight: float = 0.0, **settings) -> None:
    RecipeSettings(**settings).check(temperature=1.0, prompts_per_step=32, ptx_weight=ptx_weight)


def test_settings_that_fit_pass():
    check()
    check(final_temperature=1.0, priority=Priority(pool=32), ptx=PTXSettings(path="curated"), ptx_weight=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curriculum(grades=(Grade(),)), "^stages: a curriculum has grades and stages, or neither"),
        (lambda: Curriculum(grades=(Grade(),), stages=(Stage(step=2, shares=(1.0,)),)), "^stages: their steps begin with 1"),
        (
            lambda: Curriculum(grades=(Grade(),), stages=(Stage(step=1, shares=(0.5, 0.5)),)),
            "^stages: number 0 has 2 shares",
        ),
        (lambda: Curriculum(grades=(Grade(),), stages=(Stage(step=1, shares=(0.5,)),)), "^stages: .* add up to 0.5, not 1"),
        (lambda: Curriculum(grades=(Grade(),) * 2, stages=(Stage(step=1, shares=(2.0, -1.0)),)), "^stages: .* at least 0"),
        (lambda: Priority(pool=-1), "^pool: "),
        (lambda: Priority(floor=0.0), "^floor: "),
        (lambda: PTXSettings(tokens=1), "^tokens: "),
        (lambda: RecipeSettings(final_temperature=0.0), "^final_temperature: "),
        (lambda: RecipeSettings(temperature_steps=1), "^temperature_steps: "),
        (lambda: RecipeSettings(optimizer_reset_every=-1), "^optimizer_reset_every: "),
        (lambda: Grade(difficulty=4), "^difficulty: is 1, 2 or 3, not 4"),
        (lambda: Grade(level=0), "^levels: "),
        (lambda: Grade(families=("juggle",)), "^families: juggle is not among"),
        (lambda: Grade(fewest_calls=5, most_calls=3), "^most_calls: is at least fewest_calls=5"),
        (lambda: check(final_temperature=1.1), "^recipe.final_temperature: must be at most temperature=1.0"),
        (lambda: check(priority=Priority(pool=31)), "^recipe.priority.pool: must be at least prompts_per_step=32"),
        (lambda: check(ptx=PTXSettings(path="curated")), "^recipe.ptx.path: .* set trainer.ptx_weight above 0"),
        (lambda: check(ptx_weight=0.1), "^trainer.ptx_weight: .* set recipe.ptx.path"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_command_line_says_all_of_it():
    train = load("train").config
    values = composition.composed(
        "train",
        [
            "learning.recipe.curriculum.grades=[{difficulty: 1}, {difficulty: 2, level: 3}]",
            "learning.recipe.curriculum.stages=[{step: 1, shares: [1, 0]}, {step: 30, shares: [0.2, 0.8]}]",
            "learning.recipe.priority.pool=512",
            "learning.recipe.drop_groups=[all_pass]",
            "learning.recipe.final_temperature=0.7",
            "learning.recipe.ptx.path=curated",
            "learning.trainer.ptx_weight=0.1",
            "learning.recipe.optimizer_reset_every=1",
        ],
    )
    recipe = build(train, values).learning.recipe  # type: ignore[attr-defined]
    assert recipe.curriculum.grades == (Grade(difficulty=1), Grade(difficulty=2, level=3))
    assert recipe.curriculum.shares(30) == [0.2, 0.8]
    assert (recipe.drop_groups, recipe.priority.pool, recipe.ptx.path) == (("all_pass",), 512, "curated")
