"""Verdicts of many answers side by side, each within its time, in the order of the answers.

A lane is a thread with one process. When a verdict takes longer than the pool has patience, another lane takes its place, so that
what waits is judged as if nothing had happened; the slow one has until `item_seconds`, then its process is killed and the reward
is invalid: an answer that cannot be judged is no failure of the policy. A process that dies is tried once more, in case the
answer was not the reason. Rewards are composed where the caller is, so token ids travel nowhere.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rewards.composition import CompositeReward, RewardConfig, answers_of, verdict_of
from rewards.scoring.config import ScoringConfig
from rewards.scoring.process import DiedError, TimedOutError, WorkerProcess
from rewards.verifiers import Verifier, verifier_for
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["ScoringPool"]

_TRIES = 2
"""Of a verdict whose process dies."""


class ScoringPool:
    """Scores as `CompositeReward` does, and takes its place; for any number of threads.

    Processes start when there is work, are used again, and end when the pool is closed, when they were idle for long, and with
    whoever holds the pool.

    Args:
        find: gives the verifier of a domain; a function that other processes can import.
    """

    def __init__(
        self,
        config: RewardConfig | None = None,
        scoring: ScoringConfig | None = None,
        find: Callable[[str], Verifier] = verifier_for,
    ) -> None:
        self.scoring = scoring or ScoringConfig()
        self._composite, self._find = CompositeReward(config, find), find
        self._change = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._workers: set[WorkerProcess] = set()
        self._lanes = self._idle = self._slow = 0
        self._closed = False

    @property
    def config(self) -> RewardConfig:
        return self._composite.config

    def score(self, task: Task, outcome: Outcome, trajectory: Trajectory | None = None) -> Reward:
        """The reward of one outcome; see `CompositeReward.score`."""
        return self._composite.compose(task, outcome, trajectory, self.verify(task, outcome))

    def score_groups(self, tasks: Sequence[Task], trajectories: Sequence[Trajectory], *, step: int | None = None) -> list[Reward]:
        """The rewards of as many trajectories of each task; see `CompositeReward.score_groups`."""
        verdicts = self.verdicts(answers_of(tasks, trajectories))
        return self._composite.compose_groups(tasks, trajectories, verdicts, step=step)

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """The verifier's verdict alone."""
        return self.verdicts([(task, outcome)])[0]

    def verdicts(self, answers: Sequence[tuple[Task, Outcome]]) -> list[Reward]:
        """The verifier's verdict on each outcome of the task beside it, in order."""
        away = {
            at: self.submit(task, outcome)
            for at, (task, outcome) in enumerate(answers)
            if task.domain not in self.scoring.in_process
        }
        here = {at: verdict_of(*answer, self._find) for at, answer in enumerate(answers) if at not in away}
        return [away[at].result() if at in away else here[at] for at in range(len(answers))]

    def submit(self, task: Task, outcome: Outcome) -> "Future[Reward]":
        """The future verdict on one outcome, from another process whatever the domain; waits while the queue is full.

        Raises:
            RuntimeError: the pool is closed.
        """
        job = _Job(task, outcome)
        with self._change:
            self._change.wait_for(lambda: self._closed or len(self._waiting) < self.scoring.max_queued)
            if self._closed:
                raise RuntimeError("the scoring pool is closed")
            self._waiting.append(job)
            self._grow()
            self._change.notify_all()
        return job.future

    def pids(self) -> tuple[int, ...]:
        """Of the processes that there are."""
        with self._change:
            return tuple(worker.pid for worker in self._workers)

    def close(self) -> None:
        """End all processes; what was not judged yet is cancelled."""
        with self._change:
            self._closed = True
            while self._waiting:
                self._waiting.popleft().future.cancel()
            self._change.notify_all()
            for worker in self._workers:
                worker.kill()
            self._change.wait_for(lambda: not self._lanes and not self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _most(self) -> int:
        """Lanes that there may be: one in place of each that is slow, as far as there are spares."""
        return self.scoring.workers + min(self._slow, self.scoring.spares)

    def _grow(self) -> None:
        """Start lanes for what waits."""
        for _ in range(min(self._most - self._lanes, len(self._waiting) - self._idle)):
            self._lanes += 1
            threading.Thread(target=self._lane, name="scoring", daemon=True).start()

    def _lane(self) -> None:
        worker: WorkerProcess | None = None
        while (job := self._next()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                reward, worker = self._judge(job, worker)
                job.future.set_result(reward)
            except BaseException as error:  # an answer that cannot be sent, a process that cannot be started
                worker = None
                job.future.set_exception(error)
        self._dismiss(worker)

    def _next(self) -> "_Job | None":
        """What to judge next; None where this lane is to end."""
        with self._change:
            self._idle += 1
            has_time = True
            while not self._closed and self._lanes <= self._most and not self._waiting and has_time:
                has_time = self._change.wait(self.scoring.idle_seconds)
            self._idle -= 1
            if not self._closed and self._lanes <= self._most and self._waiting:
                job = self._waiting.popleft()
            else:
                job = None
                self._lanes -= 1
            self._change.notify_all()
            return job

    def _judge(self, job: "_Job", worker: WorkerProcess | None) -> tuple[Reward, WorkerProcess | None]:
        """The verdict, and the process that is there for the next."""
        cause = ""
        for _ in range(_TRIES):
            worker = worker or self._hire()
            try:
                reward, is_fit = self._ask(job, worker)
                if is_fit:
                    return reward, worker
                self._dismiss(worker)
                return reward, None
            except TimedOutError as error:
                self._dismiss(worker)
                return Reward.invalid(f"verifier: {error} ({job.task.domain})"), None
            except DiedError as error:
                self._dismiss(worker)
                worker, cause = None, str(error)
            except BaseException:
                self._dismiss(worker)
                raise
        return Reward.invalid(f"verifier: {cause} ({job.task.domain})"), None

    def _ask(self, job: "_Job", worker: WorkerProcess) -> tuple[Reward, bool]:
        worker.send(job.task, job.outcome)
        if worker.answers_within(self.scoring.patience_seconds):
            return worker.answer()
        with self._slow_lane(), worker.giving_way():
            return worker.answer()

    @contextlib.contextmanager
    def _slow_lane(self) -> Iterator[None]:
        """Another lane may take the place of this one."""
        with self._change:
            self._slow += 1
            self._grow()
        try:
            yield
        finally:
            with self._change:
                self._slow -= 1
                self._change.notify_all()

    def _hire(self) -> WorkerProcess:
        worker = WorkerProcess(self._find, self.scoring)
        with self._change:
            self._workers.add(worker)
            if not self._closed:
                return worker
        self._dismiss(worker)
        raise RuntimeError("the scoring pool was closed")

    def _dismiss(self, worker: WorkerProcess | None) -> None:
        if worker is not None:
            worker.end()
            with self._change:
                self._workers.discard(worker)
                self._change.notify_all()


@dataclass(frozen=True, slots=True)
class _Job:
    task: Task
    outcome: Outcome
    future: "Future[Reward]" = field(default_factory=Future)
