"""From judged rollouts to what the trainer learns from."""

from collections.abc import Sequence

import numpy as np
import torch

from pipelines.learning.settings import LearningSettings
from rl.rollout.error_budget import ErrorBudgetSpentError
from rl.training.advantages import group_advantages
from rl.training.packing import TokenRow
from rl.training.trainer_batch import Rollouts as Batch
from trajectories.seeds import derive_seed
from trajectories.trajectory import Trajectory

__all__ = ["shuffled", "training_batch"]


def training_batch(settings: LearningSettings, trajectories: Sequence[Trajectory], seed: int, step: int) -> Batch:
    """What the trainer learns from: advantages over whole groups; faults have none and count nowhere."""
    groups = torch.arange(len(trajectories)) // settings.group_size
    verdicts = [trajectory.reward for trajectory in trajectories]
    rewards = torch.tensor([v.value if v is not None and v.value is not None else 0.0 for v in verdicts]).double()
    valid = torch.tensor([verdict is not None and verdict.valid for verdict in verdicts])
    advantages = group_advantages(rewards, valid, groups, settings.advantage_scale)
    if settings.shuffle_advantages:
        advantages = shuffled(advantages, valid, groups, derive_seed(seed, "shuffle", step))
    used = [number for number, trajectory in enumerate(trajectories) if trajectory.num_policy_tokens]
    if not used:
        raise ErrorBudgetSpentError(f"step {step}: no episode has a single sampled token; see the faults in rollouts/")
    return Batch(
        rows=[TokenRow.of(trajectories[number]) for number in used],
        advantages=advantages[used],
        valid=valid[used],
        group_ids=groups[used],
    )


def shuffled(advantages: torch.Tensor, valid: torch.Tensor, groups: torch.Tensor, seed: int) -> torch.Tensor:
    """The same advantages in random order inside each group: the control from which nothing can be learnt."""
    generator = np.random.default_rng(seed)
    shuffled = advantages.clone()
    for group in groups.unique():
        members = ((groups == group) & valid).nonzero().flatten()
        shuffled[members] = advantages[members[torch.from_numpy(generator.permutation(len(members)))]]
    return shuffled
