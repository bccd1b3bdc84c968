"""A judge's answer, taken only in the form that was asked for.

The order of keys is read off the text itself: who writes the verdict before the reasons has not reasoned first, and is asked
again, as is everybody who grades, leaves a criterion out, or quotes what nobody said.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewards.judge.config import JudgeCriterion
from rewards.judge.exhibit import Passage
from rewards.judge.prompt import VERDICTS
from services.chat import UnusableAnswer
from trajectories.trajectory import Verdict

__all__ = ["MOST_EVIDENCE", "read_verdicts"]

MOST_EVIDENCE: Final = 400
"""Characters of one quotation."""

_KEYS: Final = ("criterion", "reasons", "evidence", "verdict")

_Pairs = tuple[tuple[str, Any], ...]
"""A JSON object as it was written: order and doubles are kept."""


def read_verdicts(
    text: str, criteria: Mapping[str, JudgeCriterion], exhibit: Sequence[Passage], judge: str
) -> tuple[Verdict, ...]:
    """The verdicts, in the order of `criteria`.

    Args:
        text: the judge's whole answer.
        exhibit: what the judge was shown; its quotations stand there.

    Raises:
        UnusableAnswer: a rule is broken; says which, for the judge.
    """
    quotable = [_spaced(item.text) for item in exhibit if item.kind != "tools"]
    found: dict[str, Verdict] = {}
    for entry in _entries(text):
        verdict = _verdict(entry, criteria, quotable, judge)
        if verdict.criterion in found:
            raise UnusableAnswer(f"{verdict.criterion}: is judged twice; judge each criterion once")
        found[verdict.criterion] = verdict
    missing = [name for name in criteria if name not in found]
    if missing:
        raise UnusableAnswer(f"{', '.join(missing)}: not judged; judge every criterion")
    if all(verdict.verdict == "not_applicable" for verdict in found.values()):
        raise UnusableAnswer("no criterion applies; at least one does")
    return tuple(found[name] for name in criteria)


def _entries(text: str) -> list[Any]:
    try:
        answer = json.loads(text, object_pairs_hook=tuple)
        text.encode()
        json.dumps(answer, ensure_ascii=False).encode()  # escapes may stand for half of a surrogate pair
    except UnicodeEncodeError as error:
        raise UnusableAnswer("it holds half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("it is not one JSON object and nothing else") from error
    if not isinstance(answer, tuple) or [key for key, _ in answer] != ["criteria"]:
        raise UnusableAnswer('it is not an object with the one key "criteria"')
    entries = answer[0][1]
    if not isinstance(entries, list):
        raise UnusableAnswer('"criteria" is not a list')
    return entries


def _verdict(entry: Any, criteria: Mapping[str, JudgeCriterion], quotable: Sequence[str], judge: str) -> Verdict:
    fields = dict(_checked_pairs(entry))
    name, verdict, reasons, evidence = fields["criterion"], fields["verdict"], fields["reasons"], fields["evidence"]
    if name not in criteria:
        raise UnusableAnswer(f"{name[:80]!r} is no criterion; there are {', '.join(criteria)}")
    if not reasons.strip():
        raise UnusableAnswer(f"{name}: reasons are empty; give them before the verdict")
    if verdict not in VERDICTS:
        raise UnusableAnswer(f"{name}: {verdict[:80]!r} is no verdict; there are {', '.join(VERDICTS)}")
    if verdict == "not_applicable" and not criteria[name].may_not_apply:
        raise UnusableAnswer(f"{name}: applies to every dialogue; pass or fail")
    if verdict != "not_applicable" or evidence.strip():
        _check_evidence(name, evidence, quotable)
    return Verdict(judge, name, verdict, reasons=reasons.strip(), evidence=evidence.strip())


def _checked_pairs(entry: Any) -> _Pairs:
    """The pairs of one entry, all of them texts, with the verdict at the end."""
    if not isinstance(entry, tuple):
        raise UnusableAnswer('an element of "criteria" is not an object')
    keys = [key for key, _ in entry]
    if sorted(keys) != sorted(_KEYS):
        raise UnusableAnswer(f'an element of "criteria" has the keys {", ".join(_KEYS)}, each once, and no others')
    if keys[-1] != "verdict":
        raise UnusableAnswer('"verdict" comes before other keys; reason first, the verdict is the last key')
    if not all(isinstance(value, str) for _, value in entry):
        raise UnusableAnswer('every value in an element of "criteria" is a text')
    return entry


def _check_evidence(name: str, evidence: str, quotable: Sequence[str]) -> None:
    words = _spaced(evidence)
    if not words:
        raise UnusableAnswer(f"{name}: evidence is empty; quote the words on which the verdict rests")
    if len(evidence) > MOST_EVIDENCE:
        raise UnusableAnswer(f"{name}: evidence has {len(evidence)} characters, more than {MOST_EVIDENCE}; quote less")
    if not any(words in text for text in quotable):
        raise UnusableAnswer(f"{name}: evidence does not stand in any one passage; copy it letter for letter")


def _spaced(text: str) -> str:
    return " ".join(text.split())
