"""Criteria, responses and critics to compare them: scripts that read features, and a chat model that reads the prompt."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from rewards.critic import Context, Critic, CriticConfig, Features, Invalid, PairVerdict, Ranking, Response, ScriptedComparer
from rewards.critic.comparison import Comparer, Comparison
from rewards.critic.prompt import Exhibit, exhibit_in
from rewards.rubrics import CriticCriterion, criteria_for, load_rubrics
from services.chat import ChatRequest
from trajectories.messages import Message
from trajectories.seeds import derive_rng
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

__all__ = [
    "CONTEXT", "CRITERIA", "PLAIN", "SHIPPED", "TASK", "FailingComparer", "answer", "compared", "entry", "ranked", "reading",
    "response", "responses",
]  # fmt: skip

TASK = Task("t", "desk", 0, "train", 1, Persona(), Ledger("How do I boil an egg?"), Rubric(), Gold())
SHIPPED = load_rubrics(files("conf") / "rubrics")
CRITERIA = criteria_for(SHIPPED, TASK)
PLAIN = (
    CriticCriterion(id="clear", text="It is clear.", kind="core", weight=2.0),
    CriticCriterion(id="short", text="It is short.", kind="core"),
    CriticCriterion(id="no_praise", text="It opens with praise.", kind="prescriptive", veto=True),
)
"""Two criteria and a veto."""
CONTEXT = Context((Message("system", "You help in the kitchen."), Message("user", "How do I boil an egg?")))


def response(name: str, text: str = "Seven minutes.") -> Response:
    return Response(name, (Message("assistant", text),))


def responses(features: Mapping[str, Features]) -> list[Response]:
    return [response(name) for name in features]


def ranked(
    features: Mapping[str, Features],
    criteria: Sequence[CriticCriterion] = CRITERIA,
    *,
    key: str = "t",
    seed: int = 0,
    **scripted: Any,
) -> Ranking:
    """By the scripted comparer, everybody against everybody."""
    critic = Critic(ScriptedComparer(features, **scripted), CriticConfig(seed=seed))
    return asyncio.run(critic.rank(CONTEXT, responses(features), criteria, key=key))


def compared(first: str, second: str, result: float) -> Comparison:
    """A comparison whose orders agree."""
    said = {1.0: ("A", "B"), 0.5: ("tie", "tie"), 0.0: ("B", "A")}[result]
    return Comparison(first, second, said)  # type: ignore[arg-type]


class FailingComparer:
    """Fails a share of its comparisons, drawn from the seed of each; the others are those of `comparer`."""

    def __init__(self, comparer: Comparer, share: float) -> None:
        self._comparer, self._share = comparer, share
        self.identity = comparer.identity

    async def compare(self, *asked: Any) -> PairVerdict | Invalid:
        if derive_rng(asked[-1], "failure").random() < self._share:
            return Invalid("overloaded", "HTTP 429")
        return await self._comparer.compare(*asked)


def entry(criterion: CriticCriterion, verdict: str, evidence: str = "") -> dict[str, str]:
    return {"criterion": criterion.id, "reasons": "Compared.", "evidence": evidence, "verdict": verdict}


def answer(fence: str, entries: Sequence[Any], overall: str, **changed: Any) -> str:
    return json.dumps({"fence": fence, "criteria": list(entries), "reasons": "On the whole.", "overall": overall} | changed)


def reading(better: Callable[[str, str], str]) -> Callable[[ChatRequest], str]:
    """A chat model's script that reads the prompt as a model would: `PLAIN` by `better`, praise by its words.

    Args:
        better: of the texts of A and B, a preference.
    """

    def reply(request: ChatRequest) -> str:
        exhibit = exhibit_in(request.messages)
        schema = request.response_schema or {}
        a, b = _words(exhibit)
        overall = better(a, b)
        praised = tuple(text.lower().startswith("great question") for text in (a, b))
        verdict = {(True, False): "A_breaks_it", (False, True): "B_breaks_it", (True, True): "both_break_it"}.get(
            praised, "neither_breaks_it"
        )
        quoted = (a if praised[0] else b)[: len("great question")] if any(praised) else ""
        entries = [entry(PLAIN[0], overall), entry(PLAIN[1], overall), entry(PLAIN[2], verdict, quoted)]
        return answer(schema["properties"]["fence"]["const"], entries, overall)

    return reply


def _words(exhibit: Exhibit) -> tuple[str, str]:
    a, b = ("\n".join(item.text for item in side) for side in (exhibit.a, exhibit.b))
    return a, b
