"""Trainer ranks in processes of their own, over gloo: started once, asked often."""

import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rl.training.trainer_process import Ranks, join, leave

__all__ = ["RankProcesses"]


class RankProcesses:
    """`size` ranks that have met; `call` runs the same function on all of them."""

    def __init__(self, size: int, directory: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for rank in range(size):
            here, there = context.Pipe()
            ranks = Ranks(rank, size, f"file://{directory / 'meeting'}", threads=1, timeout_s=60)
            process = context.Process(target=_serve, args=(ranks, there), daemon=True)
            process.start()
            there.close()  # so that the end of the process is heard here
            self._pipes.append(here)
            self._processes.append(process)

    def call(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """`function(ranks, *arguments)` of each rank. A function of a module, and arguments that pickle."""
        for pipe in self._pipes:
            pipe.send_bytes(pickle.dumps((function, arguments)))
        answers = [pickle.loads(pipe.recv_bytes()) for pipe in self._pipes]
        if errors := [error for _, error in answers if error is not None]:
            raise AssertionError("\n".join(errors))
        return [result for result, _ in answers]

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send_bytes(pickle.dumps(None))
        for process in self._processes:
            process.join(20)
            process.kill()


def _serve(ranks: Ranks, pipe: Any) -> None:
    torch.set_num_threads(1)
    join(ranks)
    while (work := pickle.loads(pipe.recv_bytes())) is not None:
        function, arguments = work
        try:
            answer = function(ranks, *arguments), None
        except Exception:
            answer = None, f"rank {ranks.rank}: {traceback.format_exc()}"
        pipe.send_bytes(pickle.dumps(answer))
    leave()
