"""Both languages say everything that can be said, in every style, and what is said holds what was meant."""

import random
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import yaml

from simulators import worlds
from simulators.tasks import governed, wording
from simulators.users.voice import STYLES
from trajectories.questions import asked_for, is_question
from trajectories.tasks import Fact
from trajectories.words import stands_in

ROOT = Path(wording.__file__).parent / "phrases"
GRAMMARS = {language: yaml.safe_load((ROOT / f"{language}.yaml").read_text("utf-8")) for language in wording.LANGUAGES}
SHIPPED = ("order_desk", "it_tickets", "travel", "library_loans")
HAN = re.compile("[\u4e00-\u9fff]")
SEEDS = range(12)


def fields(template: str) -> set[str]:
    return {name.casefold() for _, name, _, _ in Formatter().parse(template) if name}


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[str]]:
    """Texts by their path; the texts of a list have one path."""
    if isinstance(value, dict):
        return {key: texts for name, item in value.items() for key, texts in leaves(item, (*path, name)).items()}
    return {path: [str(text) for text in (value if isinstance(value, list) else [value])]}


@pytest.mark.parametrize("section", ["frames", "joiners", "follow_ups", "subjects", "replies", "named_request", "confirmations"])
def test_languages_have_the_same_keys(section: str):
    keys = {language: set(leaves(grammar[section])) for language, grammar in GRAMMARS.items()}
    assert keys["en"] == keys["zh"]


def test_languages_have_the_same_sections_and_every_style():
    assert GRAMMARS["en"].keys() == GRAMMARS["zh"].keys()
    for grammar in GRAMMARS.values():
        assert tuple(grammar["frames"]) == tuple(grammar["follow_ups"]) == STYLES
    assert STYLES[:4] == wording.STYLES


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_templates_of_a_kind_hold_the_same_values(language: str):
    wishes = ("frames", "joiners", "follow_ups", "changes_of_mind", "branches", "reaches", "questions")
    for section in (*wishes, "answers", "subjects"):
        for path, texts in leaves(GRAMMARS[language][section]).items():
            held = [fields(text) for text in texts]
            other = leaves(GRAMMARS["en"][section])[path]
            assert all(found == fields(other[0]) for found in held), (section, path)


@pytest.mark.parametrize("language", wording.LANGUAGES)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_wish_of_a_shipped_world_has_phrases_with_its_arguments(name: str, language: str):
    world = worlds.load(name)
    for item in governed.governed_operations(world):
        phrases = GRAMMARS[language]["requests"][name][item.operation.name]
        others = {argument for argument in item.operation.arguments if argument != item.subject}
        assert all(fields(phrase) == {"subject", *others} for phrase in phrases)


def test_chinese_names_everything_that_shipped_worlds_can_be_asked_about():
    grammar = GRAMMARS["zh"]
    for world in map(worlds.load, SHIPPED):
        assert set(world.entities) <= set(grammar["entities"])
        assert {f"{entity}_id" for entity in world.entities} <= set(grammar["slots"])
        assert {field for entity in world.entities.values() for field in entity.fields} <= set(grammar["labels"])
        changing = {name for name, operation in world.operations.items() if operation.changes_state}
        assert changing == set(grammar["requests"][world.name])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("form", ["request", "question", "branch"])
def test_chinese_is_chinese_and_holds_the_values(style: str, form: wording.Form):
    for seed in SEEDS:
        rng = random.Random(seed)
        named = wording.subject("direct", "order", rng, "zh", key="482")
        for text in (
            wording.opening([(form, f"取消{named}"), (form, f"关闭{named}")], style, rng, "zh"),
            wording.follow_up(form, f"取消{named}", rng, style, "zh"),
        ):
            assert HAN.search(text) and not re.search("[A-Za-z]", text) and stands_in("482", text) and "{" not in text
            assert not re.search(r"[,.?;:]|，，|。。|。，|  ", text)


def test_chinese_requests_of_a_shipped_world_read_like_this():
    rng, world = random.Random(0), worlds.load("order_desk")
    operation = world.operations["change_count"]
    named = wording.subject("search", "order", rng, "zh", field="customer", value="Anna")
    assert named == "客户为 Anna 的订单"
    said = {wording.request(world, operation, "order_id", named, {"order_id": "482", "count": 1}, rng, "zh") for _ in range(20)}
    assert said == {"把客户为 Anna 的订单改成 1 件", "把客户为 Anna 的订单的件数改为 1"}
    assert wording.question("count", wording.subject("ask", "order", rng, "zh"), rng, "zh") == "我的订单的件数"
    assert wording.reply("ask", "zh", slot="order_id") == "请问订单号是多少？"
    assert wording.subject("related", "order", rng, "zh", owner="姓名为 Anna 的客户") == "姓名为 Anna 的客户的订单"


def test_a_world_without_chinese_phrases_keeps_its_english_words():
    document = dict(worlds.load("order_desk").source)
    world = worlds.parse({**document, "name": "my_shop"}, "my_shop")
    values = {"order_id": "482", "count": 3}
    text = wording.request(world, world.operations["change_count"], "order_id", "invoice 482", values, random.Random(0), "zh")
    assert text == "对 invoice 482 执行 change count，件数为 3"
    assert wording.reply("ask", "zh", slot="invoice_id") == "请问 invoice id 是多少？"
    assert wording.subject("ask", "spare_part", random.Random(0), "zh") == "我的 spare part"


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_the_oracles_questions_are_understood_and_its_replies_ask_nothing(language: str):
    for world in map(worlds.load, SHIPPED):
        for entity in world.entities:
            fact = Fact(f"{entity}_id", "482", wording.ask_keywords(entity, f"{entity}_id", language), "482")
            for spoken_language in {language, "en"}:
                question = wording.reply("ask", spoken_language, slot=fact.slot)
                assert asked_for(question, (fact,), language) == (0,)
    yes = Fact("c", "", wording.CONFIRM_KEYWORDS[language], "", kind="confirmation")
    assert asked_for(wording.confirm_question("cancel 482", language), (yes,), language) == (0,)
    for kind in ("act", "refuse", "keep", "lookup"):
        assert not is_question(wording.reply(kind, language, answer="5"))


def test_unrelated_questions_are_no_confirmation():
    asked = {"en": ("What is the order id?", "Which flight?"), "zh": ("请问订单号是多少？", "您是哪位？")}
    for language, texts in asked.items():
        yes = Fact("c", "", wording.CONFIRM_KEYWORDS[language], "", kind="confirmation")
        assert all(asked_for(text, (yes,), language) == () for text in texts)


@pytest.mark.parametrize("language", wording.LANGUAGES)
@pytest.mark.parametrize("yes", [True, False])
def test_a_confirmation_begins_with_its_fixed_text_and_never_with_the_others(yes: bool, language: str):
    said = {wording.confirmation(yes, random.Random(seed), language) for seed in range(40)}
    fixed, other = wording.confirmed_text(yes, language), wording.confirmed_text(not yes, language)
    assert len(said) >= 3 and all(text.startswith(fixed) and other not in text for text in said)


@pytest.mark.parametrize("value", ["5", "Rome", "sent"])
def test_the_oracles_answer_in_chinese_is_found_by_the_verifiers_rule(value: str):
    assert stands_in(value, wording.reply("lookup", "zh", answer=value))


def test_branches_reaches_and_changes_of_mind_hold_all_their_parts():
    for seed in SEEDS:
        for language, then, otherwise in (("en", "cancel it", "raise it"), ("zh", "取消它", "把它升一级")):
            rng = random.Random(seed)
            branch = wording.branch("status", "new_one", "N1", then, otherwise, rng, language)
            assert all(part in branch for part in ("new one", "N1")) and 0 < branch.index(then) < branch.index(otherwise)
            assert all(part in wording.reach("status", "done", "N1", rng, language) for part in ("done", "N1"))
            assert then in wording.change_of_mind(then, rng, language)
            assert wording.it(language) in then


def test_what_the_oracle_says_anyway_is_known_in_every_language():
    assert all(wording.said_anyway(text) for text in ("Done.", "not", "allowed soon", "抱歉", "办好", "已经办好了"))
    assert not any(wording.said_anyway(text) for text in ("sent", "Rome", "5", "已发货", "罗马"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: wording.opening([("request", "x")], "sloppy", random.Random(0)),
        lambda: wording.follow_up("request", "x", random.Random(0), "plain", "fr"),
        lambda: wording.reply("act", "../en"),
        lambda: wording.confirmed_text(True, "EN"),
    ],
)
def test_unknown_styles_and_languages_are_refused_by_name(call: Any):
    with pytest.raises(ValueError, match="nobody speaks"):
        call()
