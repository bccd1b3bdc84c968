"""Long to short: the rules by hand, data that TRL's trainers know, and mistakes told by key or row."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st
from trl.data_utils import is_conversational

from pipelines.long2short_choice import Pair, Response, pairs_of, shortest
from rl.policy.presets import load, save
from tests.rl.training.trainer_cases import nano, tokenizer
from tests.trajectories.formats.cases import answer, call, dialogue, write
from trajectories.codec import from_row
from trajectories.messages import Message
from trajectories.shards import read
from trajectories.trajectory import Sampling, Segment, Trajectory

ASK = Message("user", "How many items has order 7?")


def responses(*tokens: int) -> list[Response]:
    """Correct ones as positive lengths, wrong ones as negative."""
    return [Response(row, count > 0, abs(count)) for row, count in enumerate(tokens)]


@pytest.mark.parametrize(
    ("group", "chosen", "rejected"),
    [
        ((10, 14, 15, 20), 0, {2: "correct_and_longer", 3: "correct_and_longer"}),
        ((30, 10, -9, -10, -11), 1, {0: "correct_and_longer", 4: "wrong_and_longer"}),
        ((-5, -50), None, {}),
        ((7,), 0, {}),
        ((8, 8, 12), 0, {2: "correct_and_longer"}),
        ((3, 4), 0, {}),
        ((3, 5), 0, {1: "correct_and_longer"}),
    ],
)
def test_the_shortest_correct_one_is_chosen_and_longer_ones_are_rejected(group, chosen, rejected):
    found = responses(*group)
    assert (best := shortest(found)) == (None if chosen is None else found[chosen])
    assert pairs_of(found) == [Pair(best, found[row], kind) for row, kind in rejected.items() if best is not None]


@given(st.lists(st.integers(-40, 40).filter(bool), max_size=10), st.floats(1.0, 4.0))
def test_every_pair_obeys_the_rules_and_none_is_missing(lengths, ratio):
    group = responses(*lengths)
    made = {pair.rejected.row: pair for pair in pairs_of(group, ratio)}
    best = shortest(group)
    for response in group:
        lesson = best is not None and response.tokens > best.tokens
        lesson = lesson and (not response.correct or response.tokens >= ratio * best.tokens)
        assert (response.row in made) == lesson
    assert all(pair.chosen == best and pair.chosen.correct for pair in made.values())


def rollout(number: int, tokens: int, passed: bool | None, *turns: Message, task: str = "a") -> Trajectory:
    turn = Segment("policy", tuple(range(tokens)), (-0.1,) * tokens, Sampling())
    made = dialogue(ASK, *(turns or (Message("assistant", f"It has {tokens}."),)), number=number, passed=passed, task=task)
    return replace(made, segments=(Segment("context", (1, 2, 3)), turn))


ROLLOUTS = [
    rollout(0, 30, True),
    rollout(1, 10, True, call('{"order_id":"7"}'), answer("3"), Message("assistant", "It has 3.")),
    rollout(2, 12, False),
    rollout(3, 9, False),
    rollout(4, 90, None),
    rollout(0, 40, False, task="b"),
    rollout(0, 5, True, task="c"),
    rollout(1, 7, True, task="c"),
]


@pytest.fixture
def long2short(orrery) -> Callable[..., object]:
    write(Path("rollouts"), ROLLOUTS)
    return lambda *overrides: orrery("long2short", "out=made", "dataset=rollouts", *overrides)


def loaded(path: str = "made"):
    return load_dataset(path, split="train", cache_dir="cache")


def test_pairs_are_trls_conversational_preferences(long2short):
    result = long2short("action=pairs")
    assert result.status == 0, result.error
    rows = loaded()
    assert [(row["chosen_id"], row["rejected_id"], row["kind"]) for row in rows] == [
        ("a-1", "a-0", "correct_and_longer"),
        ("a-1", "a-2", "wrong_and_longer"),
    ]
    assert {"prompt", "chosen", "rejected", "tools"} <= set(rows.column_names) and is_conversational(rows[0])
    assert rows[0]["prompt"] == [{"role": "user", "content": ASK.content}]
    assert rows[0]["chosen"][0]["tool_calls"][0]["function"]["arguments"] == {"order_id": "7"}
    assert [message["role"] for message in rows[0]["chosen"]] == ["assistant", "tool", "assistant"]
    assert rows[1]["rejected"] == [{"role": "assistant", "content": "It has 12."}]
    summary = json.loads(Path("made/summary.json").read_text())
    assert summary["kinds"] == {"correct_and_longer": 1, "wrong_and_longer": 1} and summary["tasks"] == 3
    assert summary["dropped"] == {"fault": 1, "tasks without a correct rollout": 1}
    assert (summary["rows"], summary["read"], summary["chosen_tokens"]) == (2, 8, 7.5)


def test_the_ratio_decides_which_correct_ones_are_too_long(long2short):
    assert long2short("action=pairs", "ratio=1.4").status == 0
    assert [row["rejected_id"] for row in loaded()] == ["a-0", "a-2", "c-1"]


def test_the_shortest_are_trls_conversations(long2short):
    assert long2short("action=shortest").status == 0
    rows = loaded()
    assert rows["id"][:] == ["a-1", "c-0"] and is_conversational(rows[0])
    assert rows[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"order_id": "7"}


def test_the_shortest_in_native_columns_are_the_rollouts_themselves(long2short):
    assert long2short("action=shortest", "format=native").status == 0
    assert [from_row(Trajectory, row) for row in read("made")] == [ROLLOUTS[1], ROLLOUTS[6]]


def test_only_the_last_samples_of_a_task_with_a_verdict_are_looked_at(long2short):
    assert long2short("action=pairs", "samples=3").status == 0
    assert [row["rejected_id"] for row in loaded()] == ["a-2"]


def test_rows_far_apart_make_the_same_pairs(orrery):
    far = [rollout(9, 1, True, task=f"t{number}") for number in range(600)]
    write(Path("rollouts"), [*ROLLOUTS[:2], *far, *ROLLOUTS[2:]], rows_per_shard=100)
    assert orrery("long2short", "out=made", "dataset=rollouts", "action=pairs", "rows_per_shard=1").status == 0
    assert [row["rejected_id"] for row in loaded()] == ["a-0", "a-2"]


def test_arguments_that_are_no_object_stop_by_row_or_are_left_out(orrery):
    write(Path("rollouts"), [rollout(0, 5, True), rollout(1, 9, False, call("{oops"))])
    result = orrery("long2short", "out=x", "dataset=rollouts", "action=pairs")
    assert result.status == 2 and "rollouts: split train, row 1 (a-1): the arguments of" in result.error
    assert " arguments=keep keeps such text" in result.error and "Traceback" not in result.error
    assert orrery("long2short", "out=made", "dataset=rollouts", "action=pairs", "refused=drop").status == 0
    assert json.loads(Path("made/summary.json").read_text())["dropped"] == {"refused": 1}
    assert list(read("made")) == []


def test_a_run_that_stopped_halfway_begins_anew_when_it_is_resumed(orrery):
    good, bad = (
        [rollout(0, 5, True), rollout(1, 9, False)],
        [rollout(0, 5, True, task="b"), rollout(1, 9, False, call("{"), task="b")],
    )
    write(Path("rollouts"), [*good, *bad])
    settings = ("long2short", "out=made", "dataset=rollouts", "action=pairs", "rows_per_shard=1")
    assert orrery(*settings).status == 2 and list(Path("made/.writing/train").iterdir())
    shutil.rmtree("rollouts")
    write(Path("rollouts"), good)
    assert orrery(*settings, "resume=auto").status == 0
    assert [row["rejected_id"] for row in loaded()] == ["a-1"] and not Path("made/.writing").exists()


def test_dialogues_without_tokens_have_no_length(orrery):
    write(Path("rollouts"), [ROLLOUTS[0], dialogue(ASK, Message("assistant", "3"))])
    result = orrery("long2short", "out=x", "dataset=rollouts", "action=shortest")
    assert result.status == 2 and "split train, row 1 (task-0) has no tokens of a policy" in result.error


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["action=pairs", "dataset=absent"], "dataset: absent is not a directory"),
        (["action=pairs", "models=[a,b]"], "models: only action=average has models"),
        (["action=pairs", "samples=0"], "samples: must be at least 1, not 0"),
        (["action=pairs", "ratio=0.5"], "ratio: must be at least 1, not 0.5"),
        (["action=pairs", "split=a-b"], "split: 'a-b' is not letters"),
        (["action=pairs", "dataset=.", "split=dev"], "split dev is not there"),
        (["action=average"], "models: an average is of at least 2 models, not 0"),
        (["action=average", "models=[a,b]", "weights=[1]"], "weights: one for each of the 2 models, not 1"),
        (["action=average", "models=[a,b]"], "models: a has no weights in safetensors"),
        (["action=shorten"], "action: 'shorten' is not one of average, shortest, pairs; did you mean 'shortest'?"),
        ([], "action: needs a value; set action=..."),
    ],
)
def test_a_mistake_is_one_message_that_names_the_key(orrery, overrides, message):
    result = orrery("long2short", "out=x", *overrides)
    assert result.status == 2 and message in result.error and "Traceback" not in result.error
    assert not Path("x").exists()


def test_average_writes_a_policy_that_loads(orrery):
    for seed in (0, 1):
        save(nano(seed), tokenizer(), f"model{seed}")
    result = orrery("long2short", "out=made", "action=average", "models=[model0,model1]")
    assert result.status == 0, result.error
    first, second, merged = (load(path)[0].lm_head.weight for path in ("model0", "model1", "made/policy"))
    assert merged.data.allclose((first.data + second.data) / 2)
