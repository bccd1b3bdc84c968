"""The operators by which a world grows: each takes a draft and makes tools from what is there, one step at a time.

An operator never invents behaviour that the world language cannot run; what it makes is checked with the whole document
when the world is parsed.
"""

from collections.abc import Callable
from typing import Final

from simulators.evolution.draft import Draft
from simulators.evolution.operators.changing import batch, levels, make_and_remove, replace, split
from simulators.evolution.operators.doubles import drop_doubles
from simulators.evolution.operators.governing import add_policies, confirm, limit, outdate
from simulators.evolution.operators.telling import compute, specialise
from simulators.evolution.operators.widening import compose, extend, outbox, rename

__all__ = ["OPERATORS"]

OPERATORS: Final[tuple[Callable[[Draft], None], ...]] = (
    specialise, compute, split, make_and_remove, levels, batch, outbox, extend, compose, replace, drop_doubles,
    add_policies, confirm, limit, outdate, rename,
)  # fmt: skip
"""In the order in which a domain grows: what is composed must be there before, rules are about tools that stay, and names
change last."""
