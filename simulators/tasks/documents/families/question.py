"""A question with its answer, the facts it rests on, and the answers of those who read too little."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simulators.tasks.documents.facts import Facts, facts_of, money
from simulators.tasks.documents.folder import Plan, plan_of
from simulators.tasks.documents.recipe import Recipe, words
from trajectories.tasks import GoldCall

__all__ = ["Desk", "Question", "plain_money"]


@dataclass(frozen=True, kw_only=True)
class Question:
    text: str
    form: str
    """Which form the answer has, of the lexicon's ``ask.forms``."""
    said: str
    """The answer as the oracle says it; empty where the files do not state it."""
    needed: tuple[tuple[str, ...], ...]
    """Groups of facts: at least one place of each group must be cited."""
    allowed: tuple[str, ...] = ()
    """Facts that have to do with it: their places may be cited, too."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """By cheat, the answer of whoever takes a way around; those that happen to be right are left out."""
    queries: tuple[GoldCall, ...] = ()
    """Calls of the oracle that read the files they name, in place of plain reading."""
    read: tuple[tuple[str, int], ...] = ()
    """Files and their pages that must be read before one may say that nothing is stated."""


@dataclass(frozen=True)
class Desk:
    """All that a family may look at to make its question."""

    recipe: Recipe

    @cached_property
    def facts(self) -> Facts:
        return facts_of(self.recipe)

    @cached_property
    def plan(self) -> Plan:
        return plan_of(self.recipe)

    @cached_property
    def lexicon(self) -> Mapping[str, Any]:
        return words(self.recipe.language)

    @property
    def level(self) -> int:
        return self.recipe.level

    def rng(self) -> random.Random:
        """For the choice of what is asked."""
        return random.Random(self.recipe.seed("question"))

    def ask(self, **known: object) -> str:
        """The family's question of this level."""
        said = self.lexicon["questions"][self.recipe.family]
        return (said if isinstance(said, str) else said[self.level]).format(**known)

    def file(self, fact: str) -> str:
        """The file in which a fact stands."""
        return self.plan[1][fact][0].partition("#")[0]

    def head(self, department: int) -> tuple[str, ...]:
        """Facts that each tell who heads a department."""
        return (
            f"department.head.{department}", f"department.name.{department}", f"person.role.{department}",
            f"person.name.{department}", f"person.department.{department}",
        )  # fmt: skip

    def ledger_query(self, where: list[dict[str, Any]], function: str = "sum") -> GoldCall:
        """Rows of the ledger and an aggregate of their amounts; conditions name columns by their place."""
        columns = self.lexicon["ledger"]["columns"]
        return GoldCall("query_sheet", {
            "file": self.file("entry.amount.0"),
            "sheet": self.lexicon["sheets"]["ledger"],
            "header_row": 1 if self.level == 1 else 3,
            "where": [{**item, "column": columns[item["column"]]} for item in where],
            "aggregate": {"function": function, "column": columns[5]},
        })  # fmt: skip


def plain_money(cents: int) -> str:
    """As an answer is asked for: no separators."""
    return money(cents).replace(",", "")
