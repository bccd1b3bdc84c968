"""Chunks of a synthesis in the order of their numbers, made by Ray actors: somewhat ahead of who takes them, never more."""

import io
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from pipelines.progress import Phase, Progress
from pipelines.synthesis.crew import open_crew
from pipelines.synthesis.rows import Chunk, draw_tasks, judge_chunk, make_chunk

if TYPE_CHECKING:
    from pipelines.synthesize import Synthesize

__all__ = ["chunks"]

_CHUNK = 32
"""Numbers of one call to a worker; as many as are under way at once, where that is more."""
_ENGINE_CHUNK = 128
"""Tasks that an engine plays together."""
_AHEAD = 2
"""Chunks under way or waiting for each worker: one in work, one that it can begin at once."""


async def chunks(config: "Synthesize", directory: Path, phase: Phase, first: int) -> AsyncIterator[Chunk]:
    """All chunks from number `first` on; needs a running Ray. Actors that die are replaced, and their chunks made again."""
    actor = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Worker)
    workers = [actor.remote(config, directory) for _ in range(config.workers)]
    try:
        if config.policy.kind == "engine":
            from pipelines.engine_policy import open_engine_policy  # brings torch, which the workers need not load

            settings = config.policy.engine.settings(config.troubles)
            phase.note("starting the engine")
            silent = Progress(stream=io.StringIO())  # one live bar at a time
            async with open_engine_policy(settings, directory, silent) as policy:
                phase.note("")
                async for chunk in _played_by(policy, config, workers, first):
                    yield chunk
        else:
            waiting: deque[Any] = deque()
            for turn, numbers in enumerate(_spans(first, config.count, max(_CHUNK, config.in_flight))):
                waiting.append(workers[turn % len(workers)].make.remote(numbers))
                if len(waiting) >= _AHEAD * len(workers):
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
    finally:
        for worker in workers:
            ray.kill(worker)


async def _played_by(policy: Any, config: "Synthesize", workers: list[Any], first: int) -> AsyncIterator[Chunk]:
    """While the engine plays one chunk, workers draw the tasks of the next and judge the one before."""
    spans = list(_spans(first, config.count, _ENGINE_CHUNK))
    drawn: Any = workers[0].draw.remote(spans[0]) if spans else None
    judged: Any = None
    for turn, _ in enumerate(spans):
        numbered = await drawn
        if turn + 1 < len(spans):
            drawn = workers[(turn + 1) % len(workers)].draw.remote(spans[turn + 1])
        dialogues = await policy.play([task for _, task in numbered], config.samples, config.seed)
        if judged is not None:
            yield await judged
        played = [
            (number, task, dialogues[place * config.samples : (place + 1) * config.samples])
            for place, (number, task) in enumerate(numbered)
        ]
        judged = workers[turn % len(workers)].judge.remote(played)
    if judged is not None:
        yield await judged


def _spans(first: int, stop: int, size: int) -> Iterator[range]:
    for start in range(first, stop, size):
        yield range(start, min(start + size, stop))


class _Worker:
    """An actor: one process, warm caches."""

    def __init__(self, config: "Synthesize", directory: Path) -> None:
        self._config, self._crew = config, open_crew(config, directory)

    def make(self, numbers: range) -> Chunk:
        return make_chunk(self._config, self._crew, numbers)

    def draw(self, numbers: range) -> Any:
        return draw_tasks(self._config, numbers)

    def judge(self, played: Any) -> Chunk:
        return judge_chunk(self._config, self._crew, played)
