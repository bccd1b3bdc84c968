"""Families about days: the order of events, and what was read on a day against what was allowed."""

from simulators.tasks.documents.facts import money
from simulators.tasks.documents.families.question import Desk, Question

__all__ = ["timeline", "unit_conversion"]


def timeline(desk: Desk) -> Question:
    facts, rng, said = desk.facts, desk.rng(), desk.lexicon["events"]
    dated = [(item.signed, said["contract"].format(number=item.number), f"signed.{item.number}") for item in facts.contracts]
    amended = facts.contracts[0]
    dated += [
        (item.day, said["amendment"].format(number=amended.number, price=money(item.price)), f"amended.{amended.number}.{place}")
        for place, item in enumerate(amended.amendments)
        if item.signed
    ]
    dated += [(day, event, f"milestone.{place}") for place, (day, event) in enumerate(facts.milestones)]
    dated += [
        (item.day, said["receipt"].format(number=item.number), f"receipt.{place}") for place, item in enumerate(facts.receipts)
    ]
    dated.append((facts.meeting, said["meeting"], "meeting"))
    chosen = rng.sample(dated, 3 + desk.level)
    letters = "ABCDEF"
    listed = "\n".join(f"{letter}: {text}" for letter, (_, text, _) in zip(letters, chosen, strict=False))
    order = [letters[place] for place in sorted(range(len(chosen)), key=lambda at: chosen[at][0])]
    swapped = [*order[:-2], order[-1], order[-2]]
    terms = [f"terms.{amended.number}.{place}" for place in range(len(amended.amendments))]
    return Question(
        text=f"{desk.ask()}\n{listed}",
        form="letters",
        said=", ".join(order),
        needed=tuple((fact,) for _, _, fact in chosen),
        allowed=tuple(terms),
        wrong={"one_file_only": ", ".join(swapped), "as_listed": ", ".join(sorted(order))},
    )


def unit_conversion(desk: Desk) -> Question:
    facts, rng, level = desk.facts, desk.rng(), desk.level
    site = rng.randrange(len(facts.sites))
    mine = [place for place, item in enumerate(facts.readings) if item.site == site]
    days = 5 if level == 3 else 1
    start = rng.randrange(len(mine) - days + 1)
    chosen = mine[start : start + days]
    read, limit = sum(facts.readings[place].litres for place in chosen), facts.limits[site]
    first, last = (facts.readings[chosen[at]].day for at in (0, -1))
    quantity = desk.lexicon["themes"][desk.recipe.theme]["quantity"]
    needed = [*((f"reading.{place}",) for place in chosen), (f"limit.{site}",)]
    return Question(
        text=desk.ask(quantity=quantity, site=facts.sites[site], first=first, last=last, days=days),
        form="litres",
        said=str(abs(read - days * limit)),
        needed=(*needed, *([("tank",)] if level > 1 else [])),
        allowed=("cubic", "tank"),
        wrong={"one_file_only": str(read), "wrong_unit": str(abs(read - days * limit // (1000 if level == 1 else facts.tank)))},
    )
