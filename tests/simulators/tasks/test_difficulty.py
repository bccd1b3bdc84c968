"""Counts are those of the task's parts, and travel with its row."""

import random
from dataclasses import asdict, replace

import pytest

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.stochastic import ToolTroubles
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks import compose, make_agent, play
from simulators.tasks.difficulty import Difficulty, count_difficulty
from simulators.tasks.equipping import AgentMix, equip, needed_tools
from simulators.tasks.stream import TaskStream
from trajectories.codec import from_row, to_row
from trajectories.trajectory import Trajectory

VERIFY = verifier_for("tool_use").verify
WORLD = worlds.load("order_desk")


def composed(family: str, index: int = 0, difficulty: int = 1):
    return compose(WORLD, index, run_seed=1, split="train", difficulty=difficulty, families=(family,))


@pytest.mark.parametrize(
    ("family", "calls", "changes", "user_turns", "withheld"),
    [("refuse", 2, 0, 1, 0), ("search", 3, None, 1, 0), ("ask", 2, None, 2, 1), ("lookup", 1, 0, 1, 0)],
)
def test_what_a_sub_goal_takes_is_counted(family, calls, changes, user_turns, withheld):
    task = composed(family)
    counted = count_difficulty(task, WORLD)
    assert (counted.sub_goals, counted.calls, counted.user_turns, counted.withheld) == (1, calls, user_turns, withheld)
    assert counted.changes == (len(task.gold.changes) if changes is None else changes)
    assert counted.tools == len(WORLD.operations) and counted.distractors == counted.tools - len(needed_tools(task, WORLD))


@pytest.mark.parametrize("name", worlds.names())
def test_counts_are_those_of_the_oracles_dialogue(name):
    world = worlds.load(name)
    for index in range(12):
        families = ("act", "refuse", "search", "ask", "lookup")
        task = compose(world, index, run_seed=2, split="train", difficulty=1 + index % 3, families=families)
        messages, tools, outcome = play(task, world, make_agent("oracle", task, world), 0, max_turns=24)
        counted = count_difficulty(task, world)
        assert counted.calls == len(outcome.calls) and counted.tools == len(tools)
        assert counted.user_turns == sum(message.role == "user" for message in messages)
        assert counted.changes == len(outcome.changes) and counted.sub_goals == task.difficulty


def test_an_agents_distractors_are_counted_and_nothing_else_changes():
    task = composed("search")
    bare = count_difficulty(equip(task, WORLD, AgentMix(1.0, 2, 2), random.Random(0)), WORLD)
    assert bare.distractors == bare.near_distractors == 0 and bare.tools == len(needed_tools(task, WORLD))
    full = count_difficulty(equip(task, WORLD, AgentMix(1.0, 0, 0), random.Random(0)), WORLD)
    assert full == count_difficulty(task, WORLD) and 0 < full.near_distractors <= full.distractors
    assert replace(full, tools=0, distractors=0, near_distractors=0) == replace(bare, tools=0, distractors=0, near_distractors=0)


def test_a_synthesised_row_carries_its_counts_and_the_faults_it_met():
    stream = TaskStream(agents=AgentMix(share=1.0))
    seen = 0
    for number in range(9):
        for troubles in (None, ToolTroubles.uniform(transient=0.5)):
            task, row = synthesize(number, stream, ScriptedPolicy(), run_seed=0, split="train", verify=VERIFY, troubles=troubles)
            counted = dict(row.metadata["counted"])
            faults = counted.pop("faults")
            assert counted == asdict(count_difficulty(task, worlds.load(task.world))) == asdict(Difficulty(**counted))
            assert faults == sum(call.trouble is not None for call in row.outcome.calls) and (troubles or not faults)
            assert [tool.name for tool in row.tools] == list(task.agent.tools) and row.reward.value == 1.0
            assert from_row(Trajectory, to_row(row)) == row
            seen += faults
    assert seen
