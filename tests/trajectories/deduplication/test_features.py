"""Features say what a dialogue says, and nothing of its bookkeeping; hostile text has features as any other."""

import hashlib
import json
import random
import subprocess
import sys
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trajectories.strategies import json_objects, tasks, trajectories, wild_objects
from trajectories.canonical import canonical_json
from trajectories.deduplication import DedupConfig, Deduplicator, Features, features
from trajectories.deduplication.dialogue import json_or_text, turns_of
from trajectories.deduplication.shingles import shingles_of, signature_of
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import CallRecord, Outcome
from trajectories.tasks import Criterion, Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Provenance, Trajectory

CONFIG = DedupConfig()
ORDER = '{"order_id":"204","count":2}'


def dialogue(*messages: Message, **fields: Any) -> Trajectory:
    return Trajectory(id="a", task_id="t", messages=messages, **fields)


def of(*messages: Message, **fields: Any) -> Features:
    return features(dialogue(*messages, **fields), None, CONFIG)


def calling(arguments: str = ORDER, call_id: str = "c0", result: str = '{"ok":true}', answers: str | None = None) -> Features:
    return of(
        Message("user", "Two desks, please."),
        Message("assistant", "", (ToolCall(call_id, "order", arguments),)),
        Message("tool", result, tool_call_id=call_id if answers is None else answers),
    )


@given(trajectories, st.none() | tasks)
def test_any_trajectory_has_features_that_survive_storage(trajectory: Trajectory, task: Task | None) -> None:
    made = features(trajectory, task, CONFIG)
    assert Features.from_bytes(made.to_bytes()) == made == features(trajectory, task, CONFIG)
    assert len(made.signature) in (0, CONFIG.permutations)


@given(trajectories, st.text(), st.integers(0, 99))
def test_ids_seeds_and_numbers_are_no_content(trajectory: Trajectory, other: str, number: int) -> None:
    twin = replace(trajectory, id=other, task_id=other, seed=number, rollout=number, branch=number, reward=None, metadata={})
    assert features(twin, None, CONFIG) == features(trajectory, None, CONFIG)


def test_bookkeeping_of_a_dialogue_is_no_content() -> None:
    made = calling()
    assert calling(call_id="functions.order:7") == made
    assert calling('{ "count": 2.0, "order_id": "204" }') == made
    assert calling(result='{\n"ok": true}') == made
    for other in (calling('{"order_id":"205","count":2}'), calling(result='{"ok":false}'), calling(answers="another")):
        assert other.dialogue != made.dialogue


def test_a_result_of_another_call_is_another_dialogue() -> None:
    calls = (ToolCall("a", "get", "{}"), ToolCall("b", "get", "{}"))
    results = [Message("tool", str(n), tool_call_id=name) for n, name in enumerate("ab")]
    crossed = [replace(result, tool_call_id=name) for result, name in zip(results, "ba", strict=True)]
    asks = Message("assistant", "", calls)
    assert of(asks, *results).dialogue != of(asks, *crossed).dialogue


def test_order_of_tools_is_no_content_and_what_they_say_is() -> None:
    tools = [ToolSpec(name, "does it", {"type": "object", "properties": {"b": {}, "a": {}}}) for name in ("one", "two")]
    made = of(tools=tuple(tools)).dialogue
    respelled = replace(tools[0], inputSchema=MappingProxyType({"properties": {"a": {}, "b": {}}, "type": "object"}))
    assert of(tools=(tools[1], tools[0])).dialogue == made
    assert of(tools=(tools[1], respelled)).dialogue == made
    for other in (replace(tools[0], description="does not"), replace(tools[0], inputSchema={})):
        assert of(tools=(tools[1], other)).dialogue != made


@given(json_objects() | wild_objects, st.randoms())
def test_json_in_another_spelling_is_the_same_text(value: dict[str, Any], rng: random.Random) -> None:
    shuffled = dict(rng.sample(list(value.items()), len(value)))
    try:
        expected = canonical_json(value)
    except ValueError:  # an infinity
        expected = json.dumps(value)
    else:
        assert json_or_text(json.dumps(shuffled, indent=1)) == expected
    assert json_or_text(json.dumps(value)) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[1,]", '{"a":NaN}', "[" * 100_000, "{" * 100_000, '{"a":1e999}', f"[{'9' * 5000}]", "12", '"a"', "null"],
)
def test_what_is_no_json_object_or_list_stays_as_it_is(text: str) -> None:
    assert json_or_text(text) == text


HOSTILE = [
    (),
    (Message("user", ""),),
    (Message("user", "\ud800\udfff \udc00"),),
    (Message("user", "a"),),
    (Message("system", "only a system prompt"),),
    (Message("tool", "[" * 50_000),),
    (Message("tool", "x", tool_call_id="nobody's"),),
    (Message("user", "word " * 200_000),),
    (Message("user", "a" * 1_000_000),),
    (Message("user", "嗯" * 100_000),),
    (Message("assistant", "", (ToolCall("", "", "[" * 50_000), ToolCall("", "\x00", '{"a":' * 3000 + "1" + "}" * 3000))),),
    (Message("assistant", "\x00", reasoning_content="\ud800 because"),),
]


@pytest.mark.parametrize("messages", HOSTILE)
def test_hostile_text_has_features_and_is_its_own_duplicate(messages: tuple[Message, ...]) -> None:
    deduplicator = Deduplicator(DedupConfig(exact=False, structure_limit=1))
    made = of(*messages)
    assert deduplicator.add(made, 5) is None
    found = deduplicator.add(of(*messages), 6)
    assert found is not None and found.of == 5 and found.kind == ("near" if made.signature else "structural")


def test_a_dialogue_without_words_is_near_to_none() -> None:
    deduplicator = Deduplicator(DedupConfig())
    for number, content in enumerate(["", "?", "!", "👍", "\ud800"]):
        assert deduplicator.add(of(Message("user", content)), number) is None


def test_system_prompt_and_tools_are_no_words() -> None:
    says = Message("user", "Please cancel order 204.")
    shown = of(Message("system", "You run a desk."), says, tools=(ToolSpec("cancel"),))
    assert shown.signature == of(says).signature and shown.dialogue != of(says).dialogue
    assert shown.course == of(says).course


def test_shingles_are_words_in_a_row_behind_their_speaker_by_weight() -> None:
    turns = turns_of([Message("user", "Hi, 我要 It!"), Message("assistant", "", (ToolCall("0", "get", '{"b":1,"a":"x y"}'),))])
    config = DedupConfig(calls=2)
    said = ["user: hi", "hi 我", "我 要", "要 it"]
    called = ["call: get", "get a", "a x", "x y", "y b", "b 1"]
    assert shingles_of(turns, config) == [*said, *called, *(f"{shingle} #1" for shingle in called)]
    assert shingles_of(turns, replace(config, calls=0)) == said
    assert shingles_of(turns, replace(config, calls=0, shingle=9)) == ["user: hi 我 要 it"]


def test_the_signature_estimates_the_jaccard_similarity() -> None:
    rng = random.Random(0)
    config = DedupConfig(shingle=1, permutations=512)
    errors = []
    for shared in (10, 40, 70, 95):
        for _ in range(20):
            words = [f"w{rng.getrandbits(60):x}" for _ in range(200)]
            one, two = (words[:shared] + rest for rest in (words[shared:100], words[100 : 200 - shared]))
            first, second = (
                np.frombuffer(signature_of(turns_of([Message("tool", " ".join(side))]), replace(config, results=1)), np.uint8)
                for side in (one, two)
            )
            estimate = ((first == second).mean() - 1 / 256) / (1 - 1 / 256)
            errors.append(estimate - shared / (200 - shared))
    assert abs(np.mean(errors)) < 0.01 and np.std(errors) < 0.5 / 512**0.5


def fingerprint() -> str:
    long = " ".join(f"word{number % 700} {number}" for number in range(3000))
    rows = [calling(), of(Message("user", "Hello, 订单 204?"), Message("assistant", long))]
    return hashlib.sha256(b"".join(row.to_bytes() for row in rows)).hexdigest()[:16]


def test_features_are_the_same_on_every_machine_and_in_every_process() -> None:
    code = "from tests.trajectories.deduplication.test_features import fingerprint; print(fingerprint())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    # A new fingerprint wants a new _FEATURES_VERSION in trajectories/deduplication/config.py.
    assert printed.strip() == fingerprint() == "2f0516acde247ef5"


TASK = Task("t", "desk", 0, "train", 1, Persona(), Ledger("hi"), Rubric((Criterion("none", "no_refusal", ("decline",)),)), Gold())


def doing(*calls: tuple[str, Any], ending: Any = "completed", failed: tuple[str, Any] | None = None, world: str = "w") -> bytes:
    records = [CallRecord(name, arguments, False, "") for name, arguments in calls]
    if failed is not None:
        records.insert(0, CallRecord(*failed, True, "no"))
    outcome = Outcome(ending, calls=tuple(records))
    return features(dialogue(outcome=outcome, provenance=Provenance(world_fingerprint=world)), TASK, CONFIG).structure


def test_a_structure_is_the_plan_without_its_values() -> None:
    made = doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": 2}))
    assert doing(("get", {"id": "8"}), ("cancel", {"count": -3.5, "id": "8"})) == made
    assert doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": 2}), failed=("get", {"id": "9"})) == made
    others = [
        doing(("get", {"id": "7"}), ("cancel", {"id": "8", "count": 2})),
        doing(("get", {"id": "7"}), ("cancel", {"id": "7"})),
        doing(("get", {"id": "7"}), ("change", {"id": "7", "count": 2})),
        doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": 2}), ending="turn_limit"),
        doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": 2}), world="x"),
        doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": True})),
        doing(("get", {"id": "7"}), ("cancel", {"id": "7", "count": [2]})),
        doing(("get", '{"id": "7"')),
        doing(),
    ]
    assert len({made, *others}) == 1 + len(others)


def test_the_reason_of_a_refusal_is_kept_and_that_of_another_call_is_a_value() -> None:
    assert doing(("decline", {"id": "7", "reason": "sent"})) == doing(("decline", {"id": "8", "reason": "sent"}))
    assert doing(("decline", {"id": "7", "reason": "sent"})) != doing(("decline", {"id": "7", "reason": "held"}))
    assert doing(("cancel", {"id": "7", "reason": "sent"})) == doing(("cancel", {"id": "7", "reason": "held"}))


def test_without_an_outcome_the_calls_of_the_messages_count() -> None:
    call = Message("assistant", "", (ToolCall("0", "get", '{"id":"7"}'), ToolCall("1", "get", '{"id":')))
    told = dialogue(call, provenance=Provenance(world_fingerprint="w"))
    outcome = Outcome("completed", calls=(CallRecord("get", {"id": "8"}, False, ""), CallRecord("get", '{"id":', False, "")))
    ended = replace(told, outcome=outcome)
    assert features(told, TASK, CONFIG).structure != features(ended, TASK, CONFIG).structure
    assert features(told, TASK, CONFIG).structure == features(replace(told, messages=(call, call)[:1]), None, CONFIG).structure


def test_other_tags_are_another_course() -> None:
    row = dialogue(Message("user", "Cancel it."), Message("assistant", "Sorry, not allowed."))
    made = [features(row, replace(TASK, tags=tags), CONFIG).course for tags in (("a", "b"), ("b", "a"), ("a",), ())]
    assert made[0] == made[1] and len(set(made)) == 3 and made[3] == features(row, None, CONFIG).course


def test_cut_features_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 36 bytes, not 35"):
        Features.from_bytes(calling().to_bytes()[:35])
