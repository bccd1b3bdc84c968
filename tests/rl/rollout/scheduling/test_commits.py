"""The commit log: on the disk before anything is learnt, in order, and deaf to what a kill left half-written."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.rollout.scheduling import Commit, CommitLog, Group, digest_of
from tests.rl.rollout.scheduling.virtual_time import played, task
from trajectories.rewards import Reward
from trajectories.trajectory import Sampling, Segment, Trajectory


def group(number: int) -> Group:
    return Group(number, number + 1, task(f"task-{number}"), 0, tuple(played(Group(number, 1, task(f"task-{number}"), 0))))


def commit(step: int) -> Commit:
    return Commit.of(step, step - 1, [group(step), group(step + 10)], [group(step + 20)])


def spoken() -> Trajectory:
    turns = (
        Segment("policy", (3, 4), (-0.5, -0.1), Sampling(), 6),
        Segment("context", (1,)),
        Segment("policy", (5,), (-0.2,), Sampling(), 7, stale_cache_version=6),
    )
    return Trajectory("7/a/0", "a", segments=turns, reward=Reward(1.0))


def test_a_commit_names_groups_in_order_and_counts_tokens_by_version():
    found = Commit.of(8, 7, [replace(group(3), trajectories=(spoken(), spoken()))], [])
    assert [(place.number, place.iteration, place.began, place.task) for place in found.groups] == [(3, 4, 0, "task-3")]
    assert (found.iteration, found.version, found.rollouts, found.tokens) == (8, 7, 2, {"6": 4, "7": 2})


@given(st.integers(1, 4), st.data())
@settings(max_examples=25)
def test_what_is_cut_short_anywhere_leaves_the_lines_before_it(tmp_path_factory, count, data):
    path = tmp_path_factory.mktemp("log") / "commits.jsonl"
    log = CommitLog(path)
    assert log.commits == []
    for step in range(1, count + 1):
        log.append(commit(step))
    text = path.read_bytes()
    left = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:left])
    whole = text[:left].count(b"\n")
    again = CommitLog(path)
    assert again.commits == [commit(step) for step in range(1, whole + 1)]
    again.keep(whole)
    again.append(commit(whole + 1))
    assert CommitLog(path).commits == [commit(step) for step in range(1, whole + 2)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_iterations_are_committed_in_order(tmp_path):
    log = CommitLog(tmp_path / "commits.jsonl")
    log.append(commit(1))
    for step in (1, 3):
        with pytest.raises(ValueError, match=f"iteration 2 is to be committed next, not {step}"):
            log.append(commit(step))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "7/a/1"},
        {"rollout": 1},
        {"reward": Reward(0.0)},
        {"reward": Reward.invalid("engine: it died")},
        {"segments": spoken().segments[:2]},
        {"segments": (replace(spoken().segments[0], token_ids=(3, 5)), *spoken().segments[1:])},
        {"segments": (replace(spoken().segments[0], log_probs=(-0.5, -0.1 - 1e-16)), *spoken().segments[1:])},
        {"segments": (replace(spoken().segments[0], policy_version=7), *spoken().segments[1:])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_changes_with_whatever_is_learnt_from(change):
    assert digest_of([spoken()]) == digest_of([spoken()])
    assert digest_of([replace(spoken(), **change)]) != digest_of([spoken()])
    assert digest_of([spoken(), replace(spoken(), **change)]) != digest_of([replace(spoken(), **change), spoken()])
