"""A comparer that is a chat model: verdicts in the form that was asked for, or no comparison; never a guess."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rewards.critic.answers import read_pair_verdict
from rewards.critic.comparison import Context, Invalid, PairVerdict, Response
from rewards.critic.prompt import PROMPT_VERSION, answer_schema, asking, exhibit_of
from rewards.judge.exhibit import fence_of
from rewards.rubrics import CriticCriterion
from services.chat import ChatError, ChatErrorKind, ChatModel, ChatReply, NoUsableAnswer, UnusableAnswer, ask_until
from trajectories.canonical import digest
from trajectories.seeds import derive_seed

__all__ = ["ComparerConfig", "ModelComparer"]

_SPOILT: Final[tuple[ChatErrorKind, ...]] = ("truncated", "declined", "malformed")
"""Errors that are an answer of the model, if no good one; others end the asking at once."""


@dataclass(frozen=True, kw_only=True)
class ComparerConfig:
    """How a model is asked to compare; sampling settings are the critic's own, whatever the policy's are.

    Raises:
        ValueError: naming the key.
    """

    attempts: int = 3
    """How often the model is asked about one pair in one order before the comparison is invalid."""
    max_tokens: int = 4096
    """Of one answer, reasoning included."""
    temperature: float = 0.0
    language: str = "en"
    """Code of the language in which the model gives its reasons."""
    max_shown: int = 8000
    """Characters of one message that the model is shown; of a longer one, the middle is left out."""

    def __post_init__(self) -> None:
        for key, least in {"attempts": 1, "max_tokens": 1, "max_shown": 100}.items():
            if getattr(self, key) < least:
                raise ValueError(f"{key}: is at least {least}, not {getattr(self, key)}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: is a finite number of at least 0, not {self.temperature}")
        if not self.language:
            raise ValueError("language: is empty; give a code such as en or zh")


class ModelComparer:
    """Compares by asking `model`; as many pairs at once as are awaited. Can be sent to other processes if `model` can.

    Args:
        model: limits, retries and records are its own matter.
        version: of the model, where its name does not say it: the policy's version, where the policy is its own critic.
    """

    def __init__(self, model: ChatModel, config: ComparerConfig | None = None, version: str = "") -> None:
        self.config = config or ComparerConfig()
        name = f"{model.name}@{version}" if version else model.name
        self.identity = f"{name}/{PROMPT_VERSION}#{digest(asdict(self.config))[:8]}"
        self._model = model

    async def compare(
        self, context: Context, response_a: Response, response_b: Response, criteria: Sequence[CriticCriterion], seed: int
    ) -> PairVerdict | Invalid:
        """As `Comparer.compare`; dialogue, responses and criteria are all that the model learns."""
        config = self.config
        exhibit = exhibit_of(context, response_a, response_b, config.max_shown)
        fence = fence_of(exhibit.passages)
        try:
            return await ask_until(
                self._model,
                asking(exhibit, criteria, config.language),
                lambda reply: read_pair_verdict(_text(reply), criteria, exhibit, fence),
                attempts=config.attempts,
                seed=lambda attempt: derive_seed(seed, "compare", attempt),
                response_schema=answer_schema(criteria, fence),
                temperature=config.temperature,
                max_tokens=config.max_tokens,
                spoilt=_SPOILT,
            )
        except NoUsableAnswer as error:
            return Invalid("unusable", str(error))
        except ChatError as error:
            return Invalid(error.kind, error.message)


def _text(reply: ChatReply) -> str:
    if reply.message.tool_calls:
        raise UnusableAnswer("it calls tools; there are none")
    return reply.message.content
