"""The share of repeated n-grams against a computation of its own."""

from hypothesis import given
from hypothesis import strategies as st

from rewards.repetition import repetition
from trajectories.trajectory import Segment, Trajectory

turns = st.lists(st.lists(st.integers(0, 3) | st.integers(0, 2**31), max_size=30), max_size=4)


def said(*turns: list[int]) -> Trajectory:
    context = Segment("context", (5,) * 100)
    segments = [part for turn in turns for part in (context, Segment("policy", tuple(turn), (0.0,) * len(turn)))]
    return Trajectory("t", "task", segments=tuple(segments))


@given(turns, st.integers(1, 6))
def test_it_is_one_less_the_share_of_distinct_ngrams(turns: list[list[int]], n: int):
    grams = [tuple(turn[at : at + n]) for turn in turns for at in range(len(turn) - n + 1)]
    wanted = 1 - len(set(grams)) / len(grams) if grams else 0.0
    found = repetition(said(*turns), n)
    assert found == wanted and 0 <= found < 1


def test_a_loop_is_nearly_all_repetition_and_a_context_is_none():
    assert repetition(said([1, 2, 3] * 100), 20) == 1 - 3 / 281
    assert repetition(said(list(range(300))), 20) == 0.0
    assert repetition(said([], [1] * 19), 20) == 0.0 == repetition(Trajectory("t", "task"), 20)
    assert repetition(said([1, 2], [1, 2]), 2) == 0.5, "what one turn repeats of another counts"
    assert repetition(said([1], [1], [1]), 2) == 0.0, "no n-gram reaches over a turn"


@given(turns, st.integers(1, 6), st.integers(1, 5))
def test_where_a_turn_was_cut_changes_nothing(turns: list[list[int]], n: int, size: int):
    whole = said(*turns)
    parts = []
    for segment in whole.segments:
        for start in range(0, len(segment.token_ids), size if segment.origin == "policy" else 1000):
            ids = segment.token_ids[start : start + size] if segment.origin == "policy" else segment.token_ids
            parts.append(Segment(segment.origin, ids, None if segment.log_probs is None else (0.0,) * len(ids)))
    assert repetition(Trajectory("t", "task", segments=tuple(parts)), n) == repetition(whole, n)
