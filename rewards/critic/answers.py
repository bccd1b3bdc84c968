"""A critic's answer, taken only in the form that was asked for: reasons before every verdict, and no verdict without support.

The order of keys is read off the text itself. Whoever decides first, grades, leaves a criterion out, quotes what nobody wrote or
prefers a response for which no criterion speaks is asked again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewards.critic.comparison import VIOLATIONS, CriterionVerdict, PairVerdict, Preference
from rewards.critic.prompt import MOST_EVIDENCE, PREFERENCES, Exhibit
from rewards.judge.exhibit import Passage
from rewards.rubrics import CriticCriterion
from services.chat import UnusableAnswer

__all__ = ["read_pair_verdict"]

_ANSWER: Final = ["fence", "criteria", "reasons", "overall"]
_ENTRY: Final = ["criterion", "reasons", "evidence", "verdict"]


def read_pair_verdict(text: str, criteria: Sequence[CriticCriterion], exhibit: Exhibit, fence: str) -> PairVerdict:
    """The verdicts, in the order of `criteria`.

    Args:
        text: the critic's whole answer.
        exhibit: what the critic was shown; its quotations stand there.
        fence: of the exhibit; the answer begins with it.

    Raises:
        UnusableAnswer: a rule is broken; says which, for the critic.
    """
    answer = _pairs(_parsed(text), _ANSWER, "the answer")
    if answer["fence"] != fence:
        raise UnusableAnswer(f'"fence" is not {fence}')
    if not isinstance(answer["criteria"], list):
        raise UnusableAnswer('"criteria" is not a list')
    known, found = {item.id: item for item in criteria}, dict[str, CriterionVerdict]()
    for entry in answer["criteria"]:
        said = _criterion_verdict(entry, known, exhibit)
        if said.criterion in found:
            raise UnusableAnswer(f"{said.criterion}: is judged twice; judge each criterion once")
        found[said.criterion] = said
    if missing := [name for name in known if name not in found]:
        raise UnusableAnswer(f"{', '.join(missing)}: not judged; judge every criterion and every veto")
    reasons, overall = _text(answer, "reasons", "overall"), answer["overall"]
    verdicts = tuple(found[name] for name in known)
    if overall not in PREFERENCES:
        raise UnusableAnswer(f"overall: {str(overall)[:80]!r} is no verdict; there are {', '.join(PREFERENCES)}")
    if overall != "tie" and overall not in map(_favoured, verdicts):
        raise UnusableAnswer(f"overall: no criterion and no veto speaks for {overall}; choose what your verdicts support")
    return PairVerdict(overall, verdicts, reasons)


def _parsed(text: str) -> Any:
    try:
        answer = json.loads(text, object_pairs_hook=tuple)
        text.encode()
        json.dumps(answer, ensure_ascii=False).encode()  # escapes may stand for half of a surrogate pair
    except UnicodeEncodeError as error:
        raise UnusableAnswer("it holds half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("it is not one JSON object and nothing else") from error
    return answer


def _pairs(value: Any, keys: Sequence[str], what: str) -> dict[str, Any]:
    """The object that was written with exactly these keys, in this order."""
    if not isinstance(value, tuple) or [key for key, _ in value] != list(keys):
        raise UnusableAnswer(f"{what} is not an object with the keys {', '.join(keys)}, in this order: verdicts come last")
    return dict(value)


def _criterion_verdict(entry: Any, known: Mapping[str, CriticCriterion], exhibit: Exhibit) -> CriterionVerdict:
    fields = _pairs(entry, _ENTRY, 'an element of "criteria"')
    name, verdict = fields["criterion"], fields["verdict"]
    if not isinstance(name, str) or name not in known:
        raise UnusableAnswer(f"{str(name)[:80]!r} is no criterion; there are {', '.join(known)}")
    reasons, evidence = _text(fields, "reasons", name), fields["evidence"]
    verdicts = tuple(VIOLATIONS) if known[name].veto else PREFERENCES
    if verdict not in verdicts:
        raise UnusableAnswer(f"{name}: {str(verdict)[:80]!r} is no verdict; there are {', '.join(verdicts)}")
    _check_evidence(name, evidence, *_quotable(verdict, exhibit))
    return CriterionVerdict(name, verdict, reasons, evidence.strip())


def _text(fields: Mapping[str, Any], key: str, where: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value.strip():
        raise UnusableAnswer(f"{where}: {key} are no text; give them before the verdict")
    return value.strip()


def _quotable(verdict: str, exhibit: Exhibit) -> tuple[Sequence[Passage], bool]:
    """Where the evidence may stand, and whether there must be some."""
    breaks = VIOLATIONS.get(verdict, (False, False))
    if breaks == (True, False):
        return exhibit.a, True
    if breaks == (False, True):
        return exhibit.b, True
    return (*exhibit.a, *exhibit.b), any(breaks)


def _check_evidence(name: str, evidence: Any, quotable: Sequence[Passage], is_needed: bool) -> None:
    if not isinstance(evidence, str):
        raise UnusableAnswer(f"{name}: evidence is no text")
    words = _spaced(evidence)
    if not words and is_needed:
        raise UnusableAnswer(f"{name}: evidence is empty; quote the words that break the veto")
    if len(evidence) > MOST_EVIDENCE:
        raise UnusableAnswer(f"{name}: evidence has {len(evidence)} characters, more than {MOST_EVIDENCE}; quote less")
    if words and not any(words in _spaced(item.text) for item in quotable):
        raise UnusableAnswer(f"{name}: evidence does not stand in one passage of its response; copy it letter for letter")


def _favoured(said: CriterionVerdict) -> Preference:
    """The response that a verdict speaks for."""
    a_breaks, b_breaks = VIOLATIONS.get(said.verdict, (said.verdict == "B", said.verdict == "A"))
    return "tie" if a_breaks == b_breaks else "B" if a_breaks else "A"


def _spaced(text: str) -> str:
    return " ".join(text.split())
