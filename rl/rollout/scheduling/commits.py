"""The order in which a run learnt: which groups were in which iteration, on the disk before it is learnt from.

Everything that time decided is in this log and in the recorded rollouts, so from both the run's weights follow exactly.
A line that a kill cut short never counted.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rl.rollout.scheduling.groups import Group
from trajectories.shard_files import replace_file, sync_path
from trajectories.trajectory import Trajectory

__all__ = ["Commit", "CommitLog", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A group as the log names it; see `Group`."""

    number: int
    iteration: int
    began: int
    task: str

    @staticmethod
    def of(group: Group) -> "Place":
        return Place(group.number, group.iteration, group.began, group.task.id)


@dataclass(frozen=True, slots=True)
class Commit:
    """One iteration."""

    iteration: int
    """From 1."""
    version: int
    """Of the weights that it begins with."""
    groups: tuple[Place, ...]
    """In the order in which they are learnt from."""
    waiting: tuple[Place, ...]
    """Unfinished groups that go on in a later iteration."""
    tokens: dict[str, int]
    """Sampled tokens by the version that sampled them."""
    rollouts: int
    digest: str
    """Over what the rollouts said and were worth; see `digest_of`."""

    @staticmethod
    def of(iteration: int, version: int, groups: Sequence[Group], waiting: Sequence[Group]) -> "Commit":
        trajectories = [trajectory for group in groups for trajectory in group.trajectories]
        tokens: Counter[str] = Counter()
        for trajectory in trajectories:
            for segment in trajectory.segments:
                if segment.origin == "policy":
                    tokens[str(segment.policy_version)] += len(segment.token_ids)
        learnt, kept = tuple(map(Place.of, groups)), tuple(map(Place.of, waiting))
        return Commit(iteration, version, learnt, kept, dict(tokens), len(trajectories), digest_of(trajectories))


class CommitLog:
    """``commits.jsonl``: one JSON object a line, in the order of the iterations.

    Args:
        path: of the file; absent for a new run.

    Raises:
        ValueError: a whole line is no commit; names it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.commits = _read(path)
        """Every iteration that is in the log."""

    def append(self, commit: Commit) -> None:
        """Adds one line; it is on the disk when this returns.

        Raises:
            ValueError: for another iteration than the next.
        """
        if commit.iteration != len(self.commits) + 1:
            raise ValueError(f"iteration {len(self.commits) + 1} is to be committed next, not {commit.iteration}")
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(commit)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not self.commits:
            sync_path(self._path.parent)  # the name of a new file is on the disk with its folder
        self.commits.append(commit)

    def keep(self, count: int) -> None:
        """Takes back all but the first `count` iterations, and what a kill left behind them."""
        del self.commits[count:]
        if self._path.exists():
            replace_file(self._path, "".join(json.dumps(asdict(commit)) + "\n" for commit in self.commits))


def digest_of(trajectories: Iterable[Trajectory]) -> str:
    """SHA-256 over names, tokens, log-probabilities, versions and rewards, bit by bit."""
    digest = hashlib.sha256()
    for trajectory in trajectories:
        reward = trajectory.reward
        verdict = None if reward is None else (reward.valid, reward.value)
        digest.update(json.dumps([trajectory.id, trajectory.task_id, trajectory.rollout, verdict]).encode())
        for segment in trajectory.segments:
            about = (segment.origin, segment.policy_version, segment.stale_cache_version, len(segment.token_ids))
            digest.update(json.dumps(about).encode())
            digest.update(np.asarray(segment.token_ids, dtype="<i8").tobytes())
            digest.update(np.asarray(segment.log_probs or (), dtype="<f8").tobytes())
    return digest.hexdigest()


def _read(path: Path) -> list[Commit]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    commits: list[Commit] = []
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            break
        try:
            said = json.loads(line)
            places = {name: tuple(Place(**place) for place in said[name]) for name in ("groups", "waiting")}
            commits.append(Commit(**(said | places)))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: line {number} is no commit ({type(error).__name__}: {error})") from error
    return commits
