"""An engine whose completions are written down, by what was asked: what a live engine sampled replays without it (law 3).

What was sampled once is never sampled again, so a run that was killed goes on with the tokens that it had, although the
same request need not give the same tokens twice (what else is in the batch changes the last bits of a probability).
Faults are not written down, and neither is what was cut before its first token: whoever asks again may be luckier. What
was cut later is written down as what it was, so that whoever went on with those tokens finds them again. A completion
stands under the weights that sampled its first token, which need not be those that it was asked of.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rl.rollout.engine import (
    Completion,
    Engine,
    EngineError,
    Run,
    UpdateMode,
    UpdateReceipt,
    WeightUpdate,
    check_grammar,
)
from trajectories.canonical import digest
from trajectories.trajectory import Sampling

__all__ = ["RecordedEngine"]


class RecordedEngine:
    """Completions from the file at `path`; what it lacks is sampled by `engine` and kept. See `rl.rollout.engine.Engine`.

    Several processes of one machine may record into one file: the first completion of a request stands for all.

    Args:
        path: an SQLite database on a local disk.
        engine: who is recorded; None to replay, where nothing is written and an unknown request is an error.
        weights: digest of the tensors that `engine` starts with (`rl.policy.weights.tensor_digest`): one file may hold
            completions of many weights. The versions in a completion are those of the run that recorded it.

    Raises:
        FileNotFoundError: there is nothing to replay.
        ValueError: the file is no recording.
    """

    def __init__(self, path: str | Path, engine: Engine | None, weights: str) -> None:
        self._path, self._engine = Path(path), engine
        self._weights = {self.version: weights}  # of each version
        self.sampled = self.replayed = 0
        """Completions that the live engine gave, and that the file gave."""
        if engine is None and not self._path.exists():
            raise FileNotFoundError(f"{self._path}: there is no recording")
        try:
            self._database = _opened(self._path, write=engine is not None)
        except sqlite3.Error as error:
            raise ValueError(f"{self._path}: not a recording of an engine: {error}") from error

    @property
    def version(self) -> int:
        return 0 if self._engine is None else self._engine.version

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        check_grammar(sampling, grammar)
        if sampling.seed is None and sampling.temperature > 0:
            raise EngineError(f"recorded engine: request {request_id} has no seed, and every draw would be the same one")
        asked = {
            "weights": self._weights[self.version],
            "prompt": list(prompt_token_ids),
            "sampling": asdict(sampling),
            "grammar": grammar,
            "max_tokens": max_tokens,
            "stop": list(stop_token_ids),
        }
        if (text := self._recorded(digest(asked))) is not None:
            self.replayed += 1
            return _completion(text)
        completion = await self._live(f"request {request_id}").generate(
            prompt_token_ids,
            sampling,
            max_tokens=max_tokens,
            stop_token_ids=stop_token_ids,
            request_id=request_id,
            grammar=grammar,
        )
        self.sampled += 1
        if not completion.token_ids:
            return completion
        # An update may have come before the first token.
        key = digest(asked | {"weights": self._weights[completion.runs[0].policy_version]})
        with self._database:
            self._database.execute("INSERT OR IGNORE INTO completions VALUES (?, ?)", (key, json.dumps(asdict(completion))))
        text = self._recorded(key)  # another process may have been first
        assert text is not None
        return _completion(text)

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        live = self._live(f"weights of version {update.version}")
        if update.version > live.version:  # else it is refused
            self._weights[update.version] = update.digest  # before the receipt, which completions may overtake
        return await live.update_weights(update, mode)

    async def interrupt(self) -> None:
        if self._engine is not None:
            await self._engine.interrupt()

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        return await self._live("a probe").prompt_log_probs(token_ids)

    async def close(self) -> None:
        self._database.close()
        if self._engine is not None:
            await self._engine.close()

    def _live(self, wanted: str) -> Engine:
        if self._engine is None:
            raise EngineError(f"recorded engine: {wanted} is not in the recording {self._path.name}")
        return self._engine

    def _recorded(self, key: str) -> str | None:
        try:
            found = self._database.execute("SELECT completion FROM completions WHERE asked = ?", (key,)).fetchone()
        except sqlite3.ProgrammingError as error:
            raise EngineError(f"recorded engine: a request came after close: {error}") from error
        return None if found is None else str(found[0])


def _opened(path: Path, write: bool) -> sqlite3.Connection:
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}", uri=True, timeout=60)
    try:
        if write:
            # What is written survives this process however it ends; only a machine that loses power may lose the last of it.
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            with database:
                database.execute("CREATE TABLE IF NOT EXISTS completions (asked TEXT PRIMARY KEY, completion TEXT NOT NULL)")
        database.execute("SELECT asked, completion FROM completions LIMIT 1").fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _completion(text: str) -> Completion:
    told = json.loads(text)
    runs = tuple(Run(**run) for run in told.get("runs", ()))
    return Completion(tuple(told["token_ids"]), tuple(told["log_probs"]), told["finish_reason"], told["policy_version"], runs)
