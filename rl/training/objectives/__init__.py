"""Objectives of reinforcement learning, pure: `objective(LossInputs, **settings) -> LossOutput(loss, metrics)`.

One file each. What corrects for off-policy data composes around them and is never a flag inside.
"""

from rl.training.objectives.cispo import cispo
from rl.training.objectives.corrections import CorrectionConfig, corrected, effective_sample_share
from rl.training.objectives.dapo import dapo
from rl.training.objectives.dr_grpo import dr_grpo
from rl.training.objectives.grpo import grpo
from rl.training.objectives.gspo import gspo
from rl.training.objectives.inputs import LossInputs, LossOutput, Objective
from rl.training.objectives.k2 import k2
from rl.training.objectives.k15 import k15
from rl.training.objectives.k25 import k25
from rl.training.objectives.ptx import ptx
from rl.training.objectives.reinforce import reinforce
from rl.training.objectives.settings import check_settings, reads_reference
from rl.training.objectives.shares import Shares, mini_batch_shares

__all__ = [
    "OBJECTIVES",
    "CorrectionConfig",
    "LossInputs",
    "LossOutput",
    "Objective",
    "Shares",
    "check_settings",
    "cispo",
    "corrected",
    "dapo",
    "dr_grpo",
    "effective_sample_share",
    "get_objective",
    "grpo",
    "gspo",
    "k2",
    "k15",
    "k25",
    "mini_batch_shares",
    "ptx",
    "reads_reference",
    "reinforce",
]

OBJECTIVES: dict[str, Objective] = {
    objective.__name__: objective for objective in (k2, k15, k25, reinforce, grpo, dr_grpo, dapo, gspo, cispo)
}


def get_objective(name: str) -> Objective:
    """The objective of that name; ValueError lists the names there are."""
    if name not in OBJECTIVES:
        raise ValueError(f"objective: unknown name {name!r}; choose one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
