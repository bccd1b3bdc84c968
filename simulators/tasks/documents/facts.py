"""The truth that a folder is made from: people, contracts with their amendments, payments, budgets, readings.

Draws are places in lists and numbers, in one order, so that the folders of all languages tell the same. Money is whole cents.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from simulators.tasks.documents.recipe import Recipe, words

__all__ = [
    "CLAUSE_VALUES", "Amendment", "Contract", "Entry", "Facts", "Invoice", "Person", "Reading", "Receipt", "facts_of", "money",
]  # fmt: skip

_LEDGER_ROWS: Final = {1: 24, 2: 56, 3: 90}
_PEOPLE: Final = {1: 9, 2: 14, 3: 20}
CLAUSE_VALUES: Final = {
    "warranty": (6, 60), "notice": (14, 120), "penalty": (150, 990), "payment": (10, 75), "reply": (4, 48),
}  # fmt: skip
"""By clause that a contract may have: bounds of its number."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    department: int
    role: str
    extension: int


@dataclass(frozen=True, slots=True)
class Amendment:
    code: str
    """Two letters of its file name, which say nothing about the order."""
    day: date
    price: int
    delivery: date
    signed: bool


@dataclass(frozen=True, slots=True)
class Contract:
    number: str
    supplier: str
    item: str
    quantity: int
    price: int
    """Of one piece."""
    signed: date
    delivery: date
    owner: int
    """Of `Facts.people`, by the staff list."""
    clauses: dict[str, int]
    amendments: tuple[Amendment, ...] = ()

    def price_on(self, day: date) -> int:
        """What one piece cost on a day, by the contract and what was signed until then."""
        return [self.price, *(item.price for item in self.amendments if item.signed and item.day <= day)][-1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger."""

    number: str
    day: date
    department: int
    supplier: str
    category: str
    amount: int


@dataclass(frozen=True, slots=True)
class Invoice:
    number: str
    day: date
    contract: int
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Receipt:
    number: str
    day: date
    supplier: str
    centre: int
    """The department whose cost centre it names."""
    amount: int


@dataclass(frozen=True, slots=True)
class Reading:
    day: date
    site: int
    litres: int


@dataclass(frozen=True, slots=True)
class Facts:
    org: str
    year: int
    departments: tuple[str, ...]
    centres: tuple[str, ...]
    """Codes of the departments' cost centres."""
    people: tuple[Person, ...]
    """The first are the heads of the departments, in order."""
    contracts: tuple[Contract, ...]
    """The first is amended; one of level 3 is taken over, the second; the last is neither."""
    new_owner: int | None
    """Who takes the second contract over."""
    ledger: tuple[Entry, ...]
    invoices: tuple[Invoice, ...]
    wrong_invoice: int
    receipts: tuple[Receipt, ...]
    deposits: tuple[tuple[str, int], ...]
    """Supplier and amount; the first is that of the receipts."""
    refund: int | None
    meeting: date
    audit: tuple[date, date]
    budgets: tuple[tuple[date, tuple[int, ...]], ...]
    """Older and newer: as of when, and the amount of each department."""
    milestones: tuple[tuple[date, str], ...]
    sites: tuple[str, ...]
    limits: tuple[int, ...]
    """Litres a day, by site."""
    tank: int
    """Litres."""
    readings: tuple[Reading, ...]


def money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d}"


@lru_cache(maxsize=32)
def facts_of(recipe: Recipe) -> Facts:
    """The truth of a folder; the same numbers and dates in every language."""
    rng, lexicon = random.Random(recipe.seed("facts")), words(recipe.language)
    theme, level = lexicon["themes"][recipe.theme], recipe.level
    year = rng.randrange(2017, 2026)
    org = theme["org"].format(place=rng.choice(lexicon["places"]))
    departments = tuple(rng.sample(theme["departments"], 5))
    suppliers = rng.sample(lexicon["suppliers"], 7)
    days = _days(rng, year)
    people = _people(rng, lexicon, theme, _PEOPLE[level])
    contracts = _contracts(rng, theme, suppliers, days, level, len(people))
    ledger = _ledger(rng, theme, suppliers, year, level)
    paid, other = rng.sample(suppliers, 2)
    centres = rng.sample(range(5), 2)
    first, last = date(year, rng.randrange(2, 5), 1), date(year, rng.randrange(7, 11), 15)
    budget = [rng.randrange(60_000, 140_000) * 100 for _ in departments]
    newer = [max(amount + rng.choice((-1, 1)) * rng.randrange(1_000, 9_000) * 100, 50_000_00) for amount in budget]
    tank = rng.randrange(24, 97) * 10
    cubic = level == 1
    limits = tuple(rng.randrange(6, 31) * (500 if cubic else tank) for _ in theme["sites"])
    receipts = [days.pop() for _ in range(2 if level == 3 else 1)]
    invoices, wrong = _invoices(rng, contracts, year, level)
    free = [index for index in range(len(people)) if index not in {item.owner for item in contracts}]
    return Facts(
        org=org,
        year=year,
        departments=departments,
        centres=tuple(f"K-{code}" for code in rng.sample(range(100, 1000), 5)),
        people=people,
        contracts=contracts,
        new_owner=rng.choice(free) if level == 3 else None,
        ledger=ledger,
        invoices=invoices,
        wrong_invoice=wrong,
        receipts=tuple(
            Receipt(f"R-{number}", day, paid, centre, amount)
            for number, day, centre, amount in zip(
                rng.sample(range(1000, 10_000), 2), receipts, centres, rng.sample(range(20_00, 1_900_00), 2), strict=False
            )
        ),
        deposits=tuple((name, rng.randrange(100_00, 5_000_00)) for name in (paid, other)),
        refund=rng.randrange(10_00, 90_00) if level == 3 else None,
        meeting=days.pop(),
        audit=(first, last),
        budgets=((date(year, 1, rng.randrange(5, 28)), tuple(budget)), (date(year, rng.randrange(3, 9), 12), tuple(newer))),
        milestones=tuple((days.pop(), event) for event in rng.sample(theme["milestones"], 2)),
        sites=tuple(theme["sites"]),
        limits=limits,
        tank=tank,
        readings=_readings(rng, limits, year, level),
    )


def _days(rng: random.Random, year: int) -> list[date]:
    """Different days from April on, in no order; events take them."""
    return [date(year, 4, 1) + timedelta(days=offset) for offset in rng.sample(range(240), 24)]


def _people(rng: random.Random, lexicon: Mapping[str, Any], theme: Mapping[str, Any], count: int) -> tuple[Person, ...]:
    pairs = rng.sample(range(len(lexicon["given"]) * len(lexicon["family"])), count)
    names = [
        lexicon["full_name"].format(given=lexicon["given"][pair % 20], family=lexicon["family"][pair // 20]) for pair in pairs
    ]
    extensions = rng.sample(range(1000, 10_000), count)
    roles = [rng.choice(theme["roles"]) for _ in names]
    places = [index if index < 5 else rng.randrange(5) for index in range(count)]
    return tuple(
        Person(name, place, lexicon["staff"]["head"] if index < 5 else role, extension)
        for index, (name, place, role, extension) in enumerate(zip(names, places, roles, extensions, strict=True))
    )


def _contracts(
    rng: random.Random, theme: Mapping[str, Any], suppliers: list[str], days: list[date], level: int, people: int
) -> tuple[Contract, ...]:
    count = 2 if level == 1 else 3
    owners = [*rng.sample(range(5, people), count - 1), rng.randrange(5)]  # the last by a head of department
    values = {name: rng.sample(range(*bounds), count) for name, bounds in CLAUSE_VALUES.items()}
    numbers = rng.sample(range(100, 1000), count)
    items = rng.sample(theme["items"], count)
    changes = sorted(days.pop() for _ in range(level))
    signings = rng.sample(range(80), count)
    shifts = rng.sample([sign * step * 10 for step in range(20, 90) for sign in (1, -1)], level)
    codes = rng.sample([f"{a}{b}" for a in "BCDFGHJK" for b in "LMNPRSTV"], level)
    contracts = []
    for index in range(count):
        price = rng.randrange(120, 4800) * 10
        signed = date(changes[0].year, 1, 5) + timedelta(days=signings[index])
        delivery = date(signed.year, 12, 1) + timedelta(days=rng.randrange(28))
        stated = sorted(rng.sample(sorted(CLAUSE_VALUES), 3))
        amendments = []
        for place, day in enumerate(changes if index == 0 else ()):
            late = delivery + timedelta(days=20 * (place + 1))
            amendments.append(Amendment(codes[place], day, price + shifts[place], late, place < 2))
        contracts.append(
            Contract(
                f"CT-{numbers[index]}",
                suppliers[index],
                items[index],
                rng.randrange(20, 400),
                price,
                signed,
                delivery,
                owners[index],
                {name: values[name][index] for name in stated},
                tuple(amendments),
            )
        )
    return tuple(contracts)


def _ledger(rng: random.Random, theme: Mapping[str, Any], suppliers: list[str], year: int, level: int) -> tuple[Entry, ...]:
    count = _LEDGER_ROWS[level]
    days = sorted(date(year, 1, 4) + timedelta(days=rng.randrange(350)) for _ in range(count))
    bought = [suppliers[index % len(suppliers)] for index in range(count)]
    booked = [index % 5 for index in range(count)]
    rng.shuffle(bought)
    rng.shuffle(booked)
    start = rng.randrange(1000, 8000)
    amounts = rng.sample(range(15_00, 1_900_00), count)
    return tuple(
        Entry(f"L-{start + index}", day, booked[index], bought[index], rng.choice(theme["categories"]), amounts[index])
        for index, day in enumerate(days)
    )


def _invoices(rng: random.Random, contracts: tuple[Contract, ...], year: int, level: int) -> tuple[tuple[Invoice, ...], int]:
    """Each contract's, at the price of their day but for one of the last contract's; in the order of their dates."""
    each = 2 + level
    drawn = []
    for place, contract in enumerate(contracts):
        span = (date(year, 12, 28) - contract.signed).days
        offsets = [1 + (span - 2) * step // each + rng.randrange(3) for step in range(each)]
        drawn += [(contract.signed + timedelta(days=offset), place) for offset in offsets]
    drawn.sort()
    numbers = rng.sample(range(10_000, 100_000), len(drawn))
    mine = [index for index, (_, place) in enumerate(drawn) if place == len(contracts) - 1]
    wrong = rng.choice(mine)
    off = rng.choice((-1, 1)) * rng.randrange(10, 95) * 10
    invoices = [
        Invoice(
            f"INV-{numbers[index]}",
            day,
            place,
            rng.randrange(5, 60),
            contracts[place].price_on(day) + (off if index == wrong else 0),
        )
        for index, (day, place) in enumerate(drawn)
    ]
    return tuple(invoices), wrong


def _readings(rng: random.Random, limits: tuple[int, ...], year: int, level: int) -> tuple[Reading, ...]:
    first = date(year, 5, 2) + timedelta(days=rng.randrange(120))
    return tuple(
        Reading(first + timedelta(days=day), site, limit * rng.randrange(60, 150) // 100 + rng.randrange(1, 40))
        for day in range({1: 8, 2: 16, 3: 24}[level])
        for site, limit in enumerate(limits)
    )
