"""From judged rollouts to what the trainer learns from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from pipelines.learning.observed import pass_rate
from pipelines.learning.recipe import DropGroups
from pipelines.learning.settings import LearningSettings
from rl.rollout.error_budget import ErrorBudgetSpentError, kind_of
from rl.training.advantages import group_advantages
from rl.training.packing import TokenRow
from rl.training.trainer_batch import Rollouts as Batch
from trajectories.seeds import derive_seed
from trajectories.trajectory import Trajectory

__all__ = ["group_curves", "shuffled", "training_batch"]


def training_batch(
    settings: LearningSettings, trajectories: Sequence[Trajectory], seed: int, step: int, version: int = 0
) -> Batch:
    """What the trainer learns from: advantages over whole groups; faults have none and count nowhere.

    Args:
        version: of the newest weights, for `loss_on`.

    Groups that `recipe.drop_groups` names are not valid in it: the trainer compares their log-probabilities with the engine's,
    and takes no step for them. So with `loss_on` are those that older weights sampled as a whole.

    Raises:
        ErrorBudgetSpentError: nobody said a single token.
    """
    groups = torch.arange(len(trajectories)) // settings.group_size
    verdicts = [trajectory.reward for trajectory in trajectories]
    rewards = torch.tensor([v.value if v is not None and v.value is not None else 0.0 for v in verdicts]).double()
    valid = torch.tensor([verdict is not None and verdict.valid for verdict in verdicts])
    advantages = group_advantages(rewards, valid, groups, settings.advantage_scale)
    if settings.shuffle_advantages:
        advantages = shuffled(advantages, valid, groups, derive_seed(seed, "shuffle", step))
    dropped = [name in settings.recipe.drop_groups for name in _uniform_groups(settings, trajectories)]
    valid &= ~torch.tensor(dropped)[groups]
    oldest = version if settings.loss_on == "newest" else None
    sampled = [number for number, trajectory in enumerate(trajectories) if trajectory.num_policy_tokens]
    if not sampled:
        causes = [(verdict and verdict.cause) or "no room for a turn" for verdict in verdicts]
        kind = Counter(map(kind_of, causes)).most_common(1)[0][0]
        example = next(cause for cause in causes if kind_of(cause) == kind)
        raise ErrorBudgetSpentError(f"step {step}: no episode has a single sampled token: {example}")
    rows = [TokenRow.of(trajectories[number], loss_from_version=oldest) for number in sampled]
    valid, groups = valid[sampled], groups[sampled]
    # A row that older weights sampled as a whole counts in its group and has no gradient. A group without any other is left
    # out: an optimizer step of such groups alone would be one of the optimizer's momentum.
    in_loss = torch.tensor([row.policy_tokens > 0 for row in rows])
    valid &= torch.isin(groups, groups[valid & in_loss])
    return Batch(rows=rows, advantages=advantages[sampled], valid=valid, group_ids=groups)


def group_curves(settings: LearningSettings, trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the groups of one iteration, in [0, 1]: those that passed or failed as a whole, and those left out for it."""
    names = _uniform_groups(settings, trajectories)
    return {
        "groups/all_pass_share": names.count("all_pass") / len(names),
        "groups/all_fail_share": names.count("all_fail") / len(names),
        "groups/dropped_share": sum(name in settings.recipe.drop_groups for name in names) / len(names),
    }


def _uniform_groups(settings: LearningSettings, trajectories: Sequence[Trajectory]) -> list[DropGroups | None]:
    """What each group is, by its members with a verdict alone; None for a mixed one, and for one without any verdict."""
    size = settings.group_size
    rates = [pass_rate(trajectories[start : start + size]) for start in range(0, len(trajectories), size)]
    return ["all_pass" if rate == 1 else "all_fail" if rate == 0 else None for rate in rates]


def shuffled(advantages: torch.Tensor, valid: torch.Tensor, groups: torch.Tensor, seed: int) -> torch.Tensor:
    """The same advantages in random order inside each group: the control from which nothing can be learnt."""
    generator = np.random.default_rng(seed)
    shuffled = advantages.clone()
    for group in groups.unique():
        members = ((groups == group) & valid).nonzero().flatten()
        shuffled[members] = advantages[members[torch.from_numpy(generator.permutation(len(members)))]]
    return shuffled
