"""Episodes on played tools in an `Environment`: live, recorded, replayed; and what a broken service means for a reward."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rewards.verifiers import verifier_for
from services.chat import ChatRequest, ScriptedChatModel
from simulators.environment import Environment
from simulators.mcp import MCPFault, MCPWorld, RecordingSession, ReplaySession, SchemaDriftError
from simulators.played import PlayedTools, parse_tools
from tests.simulators.played.notes import OPENING, TOOLS, answer, honest
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Outcome
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task, ToolPattern

TASK = Task(
    "t", "notes", 0, "train", 1, Persona(), Ledger("Note b: tea."), Rubric(tool_patterns=(ToolPattern("put_note"),)), Gold()
)
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_note", {"id": "b"}),  # there is none yet
    ("put_note", {"id": "b"}),  # no text: answered without the model
    ("put_note", {"id": "b", "text": "tea"}),
    ("get_note", {"id": "b"}),
    ("drop_note", {"id": "a"}),
    ("steal_note", {"id": "a"}),
]


def played(script: Callable[[ChatRequest], Any] = honest) -> PlayedTools:
    return PlayedTools("notes", parse_tools(TOOLS), ScriptedChatModel(script), OPENING, seed=5)


def play(world: MCPWorld, calls: list[tuple[str, dict[str, Any]]]) -> Outcome:
    environment = Environment(world)
    environment.reset(TASK, 0)
    for number, (tool, arguments) in enumerate(calls):
        call = ToolCall(f"functions.{tool}:{number}", tool, json.dumps(arguments))
        if environment.step(Message("assistant", tool_calls=(call,))).terminated:
            break
    else:
        environment.step(Message("assistant", "Noted."))
    world.close()
    return environment.outcome()


def test_an_episode_is_recorded_and_replays_to_the_same_bytes_without_a_model(tmp_path: Path) -> None:
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    live = play(MCPWorld("notes", lambda: RecordingSession(played(), first)), CALLS)
    assert live.ending == "completed" and not live.faults and live.changes == ()
    assert [call.is_error for call in live.calls] == [True, True, False, False, False, True]
    assert [call.content for call in live.calls][3:5] == ['{"text":"tea"}', "dropped a"]
    replayed = play(MCPWorld("notes", lambda: RecordingSession(ReplaySession(first, played().tools()), again)), CALLS)
    assert replayed == live and again.read_bytes() == first.read_bytes()
    assert verifier_for("tool_use").verify(TASK, replayed).value == 1.0


def test_played_twice_by_a_model_that_answers_the_same_is_the_same_recording(tmp_path: Path) -> None:
    for name in "ab":
        play(MCPWorld("notes", lambda name=name: RecordingSession(played(), tmp_path / name)), CALLS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_episode_starts_from_the_opening_document() -> None:
    world = MCPWorld("notes", played)
    assert play(world, CALLS) == play(world, CALLS)


def test_a_recording_of_other_schemas_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    with RecordingSession(played(), path) as session:
        session.call("get_note", {"id": "a"})
    changed = parse_tools([TOOLS[0] | {"outputSchema": {"type": "object"}}, *TOOLS[1:]])
    with pytest.raises(SchemaDriftError, match="changed: get_note"):
        ReplaySession(path, expected=changed)


def test_a_model_that_always_errs_is_a_fault_of_the_tool_and_no_reward(tmp_path: Path) -> None:
    def broken(request: ChatRequest) -> str:
        return answer({"notes": {"a": None}}, {"text": "gone"})  # a read-only tool that writes

    path = tmp_path / "broken.jsonl"
    live = play(MCPWorld("notes", lambda: RecordingSession(played(broken), path)), CALLS)
    assert live.ending == "fault" and [fault.source for fault in live.faults] == ["tool"]
    reward = verifier_for("tool_use").verify(TASK, live)
    assert not reward.valid and reward.value is None and "get_note is read-only" in (reward.cause or "")
    assert play(MCPWorld("notes", lambda: ReplaySession(path)), CALLS) == live
    with pytest.raises(MCPFault, match="was never recorded"):
        ReplaySession(path).call("drop_note", {"id": "a"})
