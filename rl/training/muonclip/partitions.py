"""Matrices whose elements lie on several ranks: who orthogonalises which, and what travels for it.

ZeRO keeps of each parameter, on each rank, one run of consecutive elements, cut wherever the shares come out equal.
Newton-Schulz needs whole matrices. One that lies whole on a rank is updated there. A cut one is orthogonalised by the
rank that has most of it: it gets the other parts of the momentum and gives the parts of the update back. So each matrix
is orthogonalised once, weights and momentum stay where ZeRO keeps them, and only what is cut travels, twice.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor

from rl.training.muonclip.muon import BATCH_ELEMENTS, MatrixUpdate, apply_updates_

__all__ = ["Matrix", "PartitionedMatrices", "Piece", "matrices_of"]


class Piece(NamedTuple):
    """Consecutive elements of a parameter (or of a matrix), in the flat tensor that a rank steps."""

    start: int
    """Of the flattened parameter or matrix."""
    length: int
    offset: int
    """In the flat tensor."""


class Matrix(NamedTuple):
    """Where one matrix lies in its flattened parameter."""

    parameter: int
    start: int
    rows: int
    columns: int

    @property
    def elements(self) -> int:
        return self.rows * self.columns


def matrices_of(parameter: int, shape: Sequence[int], row_blocks: tuple[int, ...] | None) -> Iterator[Matrix]:
    """The matrices that `as_matrices` cuts a stored tensor [.., n, m] into, one by one, in the order of its elements."""
    rows, columns, start = math.prod(shape[:-1]), shape[-1], 0
    for block in cycle(row_blocks or (shape[-2],)):
        yield Matrix(parameter, start, block, columns)
        start += block * columns
        if start >= rows * columns:
            return


class _Cut(NamedTuple):
    matrix: Matrix
    owner: int
    """The rank that orthogonalises it."""
    parts: dict[int, Piece]
    """Rank to its part of the matrix."""


class PartitionedMatrices:
    """The matrices whose elements are in one flat tensor and in those in its place on the other ranks."""

    def __init__(self, matrices: Sequence[Matrix], pieces: Sequence[Mapping[int, Piece]], rank: int) -> None:
        """Args:
        matrices: the same, in the same order, on every rank.
        pieces: [ranks], what each of them holds: parameter to piece.
        rank: of this process.
        """
        self._rank, self._ranks = rank, len(pieces)
        self._whole: list[tuple[int, Matrix]] = []
        """(offset in the flat tensor, matrix): those that nobody else has a part of."""
        self._cut: list[list[_Cut]] = []
        """Those that are cut, by batches that bound the extra memory."""
        load, waiting = [0] * len(pieces), BATCH_ELEMENTS
        for matrix in matrices:
            parts = _parts(matrix, pieces)
            most = max(part.length for part in parts.values())
            owner = min((load[holder], holder) for holder, part in parts.items() if part.length == most)[1]
            load[owner] += matrix.elements * min(matrix.rows, matrix.columns)
            if most < matrix.elements:
                waiting += matrix.elements
                if waiting > BATCH_ELEMENTS:
                    self._cut.append([])
                    waiting = matrix.elements
                self._cut[-1].append(_Cut(matrix, owner, parts))
            elif owner == rank:
                self._whole.append((parts[rank].offset, matrix))

    def apply_(self, weight: Tensor, momentum: Tensor, rate: float, *, steps: int, dtype: torch.dtype) -> None:
        """weight <- weight - rate * NewtonSchulz(momentum) * 0.2 sqrt(max(n, m)), matrix by matrix.

        Every rank takes part, with its own flat tensors, in the same order.

        Args:
            weight: [elements of the flat tensor], written in place.
            momentum: of the same shape, read only.
            rate: learning rate.
        """
        updates = [MatrixUpdate(_stack(weight, run), _stack(momentum, run), rate) for run in _runs(self._whole)]
        apply_updates_(updates, steps=steps, dtype=dtype)
        for cuts in self._cut:
            momenta = self._gather(cuts, momentum)
            changes = [torch.zeros_like(one) for one in momenta]
            updates = [MatrixUpdate(change[None], one[None], rate) for change, one in zip(changes, momenta, strict=True)]
            apply_updates_(updates, steps=steps, dtype=dtype)
            self._scatter_add(cuts, changes, weight)

    def _gather(self, cuts: list[_Cut], flat: Tensor) -> list[Tensor]:
        """The cut matrices that this rank owns, whole."""
        mine = [cut for cut in cuts if cut.owner == self._rank]
        sent = [[flat[_inside(cut.parts[self._rank])] for cut in self._held(cuts, rank)] for rank in range(self._ranks)]
        due = [[(index, cut.parts[rank]) for index, cut in enumerate(mine) if rank in cut.parts] for rank in range(self._ranks)]
        arrived = _exchange(sent, [[part.length for _, part in parts] for parts in due], flat)
        whole = [flat.new_empty(cut.matrix.elements) for cut in mine]
        for parts, tensors in zip(due, arrived, strict=True):
            for (index, part), tensor in zip(parts, tensors, strict=True):
                whole[index][part.start : part.start + part.length] = tensor
        return [one.view(cut.matrix.rows, cut.matrix.columns) for one, cut in zip(whole, mine, strict=True)]

    def _scatter_add(self, cuts: list[_Cut], changes: list[Tensor], flat: Tensor) -> None:
        """Brings each part of the owned matrices' changes to the rank that holds it."""
        mine = [cut for cut in cuts if cut.owner == self._rank]
        sent = [
            [
                change.view(-1)[cut.parts[rank].start : cut.parts[rank].start + cut.parts[rank].length]
                for cut, change in zip(mine, changes, strict=True)
                if rank in cut.parts
            ]
            for rank in range(self._ranks)
        ]
        due = [[cut.parts[self._rank] for cut in self._held(cuts, rank)] for rank in range(self._ranks)]
        arrived = _exchange(sent, [[part.length for part in parts] for parts in due], flat)
        for parts, tensors in zip(due, arrived, strict=True):
            for part, tensor in zip(parts, tensors, strict=True):
                flat[_inside(part)] += tensor

    def _held(self, cuts: list[_Cut], owner: int) -> list[_Cut]:
        """Matrices of that owner of which this rank has a part."""
        return [cut for cut in cuts if cut.owner == owner and self._rank in cut.parts]


def _parts(matrix: Matrix, pieces: Sequence[Mapping[int, Piece]]) -> dict[int, Piece]:
    """What each rank holds of a matrix; ranks without any of it are left out."""
    parts = {}
    for rank, held in enumerate(pieces):
        piece = held.get(matrix.parameter, Piece(0, 0, 0))
        first = max(matrix.start, piece.start)
        length = min(matrix.start + matrix.elements, piece.start + piece.length) - first
        if length > 0:
            parts[rank] = Piece(first - matrix.start, length, piece.offset + first - piece.start)
    return parts


def _inside(part: Piece) -> slice:
    return slice(part.offset, part.offset + part.length)


def _runs(whole: list[tuple[int, Matrix]]) -> Iterator[tuple[int, int, Matrix]]:
    """(offset, count, first): equal matrices one behind the other, e.g. the experts of a layer, are one batch."""
    begun: tuple[int, int, Matrix] | None = None
    for offset, matrix in whole:
        if begun is not None:
            start, count, first = begun
            adjoins = offset == start + count * first.elements
            if adjoins and (matrix.rows, matrix.columns) == (first.rows, first.columns):
                begun = (start, count + 1, first)
                continue
            yield begun
        begun = (offset, 1, matrix)
    if begun is not None:
        yield begun


def _stack(flat: Tensor, run: tuple[int, int, Matrix]) -> Tensor:
    offset, count, matrix = run
    return flat[offset : offset + count * matrix.elements].view(count, matrix.rows, matrix.columns)


def _exchange(sent: list[list[Tensor]], sizes: list[list[int]], like: Tensor) -> list[list[Tensor]]:
    """Sends lists of flat tensors to ranks; returns what came from each, of the given sizes."""
    outgoing = torch.cat([like.new_empty(0), *(tensor for tensors in sent for tensor in tensors)])
    incoming = like.new_empty(sum(map(sum, sizes)))
    totals = [sum(tensor.numel() for tensor in tensors) for tensors in sent]
    torch.distributed.all_to_all_single(incoming, outgoing, [sum(of) for of in sizes], totals)
    parcels = incoming.split([sum(of) for of in sizes])
    return [list(parcel.split(of)) if of else [] for parcel, of in zip(parcels, sizes, strict=True)]
