"""Each rule finds what it is for, and leaves what is only near it."""

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trajectories.strategies import tasks, trajectories
from trajectories.decontamination import KINDS, Benchmark, BenchmarkItem, DecontaminationConfig, Decontaminator, Leak
from trajectories.decontamination import words as words_module
from trajectories.decontamination.actions import GoldCalls, calls_of, value_text
from trajectories.decontamination.benchmark import GoldCallSpec, ToolSignature
from trajectories.decontamination.grams import GramIndex, grams_of
from trajectories.decontamination.words import BREAK, MASK, WordReader
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.tasks import Gold, GoldCall, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Trajectory

QUESTION = (
    "My bicycle, number B-4471, was stolen on 3 May near 'Old Mill'; please tell Maria Lund at the garage to block its card."
)


def row(*said: str, calls: tuple[tuple[str, Any], ...] = (), tools: tuple[ToolSpec, ...] = (), prompt: str = "") -> Trajectory:
    made = tuple(ToolCall(str(i), name, a if isinstance(a, str) else json.dumps(a)) for i, (name, a) in enumerate(calls))
    messages = [Message("system", prompt), *(Message("user", text) for text in said), Message("assistant", tool_calls=made)]
    return Trajectory("row", "task", messages=tuple(messages), tools=tools)


def item(*texts: str, identity: str = "q1", **fields: Any) -> BenchmarkItem:
    return BenchmarkItem(identity, texts=texts, **fields)


def against(*items: BenchmarkItem, **settings: Any) -> Decontaminator:
    return Decontaminator([Benchmark("bench", items)], DecontaminationConfig(**settings))


def kinds(found: Decontaminator, trajectory: Trajectory, task: Task | None = None) -> list[str]:
    return [leak.kind for leak in found.leaks(trajectory, task)]


@pytest.mark.parametrize(
    "said",
    [
        QUESTION,
        QUESTION.upper(),
        QUESTION.replace(",", "").replace("'", "\u201c"),
        "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in QUESTION),
        f"Good morning! {QUESTION} And how are you?",
        " ".join(QUESTION.split()[:-8]),
    ],
)
def test_the_same_words_are_verbatim_whatever_their_case_width_and_punctuation(said: str) -> None:
    leak = against(item(QUESTION)).check(row("Hello.", said))
    assert leak is not None and (leak.benchmark, leak.item, leak.kind) == ("bench", "q1", "verbatim")
    assert leak.overlap >= 0.5 and "bicycle number b 4471" in leak.evidence


def test_less_than_the_share_is_no_leak_and_much_of_a_long_text_is() -> None:
    assert against(item(QUESTION)).check(row(" ".join(QUESTION.split()[:9]))) is None
    long = " ".join(f"word{n}" for n in range(400))
    part = " ".join(f"word{n}" for n in range(100, 140))
    leak = against(item(long)).check(row(part))
    assert leak is not None and leak.overlap == pytest.approx(33 / 393)
    assert against(item(long), enough=40, reasons=("verbatim",)).check(row(part)) is None


def test_a_short_text_leaks_as_a_whole_message_only() -> None:
    short = against(item("Where is the nearest tyre shop?"))
    assert kinds(short, row("where is the NEAREST tyre shop")) == ["verbatim"]
    assert kinds(short, row("Tell me: where is the nearest tyre shop?")) == []
    assert kinds(against(item("Yes, please do.")), row("Yes, please do.")) == []


def test_numbers_are_kept_by_verbatim_and_masked_by_renamed() -> None:
    other = QUESTION.replace("B-4471", "C-9020").replace("3 May", "11 June").replace("Old Mill", "Town Hall")
    long = against(item(QUESTION, calls=()), share=0.9)
    assert kinds(long, row(QUESTION))[:2] == ["verbatim", "renamed"]
    assert kinds(long, row(other))[0] == "renamed"
    assert "<value> was stolen on <value> near <value>" in long.leaks(row(other))[0].evidence


def test_chinese_is_compared_by_characters() -> None:
    question = "我的自行车编号4471昨天在旧磨坊附近被偷了，请让修理店把它的卡冻结。"
    found = against(item(question), share=0.8)
    assert kinds(found, row(f"您好！{question}谢谢。"))[0] == "verbatim"
    assert kinds(found, row(question.replace("4471", "9020")))[0] == "renamed"
    assert kinds(found, row("我的订单编号4471昨天被取消了，请帮我查一下原因。")) == []


CALLS = (
    GoldCallSpec("find_bike", {"number": ("B-4471",)}),
    GoldCallSpec("block.card", {"owner": ("Maria Lund",), "days": (25,)}),
)


def test_other_values_and_words_of_courtesy_are_paraphrased_values() -> None:
    other = "Hi! My bicycle, number 77, was stolen on Monday near Newport. "
    other += "Could you tell Igor Petrov at the garage to block its card? Thanks!"
    found = against(item(QUESTION, calls=CALLS), share=0.9)
    assert kinds(found, row(other)) == ["paraphrased_values"]
    reworded = "Someone took my wheels. Now let the garage block its card."
    calls = (("find_bike", {"number": "X1"}), ("block_card", {"owner": "I", "days": 3}))
    assert kinds(found, row(reworded)) == []
    assert kinds(found, row(reworded, calls=calls)) == []  # two short n-grams of eleven: too little even with the calls
    near = "My bicycle, number 5, was stolen. Then tell Igor at the garage to block its card."
    assert kinds(found, row(near)) == []
    assert kinds(found, row(near, calls=calls)) == ["paraphrased_values"]


def test_values_of_calls_are_masked_wherever_they_stand() -> None:
    reader = WordReader()
    text = "Paint the fence teal, then paint it pale yellow."
    masked = reader.read([text], ["teal", "pale yellow"])["template"].words
    assert reader.spell(masked) == "paint fence <value> then paint <value> |"
    assert reader.spell(reader.read([text])["template"].words) == "paint fence teal then paint pale yellow |"


def test_a_short_renamed_text_leaks_together_with_the_calls() -> None:
    gold = (GoldCallSpec("get_order", {"id": (17,)}), GoldCallSpec("cancel_order", {"id": (17,)}))
    found = against(item("I need to cancel order 17.", calls=gold))
    assert kinds(found, row("I need to cancel order 204.")) == []
    assert kinds(found, row("I need to cancel order 204.", calls=(("get_order", {"id": 204}),))) == []
    assert kinds(
        found, row("I need to cancel order 204.", calls=(("get_order", {"id": 204}), ("cancel_order", {"id": 204})))
    ) == ["renamed"]


@pytest.mark.parametrize(
    ("calls", "leaks"),
    [
        ((("find_bike", {"number": "B-4471"}), ("block_card", {"owner": "maria lund ", "days": "25"})), True),
        ((("find_bike", {"number": "b-4471"}), ("look", {}), ("BLOCK.CARD", {"days": 25.0, "owner": "Maria Lund"})), True),
        ((("block_card", {"owner": "Maria Lund", "days": 25}), ("find_bike", {"number": "B-4471"})), False),
        ((("find_bike", {"number": "B-4471"}), ("block_card", {"owner": "Maria Lund", "days": 26})), False),
        ((("find_bike", {"number": "B-4471"}), ("block_card", {"owner": "Maria Lund"})), False),
        ((("find_bike", {"number": "B-4471"}), ("block_card", '{"owner": "Maria Lund", "days"')), False),
        ((("find_bike", "[" * 10**5), ("block_card", "")), False),
    ],
)
def test_gold_calls_leak_in_order_and_with_equal_arguments(calls: tuple[tuple[str, Any], ...], leaks: bool) -> None:
    found = against(item("nothing", calls=CALLS))
    assert kinds(found, row(calls=calls)) == (["actions"] if leaks else [])


def test_arguments_take_every_accepted_spelling_and_optional_ones_may_be_absent() -> None:
    gold = GoldCallSpec("ride", {"to": ("Leeds", "Leeds, UK"), "kind": ("", "plus"), "at": (600,)}, frozenset({"kind"}))
    found = against(item("x", calls=(gold,)))
    assert kinds(found, row(calls=(("ride", {"to": "leeds, uk", "at": 600}),))) == ["actions"]
    assert kinds(found, row(calls=(("ride", {"to": "Leeds", "at": 600, "kind": "plus"}),))) == ["actions"]
    assert kinds(found, row(calls=(("ride", {"to": "Leeds", "kind": "plus"}),))) == []


def test_a_single_call_of_one_argument_says_too_little() -> None:
    found = against(item("x", calls=(GoldCallSpec("weather", {"city": ("Oslo",)}),)))
    assert found.check(row(calls=(("weather", {"city": "Oslo"}),))) is None


def spec(name: str, **properties: str) -> ToolSpec:
    return ToolSpec(
        name, "Whatever.", {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    )


BIKE_TOOLS = (
    ToolSignature("find.bike", (("number", "string"), ("colour", "string"), ("year", "integer"), ("city", "string"))),
    ToolSignature("block_card", (("owner", "string"), ("days", "integer"))),
)


@pytest.mark.parametrize(
    ("tools", "overlap"),
    [
        (
            (
                spec("block_card", owner="string", days="integer"),
                spec("find_bike", number="string", colour="string", year="integer", city="string"),
            ),
            1.0,
        ),
        ((spec("x"), spec("find_bike", number="string", colour="string", year="integer", city="string")), 5 / 8),
        ((spec("find_bike", number="string", colour="string", year="integer", city="string", wheel="number"),), 5 / 8),
        ((spec("find_bike", number="string"), spec("block_card", days="integer")), None),
        ((spec("seek", number="string", colour="string", year="integer", city="string"),), None),
        ((spec("block_card", owner="string", days="integer"),), None),
        ((ToolSpec("find_bike", "", {"properties": [1]}), ToolSpec("a", "", {"properties": {"b": 3}})), None),
    ],
)
def test_tools_are_compared_by_names_arguments_and_types(tools: tuple[ToolSpec, ...], overlap: float | None) -> None:
    leak = against(item("x", tools=BIKE_TOOLS)).check(row(tools=tools))
    assert (leak and (leak.kind, leak.overlap)) == (overlap and ("tool_signature", overlap))


def test_what_many_items_share_is_boilerplate() -> None:
    intro = "You are talking to the help line of the city museum and may ask about anything on show today."
    items = [
        item(f"{intro} Tell me who repaired {name} after the flood of nineteen ten.", identity=name)
        for name in map(str, range(40))
    ]
    found = against(*items)
    assert found.check(row(intro)) is None
    assert found.check(row(f"{intro} Where do I buy a ticket for two adults and one child?")) is None
    alone = against(*items[:3], reasons=("verbatim",))
    assert alone.check(row(intro)) is not None  # three items are no generator


def test_a_template_that_is_mostly_boilerplate_leaks_nearly_whole_or_not_at_all() -> None:
    words = (
        "greenhouse",
        "telescope",
        "violin",
        "archive",
        "locomotive",
        "vineyard",
        "aquarium",
        "mural",
        "lighthouse",
        "tractor",
    )
    frame = "Tell the night guard that the {} behind the old pavilion must never again be shown to visitors before {}."
    items = [item(frame.format(noun, f"{n}:30"), identity=noun) for n, noun in enumerate(words * 2)]
    found = against(*items, share=0.9)
    leak = found.check(row(frame.format("violin", "18:05")))
    assert leak is not None and leak.kind in ("renamed", "paraphrased_values")
    assert found.check(row(frame.format("beehive", "18:05"))) is None
    assert found.check(row("Tell the night guard that the violin is out of tune.")) is None


def test_a_long_text_that_many_items_share_leaks_as_a_whole_message() -> None:
    long = " ".join(f"sentence{n}" for n in range(40))
    found = against(*(item(long, f"Question number {n}?", identity=str(n)) for n in range(40)))
    assert found.check(row(f"{long} and more")) is None
    assert found.check(row(long)) == Leak("bench", "0", "verbatim", 1.0, " ".join(f"sentence{n}" for n in range(30)))


def test_system_prompts_are_compared_with_policies_alone() -> None:
    policy = "Never lend a bicycle to anybody who has not returned the last one, whatever they say about it."
    found = against(BenchmarkItem("policy", prompts=(policy,)), item(QUESTION))
    assert kinds(found, row("Hello.", prompt=f"You work in a shop.\n{policy}")) == ["verbatim"]
    assert kinds(found, row("Hello.", prompt=QUESTION)) == []
    assert kinds(found, row(policy)) == []


def test_what_the_task_makes_the_user_say_and_its_gold_are_searched_too() -> None:
    find = GoldCall("find_bike", {"number": "B-4471"})
    task = Task(
        "t", "w", 0, "train", 1, Persona(), Ledger(opening="Hi", goal=QUESTION), Rubric(),
        Gold(calls=(find, GoldCall(None, ask="days"), GoldCall("block_card", {"owner": "Maria Lund", "days": 25}))),
    )  # fmt: skip
    found = against(item(QUESTION, calls=CALLS))
    assert found.check(row("Hi")) is None
    assert kinds(found, row("Hi"), task)[:2] == ["verbatim", "actions"]


def test_reasons_choose_the_kinds_and_leaks_reports_all() -> None:
    trajectory = row(QUESTION, calls=(("find_bike", {"number": "B-4471"}), ("block_card", {"owner": "Maria Lund", "days": 25})))
    found = against(item(QUESTION, calls=CALLS), reasons=("actions",))
    leak = found.check(trajectory)
    assert leak is not None and leak.kind == "actions"
    assert leak.evidence == "find_bike(number=b-4471), block_card(owner=maria lund, days=25)"
    assert kinds(found, trajectory) == ["verbatim", "actions", "renamed", "paraphrased_values"]


def test_no_benchmark_and_nothing_said_leak_nothing() -> None:
    assert Decontaminator([]).check(row(QUESTION)) is None
    assert against(item(QUESTION)).check(Trajectory("r", "t")) is None


@settings(max_examples=25)
@given(trajectories, tasks)
def test_checking_is_pure_and_survives_pickling(trajectory: Trajectory, task: Task) -> None:
    twin = pickle.loads(pickle.dumps(FOUND))
    first = FOUND.leaks(trajectory, task)
    assert first == FOUND.leaks(trajectory, task) == twin.leaks(trajectory, task)
    planted = replace(trajectory, messages=(*trajectory.messages, Message("user", QUESTION)))
    assert FOUND.leaks(planted, task)[0].kind == twin.leaks(planted)[0].kind == "verbatim"


FOUND = against(item(QUESTION, calls=CALLS, tools=BIKE_TOOLS))
HASHED = WordReader().read(["a1 b1 c1 d1 e1"])["exact"].words[:5]


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=12), max_size=6),
    st.lists(st.sampled_from("abcde"), max_size=20),
    st.integers(1, 4),
)
def test_the_index_finds_what_a_search_word_by_word_finds(passages: list[list[str]], text: list[str], n: int) -> None:
    code = dict(zip("abcde", HASHED, strict=True))

    def words(letters: list[str]) -> np.ndarray:
        return np.array([code[letter] for letter in letters], dtype=np.uint64)

    def parts(letters: list[str]) -> set[tuple[str, ...]]:
        return {tuple(letters[i : i + n]) for i in range(len(letters) - n + 1)}

    index = GramIndex([np.unique(grams_of(words(passage), n)) for passage in passages])
    hits = index.find(grams_of(words(text), n))
    counted = [0] * len(passages) if hits is None else np.bincount(hits.passages, minlength=len(passages)).tolist()
    assert counted == [len(parts(passage) & parts(text)) for passage in passages]


@given(
    st.text(st.characters(max_codepoint=127)),
    st.sampled_from(["", "x 'two words' y", 'say "12:30, A-7" to a@b.c.', "it's 1,000.5"]),
)
def test_text_of_ascii_is_read_as_any_text_is(text: str, quoted: str) -> None:
    text = quoted + text
    assert words_module._ASCII_CHUNK.findall(text) == words_module._CHUNK.findall(text)


def test_a_text_never_runs_into_the_next() -> None:
    reader = WordReader()
    streams = reader.read(["a b", "", "c 1", "2 d"])
    assert reader.spell(streams["exact"].words) == "a b | | c 1 | 2 d |"
    assert [text.tolist() for text in streams["masked"].texts()][1:3] == [[], [streams["masked"].words[4].item(), MASK]]
    assert BREAK in streams["template"].words


@pytest.mark.parametrize(
    ("one", "other"),
    [(25, 25.0), ("Paris", " paris"), (True, "true"), ([1, {"a": "B"}], (1.0, {"a": "b"})), ("ｆｕｌｌ", "full")],
)
def test_values_that_read_alike_are_equal(one: Any, other: Any) -> None:
    assert value_text(one) == value_text(other)


def test_gold_calls_weigh_calls_and_arguments() -> None:
    assert GoldCalls.of(CALLS).weight == 5
    assert calls_of([Message("user", tool_calls=(ToolCall("1", "f", "{}"),))]) == []


@pytest.mark.parametrize(
    ("given_settings", "key"),
    [
        ({"reasons": ("verbatim", "luck")}, "luck"),
        ({"ngram": 0}, "ngram"),
        ({"share": 0.0}, "share"),
        ({"tool_share": 1.5}, "tool_share"),
        ({"common_share": -0.1}, "common_share"),
    ],
)
def test_settings_are_refused_by_name(given_settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        DecontaminationConfig(**given_settings)
    assert DecontaminationConfig().reasons == KINDS
