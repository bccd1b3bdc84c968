"""`orrery inspect`: the rows that were asked for, the same ones again, on a page that nothing in a row can break or leave."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipelines.inspecting.page import page
from pipelines.inspecting.rows import Sample, Where, choose
from pipelines.inspecting.view import view
from tests.trajectories.card import samples
from trajectories.card.folder import configurations
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.trajectory import Trajectory, Verdict

VOID = {"meta", "input"}


class Page(HTMLParser):
    """A page's elements and text; every tag closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def rendered(*made: Trajectory, **row: Any) -> tuple[str, Page]:
    from trajectories.codec import to_row

    views = [view(Sample("train", number, {**to_row(item), **row})) for number, item in enumerate(made)]
    text = page("A title", "a subtitle", [], views)
    text.encode("utf-8")
    return text, Page(text)


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</div></details></article></main>",
    "<!-- ",
    "]]><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &#60;",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("evil", HOSTILE)
def test_nothing_that_a_row_holds_becomes_markup(evil: str) -> None:
    _, calm = rendered(samples.trajectory(0))
    call = ToolCall(evil, evil, evil)
    messages = (
        Message("system", evil),
        Message("user", evil),
        Message("assistant", evil, (call,), reasoning_content=evil),
        Message("tool", evil, tool_call_id=evil, name=evil),
        Message(evil, evil),  # type: ignore[arg-type]
    )
    made = samples.trajectory(0, id=evil, world=evil, messages=messages, tools=(ToolSpec(evil, evil, {"x": evil}),))
    made = replace(
        made,
        verdicts=(Verdict(evil, evil, "fail", evil, evil),),
        metadata={name: evil for name in ("language", "persona", "policy", "attribution")} | {"tags": [evil], "errors": [evil]},
    )
    _, found = rendered(made)
    assert found.count("script") == calm.count("script") == 1 and found.count("style") == 1
    assert not {"img", "svg", "iframe", "link", "object"} & {tag for tag, _ in found.elements}
    assert not any(name.startswith("on") or name in ("src", "style") for _, held in found.elements for name in held)
    assert all((held.get("href") or "#").startswith("#") for _, held in found.elements)
    assert sum(evil in text for text in found.texts) >= 10


def test_the_page_runs_its_own_script_alone_and_loads_nothing() -> None:
    import base64
    import hashlib

    text, found = rendered(samples.trajectory(0))
    policy = next(held["content"] for tag, held in found.elements if held.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("script", "style"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "http://" not in text and "https://" not in text


def test_characters_that_hide_or_turn_text_are_spelled_out() -> None:
    evil = "pay \u202e0001 only\u200b \x1b[2J \ud800 \x00 end"
    text, found = rendered(samples.trajectory(0, messages=(Message("user", evil),), metadata={"tags": [evil]}))
    assert not re.search("[\u202e\u200b\x1b\x00\ud800]", text)
    assert any("pay ⟦U+202E⟧0001 only⟦U+200B⟧ ⟦U+001B⟧[2J ⟦U+D800⟧ ⟦U+0000⟧ end" in part for part in found.texts)


def test_long_texts_are_folded_and_huge_ones_cut() -> None:
    text, found = rendered(samples.trajectory(0, messages=(Message("user", "a" * 5000), Message("assistant", "b" * 10**6))))
    assert len(text) < 120_000
    words = " ".join(found.texts)
    assert "3,500 more characters" in words and "950,000 characters more are in the data set" in words


def test_a_page_of_nothing_says_so() -> None:
    text, found = rendered()
    assert "No row meets the conditions." in text and found.count("article") == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = samples.write(tmp_path_factory.mktemp("five"), samples.five(), tasks=5)
    return samples.write(folder, [samples.trajectory(n) for n in range(10, 40)], split="held_out")


def ids(folder: Path, where: Where, count: int = 100, **settings: Any) -> list[str]:
    configs = configurations(folder)
    chosen = choose(configs[""], where, count, **{"pick": "first", "seed": 0, **settings}, tasks=configs.get("tasks"))
    assert chosen.matching >= len(chosen.samples)
    return [sample.name for sample in chosen.samples]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), ["task0-0", "task1-0", "task2-0", "task3-0", "task4-0"]),
        (Where(worlds=("healthcare/hospital_wards",)), ["task2-0"]),
        (Where(worlds=(samples.GROWN,)), ["task2-0"]),
        (Where(tags=("refuse", "nothing")), ["task1-0"]),
        (Where(languages=("zh",)), ["task1-0"]),
        (Where(verdicts=("fault", "unjudged")), ["task3-0", "task4-0"]),
        (Where(attributions=("agent",)), ["task1-0"]),
        (Where(tools=("act",)), ["task0-0", "task2-0"]),
        (Where(ids=("task3", "task0-0")), ["task0-0", "task3-0"]),
        (Where(contains='DONE'), ["task0-0", "task1-0", "task2-0", "task3-0", "task4-0"]),
        (Where(contains='{"ID":1}', verdicts=("failed",)), ["task1-0"]),
        (Where(contains="\ud800"), []),
    ],
)  # fmt: skip
def test_conditions_choose_rows(folder: Path, where: Where, expected: list[str]) -> None:
    assert ids(folder, replace(where, splits=("train",))) == expected


def test_a_draw_is_a_function_of_the_seed_and_covers_every_row(folder: Path) -> None:
    draws = [ids(folder, Where(), 12, pick="seed", seed=seed) for seed in range(15)]
    assert draws[:5] == [ids(folder, Where(), 12, pick="seed", seed=seed) for seed in range(5)]
    assert all(len(set(draw)) == 12 for draw in draws)
    assert len({name for draw in draws for name in draw}) == 35
    assert ids(folder, Where(), 4) == ["task0-0", "task1-0", "task2-0", "task3-0"]


def test_rows_come_with_their_tasks(folder: Path) -> None:
    configs = configurations(folder)
    chosen = choose(configs[""], Where(ids=("task1",)), 1, pick="first", seed=0, tasks=configs["tasks"])
    shown = view(chosen.samples[0])
    assert shown.goal == "goal of task 1" and "oracle 1; 2 cheats, best 0" in shown.certificate
    assert shown.verdict == "failed" and shown.reward == "0; pass 0"


def test_the_command_shows_writes_and_counts(orrery: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    result = orrery("inspect", f"dataset={folder}", "out=seen", "count=3", "where.splits=[train]", "where.verdicts=[passed]")
    assert result.status == 0, result.error
    assert "2 of 2 dialogues that meet the conditions, of 35 in all: seen/samples.html" in result.out
    assert "User\n    Please do it." in result.out and "Agent calls look" in result.out and "Overview" in result.out
    summary = json.loads((tmp_path / "seen" / "summary.json").read_text())
    assert summary["samples"] == ["task0-0", "task2-0"] and summary["statistics"]["total"]["rows"] == 35
    found = Page((tmp_path / "seen" / "samples.html").read_text(encoding="utf-8"))
    assert found.count("article") == 2 and found.count("table") >= 3
    assert not (folder / "README.md").exists()


def test_a_card_is_written_where_one_is_asked_for(orrery: Callable[..., Any], tmp_path: Path) -> None:
    samples.write(tmp_path / "set", samples.five())
    (tmp_path / "set" / "run.log").write_text(
        "2026 INFO orrery: starting orrery synthesize count=5 out=/home/me/x 'tasks.worlds=[travel]'\n"
    )
    (tmp_path / "set" / "config.yaml").write_text("command: synthesize\ncount: 5\nout: /home/me/x\n")
    (tmp_path / "set" / "summary.json").write_text('{"tasks": 4, "dialogues": 7, "dropped": {"failed": 2}}')
    assert orrery("inspect", "dataset=set", "out=seen", "shown=0", "card='A set of five'").status == 0
    card = (tmp_path / "set" / "README.md").read_text()
    assert "# A set of five" in card and "7 were tried, 5 kept." in card and "| failed | 2 |" in card
    assert "orrery synthesize count=5 'tasks.worlds=[travel]'" in card and "/home/me" not in card


def test_escape_sequences_do_not_reach_the_terminal(orrery: Callable[..., Any], tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m[bold]red[/bold]"
    made = samples.trajectory(0, messages=(Message("user", evil),), id=evil, metadata={"persona": evil})
    samples.write(tmp_path / "set", [made])
    result = orrery("inspect", "dataset=set", "out=seen")
    assert result.status == 0 and "\x1b" not in result.out and "⟦U+001B⟧[31m[bold]red[/bold]" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset=nowhere"], "dataset: nowhere is not a directory"),
        (["dataset=empty"], "dataset: empty holds no data set"),
        (["dataset=set", "where.splits=[test]"], "where.splits: there is no split test; there are train"),
        (["dataset=set", "where.verdicts=[good]"], "where.verdicts"),
        (["dataset=set", "count=0"], "count: must be at least 1"),
        (["dataset=set", "shown=-1"], "shown: must be at least 0"),
    ],
)
def test_mistakes_are_told(orrery: Callable[..., Any], tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    samples.write(tmp_path / "set", samples.five())
    result = orrery("inspect", *arguments)
    assert result.status == 2 and message in result.error


def test_an_empty_data_set_is_shown_as_empty(orrery: Callable[..., Any], tmp_path: Path) -> None:
    samples.write(tmp_path / "set", [])
    result = orrery("inspect", "dataset=set", "out=seen")
    assert result.status == 0 and "0 of 0 dialogues" in result.out
