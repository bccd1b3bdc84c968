"""The lexicon that ships is large, whole and well formed; what is wrong with one is said with its place."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulators.evolution.reading import LEXICON, categories, read_category
from simulators.worlds.document import WorldSpecError

DOMAIN = "hotel_front_desk"


def test_the_lexicon_is_as_large_as_it_says_and_names_are_unique() -> None:
    found = categories()
    domains = [domain for category in found for domain in category.domains.values()]
    assert len(found) >= 16 and len(domains) >= 300
    assert len({domain.name for domain in domains}) == len(domains)
    assert len({domain.title for domain in domains}) > 0.95 * len(domains)


def test_every_state_of_every_case_is_reached_by_its_making_or_a_move() -> None:
    for category in categories():
        for domain in category.domains.values():
            case, reached = domain.case, {domain.case.states[0]}
            while new := {move.end for move in case.moves if reached & set(move.start)} - reached:
                reached |= new
            assert reached == set(case.states), f"{category.name}/{domain.name}: never {set(case.states) - reached}"


def test_no_two_rules_of_a_domain_can_only_hold_together() -> None:
    """Rules that forbid one move look at different conditions, so that each reason is the right one somewhere."""
    for category in categories():
        for domain in category.domains.values():
            seen = [(set(rule.forbids), str(rule.when)) for rule in domain.rules]
            assert len({when for _, when in seen}) == len(seen), f"{category.name}/{domain.name}"


def changed(path: str, value: Any, tmp_path: Path) -> Path:
    document = yaml.safe_load((LEXICON / "hospitality.yaml").read_text())
    document["domains"] = {DOMAIN: document["domains"][DOMAIN]}
    part: Any = document["domains"][DOMAIN]
    *parents, last = path.split(".")
    for name in parents:
        part = part[int(name) if name.isdigit() else name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    file = tmp_path / "hospitality.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


WRONG = [
    ("role", "Runs a hotel.", 'follows "You "'),
    ("entities.guest.is", "person", "unknown archetype"),
    ("entities.guest.about", "a person", "is a sentence"),
    ("entities.guest.label", {"name": "planet"}, "unknown vocabulary 'planet'"),
    ("entities.guest.fields.tier", "gold", "is no field"),
    ("entities.guest.fields.tier", "gold | gold", "names a value twice"),
    ("entities.guest.fields.nights_total", "9..2 nights", "the second bound is above the first"),
    ("entities.guest.fields.status", "a | b", "is a word of the tools' own"),
    ("entities.room_type.level", "view", "must be a field of type integer or quantity"),
    ("entities.folio.level", "payer", "must be a field of type money"),
    ("entities.stay.of", ["guest", "guest"], "each once"),
    ("entities.stay.states", ["booked", "gone"], "a case has 3 to 8 states"),
    ("entities.stay.moves.cancel", "booked -> nowhere; Cancel it.", "unknown state 'nowhere'"),
    ("entities.stay.moves.cancel", "booked to cancelled", "has the form"),
    ("entities.stay.moves.cancel", "booked -> booked; Cancel it.", "is where it already is"),
    ("entities.stay.fields.arrival", "2025-02-30..2025-03-01", "two dates of the calendar"),
    ("entities.folio", None, "unknown entity 'folio'"),
    ("rules", [], "needs at least one rule"),
    ("rules.0.forbids", ["vanish"], "unknown move 'vanish'"),
    ("rules.0.when", {"plan": ["flexible", "saver", "member"]}, "forbids every value there is"),
    ("rules.0.when", {"wish": "x"}, "is about a field that is never null"),
    ("rules.0.when", {"arrival": "2025-03-01"}, "a rule is about a choice"),
    ("rules.1.when", {"nights": {"above": 14}}, "so that both sides exist"),
    ("rules.0.text", "Never", "full stop"),
]


@pytest.mark.parametrize(("path", "value", "complaint"), WRONG, ids=[f"{n}-{path}" for n, (path, *_) in enumerate(WRONG)])
def test_a_wrong_lexicon_is_refused_with_its_place(path: str, value: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(WorldSpecError) as caught:
        read_category(changed(path, value, tmp_path))
    assert complaint in str(caught.value) and f"domains.{DOMAIN}" in str(caught.value)


def test_a_file_that_is_called_otherwise_is_refused(tmp_path: Path) -> None:
    file = changed("title", "Hotel", tmp_path).rename(tmp_path / "other.yaml")
    with pytest.raises(WorldSpecError, match=r"is called hospitality\.yaml"):
        read_category(file)
