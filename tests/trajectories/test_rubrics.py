"""Checkpoints follow from the calls alone, and acting before reading is never reading before acting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.messages import Message, ToolCall
from trajectories.outcomes import CallRecord
from trajectories.rubrics import call_turns, reached_checkpoints
from trajectories.tasks import Checkpoint, Rubric, ToolPattern

READ = ToolPattern("read", {"id": "1"})
ACT = ToolPattern("act", {"id": "1"})
RUBRIC = Rubric(
    checkpoints=(Checkpoint("read_1", READ, (ACT,)), Checkpoint("read_2", ToolPattern("read", {"id": "2"})))
)


def call(name: str, key: str, is_error: bool = False) -> CallRecord:
    return CallRecord(name, {"id": key}, is_error, "{}")


def test_a_checkpoint_is_reached_by_reading_before_acting():
    assert reached_checkpoints(RUBRIC, [call("read", "1"), call("act", "1")]) == ("read_1",)


def test_acting_first_is_never_made_good_by_reading_later():
    assert reached_checkpoints(RUBRIC, [call("act", "1"), call("read", "1"), call("act", "1")]) == ()


def test_a_failed_reading_reaches_nothing_and_a_failed_act_spoils_nothing():
    assert reached_checkpoints(RUBRIC, [call("read", "1", is_error=True)]) == ()
    assert reached_checkpoints(RUBRIC, [call("act", "1", is_error=True), call("read", "1")]) == ("read_1",)


def test_reading_and_acting_in_one_turn_is_acting_without_having_read():
    calls = [call("read", "1"), call("act", "1")]
    assert reached_checkpoints(RUBRIC, calls, [0, 0]) == ()
    assert reached_checkpoints(RUBRIC, calls, [0, 1]) == ("read_1",)


def test_checkpoints_come_in_the_order_in_which_they_are_reached():
    assert reached_checkpoints(RUBRIC, [call("read", "2"), call("read", "1")]) == ("read_2", "read_1")


def test_raw_text_arguments_match_nothing():
    assert reached_checkpoints(RUBRIC, [CallRecord("read", '{"id":"1"', False, "")]) == ()


def test_calls_without_a_turn_each_are_refused():
    with pytest.raises(ValueError, match="1 calls but 2 turns"):
        reached_checkpoints(RUBRIC, [call("read", "1")], [0, 1])


@given(st.lists(st.integers(0, 3), max_size=6))
def test_every_call_belongs_to_the_turn_that_made_it(numbers_of_calls: list[int]):
    messages = []
    for turn, number in enumerate(numbers_of_calls):
        messages.append(
            Message("assistant", tool_calls=tuple(ToolCall(f"{turn}:{n}", "x", "{}") for n in range(number)))
        )
        messages.append(Message("tool", "result", tool_call_id="x"))
    expected = [turn for turn, number in enumerate(numbers_of_calls) for _ in range(number)]
    for executed in range(len(expected) + 1):
        assert list(call_turns(messages, executed)) == expected[:executed]
    with pytest.raises(ValueError, match="hold only"):
        call_turns(messages, len(expected) + 1)


@given(st.lists(st.tuples(st.sampled_from(["read", "act"]), st.sampled_from("12"), st.booleans()), max_size=8))
def test_more_calls_at_the_end_never_undo_a_checkpoint_in_turn_order(calls: list[tuple[str, str, bool]]):
    records = [call(*item) for item in calls]
    reached: set[str] = set()
    for count in range(len(records) + 1):
        now = set(reached_checkpoints(RUBRIC, records[:count]))
        assert reached <= now
        reached = now


def test_words_of_the_user_reach_a_checkpoint_before_the_act_and_not_in_its_turn_or_after():
    rubric = Rubric(checkpoints=(Checkpoint("confirmed", None, (ACT,), said="Yes, do it"),))
    asks = [Message("user", "Yes, do it"), Message("assistant", "Are you sure?"), Message("user", "Oh. Yes, do it now.")]
    acts = Message("assistant", tool_calls=(ToolCall("0", "act", "{}"),))
    assert reached_checkpoints(rubric, [], [], asks) == ("confirmed",)
    assert reached_checkpoints(rubric, [call("act", "1")], [1], [*asks, acts]) == ("confirmed",)
    assert reached_checkpoints(rubric, [call("act", "1")], [0], [acts, *asks[1:]]) == ()
    assert reached_checkpoints(rubric, [], [], asks[:1]) == ()  # an opening answers nothing
