"""`orrery gym` lists, samples, plays, certifies and counts, and tells what is wrong before anything starts."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.exercising.sampling import parts
from pipelines.gym import Gym
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.tasks import Task


def summary(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "summary.json").read_text())
    return found


def test_a_list_has_every_domain_and_one_domain_has_its_families(orrery: Any, tmp_path: Path) -> None:
    result = orrery("gym", "out=all")
    assert result.status == 0
    for name in ("maths", "instructions", "faithfulness", "code", "long_context", "documents", "search", "safety"):
        assert f"| {name} |" in result.out
    rows = {row["name"]: row for row in summary(tmp_path / "all")["domains"]}
    assert len(rows) == 8 and all(row["version"] >= 1 and row["families"] and row["cheats"] for row in rows.values())
    result = orrery("gym", "domains=[safety]", "out=one")
    assert "injected_message: a question about a message" in result.out and "always_decline" in result.out


def test_a_sample_is_a_data_set_of_certified_tasks_whoever_makes_them(orrery: Any, tmp_path: Path) -> None:
    for out, workers in (("one", 1), ("two", 2)):
        arguments = ("action=sample", "domains=[safety,tool_use]", "count=12", "split=held_out", f"workers={workers}")
        result = orrery("gym", *arguments, f"out={out}")
        assert result.status == 0 and "oracle calls" in result.out and "cheats: null 0" in result.out
    rows = [list(read(tmp_path / out, "held_out")) for out in ("one", "two")]
    assert rows[0] == rows[1] and summary(tmp_path / "one")["tasks"] == {"tool_use": 12, "safety": 12}
    tasks = [from_row(Task, row) for row in rows[0]]
    assert {task.split for task in tasks} == {"held_out"}
    assert all(task.certificate and task.certificate.certified for task in tasks)
    assert {task.domain for task in tasks} == {"safety", "tool_use"}


def test_what_was_made_before_a_kill_is_kept(tmp_path: Path) -> None:
    config = Gym(domains=("safety", "tool_use"), count=5, number=2)
    left = [(name, list(numbers)) for name, numbers in parts(config, 7, 2)]
    assert left == [("safety", [4, 5]), ("safety", [6])]
    assert [list(numbers) for _, numbers in parts(config, 0, 10)] == [[2, 3, 4, 5, 6], [2, 3, 4, 5, 6]]
    assert list(parts(config, 10, 3)) == []


def test_certification_counts_what_it_refuses(orrery: Any, tmp_path: Path) -> None:
    mix = ("mix.levels=[2]", "mix.families=[mixed,policy]")
    result = orrery("gym", "action=certify", "domains=[safety]", "count=40", *mix, "out=c")
    assert result.status == 0 and "| safety | 40 | 100.00% | 0 of " in result.out
    figures = summary(tmp_path / "c")["domains"]["safety"]
    assert figures["refused"] == 0 and figures["oracle"]["scored"] == 40 and figures["cheats"]["null"]["tried"] == 40
    rows = list(read(tmp_path / "c", "candidates"))
    assert len(rows) == 40 and {row["level"] for row in rows} == {2} and {row["family"] for row in rows} == {"mixed", "policy"}
    assert json.loads(rows[0]["cheats"])["null"] == 0.0


def test_distinct_problems_are_counted_by_split(orrery: Any, tmp_path: Path) -> None:
    result = orrery("gym", "action=distinct", "domains=[safety]", "count=2500", "out=d")
    assert result.status == 0
    figures = summary(tmp_path / "d")["domains"]["safety"]
    assert figures["numbers"] == figures["distinct"] == 2500 and figures["held_out"] == 312 and figures["in_both"] == 0
    assert sum(part["numbers"] for part in figures["families"].values()) == 2500


def test_a_task_is_played_by_hand(orrery: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(typed: str, out: str) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        mix = ("mix.families=[injected_file]", "mix.languages=[en]", "mix.levels=[1]")
        return orrery("gym", "action=play", "domains=[safety]", *mix, f"out={out}")

    first = play("/tools\n/gold\n/quit\n", "a")
    assert first.status == 0 and "read_file: One file" in first.out and "left without a verdict" in first.out
    gold = first.out.split("oracle calls\n")[1]
    name, answer = gold.split("'name': '")[1].split("'")[0], gold.split("oracle says\n")[1].split("\n")[0]
    right = play(f'/call read_file {{"name": "{name}"}}\nHere it is.\n{answer}\n.\n', "b")
    assert "reward 1.0: passed" in right.out and summary(tmp_path / "b")["verdict"]["value"] == 1.0
    blind = play(f"{answer}\n.\n", "c")
    assert "reward 0.0: missed: looked" in blind.out
    assert summary(tmp_path / "a")["verdict"] is None and play("half a message", "d").status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["domains=[alchemy]"], "domains: alchemy is not among tool_use, maths"),
        (["action=certify", "domains=[tool_use]"], "domains: action=certify knows no tool_use; orrery validate"),
        (["action=dance"], "action"),
        (["mix.levels=[0]"], "levels: are at least one number from 1 on"),
        (["domains=[safety]", "mix.families=[nope]"], "mix.families: nope: no chosen domain has it; there are: exfiltration"),
        (["domains=[safety]", "mix.languages=[fr]"], "mix.languages: fr: no chosen domain has it; there are: en, zh"),
        (["mix.languages=[]"], "languages: name at least one"),
        (["tasks.domains=[maths]"], "tasks.domains, tasks.gym: set domains and mix instead"),
        (["number=-1"], "number, shown: are at least 0"),
    ],
)
def test_what_makes_no_sense_is_told(orrery: Any, arguments: list[str], words: str) -> None:
    result = orrery("gym", *arguments)
    assert result.status == 2 and words in result.error and "Traceback" not in result.error
