"""The rule alone, against every order in which groups may come to their end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.rollout.scheduling import Group, Rule
from tests.rl.rollout.scheduling.virtual_time import played, task


def begin(rule: Rule, iteration: int, learnt: int) -> list[Group]:
    first = (iteration - 1) * rule.size
    return [Group(number, iteration, task(str(number)), learnt) for number in range(first, first + rule.size)]


def finish(group: Group) -> Group:
    return Group(group.number, group.iteration, group.task, group.began, tuple(played(group)))


rules = st.integers(0, 4).flatmap(
    lambda ahead: st.builds(
        Rule,
        size=st.integers(1, 4),
        iterations=st.integers(1, 9),
        ahead=st.just(ahead),
        max_staleness=st.integers(ahead, ahead + 4),
        order=st.sampled_from(["dispatch", "completion"]),
    )
)


@given(rules, st.data())
@settings(max_examples=150)
def test_whoever_finishes_first_every_group_is_learnt_from_once_and_in_time(rule, data):
    groups: list[Group] = []
    finished: list[int] = []
    begun, learnt = 0, []
    for step in range(1, rule.iterations + 1):
        while rule.admits(begun + 1, step - 1):
            begun += 1
            groups += begin(rule, begun, step - 1)
        while (batch := rule.batch(step, groups, finished)) is None:
            running = [place for place, group in enumerate(groups) if not group.finished]
            assert running, "it waits for somebody"
            place = data.draw(st.sampled_from(running))
            groups[place] = finish(groups[place])
            finished.append(groups[place].number)
        assert len(batch) == rule.size and all(group.finished for group in batch)
        assert all(step - 1 - group.began <= rule.max_staleness for group in batch)
        if rule.order == "dispatch":
            assert [group.iteration for group in batch] == [step] * rule.size
        learnt += [group.number for group in batch]
        groups = [group for group in groups if group not in batch]
        finished = [number for number in finished if number not in learnt]
    assert sorted(learnt) == list(range(rule.size * rule.iterations)) and not groups


def test_completion_order_lets_the_slow_be_overtaken_until_they_would_be_too_old():
    rule = Rule(size=2, iterations=9, ahead=1, max_staleness=2, order="completion")
    slow, *quick = begin(rule, 1, 0) + begin(rule, 2, 0)
    quick = [finish(group) for group in quick]
    order = [group.number for group in reversed(quick)]
    assert [group.number for group in rule.batch(1, [slow, *quick], order) or []] == [3, 2], "the first to be finished"
    rest = [slow, quick[0], *[finish(group) for group in begin(rule, 3, 1)]]
    assert [group.number for group in rule.batch(2, rest, [1, 4, 5]) or []] == [1, 4]
    rest = [slow, *[finish(group) for group in begin(rule, 4, 2)]]
    assert rule.batch(3, rest, [6, 7]) is None, "the slow one is due: it began before the first iteration was learnt"
    found = rule.batch(3, [finish(slow), *rest[1:]], [6, 7, 0])
    assert found is not None and [group.number for group in found] == [0, 6]


def test_without_slack_completion_order_is_dispatch_order():
    rule = Rule(size=1, iterations=9, ahead=2, max_staleness=2, order="completion")
    groups = begin(rule, 1, 0) + [finish(group) for group in begin(rule, 2, 0) + begin(rule, 3, 0)]
    assert rule.batch(1, groups, [2, 1]) is None


def test_in_parts_a_batch_is_who_is_finished_and_who_must_be():
    rule = Rule(size=2, iterations=3, max_staleness=1, in_parts=True)
    first = begin(rule, 1, 0)
    assert rule.batch(1, first, []) is None, "an iteration learns from at least one group"
    one = finish(first[1])
    assert rule.batch(1, [first[0], one], [1]) == [one]
    second = [finish(group) for group in begin(rule, 2, 1)]
    assert rule.batch(2, [first[0], *second], [2, 3]) is None and rule.due(2, [first[0], *second]) == [first[0]]
    assert rule.due(3, begin(rule, 3, 2)) == begin(rule, 3, 2), "none is left behind at the end"


def test_a_bound_that_admission_cannot_keep_is_refused():
    with pytest.raises(ValueError, match="max_staleness is at least ahead=2, not 1"):
        Rule(1, 1, ahead=2, max_staleness=1)
