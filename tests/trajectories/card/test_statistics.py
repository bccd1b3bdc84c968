"""Statistics are exact on sets that are known, equal to counting by hand on any, and take little memory on large ones."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trajectories import strategies
from tests.trajectories.card import samples
from trajectories import shards
from trajectories.card import Statistics, statistics
from trajectories.card.counts import SHIPPED, category_of, world_label
from trajectories.codec import TRAJECTORY_SCHEMA, to_row
from trajectories.columns import to_batch
from trajectories.formats import native
from trajectories.shards import ShardError
from trajectories.trajectory import Trajectory


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Statistics:
    return statistics(samples.write(tmp_path_factory.mktemp("five"), samples.five()))


def test_a_known_set_is_counted_exactly(found: Statistics) -> None:
    counts = found.total
    axes = {axis: dict(values) for axis, values in counts.axes.items() if values}
    assert (counts.rows, counts.tasks) == (5, 5)
    assert axes["verdict"] == {"passed": 2, "failed": 1, "fault": 1, "unjudged": 1}
    assert axes["attribution"] == {"agent": 1}
    assert axes["ending"] == {"completed": 3, "fault": 1}
    assert axes["world"] == {"order_desk": 4, "healthcare/hospital_wards": 1}
    assert axes["category"] == {SHIPPED: 4, "healthcare": 1}
    assert axes["family"] == {"act": 4, "refuse": 1} and axes["operation"] == {"act": 5}
    assert axes["language"] == {"en": 4, "zh": 1} and axes["persona"] == {"plain": 5}
    assert axes["teacher_error"] == {"wrong": 1} and axes["fault"] == {"judge": 1} and axes["trouble"] == {"timeout": 1}
    assert axes["structure"] == {"look → act": 2, "look": 1, "look → unknown": 1, "no call": 1}
    assert axes["licence"] == {"Apache-2.0": 5} and axes["policy"] == {"oracle": 5} and axes["difficulty"] == {"1": 5}
    assert counts.cells == {("order_desk", "act"): 3, ("order_desk", "refuse"): 1, ("healthcare/hospital_wards", "act"): 1}
    assert counts.called["order_desk: look"] == 3 and counts.called["healthcare/hospital_wards: act"] == 1
    assert len(counts.declared) == 6 and counts.coverage == 4 / 6
    assert counts.sums["calls"] == 7 and counts.sums["failed_calls"] == 2 and counts.sums["undeclared_calls"] == 1
    assert counts.sums["certified"] == counts.sums["certificates"] == 5 and counts.cheats == {"null": 5, "echo": 5}
    assert counts.run_seeds == {7: 5}
    assert counts.lengths["calls"] == {2: 3, 1: 1, 0: 1} and counts.lengths["tools"] == {3: 5}
    assert counts.lengths["tokens"] == {5: 1} and counts.lengths["loss_tokens"] == {2: 1}
    spoken = len("Be quick.") + len("Please do it.") + len("Done.")
    assert counts.lengths["characters"] == {spoken: 1, spoken + 10: 1, spoken + 20: 3}  # a call's arguments and its answer


def test_the_figures_are_json(found: Statistics) -> None:
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["total"] == told["splits"]["train"]
    assert told["total"]["axes"]["verdict"]["balance"]["values"] == 4
    assert told["total"]["tools"] == {"declared": 6, "called": 5, "coverage": 4 / 6}


def test_splits_add_up_to_the_total(tmp_path: Path) -> None:
    made = samples.five()
    samples.write(tmp_path, made[:3])
    samples.write(tmp_path, made[2:], split="held_out")
    found = statistics(tmp_path)
    assert {split: counts.rows for split, counts in found.splits.items()} == {"train": 3, "held_out": 3}
    assert found.total.rows == 6 and found.total.tasks == 5  # one task is in both
    assert statistics(tmp_path, ["held_out"]).total == found.splits["held_out"]
    with pytest.raises(ValueError, match="no split validation; there are train, held_out"):
        statistics(tmp_path, ["validation"])


@given(st.lists(strategies.trajectories, max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_rows_are_counted_as_by_hand(made: list[Trajectory]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shards.write(map(to_row, made), directory, rows_per_shard=4)
        counts = statistics(directory).total
    outcomes = [item.outcome for item in made if item.outcome is not None]
    names = [[call.name for message in item.messages for call in message.tool_calls] for item in made]
    assert counts.rows == len(made) and counts.tasks == len({item.task_id for item in made if item.task_id})
    assert counts.lengths["messages"] == Counter(len(item.messages) for item in made)
    assert counts.lengths["calls"] == Counter(map(len, names))
    assert counts.lengths["tools"] == Counter(len(item.tools) for item in made)
    assert counts.lengths["user_turns"] == Counter(sum(m.role == "user" for m in item.messages) for item in made)
    assert counts.lengths["tokens"] == Counter(len(item.token_ids) for item in made if item.segments)
    assert counts.lengths["loss_tokens"] == Counter(sum(item.loss_mask) for item in made if item.segments)
    assert counts.lengths["characters"] == Counter(sum(map(_characters, item.messages)) for item in made)
    assert counts.axes["ending"] == Counter(outcome.ending for outcome in outcomes)
    assert counts.sums["failed_calls"] == sum(call.is_error for outcome in outcomes for call in outcome.calls)
    assert counts.axes["world"].total() == sum(bool(item.provenance.world) for item in made)
    valid = [item.reward for item in made if item.reward is not None and item.reward.valid]
    passed = sum(reward.components.get("pass", reward.value) >= 1 for reward in valid)
    assert counts.axes["verdict"]["passed"] == passed and counts.axes["verdict"]["failed"] == len(valid) - passed
    assert counts.axes["verdict"]["unjudged"] == sum(item.reward is None for item in made)
    assert counts.coverage is None or 0 <= counts.coverage <= 1


def _characters(message) -> int:
    return len(message.content) + len(message.reasoning_content or "") + sum(len(call.arguments) for call in message.tool_calls)


def test_json_lines_and_other_columns_are_counted_too(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [_call("look")]}],
            "tools": [_tool()],
        },
        {"prompt": '[{"role":"user","content":"Hi"}]', "completion": "Yes.", "tools": json.dumps([_tool()])},
        {"prompt": [{"role": "user", "content": '{"a":1}'}], "extra_info": {"task_id": "t", "world": "w", "tools": "[]"}},
        {"responses_create_params": {"input": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}},
    ]
    (tmp_path / "data").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data" / "train-00000-of-00001.jsonl").write_text(lines)
    counts = statistics(tmp_path).total
    assert counts.lengths["messages"] == {2: 2, 1: 2} and counts.lengths["characters"] == {4: 1, 6: 1, 7: 1, 2: 1}
    assert counts.called == {"look": 1} and counts.declared == {"look"} and counts.lengths["tools"] == {1: 2, 0: 2}
    assert counts.axes["world"] == {"w": 1} and counts.tasks == 1 and not counts.axes["verdict"]


def test_json_kept_as_plain_text_counts_the_same(found: Statistics, tmp_path: Path) -> None:
    samples.write(tmp_path / "typed", samples.five())
    (tmp_path / "text" / "data").mkdir(parents=True)
    for path in (tmp_path / "typed" / "data").iterdir():
        pq.write_table(native.as_text(pq.read_table(path)), tmp_path / "text" / "data" / path.name)
    assert statistics(tmp_path / "text").to_json() == found.to_json()


def _call(name: str) -> dict[str, object]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": {}}}


def _tool() -> dict[str, object]:
    return {"type": "function", "function": {"name": "look", "parameters": {}}}


def test_damage_and_absence_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a directory"):
        statistics(tmp_path / "absent")
    with pytest.raises(ValueError, match="holds no data set"):
        statistics(tmp_path)
    samples.write(tmp_path, samples.five())
    shard = tmp_path / "data" / "train-00001-of-00003.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    with pytest.raises(ShardError, match="train-00001-of-00003.parquet is truncated or damaged"):
        statistics(tmp_path)
    shard.unlink()
    with pytest.raises(ValueError, match="has 2 files of its split beside it, not 3"):
        statistics(tmp_path)
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "train.jsonl").write_text('{"messages": []}\nnot json\n')
    with pytest.raises(ShardError, match="line 2, is not JSON"):
        statistics(tmp_path / "lines")


@pytest.mark.parametrize(
    ("world", "label", "category"),
    [
        ("order_desk", "order_desk", SHIPPED),
        ("/home/x/outputs/evolve/1/worlds/education/exam_office.json", "education/exam_office", "education"),
        ("my/own_world.json", "own_world", "other files"),
        ("C:\\runs\\worlds\\retail\\shop.json", "retail/shop", "retail"),
        ("", "", SHIPPED),
    ],
)
def test_worlds_are_told_without_a_machines_paths(world: str, label: str, category: str) -> None:
    assert world_label(world) == label and (not world or category_of(world) == category)


_MEASURE = """
import resource, sys
from trajectories.card import statistics
statistics(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert statistics(sys.argv[2]).total.rows == 20_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_stays_flat(tmp_path: Path) -> None:
    """20,000 rows with messages of 4,000 characters (80 MB of text) take less than 48 MiB beyond what 20 rows take."""
    long = samples.trajectory(0, messages=(*samples.trajectory(0).messages, samples.Message("user", "word " * 800)))
    batch = to_batch([to_row(long) for _ in range(20)], TRAJECTORY_SCHEMA)
    for name, times in (("small", 1), ("large", 1000)):
        (tmp_path / name / "data").mkdir(parents=True)
        with pq.ParquetWriter(tmp_path / name / "data" / "train-00000-of-00001.parquet", TRAJECTORY_SCHEMA) as writer:
            for _ in range(0, times, 10):
                writer.write_table(pa.Table.from_batches([batch] * min(times, 10)))
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path / "small"), str(tmp_path / "large")],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert int(measured.stdout) < 48
