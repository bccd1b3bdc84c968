"""A rubric, judged by a chat model: verdicts in the form that was asked for, or a fault; never a guess."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rewards.judge.answers import MOST_EVIDENCE, read_verdicts
from rewards.judge.config import JudgeConfig
from rewards.judge.exhibit import passages
from rewards.judge.prompt import answer_schema, asking
from services.chat import ChatError, ChatErrorKind, ChatModel, ChatReply, NoUsableAnswer, UnusableAnswer, ask_until
from trajectories.outcomes import Fault
from trajectories.seeds import derive_seed
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory, Verdict

__all__ = ["Judge", "Judgement"]

_SPOILT: Final[tuple[ChatErrorKind, ...]] = ("truncated", "declined", "malformed")
"""Errors that are an answer of the model, if no good one; others end the asking at once."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of asking a judge: verdicts, or a fault."""

    passed: bool | None
    """None where there is no verdict."""
    verdicts: tuple[Verdict, ...] = ()
    """One for each criterion of the rubric, in its order."""
    fault: Fault | None = None

    def __post_init__(self) -> None:
        if (self.passed is None) is (self.fault is None) or bool(self.verdicts) is (self.passed is None):
            raise ValueError("a judgement has verdicts and no fault, or a fault and no verdict")


class Judge:
    """Judges dialogues one at a time; as many at once as are awaited. Can be sent to other processes if `model` can.

    Args:
        model: limits, retries and records are its own matter.

    Raises:
        ValueError: the rubric is empty.
    """

    def __init__(self, model: ChatModel, config: JudgeConfig) -> None:
        if not config.criteria:
            raise ValueError("criteria: the rubric is empty; name a criterion, or choose a rubric of conf/judge")
        self.name, self.config = model.name, config
        self._model = model

    def wants(self, trajectory: Trajectory) -> bool:
        """Whether the settings put this dialogue to the judge; one that has no valid reward never is."""
        reward = trajectory.reward
        if reward is None or not reward.valid:
            return False
        return self.config.rows == "all" or reward.components.get("pass", reward.value) == 1.0

    async def judge(self, task: Task, trajectory: Trajectory) -> Judgement:
        """The judgement of a dialogue. Its tools and messages are all that the model learns: no goal, gold, outcome or reward."""
        config = self.config
        exhibit = passages(trajectory, config.max_shown)
        try:
            verdicts = await ask_until(
                self._model,
                asking(exhibit, config, MOST_EVIDENCE),
                lambda reply: read_verdicts(_text(reply), config.criteria, exhibit, self.name),
                attempts=config.attempts,
                seed=lambda attempt: derive_seed(config.seed, "judge", task.id, trajectory.id, attempt),
                response_schema=answer_schema(config.criteria),
                temperature=config.temperature,
                max_tokens=config.max_tokens,
                spoilt=_SPOILT,
            )
        except NoUsableAnswer as error:
            return Judgement(None, fault=Fault("judge", str(error)))
        except ChatError as error:
            return Judgement(None, fault=Fault("judge", f"{error.kind}: {error.message}"))
        return Judgement(_passes(verdicts, config), verdicts)


def _text(reply: ChatReply) -> str:
    if reply.message.tool_calls:
        raise UnusableAnswer("it calls tools; there are none")
    return reply.message.content


def _passes(verdicts: Sequence[Verdict], config: JudgeConfig) -> bool:
    """No veto, and share of weights >= least_share."""
    weights = {"pass": 0.0, "fail": 0.0, "not_applicable": 0.0}
    for verdict in verdicts:
        criterion = config.criteria[verdict.criterion]
        if verdict.verdict == "fail" and criterion.veto:
            return False
        weights[verdict.verdict] += criterion.weight
    share = weights["pass"] / (weights["pass"] + weights["fail"])
    return share >= config.least_share or math.isclose(share, config.least_share)
