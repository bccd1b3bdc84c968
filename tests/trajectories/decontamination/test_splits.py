"""What is in both splits is found, each way by itself, and reading is one pass over each side."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trajectories.decontamination.planted import rows, ten_thousand
from tests.trajectories.decontamination.test_planted import interval
from trajectories.codec import to_row
from trajectories.decontamination import Overlap, SplitConfig, split_overlaps
from trajectories.messages import Message, ToolCall
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory


@pytest.fixture(scope="module")
def splits() -> tuple[list[Any], list[Any]]:
    """(task, trajectory) pairs that have nothing in common."""
    made = list(rows(60, seed=5))
    unique = {trajectory.messages[1:]: (task, trajectory) for task, trajectory in made}
    pairs = list(unique.values())
    return pairs[:30], pairs[30:]


def one_pass(values: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield from values


def overlaps(train: list[Trajectory], held_out: list[Trajectory], **settings: Any) -> list[Overlap]:
    return split_overlaps(one_pass([*map(to_row, train)]), one_pass([*map(to_row, held_out)]), SplitConfig(**settings))


def test_splits_of_other_tasks_do_not_overlap(splits: tuple[list[Any], list[Any]]) -> None:
    train, held_out = splits
    assert overlaps([row for _, row in train], [row for _, row in held_out]) == []
    assert split_overlaps([to_row(task) for task, _ in train], [to_row(task) for task, _ in held_out]) == []
    assert split_overlaps([], []) == []


def test_each_kind_is_found_and_named(splits: tuple[list[Any], list[Any]]) -> None:
    train, held_out = [row for _, row in splits[0]], [row for _, row in splits[1]]
    same_task = replace(train[0], id="same task", task_id=held_out[3].task_id)
    prompt = Message("system", "Another prompt.")
    calls = [
        replace(message, tool_calls=tuple(replace(call, id="x") for call in message.tool_calls))
        for message in held_out[5].messages
    ]
    same_dialogue = replace(held_out[5], id="same dialogue", task_id="other", messages=(prompt, *calls[1:]))
    long = [Message("user", f"Word {n} of a long story about harbour {n} and its {n * n} boats.") for n in range(12)]
    told = replace(held_out[8], id="told", messages=(*held_out[8].messages, *long))
    retold = replace(told, id="retold", task_id="other", messages=(*told.messages[:-1], Message("user", "Thank you.")))
    found = overlaps([*train[1:], same_task, same_dialogue, retold], [*held_out, told])
    assert [(o.kind, o.train, o.held_out) for o in found] == [
        ("task", "same task", held_out[3].id),
        ("dialogue", "same dialogue", held_out[5].id),
        ("near_text", "retold", "told"),
    ]
    assert 0.9 <= found[-1].overlap < 1


def test_the_same_plan_in_the_same_world_is_found_whatever_the_words(splits: tuple[list[Any], list[Any]]) -> None:
    train, held_out = splits
    task = held_out[7][0]
    twin = replace(task, ledger=replace(task.ledger, opening="Said quite otherwise.")).with_id()
    elsewhere = replace(twin, seed=task.seed + 1).with_id()
    found = split_overlaps([to_row(t) for t in (*(t for t, _ in train), twin, elsewhere)], (to_row(t) for t, _ in held_out))
    assert found == [Overlap("plan", twin.id, task.id)]


_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+")
KINDS = ("task", "dialogue", "near_text", "plan")


def plant(pairs: Sequence[tuple[Task, Trajectory]], each: int) -> str:
    """Plants `each` overlaps of every kind in a split of `pairs`, finds all, and checks each alarm that was not planted.

    Returns:
        Recall of each kind and precision of all, with intervals.
    """
    fifth = len(pairs) // 5
    held_out, train = list(pairs[:fifth]), list(pairs[fifth:])
    long = tuple(Message("user", f"Paragraph {n} tells of harbour {n * 7} and its {n * n} boats at length.") for n in range(40))
    plants: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for number in range(each):
        task, row = held_out[number]
        train_task, train_row = train[number]
        name = f"planted {number}"
        plants["task"].add(f"{name} task")
        train.append((train_task, replace(train_row, id=f"{name} task", task_id=task.id)))
        plants["dialogue"].add(f"{name} dialogue")
        train.append((train_task, replace(row, id=f"{name} dialogue", task_id="other", messages=row.messages[1:])))
        # Of a short dialogue one word is a tenth already: only a long one can be nearly equal and not equal.
        told = replace(row, id=f"{name} told", task_id=f"{name} told", messages=(*row.messages, *long))
        held_out.append((task, told))
        plants["near_text"].add(f"{name} near")
        retold = (*told.messages[:-1], Message("user", f"Paragraph {number} is another."))
        train.append((train_task, replace(told, id=f"{name} near", task_id="other", messages=retold)))
        twin = replace(task, ledger=replace(task.ledger, opening=f"Other words, {number}.")).with_id()
        plants["plan"].add(twin.id)
        train.append((twin, replace(train_row, id=f"{name} plan")))
    found = overlaps([row for _, row in train], [row for _, row in held_out])
    found += split_overlaps((to_row(task) for task, _ in train), (to_row(task) for task, _ in held_out))
    hits = {kind: {o.train for o in found if o.kind == kind} & plants[kind] for kind in KINDS}
    assert hits == plants
    by_id = {row.id: row for _, row in (*train, *held_out)} | {task.id: task for task, _ in (*train, *held_out)}
    chance = [o for o in found if o.train not in plants[o.kind]]
    true = sum(_is_overlap(o, by_id[o.train], by_id[o.held_out]) for o in chance)
    lines = [f"{kind:10} {interval(len(hits[kind]), len(plants[kind]))}" for kind in KINDS]
    total = sum(map(len, hits.values()))
    lines.append(f"precision  {interval(total + true, total + len(chance))}, {len(chance)} of them by chance in both splits")
    assert true == len(chance), lines
    return "\n".join(lines)


def _is_overlap(found: Overlap, one: Any, other: Any) -> bool:
    """Compared as written, without hashes."""
    if found.kind == "plan":
        return (one.world, one.seed, one.gold.calls) == (other.world, other.seed, other.gold.calls)
    if found.kind == "task":
        return (one.task_id if isinstance(one, Trajectory) else one.id) == (
            other.task_id if isinstance(other, Trajectory) else other.id
        )
    said = [[_plain(message) for message in row.messages if message.role != "system"] for row in (one, other)]
    if found.kind == "dialogue":
        return said[0] == said[1]
    parts = [
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (_WORD.findall(str(side).lower()) for side in said)
    ]
    return len(parts[0] & parts[1]) / len(parts[0] | parts[1]) >= 0.8


def _plain(message: Message) -> list[Any]:
    return [message.role, message.content, [(call.name, call.arguments) for call in message.tool_calls]]


def test_planted_overlaps_are_found_and_nothing_else() -> None:
    assert "task       8/8" in plant(list(rows(100, seed=5)), 8)


@pytest.mark.planted
@pytest.mark.timeout(1800)
def test_ten_thousand_rows_in_two_splits(capsys: pytest.CaptureFixture[str]) -> None:
    report = plant(ten_thousand(), 200)
    with capsys.disabled():
        print(f"\n{report}")


def dialogue(identity: str, words: list[str]) -> Trajectory:
    call = ToolCall("1", "say", '{"a": 1}')
    return Trajectory(identity, identity, messages=(Message("user", " ".join(words)), Message("assistant", tool_calls=(call,))))


@given(st.lists(st.integers(0, 300).map(str), min_size=8, max_size=60), st.data())
def test_near_text_is_jaccard_where_the_sketch_holds_all(words: list[str], data: st.DataObject) -> None:
    other = list(words)
    for place in data.draw(st.lists(st.integers(0, len(words) - 1), max_size=4)):
        other[place] = data.draw(st.sampled_from(["x", "y"]))

    def grams(said: list[str]) -> set[tuple[str, ...]]:
        stream = [*said, "|", "say", "a", "1", "|"]
        return {tuple(stream[i : i + 5]) for i in range(len(stream) - 4)}

    one, two = grams(words), grams(other)
    expected = len(one & two) / len(one | two)
    found = overlaps([dialogue("t", other)], [dialogue("h", words)], share=0.5)
    if words == other:
        assert [o.kind for o in found] == ["dialogue"]
    elif expected >= 0.5:
        assert [(o.kind, o.overlap) for o in found] == [("near_text", expected)]
    else:
        assert found == []


@pytest.mark.parametrize(
    ("row", "message"), [({"messages": []}, "train row 0: has no column id"), ({"id": "a", "messages": []}, "no column task_id")]
)
def test_rows_without_their_columns_are_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_overlaps([row], [])


@pytest.mark.parametrize(("settings", "key"), [({"sketch": 0}, "sketch"), ({"share": 1.2}, "share")])
def test_settings_are_refused_by_name(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        SplitConfig(**settings)
