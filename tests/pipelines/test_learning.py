"""From judged rollouts to the trainer's batch: whole groups, faults nowhere, and a control from which nothing is learnt."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.learning.batch import shuffled, training_batch
from pipelines.learning.loop import _publish
from pipelines.learning.observed import curves, observed
from pipelines.learning.schedule import ScheduleSettings
from pipelines.learning.settings import LearningSettings
from pipelines.learning.tasks import make_tasks
from rewards.composition import RewardConfig
from rl.rollout.proof import Proof
from rl.training.model import ModelSettings
from rl.training.schedules import ScheduleConfig
from rl.training.synchronise import Synchronisation
from rl.training.trainer_batch import mini_batches
from rl.training.trainer_config import TrainerConfig
from simulators.tasks.stream import TaskStream
from trajectories.messages import Message
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Segment, Trajectory

PASS, FAIL = (Reward(value, components={"pass": value}) for value in (1.0, 0.0))
FAULT = Reward.invalid("engine: it died")


def episode(reward: Reward | None, tokens: int = 2, ending: str = "completed") -> Trajectory:
    turn = Segment("policy", tuple(range(10, 10 + tokens)), (-0.5,) * tokens, Sampling())
    return Trajectory(
        id="x",
        task_id="x",
        segments=(Segment("context", (1, 2, 3)), turn) if tokens else (),
        messages=(Message("user", "?"), Message("assistant", "!")) if tokens else (),
        outcome=Outcome(ending),  # type: ignore[arg-type]
        reward=reward,
    )


verdicts = st.lists(st.sampled_from([PASS, FAIL, FAULT]), min_size=4, max_size=4)
groups = st.lists(verdicts, min_size=1, max_size=4)


@given(groups, st.booleans())
def test_a_fault_has_no_advantage_and_does_not_touch_its_groups_mean(rewards, shuffle):
    settings = LearningSettings(group_size=4, shuffle_advantages=shuffle)
    trajectories = [episode(reward) for group in rewards for reward in group]
    batch = training_batch(settings, trajectories, seed=0, step=1)
    assert batch.valid.tolist() == [reward.valid for group in rewards for reward in group]
    for number, group in enumerate(rewards):
        mine = batch.advantages[batch.group_ids == number]
        values = [reward.value for reward in group if reward.value is not None]
        mean = sum(values) / len(values) if values else 0.0
        expected = [0.0 if reward.value is None else reward.value - mean for reward in group]
        if shuffle:
            assert sorted(mine.tolist()) == pytest.approx(sorted(expected))
        else:
            assert mine.tolist() == pytest.approx(expected)
        assert mine[[not reward.valid for reward in group]].eq(0).all()


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**32), st.data())
@settings(max_examples=50)
def test_shuffling_keeps_each_groups_advantages_and_moves_none_to_a_fault(size, count, seed, data):
    total = size * count
    advantages = torch.tensor(data.draw(st.lists(st.floats(-1, 1, width=32), min_size=total, max_size=total)))
    valid = torch.tensor(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)))
    advantages[~valid] = 0
    ids = torch.arange(total) // size
    dealt = shuffled(advantages, valid, ids, seed)
    for group in range(count):
        members = ids == group
        assert torch.equal(dealt[members & valid].sort().values, advantages[members & valid].sort().values)
    assert torch.equal(dealt[~valid], advantages[~valid])
    assert torch.equal(dealt, shuffled(advantages, valid, ids, seed)), "a function of the seed"


def test_shuffling_is_another_one_in_every_step():
    control = LearningSettings(group_size=8, shuffle_advantages=True)
    trajectories = [episode(reward) for reward in (PASS, FAIL) * 32]
    first, second = (training_batch(control, trajectories, seed=0, step=step).advantages for step in (1, 2))
    plain = training_batch(replace(control, shuffle_advantages=False), trajectories, seed=0, step=1).advantages
    assert not torch.equal(first, second) and not torch.equal(first, plain)


def test_an_episode_without_a_policy_token_counts_in_the_mean_and_has_no_row():
    trajectories = [episode(PASS), episode(FAIL, tokens=0), episode(FAIL), episode(FAULT, tokens=0)]
    batch = training_batch(LearningSettings(group_size=4), trajectories, seed=0, step=1)
    assert len(batch.rows) == 2 and batch.group_ids.tolist() == [0, 0]
    assert batch.advantages.tolist() == pytest.approx([2 / 3, -1 / 3])
    assert batch.rows[0].loss_mask.tolist() == [False] * 3 + [True] * 2


def test_std_scale_divides_by_the_groups_deviation():
    trajectories = [episode(reward) for reward in (PASS, FAIL, FAIL, FAIL)]
    batch = training_batch(LearningSettings(group_size=4, advantage_scale="std"), trajectories, seed=0, step=1)
    assert batch.advantages.tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5])


@pytest.mark.parametrize("weights", [{"pass_weight": 2.0}, {"malformed_penalty": 0.1}, {"length_penalty": 0.1}])
def test_what_a_verdict_is_worth_does_not_decide_which_tasks_are_certified(weights):
    def tasks(rewards: RewardConfig) -> list[Task]:
        return make_tasks._function(TaskStream(), [0, 1, 2], 0, "train", rewards)

    assert tasks(RewardConfig(**weights)) == tasks(RewardConfig())


def test_curves_are_means_over_valid_episodes():
    seen = observed(
        [
            episode(PASS, tokens=4),
            episode(FAIL, tokens=2, ending="malformed"),
            episode(FAIL, tokens=2, ending="token_limit"),
            episode(FAIL, tokens=0, ending="turn_limit"),
            episode(FAULT, tokens=100, ending="fault"),
        ]
    )
    assert seen == {
        "reward/mean": 0.25,
        "reward/pass_rate": 0.25,
        "reward/invalid_share": pytest.approx(0.2),
        "rollout/policy_tokens_per_trajectory": 2.0,
        "rollout/turns_per_trajectory": 0.75,
        "rollout/malformed_share": 0.25,
        "rollout/cut_off_share": 0.5,
    }
    assert observed([episode(FAULT)])["reward/invalid_share"] == 1.0


def test_curves_tell_the_seconds_of_each_part():
    proof = Proof(version=1, max_difference=2e-6, mean_difference=1e-7, tokens=9)
    told = curves({"loss": 0.5}, [10.0, 15.0, 18.0, 18.5], Synchronisation(proof, 0.5, 1, 0.125, 0.25))
    assert told["train/loss"] == 0.5 and told["sync/probe_difference_max"] == 2e-6
    assert told["sync/probe_coverage"] == 0.5
    seconds = {name: value for name, value in told.items() if name.startswith("time/")}
    assert list(seconds.values()) == [5.0, 3.0, 0.5, 8.5, 0.125]
    assert "sync/probe_difference_max" not in curves({}, [0.0, 1.0, 2.0, 2.0], None)


def test_what_is_published_is_the_model_without_the_trainers_state(tmp_path):
    checkpoint, policy = tmp_path / "step-000003", tmp_path / "policy"
    checkpoint.mkdir()
    policy.mkdir()
    (policy / "of_an_earlier_try.json").touch()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "trainer.pt", "trainer.json"):
        (checkpoint / name).write_text(name)
    _publish(checkpoint, policy)
    assert sorted(path.name for path in policy.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("prompts_per_step", 0),
        ("checkpoint_every", 0),
        ("group_size", 1),
        ("temperature", 0.0),
        ("error_budget", 1.0),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(key, value):
    with pytest.raises(ValueError, match=f"^{key}: "):
        LearningSettings(**{key: value})


def test_replaying_the_engines_routes_is_refused_because_rollouts_hold_none():
    with pytest.raises(ValueError, match=r"^trainer.model.router_replay: engine: rollouts of this command hold no routes"):
        LearningSettings(trainer=TrainerConfig(model=ModelSettings(router_replay="engine")))


def test_a_warm_up_that_outlasts_the_run_is_refused_before_anything_starts():
    trainer = TrainerConfig(schedule=ScheduleConfig("linear", warmup=5))
    LearningSettings(steps=6, trainer=trainer)
    with pytest.raises(ValueError, match=r"^trainer.schedule.warmup: must be below steps=5, not 5"):
        LearningSettings(steps=5, trainer=trainer)


def of_versions(reward: Reward, *versions: int) -> Trajectory:
    """A turn that each version sampled two tokens of."""
    parts = [Segment("policy", (10, 11), (-0.5, -0.5), Sampling(), version) for version in versions]
    return replace(episode(reward), segments=(Segment("context", (1, 2, 3)), *parts))


def test_the_loss_can_be_on_the_newest_weights_alone():
    trajectories = [of_versions(PASS, 3, 4), of_versions(FAIL, 4), of_versions(PASS, 3), of_versions(FAIL, 2, 4)]
    everything = training_batch(LearningSettings(group_size=4), trajectories, seed=0, step=1, version=4)
    newest = training_batch(LearningSettings(group_size=4, loss_on="newest"), trajectories, seed=0, step=1, version=4)
    assert [row.policy_tokens for row in everything.rows] == [4, 2, 2, 4]
    assert [row.policy_tokens for row in newest.rows] == [2, 2, 0, 2]
    assert all((one.token_ids == other.token_ids).all() for one, other in zip(everything.rows, newest.rows, strict=True))
    assert newest.valid.all() and torch.equal(newest.advantages, everything.advantages)


def test_a_batch_of_older_weights_alone_takes_no_step():
    trajectories = [of_versions(PASS, 3), of_versions(FAIL, 2)]
    batch = training_batch(LearningSettings(group_size=2, loss_on="newest"), trajectories, seed=0, step=1, version=4)
    assert not batch.valid.any()


def test_every_optimizer_step_has_tokens_of_the_newest_weights():
    older, mixed = [of_versions(PASS, 3), of_versions(FAIL, 2)], [of_versions(PASS, 3), of_versions(FAIL, 4)]
    lost = [replace(of_versions(FAULT, 4), outcome=Outcome("fault")), of_versions(PASS, 3)]
    batch = training_batch(
        LearningSettings(group_size=2, loss_on="newest"), [*older, *mixed, *lost, *mixed], seed=0, step=1, version=4
    )
    assert batch.valid.tolist() == [False, False, True, True, False, False, True, True]
    steps = mini_batches(batch, 2, "split", skip_zero_advantage=False)
    assert [sum(batch.rows[row].policy_tokens for row in members) for members in steps] == [2, 2]


def test_a_loss_on_the_newest_weights_needs_a_schedule_that_has_some():
    for mode in ("sync", "async"):
        LearningSettings(loss_on="newest", schedule=ScheduleSettings(mode=mode))
    with pytest.raises(ValueError, match="^loss_on: newest leaves out whole batches with schedule.mode=one_step_off"):
        LearningSettings(loss_on="newest", schedule=ScheduleSettings(mode="one_step_off"))
