"""Muon on matrices that are cut over ranks: the same update as on whole ones, wherever the cuts fall."""

import math
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.training.muonclip import muon
from rl.training.muonclip.muon import MatrixUpdate, apply_updates_, as_matrices
from rl.training.muonclip.partitions import PartitionedMatrices, Piece, matrices_of

PARAMETERS = [((5, 12, 8), (6, 6)), ((7, 9), None), ((12, 4), (2, 1)), ((3, 10, 4), None), ((16, 16), None)]
"""Shape and row blocks: stacked gate and up, a plain matrix, two blocks per head, stacked, a square one."""


@given(
    st.lists(st.integers(1, 4), max_size=2),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 6),
)
def test_matrices_lie_where_the_views_of_the_whole_tensor_do(stack, blocks, repeats, columns):
    shape = (*stack[:1], sum(blocks) * repeats, columns)
    tensor = torch.arange(math.prod(shape)).view(shape)
    expected = sorted(matrix.flatten().tolist() for views in as_matrices(tensor, tuple(blocks)) for matrix in views)
    found = list(matrices_of(0, shape, tuple(blocks)))
    assert sorted(list(range(one.start, one.start + one.elements)) for one in found) == expected
    assert [one.start for one in found] == sorted(one.start for one in found)


def end_to_end(ranks: int) -> list[dict[int, Piece]]:
    """As ZeRO 1 and 2 cut: all parameters in one row, equal shares."""
    sizes = [math.prod(shape) for shape, _ in PARAMETERS]
    share = -(-sum(sizes) // ranks)
    held: list[dict[int, Piece]] = [{} for _ in range(ranks)]
    for number, size in enumerate(sizes):
        begin = sum(sizes[:number])
        for rank in range(ranks):
            first, last = max(begin, rank * share), min(begin + size, (rank + 1) * share)
            if first < last:
                held[rank][number] = Piece(first - begin, last - first, first - rank * share)
    return held


def one_by_one(ranks: int) -> list[dict[int, Piece]]:
    """As ZeRO 3 cuts: a share of every parameter, the last of them shorter or empty."""
    held: list[dict[int, Piece]] = [{} for _ in range(ranks)]
    offset = 0
    for number, (shape, _) in enumerate(PARAMETERS):
        size = math.prod(shape)
        share = -(-size // ranks)
        for rank in range(ranks):
            length = min(share, size - rank * share)
            if length > 0:
                held[rank][number] = Piece(rank * share, length, offset)
        offset += share
    return held


def in_threads(monkeypatch, ranks: int, work) -> None:
    """Calls work(rank) on every rank, each in a thread with a gloo group of its own: a real exchange in one process."""
    groups, store = threading.local(), torch.distributed.HashStore()

    def exchange(received, sent, received_sizes, sent_sizes):
        groups.mine.alltoall_base(received, sent, received_sizes, sent_sizes).wait()

    monkeypatch.setattr(torch.distributed, "all_to_all_single", exchange)
    errors: list[BaseException] = []

    def one(rank: int) -> None:
        try:
            groups.mine = torch.distributed.ProcessGroupGloo(store, rank, ranks)
            work(rank)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


@pytest.mark.parametrize("cut", [end_to_end, one_by_one])
@pytest.mark.parametrize(("ranks", "batch"), [(1, 1 << 26), (2, 1 << 26), (3, 1 << 26), (3, 150), (7, 1 << 26)])
def test_matrices_cut_over_ranks_get_the_update_of_whole_ones(monkeypatch, cut, ranks, batch):
    monkeypatch.setattr("rl.training.muonclip.partitions.BATCH_ELEMENTS", batch)
    draw = torch.Generator().manual_seed(0)
    weights, momenta = ([torch.randn(shape, generator=draw, dtype=torch.float64) for shape, _ in PARAMETERS] for _ in "wm")
    pieces = cut(ranks)
    matrices = [one for number, (shape, blocks) in enumerate(PARAMETERS) for one in matrices_of(number, shape, blocks)]
    flats = []
    for held in pieces:
        size = 3 + max((piece.offset + piece.length for piece in held.values()), default=0)
        flat = torch.full((2, size), 7.0, dtype=torch.float64)  # what is not part of any parameter must stay
        for number, (start, length, offset) in held.items():
            for row, whole in zip(flat, (weights[number], momenta[number]), strict=True):
                row[offset : offset + length] = whole.flatten()[start : start + length]
        flats.append(flat)

    def step(rank: int) -> None:
        partition = PartitionedMatrices(matrices, pieces, rank)
        partition.apply_(flats[rank][0], flats[rank][1], 0.1, steps=5, dtype=torch.float64)

    in_threads(monkeypatch, ranks, step)
    updates = [
        MatrixUpdate(*pair, 0.1)
        for (_, blocks), weight, momentum in zip(PARAMETERS, weights, momenta, strict=True)
        for pair in zip(as_matrices(weight, blocks), as_matrices(momentum, blocks), strict=True)
    ]
    apply_updates_(updates, dtype=torch.float64)
    for flat, held in zip(flats, pieces, strict=True):
        rest = torch.ones(flat.shape[1], dtype=torch.bool)
        for number, (start, length, offset) in held.items():
            torch.testing.assert_close(
                flat[0, offset : offset + length],
                weights[number].flatten()[start : start + length],
                rtol=0,
                atol=1e-9,
            )
            rest[offset : offset + length] = False
        assert bool((flat[0, rest] == 7.0).all())


def test_work_on_cut_matrices_is_shared_out():
    """ZeRO 3 cuts every plain matrix: no rank may end up with all of them."""
    shapes = [(8, 8)] * 6
    pieces = [{number: Piece(32 * rank, 32, 32 * number) for number in range(6)} for rank in range(2)]
    matrices = [one for number, shape in enumerate(shapes) for one in matrices_of(number, shape, None)]
    partition = PartitionedMatrices(matrices, pieces, 0)
    owners = [cut.owner for cuts in partition._cut for cut in cuts]
    assert sorted(owners) == [0, 0, 0, 1, 1, 1]
    assert muon.BATCH_ELEMENTS > 6 * 64
