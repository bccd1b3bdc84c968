"""A recording replays to the same answers, notices damage and drift, and never makes anything up."""

from pathlib import Path

import pytest

from simulators.mcp import (
    MCPFault,
    MCPSession,
    Recording,
    RecordingError,
    RecordingSession,
    ReplaySession,
    SchemaDriftError,
)  # fmt: skip

CALLS = [("count", {}), ("bare", {}), ("count", {}), ("fail", {"why": 1.0}), ("count", {"x": "ж\u2028"}), ("nope", {})]


def heard(session) -> list:
    return [session.call(*call) for call in CALLS]


@pytest.fixture(scope="module")
def once(odd: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list]:
    path = tmp_path_factory.mktemp("once") / "odd.jsonl"
    with RecordingSession(MCPSession(odd, call_seconds=10), path) as session:
        answers = heard(session)
    return path.read_bytes(), answers


@pytest.fixture
def recorded(once: tuple[bytes, list], tmp_path: Path) -> tuple[Path, list]:
    """A recording to read or to damage, and what was heard when it was made."""
    path = tmp_path / "odd.jsonl"
    path.write_bytes(once[0])
    return path, once[1]


def test_replay_gives_the_recorded_answers_in_recorded_order(recorded) -> None:
    path, answers = recorded
    recording = Recording.read(path)
    assert not recording.truncated and len(recording.calls) == 5  # the tool that does not exist was never asked for
    for _ in range(2):
        session = ReplaySession(recording)
        assert heard(session) == answers
        assert session.tools()[0].name == "count"
    swapped = ReplaySession(path)
    assert swapped.call("fail", '{"why": 1}') == answers[3]  # 1 is 1.0, and text of an object is the object
    assert [swapped.call("count", {}).content for _ in range(2)] == ["n is 1", "n is 2"]


def test_what_was_never_recorded_is_a_fault_that_names_the_call(recorded) -> None:
    session = ReplaySession(recorded[0])
    with pytest.raises(MCPFault, match=r'the call bare {"x":1} was never recorded') as caught:
        session.call("bare", {"x": 1})
    assert caught.value.kind == "unrecorded"
    session.call("bare", {})
    with pytest.raises(MCPFault, match=r"the call bare {} is made more often than it was recorded"):
        session.call("bare", {})


def test_a_recorded_fault_replays_as_the_same_fault(odd: list[str], tmp_path: Path) -> None:
    with RecordingSession(MCPSession(odd), tmp_path / "r") as session, pytest.raises(MCPFault) as live:
        session.call("die", {})
    with pytest.raises(MCPFault) as again:
        ReplaySession(tmp_path / "r").call("die", {})
    assert again.value.as_fault() == live.value.as_fault() and again.value.kind == "died"


def test_changed_schemas_are_refused_and_changed_words_are_not(recorded, odd: list[str]) -> None:
    path, _ = recorded
    with MCPSession(odd, env={"COUNT_TITLE": "Count on"}) as live:
        ReplaySession(path, expected=live.tools())
        with pytest.raises(SchemaDriftError, match=r"gone: count$|gone: count; record again"):
            ReplaySession(path, expected=live.tools()[1:])
    with MCPSession(odd, env={"DRIFT": "1"}) as live, pytest.raises(SchemaDriftError, match=r"changed: count \(\w{8} -> \w{8}\)"):
        ReplaySession(path, expected=live.tools())


def test_a_line_cut_short_by_a_kill_is_dropped_wherever_it_was_cut(recorded) -> None:
    path, answers = recorded
    content = path.read_bytes()
    start = content.rstrip(b"\n").rindex(b"\n") + 1
    for cut in (start + 1, (start + len(content)) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        recording = Recording.read(path)
        assert recording.truncated and [call.answer for call in recording.calls] == answers[:4]
    path.write_bytes(content[:20])
    with pytest.raises(RecordingError, match="no tool list"):
        Recording.read(path)


@pytest.mark.parametrize("damage", ["flip", "garbage", "lose", "swap", "append", "foreign"])
def test_damage_before_the_end_is_an_error_that_names_the_line(recorded, damage: str) -> None:
    path, _ = recorded
    lines = path.read_bytes().splitlines(keepends=True)
    match damage:
        case "flip":
            lines[2] = lines[2].replace(b"1.5", b"2.5")
        case "garbage":
            lines[2] = b"\xff\x00\n"
        case "lose":
            del lines[2]
        case "swap":
            lines[2], lines[3] = lines[3], lines[2]
        case "append":
            lines.append(b'{"tool":"count"}\n')
        case "foreign":
            lines = [b'{"messages": []}\n']
    path.write_bytes(b"".join(lines))
    number = {"append": 7, "foreign": 1}.get(damage, 3)
    with pytest.raises(RecordingError, match=rf"odd\.jsonl:{number}: damaged"):
        Recording.read(path)


def test_a_recording_is_never_written_over(recorded) -> None:
    content = recorded[0].read_bytes()
    with pytest.raises(FileExistsError):
        RecordingSession(ReplaySession(recorded[0]), recorded[0])
    assert recorded[0].read_bytes() == content


def test_a_replay_recorded_again_is_the_same_bytes(recorded, tmp_path: Path) -> None:
    with RecordingSession(ReplaySession(recorded[0]), tmp_path / "again") as session:
        heard(session)
    assert (tmp_path / "again").read_bytes() == recorded[0].read_bytes()
