"""Packing loses nothing, cuts nothing, and changes no sequence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.training.packing import TokenRow, collate, pack, plan
from trajectories.trajectory import Sampling, Segment, Trajectory


def row(length: int, seed: int = 0) -> TokenRow:
    draw = np.random.default_rng(seed)
    mask = draw.random(length) < 0.4
    mask[0] = False
    values = np.where(mask, -draw.random(length), 0).astype(np.float32)
    versions = np.where(mask, draw.integers(0, 4, length), -1)
    return TokenRow(draw.integers(0, 50, length), mask, values, np.where(mask, 0.7, 1).astype(np.float32), versions)


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 60), st.integers(1, 3))
def test_every_row_is_in_exactly_one_batch_and_batches_keep_the_budget(lengths, budget, ranks):
    bins = plan(lengths, budget, ranks)
    assert sorted(number for numbers in bins for number in numbers) == list(range(len(lengths)))
    assert all(len(numbers) == 1 or sum(lengths[n] for n in numbers) <= budget for numbers in bins)
    assert len(bins) % ranks == 0 or all(len(numbers) == 1 for numbers in bins)


@given(st.lists(st.integers(2, 20), min_size=1, max_size=8), st.integers(1, 40))
def test_a_packed_row_reads_back_as_it_was(lengths, budget):
    rows = [row(length, seed) for seed, length in enumerate(lengths)]
    for batch in pack(rows, budget):
        bounds = batch.cu_seq_lens.tolist()
        for place, (number, start, end) in enumerate(zip(batch.rows, bounds[:-1], bounds[1:], strict=True)):
            one, size = rows[number], end - start
            assert not one.loss_mask[size + 1 :].any()
            assert batch.input_ids[0, start:end].tolist() == one.token_ids[:size].tolist()
            assert batch.targets[start:end].tolist() == one.token_ids[1 : size + 1].tolist()
            assert batch.position_ids[0, start:end].tolist() == list(range(size))
            assert batch.loss_mask[start:end].tolist() == one.loss_mask[1 : size + 1].tolist()
            assert batch.behaviour_log_probs[start:end].tolist() == one.behaviour_log_probs[1 : size + 1].tolist()
            assert batch.temperatures[start:end].tolist() == one.temperatures[1 : size + 1].tolist()
            assert batch.versions[start:end].tolist() == one.versions[1 : size + 1].tolist()
            assert (batch.sequence_ids[start:end] == place).all()


def test_a_trajectory_becomes_a_row_with_the_loss_on_its_policy_segments():
    sampled = Segment("policy", (4, 5), (-0.5, -0.25), Sampling(temperature=0.5), policy_version=3)
    one = TokenRow.of(Trajectory("t", "task", segments=(Segment("context", (1, 2)), sampled, Segment("context", (9,)))))
    assert one.token_ids.tolist() == [1, 2, 4, 5, 9]
    assert one.loss_mask.tolist() == [False, False, True, True, False]
    assert one.behaviour_log_probs.tolist() == [0, 0, -0.5, -0.25, 0]
    assert one.temperatures.tolist() == [1, 1, 0.5, 0.5, 1]
    assert one.versions.tolist() == [-1, -1, 3, 3, -1]
    assert (one.policy_tokens, one.positions) == (2, 3)


def in_parts():
    """Two turns; the second was begun by version 3, and version 4 went on with it, first on the older cache."""
    return Trajectory(
        "t",
        "task",
        segments=(
            Segment("context", (1, 2)),
            Segment("policy", (4, 5), (-0.5, -0.25), Sampling(temperature=0.5), policy_version=2),
            Segment("context", (9,)),
            Segment("policy", (6,), (-1.0,), Sampling(temperature=0.5), policy_version=3),
            Segment("policy", (7,), (-2.0,), Sampling(temperature=0.5), policy_version=4, stale_cache_version=3),
            Segment("policy", (8,), (-3.0,), Sampling(temperature=0.5), policy_version=4),
        ),
    )


def test_versions_name_the_oldest_weights_that_had_a_part_in_a_token():
    assert TokenRow.of(in_parts()).versions.tolist() == [-1, -1, 2, 2, -1, 3, 3, 4]


@pytest.mark.parametrize(("version", "left"), [(0, 5), (2, 5), (3, 3), (4, 1), (5, 0)])
def test_tokens_of_older_weights_may_be_left_out_of_the_loss_and_stay_in_the_context(version, left):
    whole, part = TokenRow.of(in_parts()), TokenRow.of(in_parts(), loss_from_version=version)
    kept = whole.versions >= version
    assert part.token_ids.tolist() == whole.token_ids.tolist() and part.policy_tokens == left
    assert part.loss_mask.tolist() == (whole.loss_mask & kept).tolist()
    assert part.versions.tolist() == np.where(kept, whole.versions, -1).tolist()
    assert part.behaviour_log_probs.tolist() == np.where(kept, whole.behaviour_log_probs, 0).tolist()
    assert part.temperatures.tolist() == np.where(part.loss_mask, 0.5, 1).tolist()


def test_nobody_says_the_version_and_none_can_be_left_out():
    unknown = replace(in_parts(), segments=(Segment("context", (1,)), Segment("policy", (4,), (-0.5,), Sampling())))
    assert TokenRow.of(unknown).versions is None
    with pytest.raises(ValueError, match="nobody says by which weights"):
        TokenRow.of(unknown, loss_from_version=1)


def test_a_batch_has_versions_where_a_row_has_them():
    said, unsaid = row(6, 1), replace(row(9, 2), versions=None)
    assert collate([unsaid], [0]).versions is None
    mixed = collate([said, unsaid], [0, 1])
    assert mixed.versions.tolist() == [*said.versions[1 : said.positions + 1].tolist(), *[-1] * unsaid.positions]


def test_a_sequence_that_begins_with_a_policy_token_is_refused():
    with pytest.raises(ValueError, match="first token"):
        TokenRow(np.array([1, 2]), np.array([True, False]))


def test_greedy_tokens_are_refused_because_they_have_no_log_probability():
    with pytest.raises(ValueError, match="temperatures"):
        TokenRow(np.array([1, 2]), np.array([False, True]), temperatures=np.zeros(2, np.float32))
