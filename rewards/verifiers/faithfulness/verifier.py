"""Judges a report by the facts of its documents: what is asked is there, and nothing that the documents do not state.

Every claim is supported (the documents that are cited state it), contradicting (they state the same attribute of the same
entity otherwise, or say both) or unsupported (they say nothing of it). See docs/gym/faithfulness.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from rewards.verifiers.faithfulness.claims import Claim, Reading, read_claims
from rewards.verifiers.faithfulness.facts import Fact, FactBase
from rewards.verifiers.faithfulness.reading import Reader
from rewards.verifiers.faithfulness.sentences import sentences
from rewards.verifiers.faithfulness.values import entails
from rewards.verifiers.judging import judged
from trajectories.canonical import canonical_json
from trajectories.outcomes import CallRecord, Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["FaithfulnessVerifier", "Findings", "findings"]

MOST_CHARACTERS: Final = 12_000
"""Of a report; a longer one is not read."""
_SHOWN: Final = 80
"""Characters of a sentence in what is found about it."""


class FaithfulnessVerifier:
    """The verifier of domain ``faithfulness``: the key has one fact base for each of the agent's reports, in ``turns``."""

    version: int = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """1.0 if every component of every report is 1.0, else 0.0 with its cause; invalid after a fault or with a broken key."""
        return judged(outcome, lambda reply: _components(task, outcome, reply), grader=f"faithfulness/{self.version}")


@dataclass
class Findings:
    """What one report says, against one fact base."""

    contradicting: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    badly_cited: list[str] = field(default_factory=list)
    beside_the_point: list[str] = field(default_factory=list)
    given: set[Fact] = field(default_factory=set)
    """Facts of which a value is rightly given, in full."""
    abstained: set[Fact] = field(default_factory=set)
    reported: set[Fact] = field(default_factory=set)
    """Contradictions of the documents that are rightly reported."""
    aggregates: set[int] = field(default_factory=set)
    cited: set[str] = field(default_factory=set)
    sentences: int = 0


def _components(task: Task, outcome: Outcome, reply: str) -> Mapping[str, float]:
    if task.key is None:
        raise ValueError(f"task {task.id} has no key")
    turns = task.key["turns"]
    said = [item.content for item in outcome.messages if item.role == "assistant" and not item.tool_calls]
    if len(said) != len(turns):
        return {"turns": 0.0}
    components: dict[str, float] = {}
    for number, (turn, text) in enumerate(zip(turns, [*said[:-1], reply], strict=True), 1):
        prefix = f"turn{number}:" if len(turns) > 1 else ""
        components |= {prefix + name: value for name, value in _judged(turn, text, outcome.calls).items()}
    return components


def _judged(turn: Mapping[str, Any], text: str, calls: tuple[CallRecord, ...]) -> dict[str, float]:
    base, reader = _reader(canonical_json(dict(turn)))
    if not text.strip() or len(text) > MOST_CHARACTERS:
        return {"length": 0.0}
    found = findings(text, base, reader)
    passed = {
        "coverage": base.asked - base.unknown - base.conflicts <= found.given,
        "no_contradiction": not found.contradicting,
        "no_unsupported": not found.unsupported,
        "citations": not found.badly_cited,
        "abstention": found.abstained == base.unknown,
        "to_the_point": not found.beside_the_point,
    }
    if base.conflicts:
        passed["conflicts"] = base.asked & base.conflicts <= found.reported
    if base.aggregates:
        passed["aggregates"] = found.aggregates == set(range(len(base.aggregates)))
    if base.sentences is not None:
        passed["sentences"] = found.sentences == base.sentences
    if base.reads:
        passed["reading"] = all(any(base.reads[id_].matches(call) for call in calls) for id_ in found.cited if id_ in base.reads)
    return {name: float(value) for name, value in passed.items()}


@lru_cache(maxsize=64)
def _reader(key: str) -> tuple[FactBase, Reader]:
    """Of a key's canonical text: the rollouts of a group share one."""
    base = FactBase.of(json.loads(key))
    return base, Reader(base)


def findings(text: str, base: FactBase, reader: Reader) -> Findings:
    """What the report in `text` says, sentence by sentence."""
    found = Findings()
    before: tuple[int, ...] = ()
    for sentence in sentences(text):
        found.sentences += 1
        mentions = reader.mentions(sentence)
        reading = read_claims(mentions, base, before)
        named = any(item.kind == "value" and item.payload.kind == "name" for item in mentions)
        before = () if named else reading.entities or before  # "it" could be whoever was named
        named_by = sentence[:_SHOWN]
        found.unsupported += [f"{named_by}: {problem}" for problem in reading.problems]
        found.cited.update(reading.citations)
        _weigh(named_by, reading, base, found)
    return found


def _weigh(sentence: str, reading: Reading, base: FactBase, found: Findings) -> None:
    behind: list[frozenset[str]] = []
    """For each claim, the documents that state it."""
    for claim in reading.claims:
        behind.append(_weigh_claim(sentence, claim, base, found))
        if (claim.entity, claim.attribute) not in base.asked:
            found.beside_the_point.append(sentence)
    for fact in reading.abstained:
        found.abstained.add(fact)
        if fact in base.stated:
            found.contradicting.append(f"{sentence}: the documents state it")
        elif fact not in base.unknown:
            found.beside_the_point.append(sentence)
    if reading.conflict is not None:
        behind += _weigh_conflict(sentence, reading.conflict, base, found)
    if reading.aggregate is not None:
        behind.append(_weigh_aggregate(sentence, reading.aggregate, base, found))
    cited = frozenset(reading.citations)
    if not reading.says_something:
        found.beside_the_point.append(sentence)
    if behind and not reading.ends_with_citation:
        found.badly_cited.append(f"{sentence}: does not end with a citation")
    whole = reading.aggregate is not None
    if any(not (documents <= cited if whole else documents & cited) for documents in behind if documents):
        found.badly_cited.append(f"{sentence}: no cited document states it")
    if not cited <= frozenset().union(*behind):
        found.badly_cited.append(f"{sentence}: a cited document states nothing of it")


def _weigh_claim(sentence: str, claim: Claim, base: FactBase, found: Findings) -> frozenset[str]:
    """The documents that state the claim."""
    fact = (claim.entity, claim.attribute)
    values = base.stated.get(fact)
    if values is None:
        found.unsupported.append(f"{sentence}: the documents do not state the {claim.attribute}")
        return frozenset()
    type_ = base.attributes[claim.attribute].type
    same = [value for value in values if entails(value, claim.value, type_)]
    if claim.negated is bool(same) or len(values) > 1:
        found.contradicting.append(f"{sentence}: the documents state the {claim.attribute} otherwise")
        return frozenset().union(*values.values())
    if claim.value in values and not claim.negated:
        found.given.add(fact)
    return frozenset().union(*values.values())


def _weigh_conflict(
    sentence: str, conflict: tuple[Fact, tuple[tuple[str, frozenset[str]], ...]], base: FactBase, found: Findings
) -> list[frozenset[str]]:
    fact, told = conflict
    values = base.stated.get(fact, {})
    if fact not in base.asked:
        found.beside_the_point.append(sentence)
    if len(values) < 2:
        found.contradicting.append(f"{sentence}: the documents do not disagree on it")
        return []
    wrong = [value for value, _ in told if value not in values]
    found.contradicting += [f"{sentence}: no document states {value!r}" for value in wrong]
    if wrong:
        return list(values.values())
    if any(not cited or not cited <= values[value] for value, cited in told):
        found.badly_cited.append(f"{sentence}: a value's own document is not cited behind it")
    if len(told) == len(values) and {value for value, _ in told} == set(values):
        found.reported.add(fact)
    return [values[value] for value, _ in told]


def _weigh_aggregate(
    sentence: str, told: tuple[str, str, str, tuple[int, ...]], base: FactBase, found: Findings
) -> frozenset[str]:
    operation, attribute, value, entities = told
    for index, wanted in enumerate(base.aggregates):
        if (wanted.operation, wanted.attribute) != (operation, attribute):
            continue
        named = {wanted.entity} if wanted.entity is not None else {entity for entity, name in base.asked if name == attribute}
        if value != wanted.value or ((wanted.entity is not None or entities) and set(entities) != named):
            found.contradicting.append(f"{sentence}: the documents give another figure")
        else:
            found.aggregates.add(index)
        return wanted.documents
    found.unsupported.append(f"{sentence}: no such figure follows from the documents")
    return frozenset()
