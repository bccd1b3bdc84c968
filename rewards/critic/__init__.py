"""Responses that no program can judge, compared in pairs: the self-critique rubric reward of Kimi K2 (arXiv 2507.20534, 3.2.2).

`Critic.rank` asks a `Comparer` (a chat model, or a script) about pairs of responses under criteria (`rewards.rubrics`) and makes
scores of the answers; `combined_rewards` makes rewards of the scores, and `calibrate` says how far the critic can be trusted.
See docs/critic.md.
"""

from rewards.critic.calibration import Calibration, Figure, KnownPair, calibrate
from rewards.critic.comparer import ComparerConfig, ModelComparer
from rewards.critic.comparison import Comparer, Comparison, Context, CriterionVerdict, Invalid, PairVerdict, Response
from rewards.critic.critic import Critic, CriticConfig
from rewards.critic.ranking import Ranking, Score, ranking_of
from rewards.critic.reward import CriticRewardConfig, combined_rewards, group_rewards
from rewards.critic.scripted import Biases, Features, ScriptedComparer

__all__ = [
    "Biases", "Calibration", "Comparer", "ComparerConfig", "Comparison", "Context", "Critic", "CriticConfig",
    "CriticRewardConfig", "CriterionVerdict", "Features", "Figure", "Invalid", "KnownPair", "ModelComparer", "PairVerdict",
    "Ranking", "Response", "Score", "ScriptedComparer", "calibrate", "combined_rewards", "group_rewards", "ranking_of",
]  # fmt: skip
