"""An environment plays on an MCP server, one that ships elsewhere too: live, recorded and replayed to the same outcome."""

import json
import shutil
from pathlib import Path

import pytest

from simulators.environment import Environment
from simulators.mcp import MCPSession, MCPWorld, RecordingSession, ReplaySession
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Outcome
from trajectories.tasks import Gold, Ledger, Persona, RecordPatch, Rubric, Task

TIME_SERVER = shutil.which("mcp-server-time")


def task(world: str, gold: Gold | None = None) -> Task:
    return Task("t", world, 0, "train", 1, Persona(), Ledger("Please do it."), Rubric(), gold or Gold())


def play(world: MCPWorld, *calls: tuple[str, dict]) -> Outcome:
    environment = Environment(world)
    environment.reset(task(world.name), 0)
    for number, (tool, arguments) in enumerate(calls):
        step = environment.step(Message("assistant", tool_calls=(ToolCall(f"c{number}", tool, json.dumps(arguments)),)))
        if step.terminated:
            break
    else:
        environment.step(Message("assistant", "Done."))
    world.close()
    return environment.outcome()


def test_an_episode_replays_to_the_same_outcome(odd: list[str], tmp_path: Path) -> None:
    calls = [("count", {}), ("mixed", {}), ("fail", {}), ("nope", {}), ("count", {})]
    path = tmp_path / "episode.jsonl"
    live = play(MCPWorld("odd", lambda: RecordingSession(MCPSession(odd), path), "Count."), *calls)
    assert live.ending == "completed" and [call.is_error for call in live.calls] == [False, False, True, True, False]
    assert play(MCPWorld("odd", lambda: ReplaySession(path), "Count."), *calls) == live


def test_a_server_that_dies_is_a_fault_of_the_outcome_and_the_next_episode_is_sound(odd: list[str]) -> None:
    world = MCPWorld("odd", lambda: MCPSession(odd))
    environment = Environment(world)
    for tool, ending in (("die", "fault"), ("count", "turn_limit")):
        environment.reset(task("odd"), 0)
        environment.step(Message("assistant", tool_calls=(ToolCall("c", tool, "{}"),)))
        outcome = environment.outcome()
        assert outcome.ending == ending and [fault.source for fault in outcome.faults] == ["tool"] * (ending == "fault")
    assert outcome.calls[0].content == "n is 1"  # a session of its own
    world.close()


def test_a_task_that_prepares_the_world_is_refused(odd: list[str]) -> None:
    with MCPSession(odd) as session, pytest.raises(ValueError, match="an MCP server cannot be prepared"):
        patched = Gold(initialise=(RecordPatch("order", "1", {}),))
        Environment(MCPWorld("odd", lambda: session)).reset(task("odd", patched), 0)


@pytest.mark.skipif(TIME_SERVER is None, reason="mcp-server-time is not on the PATH: pip install mcp-server-time")
def test_a_third_partys_server_is_played_recorded_and_replayed(tmp_path: Path) -> None:
    command = [str(TIME_SERVER), "--local-timezone", "UTC"]
    path = tmp_path / "time.jsonl"
    calls = [
        ("convert_time", {"source_timezone": "Asia/Shanghai", "time": "09:30", "target_timezone": "Europe/London"}),
        ("get_current_time", {"timezone": "UTC"}),
        ("get_current_time", {"timezone": "Nowhere/Atall"}),
        ("get_current_time", {}),
    ]
    live = play(MCPWorld("time", lambda: RecordingSession(MCPSession(command), path)), *calls)
    assert live.ending == "completed" and [call.is_error for call in live.calls] == [False, False, True, True]
    assert "Europe/London" in live.calls[0].content and not live.faults
    with MCPSession(command) as now:
        replayed = play(MCPWorld("time", lambda: ReplaySession(path, expected=now.tools())), *calls)
    assert replayed == live
