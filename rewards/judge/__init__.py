"""An optional judge: a chat model that reads a dialogue and gives a verdict on each criterion of a rubric.

Programs judge first (verifiers, rule filters); the judge is for what no program sees, and it never learns what they found. Its
model is any `ChatModel`; `scripted_judge` is one that needs no model. See docs/judging.md.
"""

from rewards.judge.config import JudgeConfig, JudgeCriterion
from rewards.judge.judge import Judge, Judgement
from rewards.judge.scripted import scripted_judge

__all__ = ["Judge", "JudgeConfig", "JudgeCriterion", "Judgement", "scripted_judge"]
