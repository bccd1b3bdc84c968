"""Faults injected into judged episodes: the trainer learns what it would have learnt without them, until the budget is spent."""

from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from pipelines.learning.batch import training_batch
from pipelines.learning.settings import LearningSettings
from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError
from rl.training.advantages import group_advantages
from rl.training.packing import TokenRow
from rl.training.trainer_batch import Rollouts, micro_batches, mini_batches
from tests.rl.training.gradients import assert_learnt_alike, learnt
from tests.rl.training.trainer_cases import nano, rollouts
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.trajectory import Sampling, Segment, Trajectory

GROUPS, MEMBERS = 5, 5
PASS, FAIL = Reward(1.0, components={"pass": 1.0}), Reward(0.0, components={"pass": 0.0})
FAULTS = (
    Reward.invalid("engine: its actor died"),
    Reward(None, valid=False, cause="tool: время вышло \u2028", components={"pass": float("nan")}),
    Reward(None, valid=False, cause="0.0", components={"pass": 1.0}, grader="tool_use/1"),
    None,
)
SETTINGS = LearningSettings(group_size=MEMBERS)
ROW = TokenRow(np.arange(6), np.array([0, 0, 1, 1, 0, 1], dtype=bool), np.array([0, 0, -1, -2, 0, -3], dtype=np.float32))


def trajectory(row: TokenRow, reward: Reward | None) -> Trajectory:
    """An episode whose tokens and log-probabilities are those of the row."""
    assert row.behaviour_log_probs is not None
    tokens = zip(row.loss_mask.tolist(), row.token_ids.tolist(), row.behaviour_log_probs.tolist(), strict=True)
    segments = []
    for sampled, run in groupby(tokens, key=lambda token: token[0]):
        _, ids, log_probs = zip(*run, strict=True)
        segments.append(Segment("policy", ids, log_probs, Sampling()) if sampled else Segment("context", ids))
    ending = "completed" if reward is not None and reward.valid else "fault"
    return Trajectory(id="x", task_id="x", segments=tuple(segments), outcome=Outcome(ending), reward=reward)


def injected(share: float) -> list[Reward | None]:
    """Passes and failures in turns, and in that share of the places a fault."""
    count = GROUPS * MEMBERS
    struck = torch.randperm(count, generator=torch.Generator().manual_seed(5))[: max(1, round(share * count))].tolist()
    return [FAULTS[number % len(FAULTS)] if number in struck else (PASS, FAIL)[number % 2] for number in range(count)]


@pytest.mark.parametrize("share", [0.04, 0.54])
def test_the_trainer_learns_what_it_would_have_learnt_from_the_healthy_episodes_alone(share, monkeypatch):
    sampled = rollouts(nano(), GROUPS, MEMBERS, seed=3)
    verdicts = injected(share)
    mine = training_batch(SETTINGS, [trajectory(*pair) for pair in zip(sampled.rows, verdicts, strict=True)], seed=0, step=1)
    kept = [number for number, verdict in enumerate(verdicts) if verdict is not None and verdict.valid]
    assert mine.valid.nonzero().flatten().tolist() == kept and len(mine.rows) == len(verdicts)
    assert len(verdicts) - len(kept) == max(1, round(share * len(verdicts)))
    values = torch.tensor([verdicts[number].value for number in kept]).double()  # type: ignore[union-attr]
    everybody, groups = torch.ones(len(kept), dtype=torch.bool), sampled.group_ids[kept]
    alone = Rollouts([sampled.rows[n] for n in kept], group_advantages(values, everybody, groups), everybody, groups)
    assert_learnt_alike(learnt(mine, monkeypatch), learnt(alone, monkeypatch), steps=2)


causes = st.text(min_size=1).map(Reward.invalid) | st.just(None)


@given(st.lists(st.sampled_from([PASS, FAIL]) | causes, min_size=8, max_size=8))
@given_settings(max_examples=50)
def test_whatever_a_fault_is_called_it_has_no_share_of_any_step(verdicts):
    batch = training_batch(LearningSettings(group_size=4), [trajectory(ROW, verdict) for verdict in verdicts], seed=0, step=1)
    judged = [number for number, verdict in enumerate(verdicts) if verdict is not None and verdict.valid]
    assert batch.valid.nonzero().flatten().tolist() == judged
    assert torch.isfinite(batch.advantages).all() and not batch.advantages[~batch.valid].any()
    members = mini_batches(batch, 1, "split", False)
    assert [row for part in members for row in part] == judged
    for part in members:
        passes = micro_batches(batch, part, 1000, 0, 1)
        assert sum(float(micro.weights.sum()) for micro in passes) == pytest.approx(1)
        assert {micro.num_tokens for micro in passes} == {len(judged) * ROW.policy_tokens}


@pytest.mark.parametrize(("share", "allowed", "last"), [(0.04, 0.05, None), (0.04, 0.02, 3), (0.54, 0.5, 1), (0.54, 0.02, 1)])
def test_the_budget_stops_the_run_at_the_set_point(share, allowed, last):
    """`last`: the iteration of 100 episodes in which more than the allowed share, and more than eight, are faults."""
    faults = round(100 * share)
    episodes = [FAULTS[0]] * faults + [PASS, FAIL] * ((100 - faults) // 2)
    budget = ErrorBudget(LearningSettings(error_budget=allowed).error_budget)
    for iteration in range(1, 21):
        if iteration == last:
            with pytest.raises(ErrorBudgetSpentError, match=f"{iteration * faults} of {iteration * 100} episodes"):
                budget.spend(episodes)
            return
        budget.spend(episodes)
    assert last is None and budget.causes == {"engine: its actor died": 20 * faults}
