"""PTX data: curated dialogues as token rows, drawn anew for every iteration.

What an iteration draws is a function of seed and iteration alone: nothing is remembered, so a resumed run draws the same, and
rows are drawn without repeats inside an iteration and independently between them. Dialogues are rendered by the policy's own
chat format, loss on the assistant's turns, as in supervised training. Source: Kimi K2 (arXiv 2507.20534, section 3.2.3).
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rl.policy.dialects import Dialect
from rl.training.packing import TokenRow
from trajectories.codec import TRAJECTORY_SCHEMA, CodecError, from_row
from trajectories.columns import from_batch
from trajectories.seeds import derive_seed
from trajectories.shard_files import Layout, ShardError
from trajectories.trajectory import Trajectory

__all__ = ["PTXData"]

_CACHED = 4096
"""Rendered dialogues that are kept: small data sets are rendered once."""


class PTXData:
    """The train split of a data set, read row by row.

    Args:
        directory: as `orrery synthesize` or `orrery export format=native` (JSON columns, not ``json=text``) writes it.
        dialect: of the policy.
        seed: of the run.
        tokens: of an iteration at most, context included; longer dialogues are never drawn.

    Raises:
        ShardError: no such data set, unfinished, empty, damaged, or one with other columns; names the file.
    """

    def __init__(self, directory: str | Path, dialect: Dialect, seed: int, tokens: int) -> None:
        self._directory, self._dialect, self._seed, self._tokens = directory, dialect, seed, tokens
        self._groups: list[tuple[Path, int, int]] = []
        """(shard, row group, its first row in the shard)."""
        sizes: list[int] = []
        for path in Layout(Path(directory), "train").finished_shards():
            found = _row_groups(path)
            self._groups += [(path, group, sum(found[:group])) for group in range(len(found))]
            sizes += found
        self._ends = np.cumsum(sizes)
        if not sum(sizes):
            raise ShardError(f"ptx: {directory} has no rows")
        self._row = functools.lru_cache(_CACHED)(self._render)

    def batch(self, step: int) -> list[TokenRow]:
        """The rows of iteration `step`, from 1: as many as fit, at least one.

        Raises:
            ShardError: a damaged shard, a row that the chat format cannot say, or no dialogue that is short enough.
        """
        rng = np.random.default_rng(derive_seed(self._seed, "ptx", step))
        drawn: list[TokenRow] = []
        room = self._tokens
        for number in rng.permutation(int(self._ends[-1])).tolist():
            row = self._row(number)
            if row is None or len(row.token_ids) > self._tokens:
                continue
            if len(row.token_ids) > room:
                break
            room -= len(row.token_ids)
            drawn.append(row)
        if not drawn:
            raise ShardError(f"ptx: no dialogue of {self._directory} has at most {self._tokens} tokens; raise ptx.tokens")
        return drawn

    def _render(self, number: int) -> TokenRow | None:
        """None for what is no demonstration: a fault, or a dialogue without a turn of the assistant."""
        at = int(np.searchsorted(self._ends, number, side="right"))
        path, group, first = self._groups[at]
        offset = number - (int(self._ends[at - 1]) if at else 0)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read_row_group(group, use_threads=False).slice(offset, 1)
        except (pa.ArrowException, OSError) as error:
            raise ShardError(f"ptx: {path} is truncated or damaged ({str(error).splitlines()[0]}); restore it") from error
        (row,) = from_batch(table.to_batches()[0])
        if row["reward_valid"] is False:
            return None
        try:
            trajectory = from_row(Trajectory, row)
            token_ids, mask = self._dialect.render(trajectory.messages, trajectory.tools)
        except (CodecError, ValueError) as error:
            raise ShardError(f"ptx: {path}, row {first + offset}: {error}") from error
        return TokenRow(np.asarray(token_ids, np.int64), np.asarray(mask, bool)) if any(mask) else None


def _row_groups(path: Path) -> list[int]:
    """Rows of each row group of a shard of dialogues."""
    try:
        with pq.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"ptx: {path} is truncated or damaged ({str(error).splitlines()[0]}); restore it") from error
    if not schema.equals(TRAJECTORY_SCHEMA):
        raise ShardError(f"ptx: {path} does not have the columns of dialogues; export it with format=native json=typed")
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
