"""Pairs are passes and failures of one task, the nearest misses first, by a rule that the order of ties decides."""

import itertools
import random
from dataclasses import replace

import pytest

from tests.trajectories.formats.cases import answer, call, dialogue, group, played
from trajectories.codec import TRAJECTORY_SCHEMA, to_row
from trajectories.columns import to_batch
from trajectories.formats import FORMATS, FormatSettings, Selection, standing
from trajectories.formats.settings import PreferenceSettings
from trajectories.messages import Message, ToolSpec
from trajectories.trajectory import Verdict

OPENING = (Message("system", "Help."), Message("user", "Cancel order 204."))
LOOK = (call('{"order_id":"204"}'), answer('{"status":"new"}'))
DONE = Message("assistant", "It is cancelled.")
make = FORMATS["trl_preference"].make


def settings(**values) -> FormatSettings:
    return FormatSettings(preference=PreferenceSettings(**values))


def test_a_failure_goes_with_the_pass_that_it_shares_most_with():
    far = dialogue(*OPENING, DONE, number=0)
    near = dialogue(*OPENING, *LOOK, DONE, number=1)
    miss = dialogue(*OPENING, *LOOK, Message("assistant", "I cannot."), passed=False, number=2)
    (row,) = make(group(far, near, miss), settings()).rows
    assert (row["chosen_id"], row["rejected_id"], row["shared_messages"]) == ("task-1", "task-2", 4)
    assert len(row["prompt"]) == 2 and len(row["chosen"]) == 3


def test_a_shared_prompt_ends_where_the_two_part():
    good = dialogue(*OPENING, *LOOK, DONE, number=0)
    bad = dialogue(*OPENING, *LOOK, Message("assistant", "I cannot."), passed=False, number=1)
    (row,) = make(group(good, bad), settings(prompt="shared")).rows
    assert len(row["prompt"]) == 4
    assert [message for message in row["chosen"]] == [_text(DONE)]
    assert len(row["rejected"]) == 1


def test_where_the_user_parts_them_the_prompt_ends_at_the_turn_before():
    asked = (Message("assistant", "Which one?"),)
    good = dialogue(*OPENING, *asked, Message("user", "204."), DONE, number=0)
    bad = dialogue(*OPENING, *asked, Message("user", "205."), DONE, passed=False, number=1)
    (row,) = make(group(good, bad), settings(prompt="shared")).rows
    assert len(row["prompt"]) == 2 and row["shared_messages"] == 3


def test_near_misses_come_first_and_a_task_has_so_many_pairs():
    good = dialogue(*OPENING, *LOOK, DONE, number=0)
    others = [dialogue(*OPENING, Message("assistant", f"No {index}."), passed=False, number=index) for index in (1, 2)]
    near = dialogue(*OPENING, *LOOK, Message("assistant", "No."), passed=False, number=3)
    rows = make(group(good, *others, near), settings(pairs=2)).rows
    assert [row["rejected_id"] for row in rows] == ["task-3", "task-1"]
    made = make(group(good, *others, near), settings(pairs=2))
    assert made.dropped == {"unpaired": 1}


@pytest.mark.parametrize("passed", [True, False, None])
def test_dialogues_of_one_standing_make_no_pair(passed):
    made = make(group(*(dialogue(*OPENING, DONE, passed=passed, number=index) for index in range(3))), settings())
    assert made.rows == [] and sum(made.dropped.values()) == 3


def test_a_fault_is_never_rejected():
    good, fault = dialogue(*OPENING, DONE), dialogue(*OPENING, Message("assistant", "?"), passed=None, number=1)
    made = make(group(good, fault), settings())
    assert made.rows == [] and made.dropped == {"fault": 1, "unpaired": 1}


RULE = Verdict("rules", "repeated_call", "fail")
LIKED, DISLIKED = Verdict("a model", "polite", "pass"), Verdict("a model", "polite", "fail")


@pytest.mark.parametrize(
    ("verdicts", "about", "stands"),
    [
        ((), {}, "pass"),
        ((LIKED,), {"label": "pass"}, "pass"),
        ((LIKED, DISLIKED), {"label": "pass"}, "pass"),  # the judge passed it all the same
        ((LIKED, DISLIKED), {}, "failure"),
        ((RULE,), {}, "failure"),
        ((RULE,), {"label": "pass"}, "failure"),
        ((Verdict("rubric", "state", "fail"),), {"label": "pass"}, "failure"),
        ((DISLIKED,), {"label": "near_miss"}, "failure"),
        ((), {"label": "failure"}, "failure"),
        ((Verdict("a model", "polite", "not_applicable"),), {}, "pass"),
    ],
)
def test_who_solved_the_task_and_is_spoken_against_is_no_pass(verdicts, about, stands):
    solved = replace(dialogue(*OPENING, DONE, number=0), verdicts=verdicts, metadata=about)
    assert standing(group(solved).rows[0]) == stands
    batch = to_batch([to_row(solved)], TRAJECTORY_SCHEMA)
    for keep, kept in (("passes", "pass"), ("failures", "failure")):
        assert (Selection(keep).reasons(batch) == [None]) is (stands == kept)
    other = dialogue(*OPENING, Message("assistant", "No."), passed=False, number=1)
    assert [row["chosen_id"] for row in make(group(solved, other), settings()).rows] == ["task-0"] * (stands == "pass")


def test_other_tools_or_another_opening_make_no_pair():
    good = dialogue(*OPENING, DONE)
    other_tools = dialogue(*OPENING, Message("assistant", "No."), tools=[ToolSpec("x")], passed=False, number=1)
    other_user = dialogue(OPENING[0], Message("user", "Hello."), DONE, passed=False, number=2)
    assert make(group(good, other_tools, other_user), settings()).rows == []


def test_pairs_do_not_depend_on_anything_but_the_rows():
    _, dialogues = played(24, 4)
    for _, rollouts in itertools.groupby(dialogues, key=lambda item: item.task_id):
        some = list(rollouts)
        first, again = make(group(*some), settings()), make(group(*some), settings())
        assert first == again
        named = dict(zip((item.id for item in some), map(standing, group(*some).rows), strict=True))
        for row in first.rows:
            assert named[row["chosen_id"]] == "pass" and named[row["rejected_id"]] == "failure"
        shared = [row["shared_messages"] for row in first.rows]
        assert shared == sorted(shared, reverse=True)
        random.Random(0).shuffle(some)
        assert {row["rejected_id"] for row in make(group(*some), settings(pairs=9)).rows} == {
            row["rejected_id"] for row in make(group(*sorted(some, key=lambda item: item.id)), settings(pairs=9)).rows
        }


def _text(message: Message) -> str:
    return group(dialogue(message)).rows[0]["messages"][0]
