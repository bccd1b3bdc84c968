"""Which files a folder has, and what stands in each: from facts to plans, in the words of a language.

Files come in groups. A family's own groups are always there, complete with every amendment, so that no file that changes the
answer is ever missing; others are added as long as there is room.
"""

import random
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from simulators.tasks.documents.facts import CLAUSE_VALUES, Contract, Facts, facts_of, money
from simulators.tasks.documents.plans import Block, Cell, FilePlan, Image, Line, Lines, Page, Pages, Sheet, Sheets, places_of
from simulators.tasks.documents.recipe import Recipe, words

__all__ = ["Plan", "plan_of"]

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "cross_file_sum": ("ledger", "receipts", "minutes"),
    "person_lookup": ("staff", "contracts", "minutes"),
    "version_conflict": ("contracts",),
    "filtered_total": ("ledger", "staff", "minutes"),
    "budget_left": ("budgets", "ledger", "staff", "receipts"),
    "timeline": ("contracts", "minutes", "receipts", "review"),
    "missing_information": ("contracts", "staff", "minutes"),
    "unit_conversion": ("readings", "handbook"),
    "discrepancy": ("contracts", "invoices"),
    "reverse_lookup": ("ledger", "staff", "receipts"),
}
_MOST_FILES: Final = {1: 6, 2: 8, 3: 10}

Plan = tuple[tuple[FilePlan, ...], Mapping[str, tuple[str, ...]]]
"""The files in the order of their names, and the places of every fact."""


@lru_cache(maxsize=32)
def plan_of(recipe: Recipe) -> Plan:
    """What stands where in the folder of a recipe."""
    facts, lexicon = facts_of(recipe), words(recipe.language)
    chosen = list(_NEEDED[recipe.family])
    plans = [plan for group in chosen for plan in _GROUPS[group](facts, lexicon, recipe)]
    rng = random.Random(recipe.seed("groups"))
    for group in rng.sample(sorted(set(_GROUPS) - set(chosen)), len(_GROUPS) - len(chosen)):
        more = _GROUPS[group](facts, lexicon, recipe)
        if len(plans) + len(more) <= _MOST_FILES[recipe.level]:
            plans += more
    ordered = tuple(sorted(plans, key=lambda plan: plan.name))
    return ordered, places_of(ordered)


def _staff(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    words_, sheets = lexicon["staff"], lexicon["sheets"]
    charge = {contract.owner: contract.number for contract in facts.contracts}
    order = random.Random(recipe.seed("staff")).sample(range(len(facts.people)), len(facts.people))
    people: list[tuple[Cell, ...]] = [_header(words_["people"])]
    for number, place in enumerate(order, 1):
        person = facts.people[place]
        known: dict[str, str | int | None] = {
            "number": number, "name": person.name, "department": facts.departments[person.department], "role": person.role,
            "extension": person.extension, "contract": charge.get(place),
        }  # fmt: skip
        people.append(tuple(Cell(value, (f"person.{mark}.{place}",)) for mark, value in known.items()))
    departments = [_header(words_["departments"])]
    for place, name in enumerate(facts.departments):
        about = {"name": name, "centre": facts.centres[place], "head": facts.people[place].name}
        departments.append(tuple(Cell(value, (f"department.{mark}.{place}",)) for mark, value in about.items()))
    tables = (Sheet(sheets["people"], tuple(people), 1), Sheet(sheets["departments"], tuple(departments), 1))
    return [Sheets(f"{lexicon['files']['staff']}.xlsx", tables)]


def _contracts(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    plans: list[FilePlan] = []
    for contract in facts.contracts:
        plans.append(_contract(contract, facts, lexicon))
        plans += [_amendment(contract, place, facts, lexicon) for place in range(len(contract.amendments))]
    return plans


def _contract(contract: Contract, facts: Facts, lexicon: Mapping[str, Any]) -> FilePlan:
    said, currency, number = lexicon["contract"], lexicon["currency"], contract.number
    titles = [title.format(number=number) for title in said["titles"]]
    columns = tuple(column.format(currency=currency) for column in said["table"])
    row = (contract.item, str(contract.quantity), money(contract.price), money(contract.price * contract.quantity))
    clauses = [
        Block(said[name].format(value=contract.clauses[name], currency=currency), (f"clause.{number}.{name}",))
        for name in CLAUSE_VALUES
        if name in contract.clauses
    ]
    usual = _usual(lexicon["boilerplate"]["contract"], facts, number)
    signed = Block(said["signed"].format(date=contract.signed), (f"signed.{number}",))
    return Pages(
        f"{lexicon['files']['contract']}_{number}.pdf",
        (
            Page(titles[0], (
                Block(said["parties"].format(org=facts.org, supplier=contract.supplier), (f"parties.{number}",)), signed,
                Block(said["scope"]), *usual[:3],
            )),
            Page(titles[1], (Block(rows=(columns, row), facts=(f"price.{number}",)), Block(said["price"]), *usual[3:5])),
            Page(titles[2], (
                Block(said["delivery"].format(date=contract.delivery), (f"delivery.{number}",)), usual[5], *clauses, *usual[6:8],
            )),
            Page(titles[3], (*usual[8:], signed, Block(said["place"]))),
        ),
    )  # fmt: skip


def _amendment(contract: Contract, place: int, facts: Facts, lexicon: Mapping[str, Any]) -> FilePlan:
    said, item, number = lexicon["amendment"], contract.amendments[place], contract.number
    terms = said["price"].format(item=contract.item, price=money(item.price), currency=lexicon["currency"])
    return Pages(
        f"{lexicon['files']['amendment']}_{number}_{item.code}.docx",
        (
            Page(said["titles"][0].format(number=number), (
                Block(said["parties"].format(org=facts.org, supplier=contract.supplier, number=number), (f"amends.{number}",)),
                Block(said["signed" if item.signed else "draft"].format(date=item.day), (f"amended.{number}.{place}",)),
            )),
            Page(said["titles"][1], (
                Block(terms, (f"terms.{number}.{place}",)), Block(said["delivery"].format(date=item.delivery)),
                Block(said["rest"]),
            )),
        ),
    )  # fmt: skip


def _invoices(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    lines = [Line(",".join(lexicon["invoices"]), ("header",))]
    for place, item in enumerate(facts.invoices):
        price, amount = money(item.price).replace(",", ""), money(item.price * item.quantity).replace(",", "")
        text = f"{item.number},{item.day},{facts.contracts[item.contract].number},{item.quantity},{price},{amount}"
        lines.append(Line(text, (f"invoice.{place}",)))
    return [Lines(f"{lexicon['files']['invoices']}.csv", tuple(lines))]


def _ledger(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    said = lexicon["ledger"]
    above = [] if recipe.level == 1 else [(Cell(said["title"].format(org=facts.org, year=facts.year)),), ()]
    rows = [
        tuple(Cell(value, (f"entry.{mark}.{place}",), money=mark == "amount") for mark, value in (
            ("number", item.number), ("day", item.day), ("department", facts.departments[item.department]),
            ("supplier", item.supplier), ("category", item.category), ("amount", item.amount / 100),
        ))
        for place, item in enumerate(facts.ledger)
    ]  # fmt: skip
    sheet = Sheet(lexicon["sheets"]["ledger"], (*above, _header(said["columns"]), *rows), len(above) + 1)
    return [Sheets(f"{lexicon['files']['ledger']}.xlsx", (sheet,))]


def _receipts(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    plans: list[FilePlan] = []
    for place, item in enumerate(facts.receipts):
        known = {
            "supplier": item.supplier, "number": item.number, "date": item.day, "centre": facts.centres[item.centre],
            "amount": money(item.amount), "currency": lexicon["currency"],
        }  # fmt: skip
        lines = tuple(line.format(**known) for line in lexicon["receipt"]["lines"])
        plans.append(Image(f"{lexicon['files']['receipt']}_{item.number}.png", lines, (f"receipt.{place}",)))
    return plans


def _budgets(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    said, plans = lexicon["budget"], []
    letters = random.Random(recipe.seed("budgets")).sample("ABCDEFGH", 2)
    for version, (day, amounts) in enumerate(facts.budgets):
        rows: list[tuple[Cell, ...]] = [
            (Cell(said["title"].format(org=facts.org, year=facts.year)),),
            (Cell(said["as_of"]), Cell(day, (f"budget.day.{version}",))),
            (),
            _header(said["columns"]),
        ]
        for place, amount in enumerate(amounts):
            mark = f"{version}.{place}"
            rows.append((
                Cell(facts.departments[place], (f"budget.department.{mark}",)),
                Cell(amount / 100, (f"budget.amount.{mark}",), money=True),
            ))  # fmt: skip
        rows.append((Cell(said["total"]), Cell(sum(amounts) / 100, money=True)))
        sheet = Sheet(lexicon["sheets"]["budget"], tuple(rows), 4)
        plans.append(Sheets(f"{lexicon['files']['budget']}_{letters[version]}.xlsx", (sheet,)))
    return list(plans)


def _review(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    said = lexicon["review"]
    slides = [
        Page(said["titles"][0].format(org=facts.org, year=facts.year), (Block(said["opening"].format(year=facts.year)),)),
        Page(said["titles"][1], (_departments(facts, lexicon),)),
    ]
    for place, (day, event) in enumerate(facts.milestones):
        slides.append(Page(f"{said['titles'][2]} {place + 1}", (
            Block(said["milestone"].format(date=day, event=event), (f"milestone.{place}",)),
        )))  # fmt: skip
    slides.append(Page(said["titles"][3], (Block(said["outlook"]),)))
    return [Pages(f"{lexicon['files']['review']}.pptx", tuple(slides))]


def _departments(facts: Facts, lexicon: Mapping[str, Any]) -> Block:
    rows = [
        (name, centre, facts.people[place].name)
        for place, (name, centre) in enumerate(zip(facts.departments, facts.centres, strict=True))
    ]
    marks = tuple(f"department.{mark}.{place}" for place in range(len(rows)) for mark in ("name", "centre", "head"))
    return Block(facts=marks, rows=(tuple(lexicon["staff"]["departments"]), *rows))


def _minutes(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    said, currency = lexicon["minutes"], lexicon["currency"]
    names = _listed([person.name for person in facts.people[:5]], recipe)
    points = [Line(said["parking"])]
    for place, (supplier, amount) in enumerate(facts.deposits):
        text = said["deposit"].format(supplier=supplier, amount=money(amount), currency=currency)
        points.append(Line(text, (f"deposit.{place}",)))
    if facts.refund is not None:
        text = said["refund"].format(supplier=facts.deposits[0][0], amount=money(facts.refund), currency=currency)
        points.append(Line(text, ("refund",)))
    if facts.new_owner is not None:
        taken = facts.contracts[1]
        new, old = facts.people[facts.new_owner].name, facts.people[taken.owner].name
        points.append(Line(said["takeover"].format(new=new, old=old, number=taken.number), ("takeover",)))
    points.append(Line(said["period"].format(first=facts.audit[0], last=facts.audit[1]), ("audit",)))
    random.Random(recipe.seed("minutes")).shuffle(points)
    lines = (
        Line(said["title"].format(org=facts.org)), Line(said["held"].format(date=facts.meeting), ("meeting",)),
        Line(said["present"].format(names=names)), Line(""), Line(said["opening"]), *points, Line(""), Line(said["next"]),
    )  # fmt: skip
    return [Lines(f"{lexicon['files']['minutes']}.txt", lines)]


def _readings(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    quantity = lexicon["themes"][recipe.theme]["quantity"]
    lines = [Line(",".join(lexicon["readings"]).format(quantity=quantity), ("header",))]
    lines += [
        Line(f"{item.day},{facts.sites[item.site]},{item.litres}", (f"reading.{place}",))
        for place, item in enumerate(facts.readings)
    ]
    return [Lines(f"{lexicon['files']['readings']}.csv", tuple(lines))]


def _handbook(facts: Facts, lexicon: Mapping[str, Any], recipe: Recipe) -> list[FilePlan]:
    said, quantity = lexicon["handbook"], lexicon["themes"][recipe.theme]["quantity"]
    unit, size = (said["cubic_metres"], 1000) if recipe.level == 1 else (said["tanks"], facts.tank)
    limits = [(site, f"{litres / size:g}") for site, litres in zip(facts.sites, facts.limits, strict=True)]
    heads = (said["site"], said["limit"].format(quantity=quantity, unit=unit))
    marks = tuple(f"limit.{place}" for place in range(len(limits)))
    usual = _usual(lexicon["boilerplate"]["handbook"], facts, "handbook")
    pages = (
        (Block(said["opening"].format(org=facts.org)), *usual[:5]),
        (Block(facts=marks, rows=(heads, *limits)),),
        (Block(said["tank"].format(litres=facts.tank), ("tank",)), Block(said["cubic"], ("cubic",))),
        (*usual[5:], Block(said["contact"])),
    )
    named = zip(said["titles"], pages, strict=True)
    return [Pages(f"{lexicon['files']['handbook']}.docx", tuple(Page(title, blocks) for title, blocks in named))]


_GROUPS: Final[Mapping[str, Callable[[Facts, Mapping[str, Any], Recipe], list[FilePlan]]]] = {
    "staff": _staff, "contracts": _contracts, "invoices": _invoices, "ledger": _ledger, "receipts": _receipts,
    "budgets": _budgets, "review": _review, "minutes": _minutes, "readings": _readings, "handbook": _handbook,
}  # fmt: skip


def _usual(sentences: list[str], facts: Facts, name: str) -> list[Block]:
    """What such files always say, in an order of each file's own."""
    order = random.Random(f"{facts.year} {facts.tank} {name}").sample(range(len(sentences)), len(sentences))
    return [Block(sentences[place]) for place in order]


def _header(names: list[str]) -> tuple[Cell, ...]:
    return tuple(Cell(name, ("header",)) for name in names)


def _listed(names: list[str] | tuple[str, ...], recipe: Recipe) -> str:
    return ("、" if recipe.language == "zh" else ", ").join(names)
