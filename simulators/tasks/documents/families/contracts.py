"""Families about contracts: who is in charge of one, what it says, what was changed, and what was billed."""

from simulators.tasks.documents.facts import CLAUSE_VALUES
from simulators.tasks.documents.families.question import Desk, Question, plain_money

__all__ = ["discrepancy", "missing_information", "person_lookup", "version_conflict"]


def person_lookup(desk: Desk) -> Question:
    facts = desk.facts
    contract = facts.contracts[-1] if facts.new_owner is None else facts.contracts[1]
    other = next(item for item in facts.contracts if item is not contract)
    person = contract.owner if facts.new_owner is None else facts.new_owner
    found = f"person.contract.{person}" if facts.new_owner is None else "takeover"
    department = facts.people[person].department
    return Question(
        text=desk.ask(person=facts.people[person].name, department=facts.departments[department]),
        form="amount",
        said=plain_money(contract.price * contract.quantity),
        needed=((found,), (f"price.{contract.number}",)),
        allowed=(
            f"parties.{contract.number}", *desk.head(department), f"person.contract.{contract.owner}",
            f"person.name.{person}",
        ),
        wrong={"wrong_contract": plain_money(other.price * other.quantity), "one_file_only": plain_money(contract.price)},
    )  # fmt: skip


def version_conflict(desk: Desk) -> Question:
    contract = desk.facts.contracts[0]
    signed = [place for place, item in enumerate(contract.amendments) if item.signed]
    first, last = contract.amendments[0], contract.amendments[-1]
    newest, count, number = contract.amendments[signed[-1]].price, contract.quantity, contract.number
    wrong = {"first_version": plain_money(contract.price * count), "one_file_only": plain_money(newest)}
    if len(signed) > 1:
        wrong["earlier_version"] = plain_money(first.price * count)
    if not last.signed:
        wrong["unsigned_version"] = plain_money(last.price * count)
    return Question(
        text=desk.ask(supplier=contract.supplier),
        form="amount",
        said=plain_money(newest * count),
        needed=((f"terms.{number}.{signed[-1]}",), (f"price.{number}",)),
        allowed=_about(desk, 0),
        wrong=wrong,
    )


def missing_information(desk: Desk) -> Question:
    facts, level, rng = desk.facts, desk.level, desk.rng()
    place = rng.choice([0, len(facts.contracts) - 1])  # nobody took these over
    contract = facts.contracts[place]
    stated = rng.random() < 0.4
    clause = rng.choice([name for name in CLAUSE_VALUES if (name in contract.clauses) is stated])
    others = [item.clauses[clause] for item in facts.contracts if item is not contract and clause in item.clauses]
    what = desk.lexicon["what"][clause]
    text = desk.ask(number=contract.number, supplier=contract.supplier, person=facts.people[contract.owner].name, what=what)
    if stated:
        owner = ((f"person.contract.{contract.owner}",),) if level == 3 else ()
        return Question(
            text=text,
            form="number",
            said=str(contract.clauses[clause]),
            needed=((f"clause.{contract.number}.{clause}",), *owner),
            allowed=_about(desk, place),
            wrong={"wrong_contract": str(others[0])} if others else {},
        )
    files = [(desk.file(f"price.{contract.number}"), 4)]
    files += [(desk.file(f"terms.{contract.number}.{at}"), 2) for at, item in enumerate(contract.amendments) if item.signed]
    invented = others[0] if others else rng.randrange(*CLAUSE_VALUES[clause])
    return Question(
        text=text,
        form="number",
        said="",
        needed=(),
        wrong={"never_missing": str(invented)},
        read=tuple(files),
    )


def discrepancy(desk: Desk) -> Question:
    facts = desk.facts
    invoice = facts.invoices[facts.wrong_invoice]
    contract = facts.contracts[invoice.contract]
    off = abs(invoice.price - contract.price_on(invoice.day))
    amended = facts.contracts[0]
    decoys = [
        abs(item.price - amended.price) * item.quantity
        for item in facts.invoices
        if item.contract == 0 and item.price != amended.price
    ]
    wrong = {"one_file_only": plain_money(invoice.price * invoice.quantity), "one_piece": plain_money(off)}
    if decoys:
        wrong["first_version"] = plain_money(decoys[0])
    return Question(
        text=desk.ask(),
        form="amount",
        said=plain_money(off * invoice.quantity),
        needed=((f"invoice.{facts.wrong_invoice}",), (f"price.{contract.number}",)),
        allowed=(f"parties.{contract.number}",),
        wrong=wrong,
    )


def _about(desk: Desk, place: int) -> tuple[str, ...]:
    """What a contract and its amendments say about themselves and about the price."""
    contract = desk.facts.contracts[place]
    number = contract.number
    changes = [f"{mark}.{number}.{at}" for at in range(len(contract.amendments)) for mark in ("terms", "amended")]
    return (f"price.{number}", f"parties.{number}", f"amends.{number}" if contract.amendments else f"parties.{number}", *changes)
