"""One fact base in two languages, and outcomes that end with a given report."""

from typing import Any

from rewards.verifiers.faithfulness import FaithfulnessVerifier
from trajectories.messages import Message
from trajectories.outcomes import CallRecord, Ending, Fault, Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

ENGLISH: dict[str, Any] = {
    "language": "en",
    "entities": ["Aster Museum", "New Aster Museum", "Birch Museum"],
    "nouns": ["institution", "museum"],
    "attributes": {
        "founded": {"type": "year", "words": ["founded", "founding year", "established"]},
        "opened": {"type": "date", "words": ["opened", "opening date"]},
        "director": {"type": "person", "words": ["director"], "passive": ["headed by", "led by"], "active": ["leads"]},
        "founder": {"type": "person", "words": ["founder"], "passive": ["founded by"], "active": ["founded"]},
        "town": {"type": "place", "words": ["town"], "passive": ["located", "lies"]},
        "owner": {"type": "organisation", "words": ["owner"], "passive": ["owned by", "belongs to"], "active": ["owns"]},
        "employees": {"type": "count", "words": ["employees", "number of employees", "employs", "staff"]},
        "visitors": {"type": "count", "words": ["visitors", "visitors per year", "number of visitors per year"]},
        "budget": {"type": "money", "words": ["budget", "annual budget"]},
        "debt": {"type": "money", "words": ["debt", "debts", "owes"]},
        "approval": {"type": "percent", "words": ["approval rate", "approval"]},
        "area": {"type": "square_metres", "words": ["floor area", "covers"]},
    },
    "facts": [
        [0, "founded", "1985", ["1"]],
        [0, "opened", "1990-03-12", ["1", "2"]],
        [0, "director", "Anna Berglund", ["2"]],
        [0, "town", "Kolding", ["1"]],
        [0, "owner", "Stanhope Trust", ["2"]],
        [0, "employees", "1250", ["3"]],
        [0, "budget", "EUR 3200000", ["3"]],
        [0, "approval", "87.5 %", ["3"]],
        [0, "area", "5400 m2", ["3"]],
        [1, "founded", "1999", ["4"]],
        [1, "director", "Boris Castell", ["4"]],
        [2, "founded", "1990", ["4"]],
        [2, "employees", "77", ["4"]],
        [2, "director", "Clara Ekström", ["4"]],
    ],
    "stale": [[0, "director", "Emil Falk", ["1"]]],
    "asked": [],
    "unknown": [],
}

CHINESE: dict[str, Any] = {
    "language": "zh",
    "entities": ["青石博物馆", "新青石博物馆", "白鹭博物馆"],
    "nouns": ["机构", "博物馆"],
    "attributes": {
        "founded": {"type": "year", "words": ["创立年份", "创立于", "成立于", "创立"]},
        "opened": {"type": "date", "words": ["启用日期", "启用"]},
        "director": {"type": "person", "words": ["负责人", "主管"]},
        "founder": {"type": "person", "words": ["创始人"], "active": ["创立"]},
        "town": {"type": "place", "words": ["所在地"], "passive": ["位于"]},
        "owner": {"type": "organisation", "words": ["所有者"], "passive": ["归"]},
        "employees": {"type": "count", "words": ["员工人数", "员工"]},
        "visitors": {"type": "count", "words": ["年参观人数", "参观者"]},
        "budget": {"type": "money", "words": ["年度预算", "预算"]},
        "debt": {"type": "money", "words": ["债务", "负债"]},
        "approval": {"type": "percent", "words": ["好评率"]},
        "area": {"type": "square_metres", "words": ["建筑面积", "占地"]},
    },
    "facts": [
        [0, "founded", "1985", ["1"]],
        [0, "opened", "1990-03-12", ["1", "2"]],
        [0, "director", "王建国", ["2"]],
        [0, "town", "临川市", ["1"]],
        [0, "owner", "恒信信托", ["2"]],
        [0, "employees", "1250", ["3"]],
        [0, "budget", "EUR 3200000", ["3"]],
        [0, "approval", "87.5 %", ["3"]],
        [0, "area", "5400 m2", ["3"]],
        [1, "director", "高秀英", ["4"]],
        [2, "founded", "1990", ["4"]],
        [2, "director", "李志强", ["4"]],
    ],
    "stale": [[0, "director", "张丽华", ["1"]]],
    "asked": [],
    "unknown": [],
}


def key(base: dict[str, Any], *asked: str, unknown: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """One that asks for these attributes of the first entity; ``2:founded`` for those of another."""
    facts = [[int(item.split(":")[0]), item.split(":")[1]] if ":" in item else [0, item] for item in (*asked, *unknown)]
    return base | {"asked": facts, "unknown": facts[len(asked) :], **more}


def task(*turns: dict[str, Any]) -> Task:
    return Task(
        "t", "plain", 0, "train", 1, Persona(), Ledger("Report."), Rubric(), Gold(),
        domain="faithfulness", key={"turns": list(turns)},
    )  # fmt: skip


def outcome(
    *replies: str, ending: Ending = "completed", calls: tuple[CallRecord, ...] = (), faults: tuple[Fault, ...] = ()
) -> Outcome:
    messages = [Message("user", "Report.")]
    for reply in replies:
        messages += [Message("assistant", reply), Message("user", "Go on.")]
    return Outcome(ending, calls=calls, messages=tuple(messages[:-1]), faults=faults)


def scored(reply: str, turn: dict[str, Any], calls: tuple[CallRecord, ...] = ()) -> Reward:
    return FaithfulnessVerifier().verify(task(turn), outcome(reply, calls=calls))


def missed(reply: str, turn: dict[str, Any]) -> set[str]:
    """The components that are 0."""
    reward = scored(reply, turn)
    assert reward.valid, reward.cause
    return {name for name, value in reward.components.items() if value != 1.0}
