"""Personas follow their mix, and a slip is a wrong value of the right form that does not exist."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.users import PersonaMix, draw_persona, with_slips
from simulators.users.voice import STYLES
from trajectories.tasks import Fact, Persona

KEY = Fact("order_id", "482", ("order",), "It is 482.")


def test_the_default_mix_is_the_users_of_tasks_without_one():
    drawn = {draw_persona(PersonaMix(), random.Random(seed)) for seed in range(200)}
    assert drawn == {Persona(style, style) for style in ("plain", "polite", "terse", "chatty")}


def test_shares_follow_the_weights():
    mix = PersonaMix(dict.fromkeys(STYLES, 1.0), {"en": 1.0, "zh": 3.0}, least_patience=1, most_patience=3)
    rng = random.Random(0)
    drawn = [draw_persona(mix, rng) for _ in range(4000)]
    languages, styles = Counter(item.language for item in drawn), Counter(item.style for item in drawn)
    assert 0.72 < languages["zh"] / 4000 < 0.78
    assert set(styles) == set(STYLES) and all(400 < count < 600 for count in styles.values())
    assert {item.patience for item in drawn if item.style == "impatient"} == {1}
    assert Counter(item.patience for item in drawn if item.style != "impatient").keys() == {1, 2, 3}
    assert {item.name for item in drawn if item.style == "formal"} == {"formal", "formal_zh"}


def test_the_order_in_which_a_config_names_its_weights_changes_nothing():
    one = PersonaMix({"formal": 1.0, "plain": 2.0}, {"zh": 1.0, "en": 1.0})
    other = PersonaMix({"plain": 2.0, "formal": 1.0}, {"en": 1.0, "zh": 1.0})
    assert all(draw_persona(one, random.Random(seed)) == draw_persona(other, random.Random(seed)) for seed in range(50))


def test_what_is_drawn_after_a_persona_does_not_depend_on_it():
    after = set()
    for mix in (PersonaMix(), PersonaMix({"impatient": 1.0}, {"zh": 1.0}, 0, 9)):
        rng = random.Random(3)
        draw_persona(mix, rng)
        after.add(rng.random())
    assert len(after) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"styles": {"sloppy": 1.0}}, "styles.sloppy: there is none; there are plain, polite"),
        ({"styles": {"plain": -1.0}}, "styles.plain: is a finite weight of at least 0, not -1.0"),
        ({"styles": {"plain": 0.0}}, "styles: at least one of"),
        ({"styles": {}}, "styles: at least one of"),
        ({"languages": {"en": float("nan")}}, "languages.en: is a finite weight"),
        ({"languages": {"fr": 1.0}}, "languages.fr: there is none; there are en, zh"),
        ({"least_patience": -1}, "least_patience: is at least 0, not -1"),
        ({"least_patience": 2, "most_patience": 1}, "most_patience: is at least least_patience=2, not 1"),
        ({"error_prone": 1.5}, "error_prone: is a probability from 0 to 1, not 1.5"),
        ({"error_prone": float("nan")}, "error_prone: is a probability"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused_by_its_key(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        PersonaMix(**settings)


@given(st.from_regex(r"[A-Z]{0,2}-?[1-9][0-9]{1,5}", fullmatch=True), st.integers(0, 2**32), st.sets(st.integers(10, 999)))
def test_a_slip_is_wrong_and_of_the_same_form_and_no_other_key(value: str, seed: int, others: set[int]):
    fact = Fact("k", value, ("k",), f"It is {value}, I think.")
    slipped = with_slips(fact, {str(other) for other in others}, random.Random(seed))
    wrong = slipped.slips[0].removeprefix("It is ").removesuffix(", I think.")
    assert wrong != value and wrong not in {str(other) for other in others}
    assert [c if not c.isdigit() else "0" for c in wrong] == [c if not c.isdigit() else "0" for c in value]
    digits = wrong.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
    assert digits[0] != "0"
    assert sum(a != b for a, b in zip(wrong, value, strict=True)) <= 2
    assert (slipped.answer, slipped.value) == (fact.answer, fact.value)


def test_slips_add_up_and_differ_by_seed():
    twice = with_slips(with_slips(KEY, (), random.Random(1)), (), random.Random(2))
    assert len(twice.slips) == 2
    assert len({with_slips(KEY, (), random.Random(seed)).slips for seed in range(60)}) > 15


@pytest.mark.parametrize(
    "fact",
    [
        Fact("name", "Anna", ("name",), "It is Anna."),
        Fact("gone", "482", ("gone",), "I do not say it."),
        Fact("yes", "482", ("yes",), "482", kind="confirmation"),
    ],
)
def test_what_cannot_be_garbled_is_refused_by_its_slot(fact: Fact):
    with pytest.raises(ValueError, match=f"fact {fact.slot}: "):
        with_slips(fact, (), random.Random(0))


def test_where_every_wrong_value_exists_there_is_no_slip():
    digit = Fact("d", "1", ("d",), "It is 1.")
    with pytest.raises(ValueError, match="fact d: no wrong value like '1' is left"):
        with_slips(digit, [str(number) for number in range(10)], random.Random(0))
    assert with_slips(digit, [str(number) for number in range(10) if number != 7], random.Random(0)).slips == ("It is 7.",)
