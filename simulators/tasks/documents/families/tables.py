"""Families that add up rows of the ledger, or look one up, with what other files say about them."""

from simulators.tasks.documents.families.question import Desk, Question, plain_money
from trajectories.tasks import GoldCall

__all__ = ["budget_left", "cross_file_sum", "filtered_total", "reverse_lookup"]


def cross_file_sum(desk: Desk) -> Question:
    facts, level = desk.facts, desk.level
    supplier, deposit = facts.deposits[0]
    rows = [place for place, item in enumerate(facts.ledger) if item.supplier == supplier]
    booked = sum(facts.ledger[place].amount for place in rows)
    total = booked + sum(item.amount for item in facts.receipts)
    needed = [*_amounts(rows), *((f"receipt.{place}",) for place in range(len(facts.receipts)))]
    if level >= 2:
        total, needed = total + deposit, [*needed, ("deposit.0",)]
    if facts.refund is not None:
        total, needed = total - facts.refund, [*needed, ("refund",)]
    return Question(
        text=desk.ask(supplier=supplier),
        form="amount",
        said=plain_money(total),
        needed=tuple(needed),
        wrong={"one_file_only": plain_money(booked)},
        queries=(desk.ledger_query([{"column": 3, "op": "eq", "value": supplier}]),),
    )


def filtered_total(desk: Desk) -> Question:
    facts, level, rng = desk.facts, desk.level, desk.rng()
    by_department = {at: [n for n, item in enumerate(facts.ledger) if item.department == at] for at in range(5)}
    department = rng.randrange(5)
    mine = by_department[department]
    where = [{"column": 2, "op": "eq", "value": facts.departments[department]}]
    known: dict[str, object] = {"person": facts.people[department].name}
    needed = [desk.head(department)]
    if level == 2:
        category = rng.choice([facts.ledger[place].category for place in mine])
        rows = [place for place in mine if facts.ledger[place].category == category]
        known["category"] = category
        where.append({"column": 4, "op": "eq", "value": category})
    else:
        first, last = facts.audit
        if level == 1:
            start = rng.randrange(len(mine) - 2)
            first, last = facts.ledger[mine[start]].day, facts.ledger[mine[start + 2]].day
        else:
            needed.append(("audit",))
        rows = [place for place in mine if first <= facts.ledger[place].day <= last]
        known |= {"first": first, "last": last}
        where += [{"column": 1, "op": "ge", "value": str(first)}, {"column": 1, "op": "le", "value": str(last)}]
    return Question(
        text=desk.ask(**known),
        form="amount",
        said=plain_money(sum(facts.ledger[place].amount for place in rows)),
        needed=(*needed, *_amounts(rows)),
        allowed=desk.head(department),
        wrong={"one_file_only": plain_money(sum(facts.ledger[place].amount for place in mine))},
        queries=(desk.ledger_query(where),),
    )


def budget_left(desk: Desk) -> Question:
    facts, level, rng = desk.facts, desk.level, desk.rng()
    department = facts.receipts[0].centre if level == 3 else rng.randrange(5)
    rows = [place for place, item in enumerate(facts.ledger) if item.department == department]
    spent = sum(facts.ledger[place].amount for place in rows)
    needed = [(f"budget.amount.1.{department}",), *_amounts(rows)]
    if level >= 2:
        needed.append(desk.head(department))
    if level == 3:
        spent += facts.receipts[0].amount
        needed += [("receipt.0",), _centre(department)]
    older, newer = (amounts[department] for _, amounts in facts.budgets)
    return Question(
        text=desk.ask(department=facts.departments[department], person=facts.people[department].name),
        form="amount",
        said=plain_money(newer - spent),
        needed=tuple(needed),
        allowed=(
            "budget.day.0", "budget.day.1", f"budget.amount.0.{department}",
            *(("receipt.1", f"department.name.{department}") if level == 3 else ()),
        ),
        wrong={"first_version": plain_money(older - spent), "one_file_only": plain_money(newer)},
        queries=(desk.ledger_query([{"column": 2, "op": "eq", "value": facts.departments[department]}]),),
    )  # fmt: skip


def reverse_lookup(desk: Desk) -> Question:
    facts, level, rng = desk.facts, desk.level, desk.rng()
    known: dict[str, str] = {}
    queries: list[GoldCall] = []
    if level == 3:
        place = max(range(2), key=lambda at: facts.receipts[at].amount)
        department = facts.receipts[place].centre
        needed = [(f"receipt.{place}",), _centre(department)]
        allowed = [f"receipt.{1 - place}"]
    else:
        place = rng.randrange(len(facts.ledger))
        supplier = facts.ledger[place].supplier
        where = [{"column": 0, "op": "eq", "value": facts.ledger[place].number}]
        if level == 2:
            rows = [at for at, item in enumerate(facts.ledger) if item.supplier == supplier]
            place = max(rows, key=lambda at: facts.ledger[at].amount)
            where = [{"column": 3, "op": "eq", "value": supplier}]
        department = facts.ledger[place].department
        needed, allowed = [(f"entry.department.{place}",)], list(desk.head(department))
        known |= {"entry": facts.ledger[place].number, "supplier": supplier}
        queries = [desk.ledger_query(where, "max")]
    other = (department + 1) % 5
    return Question(
        text=desk.ask(**known),
        form="number",
        said=str(facts.people[department].extension),
        needed=(*needed, (f"person.extension.{department}",)),
        allowed=(*allowed, *desk.head(department)),
        wrong={"one_file_only": str(facts.people[other].extension)},
        queries=tuple(queries),
    )


def _amounts(rows: list[int]) -> list[tuple[str, ...]]:
    return [(f"entry.amount.{place}",) for place in rows]


def _centre(department: int) -> tuple[str, ...]:
    """Facts that each tell whose cost centre it is."""
    return (f"department.centre.{department}", f"department.name.{department}", f"department.head.{department}")
