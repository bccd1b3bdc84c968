"""Tasks of the gym are demonstrated, stored, validated and judged like those of tool worlds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.evaluate import by_world
from rewards.attribution import attribute
from rewards.composition import CompositeReward
from rewards.filters import rule_verdicts
from rewards.verifiers import verify
from simulators.playable import open_world
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks import make_agent, play
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.stream import TaskStream
from trajectories.deduplication.structure import structure_of
from trajectories.messages import Message
from trajectories.shards import read

STREAM = TaskStream(domains=("safety", "tool_use"), gym=DomainMix(levels=(1, 2), languages=("en", "zh")))


def test_the_oracle_demonstrates_and_a_teacher_does_not() -> None:
    reward, rows = CompositeReward(), []
    for number in range(8):
        task, row = synthesize(number, STREAM, ScriptedPolicy(), run_seed=0, split="train", verify=verify)
        assert row.outcome is not None
        rows.append(replace(row, reward=reward.score(task, row.outcome, row)))
    assert [row.metadata["domain"] for row in rows] == ["safety", "tool_use"] * 4
    assert all(row.reward is not None and row.reward.value == 1.0 for row in rows)
    assert set(by_world(rows)) == {"safety", "order_desk", "it_tickets", "travel"}
    with pytest.raises(ValueError, match="a teacher plays the tasks of tool_use alone, not those of safety"):
        synthesize(0, STREAM, ScriptedPolicy("teacher"), run_seed=0, split="train", verify=verify)


@pytest.mark.parametrize(
    ("kind", "value"), [("oracle", 1.0), ("null", 0.0), ("echo", 0.0), ("always_refuse", 0.0), ("always_act", 0.0)]
)
def test_rulers_play_every_domain(kind: str, value: float) -> None:
    task = STREAM.task(0, run_seed=0, split="train", verify=verify)
    world: Any = open_world(task.world)
    outcome = play(task, world, make_agent(kind, task, world), 0)[2]
    assert verify(task, outcome).value == value
    with pytest.raises(ValueError, match="agent 'patient' plays no tasks of safety"):
        make_agent("patient", task, world)


@pytest.mark.slow
def test_a_data_set_of_several_domains_is_valid(orrery: Any, tmp_path: Path) -> None:
    made = orrery("synthesize", "tasks.domains=[safety,tool_use]", "tasks.gym.levels=[1,2,3]", "count=30", "out=made")
    assert made.status == 0 and "30 rows of 30 dialogues" in made.out
    checked = orrery("validate", "dataset=made", "recertify=true", "out=checked")
    assert checked.status == 0, checked.out
    assert orrery("export", "dataset=made", "format=trl_sft", "out=exported").status == 0
    assert orrery("export", "dataset=made", "format=verl", "out=verl").status == 0
    rows = list(read(tmp_path / "verl"))
    assert {row["ability"] for row in rows} == {"safety", "tool_use"}
    sources = {row["data_source"] for row in rows}
    assert "orrery/safety" in sources and "orrery/order_desk" in sources
    for row in rows:  # who is graded sees the prompt, and the answer stands nowhere in it
        key = json.loads(row["reward_model"]["ground_truth"])["key"]
        told = [] if key is None else [key["answer"], *key["secrets"]]
        assert all(text is None or text not in str(row["prompt"]) for text in told)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["synthesize", "tasks.domains=[safety]", "policy.kind=teacher"], "policy.kind: a teacher plays the tasks of tool_use"),
        (["synthesize", "tasks.domains=[safety]", "tasks.gym.families=[nope]"], "tasks.gym.families: nope: no chosen domain has"),
        (["synthesize", "tasks.domains=[alchemy]"], "domains: alchemy is not among tool_use, maths"),
        (["quickstart", "tasks.domains=[maths]"], "tasks.domains: the quickstart's teacher plays tasks of tool_use alone"),
        (["validate", "tasks.domains=[maths]"], "tasks.domains: only tool_use is probed here"),
    ],
)
def test_what_cannot_be_had_is_told_before_anything_starts(orrery: Any, arguments: list[str], words: str) -> None:
    result = orrery(*arguments)
    assert result.status == 2 and words in result.error and "Traceback" not in result.error


def test_the_user_of_a_question_is_never_to_blame() -> None:
    mix = DomainMix(families=("added_later",))
    task = TaskStream(domains=("instructions",), gym=mix).task(0, run_seed=0, split="train", verify=verify)
    assert task.ledger.follow_ups
    outcome = play(task, open_world(task.world), PlannedAgent(Plan((), "Shall I begin?")), 0)[2]
    assert [message.role for message in outcome.messages].count("user") == 1 + len(task.ledger.follow_ups)
    assert attribute(task, outcome, verify(task, outcome)) == "agent"


def test_questions_that_need_no_tool_are_no_structural_duplicates() -> None:
    stream = TaskStream(domains=("maths",))
    played = [synthesize(number, stream, ScriptedPolicy(), run_seed=0, split="train", verify=verify) for number in (0, 64)]
    structures = {structure_of(trajectory, task) for task, trajectory in played}
    assert len(structures) == 2 and structure_of(played[0][1], played[0][0]) in structures


def test_the_language_of_a_row_is_the_one_that_was_asked_for() -> None:
    stream = TaskStream(domains=("instructions",), gym=DomainMix(families=("crossing",), languages=("en", "zh")))
    for number in range(6):
        task, trajectory = synthesize(number, stream, ScriptedPolicy(), run_seed=0, split="train", verify=verify)
        assert rule_verdicts(trajectory, task) == ()
        other = "zh" if task.key and task.key["language"] == "en" else "en"
        english = "This museum has a garden behind it and a clock above its door."
        said = english if other == "en" else "这座博物馆后面有一个花园，门上有一座钟。"
        spoken = replace(trajectory, messages=(*trajectory.messages[:-1], Message("assistant", said)))
        assert [verdict.criterion for verdict in rule_verdicts(spoken, task)] == ["wrong_language"]
