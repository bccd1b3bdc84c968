"""Benchmark files in the shapes of BFCL, tau2-bench and plain chats; whatever else a file holds is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trajectories.strategies import json_values, wild_scalars
from trajectories.decontamination import Benchmark, BenchmarkError, Decontaminator, read_benchmark
from trajectories.decontamination.benchmark import MOST_CHARACTERS, GoldCallSpec, ToolSignature
from trajectories.decontamination.json_items import DEEPEST, LONGEST_LINE


def lines(*values: Any) -> str:
    return "\n".join(map(json.dumps, values))


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


MOVE = {
    "name": "mv",
    "description": "Moves a file.",
    "parameters": {
        "type": "dict",
        "properties": {"source": {"type": "string"}, "depth": {"type": "float"}},
        "required": ["source"],
    },
}
SEARCH = {
    "name": "grep",
    "parameters": {"type": "dict", "properties": {"file": {"type": "string"}, "pattern": {"type": "tuple"}}},
}


def test_bfcl_single_turn_with_its_answers_beside_it(tmp_path: Path) -> None:
    question = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Move the report."}]]
    path = write(tmp_path / "BFCL_v9_simple.json", lines({"id": "simple_0", "question": question, "function": [MOVE]}))
    answer = {"id": "simple_0", "ground_truth": [{"mv": {"source": ["a.txt", "./a.txt"], "depth": ["", 2]}}]}
    write(tmp_path / "possible_answer" / path.name, lines(answer))
    benchmark = read_benchmark(path)
    assert benchmark.name == "BFCL_v9_simple"
    (item,) = benchmark.items
    assert (item.id, item.texts, item.prompts) == ("simple_0", ("Move the report.",), ("Be brief.",))
    assert item.tools == (ToolSignature("mv", (("source", "string"), ("depth", "number"))),)
    assert item.calls == (GoldCallSpec("mv", {"source": ("a.txt", "./a.txt"), "depth": ("", 2)}, frozenset({"depth"})),)


def test_bfcl_multi_turn_takes_calls_from_text_and_tools_from_the_files_of_its_classes(tmp_path: Path) -> None:
    turns = [[{"role": "user", "content": "Find the word."}], [], [{"role": "user", "content": "Move it."}]]
    item = {
        "id": "m_0",
        "question": turns,
        "involved_classes": ["Files"],
        "path": ["Files.grep"],
        "initial_config": {"Files": {}},
    }
    path = write(tmp_path / "BFCL_v9_multi_turn.json", lines(item))
    truth = [["grep('a.txt', pattern=('x', 'y'))"], [], ["mv(source='a.txt', depth=-1)", "no call at all"]]
    write(tmp_path / "possible_answer" / path.name, lines({"id": "m_0", "ground_truth": truth}))
    write(tmp_path / "multi_turn_func_doc" / "files.json", lines(SEARCH, MOVE))
    write(tmp_path / "multi_turn_func_doc" / "cars.json", lines({"name": "honk"}))
    (read,) = read_benchmark(path).items
    assert read.texts == ("Find the word.", "Move it.")
    assert read.calls == (
        GoldCallSpec("grep", {"file": ("a.txt",), "pattern": (("x", "y"),)}),
        GoldCallSpec("mv", {"source": ("a.txt",), "depth": (-1,)}),
    )
    assert [tool.name for tool in read.tools] == ["grep", "mv"]


@pytest.mark.parametrize("question", ["How late is it?", [{"role": "user", "content": "How late is it?"}]])
def test_bfcl_of_older_versions(tmp_path: Path, question: Any) -> None:
    path = write(tmp_path / "old.json", lines({"question": question, "function": MOVE, "ground_truth": ["mv(source='a')"]}))
    (item,) = read_benchmark(path).items
    assert (item.id, item.texts, len(item.tools), item.calls[0].name) == ("1", ("How late is it?",), 1, "mv")


def test_tau2_tasks_with_policy_and_tools_beside_them(tmp_path: Path) -> None:
    task = {
        "id": "[issue]a",
        "user_scenario": {
            "persona": "A patient librarian.",
            "instructions": {
                "domain": "museum",
                "reason_for_call": "You lost a key.",
                "known_info": None,
                "extra": {"more": ["Say so."]},
            },
        },
        "ticket": "Key lost.",
        "evaluation_criteria": {
            "actions": [
                {"action_id": "0", "requestor": "user", "name": "shout", "arguments": {}},
                {"action_id": "1", "name": "make_key", "arguments": {"room": 7}},
            ],
            "nl_assertions": ["The agent is kind."],
            "communicate_info": None,
        },
    }
    text = {"id": 2, "user_scenario": {"instructions": "Ask for the opening hours."}, "evaluation_criteria": None}
    path = write(tmp_path / "tasks.json", json.dumps([task, text], indent=4))
    write(tmp_path / "policy.md", "# Keys\nNever make two keys.")
    write(tmp_path / "tools.json", json.dumps([{"type": "function", "function": {"name": "make_key", "parameters": None}}]))
    first, second, policy = read_benchmark(path, name="museum").items
    assert first.texts == ("A patient librarian.", "You lost a key.", "", "Say so.", "Key lost.", "The agent is kind.")
    assert first.calls == (GoldCallSpec("make_key", {"room": (7,)}),)
    assert second.texts[0] == "Ask for the opening hours." and second.id == "2"
    assert policy.id == "policy" and policy.prompts == ("# Keys\nNever make two keys.",)
    assert {item.tools for item in (first, second, policy)} == {(ToolSignature("make_key"),)}


def test_plain_texts_and_chats(tmp_path: Path) -> None:
    call = {"id": "0", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    chat = {
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "user", "content": [{"type": "text", "text": "One and?"}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "1"},
        ],
        "tools": [{"name": "add", "inputSchema": {"properties": {"a": {"type": ["integer", "null"]}}}}],
    }
    path = write(tmp_path / "mine.jsonl", "\ufeff" + lines({"text": "两个人"}, chat) + "\n\n")
    text, read = read_benchmark(path).items
    assert text.texts == ("两个人",)
    assert (read.texts[1].strip(), read.prompts, read.calls) == ("One and?", ("Count.",), (GoldCallSpec("add", {"a": (1,)}),))
    assert read.tools == (ToolSignature("add", (("a", "integer"),)),)


def test_the_suffix_decides_nothing(tmp_path: Path) -> None:
    items = [{"id": n, "text": f"text {n}"} for n in range(3)]
    files = [json.dumps(items), json.dumps({"tasks": items}), json.dumps({"tasks": items}, indent=2), lines(*items)]
    read = [read_benchmark(write(tmp_path / f"{n}.txt", text)).items for n, text in enumerate(files)]
    assert read[0] == read[1] == read[2] == read[3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\t\n", "is empty"),
        ("[]", "holds no items"),
        ('{"tasks": []}', "holds no items"),
        ("[3]", "item 1: is a number, not an object"),
        ('{"text": "a"}\n[1]', "item 2: is a number, not an object"),
        ('{"text": "a"}\n{"text": }', "item 2: is not JSON"),
        ('{"text": "a"', "is not JSON"),
        (b'{"text": "\xff"}', "item 1: is not UTF-8 (byte 10)"),
        ("text".encode("utf-16"), "is not UTF-8"),
        ('{"text": 3}', "item 1.text: is a number, not text"),
        ('{"text": ""}', "item 1: holds no text, no calls and no tools"),
        ('{"text": "a", "id": [1]}', "item 1.id: is a list"),
        ('{"text": "a"}\n{"question": "b"}', "item 2.text or messages: is missing"),
        ('{"name": "x", "weight": 1}', "has no key question"),
        ('{"id": "x", "ground_truth": []}', "this is a file of answers"),
        ('{"question": [[{"role": "user"}]]}', "item 1.question[0][0].content: is missing"),
        ('{"question": [["hello"]]}', "item 1.question[0][0]: is text, not an object"),
        ('{"question": "a", "function": [{}]}', "item 1.function[0].name: is missing"),
        ('{"question": "a", "ground_truth": [3]}', "item 1.ground_truth[0]: is a number, not a call"),
        ('{"user_scenario": null}', "item 1.user_scenario: is null, not an object"),
        (
            '{"user_scenario": {"instructions": {"known_info": 7}}}',
            "user_scenario.instructions.known_info: is a number, not text",
        ),
        ('{"user_scenario": {}, "evaluation_criteria": {"actions": [{"arguments": {}}]}}', "actions[0].name: is missing"),
        ('{"messages": [{"content": "a"}]}', "item 1.messages[0].role: is missing"),
        (
            '{"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}]}',
            "item 1.messages[0].tool_calls[0].arguments: is not JSON",
        ),
        (
            '{"text": "a", "deep": ' + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1) + "}",
            "item 1: is nested more than 100 levels deep",
        ),
        ('{"text": "a", "deep": ' + "[" * 10**5 + "]" * 10**5 + "}", "nested too deeply to be parsed"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "item 1: "),
        (json.dumps({"text": "a" * (MOST_CHARACTERS + 1)}), "item 1: has 1,000,001 characters of text"),
    ],
)
def test_what_is_no_benchmark_is_refused_by_file_item_and_key(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path / "given.json", content)
    with pytest.raises(BenchmarkError) as caught:
        read_benchmark(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_line_beyond_the_limit_is_refused_without_being_parsed(tmp_path: Path) -> None:
    path = tmp_path / "wide.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n{"text": "')
        file.truncate(LONGEST_LINE + 100)  # a hole: nothing is stored
    with pytest.raises(BenchmarkError, match="item 2: has more than"):
        read_benchmark(path)


def test_files_that_are_not_there_and_answers_without_a_question(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="No such file"):
        read_benchmark(tmp_path / "absent.json")
    with pytest.raises(BenchmarkError, match="directory"):
        read_benchmark(tmp_path)
    path = write(tmp_path / "q.json", lines({"id": "a", "question": "Why?"}))
    write(tmp_path / "possible_answer" / "q.json", lines({"id": "b", "ground_truth": []}))
    with pytest.raises(BenchmarkError, match="answers 'b', which no question has"):
        read_benchmark(path)


_KEYS = """
id question function ground_truth user_scenario instructions persona evaluation_criteria actions nl_assertions name arguments
messages tools text role content tool_calls parameters properties type tasks path involved_classes requestor
"""
KEYS = st.sampled_from(_KEYS.split())
VALUES = st.recursive(
    wild_scalars | st.sampled_from(["user", "system", "assistant", "f(a=1)", "f(", "f(*x, **y)", "-" * 50 + "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
CALL = {"id": "0", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
WELL_FORMED: list[dict[str, Any]] = [
    {
        "id": "b",
        "question": [[{"role": "user", "content": "Why?"}]],
        "function": [MOVE],
        "ground_truth": [{"mv": {"source": ["a"]}}],
    },
    {
        "id": "c",
        "question": "Why?",
        "path": ["Files.mv"],
        "involved_classes": ["Files"],
        "ground_truth": [["mv(source='a')"], []],
    },
    {
        "id": 3,
        "user_scenario": {"persona": None, "instructions": {"known_info": "Nothing.", "domain": "x"}},
        "evaluation_criteria": {
            "actions": [{"name": "f", "arguments": {"a": [1]}, "requestor": "user"}],
            "nl_assertions": ["Yes."],
        },
    },
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [CALL]}], "tools": [SEARCH]},
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of everything within."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in ((value, key), *places(inner))]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A well-formed file with up to three values replaced or removed."""
    items = json.loads(json.dumps(draw(st.sampled_from(WELL_FORMED))))
    items = [items, json.loads(json.dumps(items))]
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(places(items) or [([items], 0)]))
        if draw(st.booleans()):
            holder[key] = draw(VALUES)
        elif not isinstance(holder, list) or key < len(holder):
            del holder[key]
    text = json.dumps(items) if draw(st.booleans()) else "\n".join(map(json.dumps, items))
    return text.encode()


ANY_FILE = st.binary(max_size=60) | json_values(wild_scalars).map(lambda value: json.dumps(value).encode()) | damaged()


@given(ANY_FILE)
def test_any_file_is_a_benchmark_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("any") / "file.json", content)
    try:
        benchmark = read_benchmark(path)
    except BenchmarkError as error:
        assert str(path) in str(error)
        return
    assert isinstance(benchmark, Benchmark) and benchmark.items
    Decontaminator([benchmark])  # and what was read can be indexed
