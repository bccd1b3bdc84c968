"""Each token of a completion is attributed to the version that was there when it was sampled."""

from hypothesis import given
from hypothesis import strategies as st

from rl.rollout.engine import Run
from rl.rollout.version_marks import VersionMarks


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 4))
def test_runs_are_the_tokens_between_two_updates(between, after):
    marks, versions, total = VersionMarks(7), [], 0
    version = 7
    for count in between:
        versions += [version] * count
        total += count
        version += 1
        marks.add(total, version)
    versions += [version] * after
    completion = marks.completion(range(total + after), [0.0] * (total + after), "length")
    attributed = [run.policy_version for run in completion.runs for _ in range(run.tokens)]
    assert attributed == versions and all(run.tokens for run in completion.runs)
    assert completion.policy_version == (versions[-1] if versions else version)
    first = versions[0] if versions else version
    assert all(run.stale_cache_version in (None, first) for run in completion.runs)
    assert [run.stale_cache_version is None for run in completion.runs] == [index == 0 for index in range(len(completion.runs))]


def test_an_update_after_the_last_token_changes_nothing():
    marks = VersionMarks(1)
    marks.add(2, 2)
    assert marks.completion([5, 6], [-1.0, -2.0], "stop").runs == (Run(2, 1),)
