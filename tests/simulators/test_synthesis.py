"""A synthesised row is a pure function of its number, and says who made it and what the verdict was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verifier_for
from simulators.stochastic import ToolTroubles
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.stream import TaskStream
from simulators.tasks.teacher import ErrorMix
from simulators.worlds import load
from trajectories.codec import from_row, to_row
from trajectories.trajectory import Trajectory

VERIFY = verifier_for("tool_use").verify
TEACHER = ScriptedPolicy("teacher", competence=0.5)


def row(number, policy=TEACHER, run_seed=0, split="train", stream=None):
    return synthesize(number, stream or TaskStream(), policy, run_seed=run_seed, split=split, verify=VERIFY)


@given(st.integers(0, 10**6), st.integers(0, 2**32))
@settings(max_examples=10)
def test_a_row_is_a_function_of_its_number(number, run_seed):
    first = row(number, run_seed=run_seed)
    row(number + 1, run_seed=run_seed)
    second = row(number, run_seed=run_seed)
    assert [to_row(record) for record in first] == [to_row(record) for record in second]


def test_the_oracle_always_passes_and_a_teacher_about_as_often_as_it_is_competent():
    passes = {}
    for name, policy in {"oracle": ScriptedPolicy(), "half": TEACHER, "never": ScriptedPolicy("teacher", 0.0)}.items():
        passes[name] = sum(row(number, policy)[1].reward.value for number in range(90)) / 90
    assert passes["oracle"] == 1.0 and passes["never"] == 0.0
    assert 0.3 < passes["half"] < 0.7


def test_under_troubles_the_oracle_is_patient_and_still_passes():
    troubles = ToolTroubles.uniform(transient=0.3, timeout_after_commit=0.3, stale=0.2)
    rows = [
        synthesize(number, TaskStream(), ScriptedPolicy(), run_seed=0, split="train", verify=VERIFY, troubles=troubles)[1]
        for number in range(30)
    ]
    assert all(trajectory.reward.value == 1.0 for trajectory in rows)
    struck = [call.trouble.kind for trajectory in rows for call in trajectory.outcome.calls if call.trouble]
    assert len(struck) > 20 and {"transient", "stale"} <= set(struck)
    assert from_row(Trajectory, to_row(rows[0])) == rows[0]


def test_a_wrong_teacher_says_how_it_erred():
    careless = ErrorMix(0.0, 0.0, 0.0, 0.0, skip_look_up=1.0, wrong_digit=0.0)
    for number in range(6):
        _, trajectory = row(number, ScriptedPolicy("teacher", 0.0, careless))
        assert trajectory.reward.value == 0.0
        assert [error.rsplit(":")[-1].strip() for error in trajectory.metadata["errors"]] == ["skip_look_up"]


def test_the_row_names_its_task_its_world_and_its_maker():
    task, trajectory = row(4, split="held_out")
    about = trajectory.metadata
    assert trajectory.task_id == task.id and task.split == about["split"] == "held_out"
    whence = trajectory.provenance
    assert about["number"] == 4 and whence.world == task.world == "it_tickets"
    assert whence.world_fingerprint == load("it_tickets").fingerprint()
    assert whence.tool_fingerprints == tuple(tool.fingerprint() for tool in trajectory.tools)
    assert (about["policy"], about["competence"]) == ("teacher", 0.5)
    assert whence.certificate == task.certificate and whence.certificate.certified
    assert trajectory.messages[0].role == "system" and trajectory.tools and not trajectory.segments


@pytest.mark.parametrize("competence", [-0.1, 1.1, float("nan")])
def test_a_competence_that_is_no_probability_is_refused(competence):
    with pytest.raises(ValueError, match="competence: is from 0 to 1"):
        ScriptedPolicy("teacher", competence)
