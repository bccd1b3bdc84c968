"""What a training run learnt from, and in which order.

Rollouts are recorded before they are learnt from. A run that is killed goes on behind its last checkpoint and takes the
recorded rollouts of the iterations after it: what a live engine said is not said twice.
"""

import itertools
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

from pipelines.errors import UserError
from rl.rollout.scheduling import Commit, CommitLog, Group, Place, digest_of
from trajectories import shards
from trajectories.codec import TASK_SCHEMA, from_row, to_row
from trajectories.columns import from_batch
from trajectories.shard_files import Layout, read_batches
from trajectories.shards import ShardWriter
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["RolloutRecord"]


class RolloutRecord(AbstractContextManager["RolloutRecord"]):
    """The rollouts of a run as a data set in the order of its commit log, the tasks under ``tasks`` in the order of dispatch.

    Both have a shard for each iteration, unless iterations vary in size. The log's line comes before the rollouts that it
    tells of: an iteration is recorded when both are on the disk. Long rollouts take a while to write: whoever runs an event
    loop stores in another thread, and closing waits for what is being written.

    Args:
        prompts: tasks of one iteration.
        group_size: rollouts of each.
        done: iterations that are learnt; recorded ones behind them are learnt again.

    Raises:
        UserError: fewer iterations are recorded than learnt, a rollout is not what the log says, or the log is damaged.
    """

    def __init__(self, directory: Path, prompts: int, group_size: int, done: int) -> None:
        self._directory, self._prompts, self._size = directory, prompts, group_size
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._log = CommitLog(directory / "commits.jsonl")
        except ValueError as error:
            raise UserError(f"{error}; restore the file, or start a new run") from error
        self._writing, self._closed = threading.Lock(), False
        self.begun = sum(_rows_in(path) == prompts for path in Layout(directory / "tasks", "train").sealed())
        """Iterations whose tasks are recorded."""
        rows = sum(_rows_in(path) for path in Layout(directory, "train").sealed())
        ends = list(itertools.accumulate((commit.rollouts for commit in self.commits), initial=0))
        whole = sum(end <= rows for end in ends[1:])
        if whole < done:
            raise UserError(f"{directory} holds the rollouts of {whole} iterations, the checkpoint has learnt {done}")
        self._log.keep(whole)
        self._stored = self._read(done, ends[done])
        size, keep, place = prompts * group_size, self.begun * prompts, directory / "tasks"
        with ExitStack() as opened:
            self._writer = ShardWriter(directory, rows_per_shard=size, resume=True, keep_rows=ends[whole])
            opened.enter_context(self._writer)
            self._tasks = ShardWriter(place, schema=TASK_SCHEMA, rows_per_shard=prompts, resume=True, keep_rows=keep)
            opened.enter_context(self._tasks)
            self.waiting = self._read_waiting()
            """Unfinished groups at the last commit."""
            self._opened = opened.pop_all()

    @property
    def commits(self) -> list[Commit]:
        """Every iteration that is recorded."""
        return self._log.commits

    def tasks(self, iteration: int) -> list[Task]:
        """The recorded tasks of an iteration."""
        shard = Layout(self._directory / "tasks", "train").sealed()[iteration - 1]
        return [from_row(Task, row) for batch in read_batches(shard) for row in from_batch(batch)]

    def begin(self, iteration: int, tasks: Sequence[Task]) -> None:
        """Record the tasks of an iteration, before its first rollout.

        Raises:
            ValueError: for another iteration than the next, or after the end.
        """
        with self._writing:
            if self._closed:
                raise ValueError(f"{self._directory}: the record is closed; the tasks of iteration {iteration} are not in it")
            if iteration != self.begun + 1:
                raise ValueError(f"the tasks of iteration {self.begun + 1} are to be recorded next, not those of {iteration}")
            for task in tasks:
                self._tasks.append(to_row(task))
            self._tasks.flush()
            self.begun = iteration

    def stored(self, step: int) -> list[Group] | None:
        """The recorded groups of an iteration, once; None where there are none."""
        return self._stored.pop(step, None)

    def store(self, step: int, version: int, groups: Sequence[Group], waiting: Sequence[Group] = ()) -> None:
        """Record an iteration that the weights of `version` will learn from; all of it is on the disk when this returns.

        Args:
            waiting: groups that stay unfinished.

        Raises:
            ValueError: for another iteration than the next, or after the end.
        """
        with self._writing:
            if self._closed:
                raise ValueError(f"{self._directory}: the record is closed; iteration {step} is not in it")
            place = self._waiting_place(step)
            if waiting:
                shutil.rmtree(place, ignore_errors=True)
                shards.write(_rows(waiting), place)
            self._log.append(Commit.of(step, version, groups, waiting))
            for row in _rows(groups):
                self._writer.append(row)
            self._writer.flush()
            self._forget_waiting(but=place)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._writing:  # a run that is cancelled leaves `store` behind in its thread
            self._closed = True
            self._opened.__exit__(kind, error, trace)

    def _read(self, done: int, first: int) -> dict[int, list[Group]]:
        """The groups of every recorded iteration after `done`, whose rollouts begin at row `first`."""
        due = self.commits[done:]
        rows = self._rows_from(first) if due else iter(())
        stored = {}
        for commit in due:
            trajectories = [from_row(Trajectory, row) for row in itertools.islice(rows, commit.rollouts)]
            if digest_of(trajectories) != commit.digest:
                raise UserError(
                    f"{self._directory}: the rollouts of iteration {commit.iteration} are not those that commits.jsonl tells of; "
                    "something else has changed one of the two"
                )
            stored[commit.iteration] = self._groups(commit.groups, trajectories)
        return stored

    def _rows_from(self, first: int) -> Iterator[dict[str, object]]:
        size = self._prompts * self._size
        paths = Layout(self._directory, "train").sealed()[first // size :]
        rows = (row for path in paths for batch in read_batches(path) for row in from_batch(batch))
        return itertools.islice(rows, first % size, None)

    def _read_waiting(self) -> list[Group]:
        place = self._waiting_place(len(self.commits))
        self._forget_waiting(but=place)
        if not self.commits or not self.commits[-1].waiting:
            return []
        return self._groups(self.commits[-1].waiting, [from_row(Trajectory, row) for row in shards.read(place)])

    def _groups(self, places: Sequence[Place], trajectories: Sequence[Trajectory]) -> list[Group]:
        """What `_rows` made rows of."""
        tasks = {iteration: self.tasks(iteration) for iteration in {place.iteration for place in places}}
        starts = range(0, len(trajectories), self._size)
        members = [tuple(trajectories[start : start + self._size]) for start in starts]
        return [
            Group(place.number, place.iteration, tasks[place.iteration][place.number % self._prompts], place.began, played)
            for place, played in zip(places, members, strict=True)
        ]

    def _waiting_place(self, step: int) -> Path:
        return self._directory / "waiting" / f"{step:06d}"

    def _forget_waiting(self, but: Path) -> None:
        for place in but.parent.glob("*"):
            if place != but:
                shutil.rmtree(place)


def _rows(groups: Iterable[Group]) -> Iterator[dict[str, object]]:
    return (to_row(trajectory) for group in groups for trajectory in group.trajectories)


def _rows_in(shard: Path) -> int:
    """By its footer alone; the writer that goes on from it reads all of it."""
    return sum(batch.num_rows for batch in read_batches(shard, columns=[]))
