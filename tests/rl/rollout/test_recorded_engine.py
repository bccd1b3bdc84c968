"""What an engine sampled replays, in this process, in another, and after one was killed; faults are not kept."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import EngineError, Run, WeightUpdate
from rl.rollout.recorded_engine import RecordedEngine
from rl.rollout.scripted_engine import ScriptedEngine
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, some_tasks
from tests.rl.rollout.scheduling.virtual_time import simulate
from trajectories.trajectory import Sampling

ASKED = {"prompt_token_ids": [1, 2], "sampling": Sampling(seed=3), "max_tokens": 2, "stop_token_ids": [9]}
GRAMMAR = {"sampling": Sampling(seed=3, grammar="tool_calls"), "grammar": "start: <[9]>"}


class Fickle(ScriptedEngine):
    """Never says the same thing twice."""

    def __init__(self):
        self.asked = 0
        super().__init__(self._say)

    def _say(self, prompt, sampling, request_id):
        self.asked += 1
        return [1000 + self.asked, 9], [-1 / (self.asked + 2), -1e-300]


async def ask(engine, name="a", **changed):
    return await engine.generate(**ASKED | changed, request_id=name)


async def test_a_request_is_sampled_once_and_replays_to_the_last_bit(tmp_path):
    live = Fickle()
    engine = RecordedEngine(tmp_path / "r", live, "w")
    first = await ask(engine)
    assert await ask(engine, "b") == first == await ask(RecordedEngine(tmp_path / "r", None, "w"))
    assert (live.asked, engine.sampled, engine.replayed) == (1, 1, 1)
    assert first.token_ids == (1001, 9) and first.log_probs == (-1 / 3, -1e-300)


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_token_ids": [1, 2, 3]},
        {"sampling": Sampling(seed=4)},
        {"sampling": Sampling(seed=3, temperature=0.5)},
        {"max_tokens": 3},
        {"stop_token_ids": [9, 8]},
        GRAMMAR,
    ],
    ids=str,
)
async def test_any_other_request_is_another(tmp_path, changed):
    live = Fickle()
    engine = RecordedEngine(tmp_path / "r", live, "w")
    assert await ask(engine) != await ask(engine, **changed) and live.asked == 2
    with pytest.raises(EngineError, match="request z is not in the recording r"):
        await ask(RecordedEngine(tmp_path / "r", None, "w"), "z", max_tokens=99)


async def test_grammars_and_weights_tell_requests_apart(tmp_path):
    live = Fickle()
    engine = RecordedEngine(tmp_path / "r", live, "w")
    held = await ask(engine, **GRAMMAR)
    assert await ask(engine, **GRAMMAR | {"grammar": "start: <[8]>"}) != held
    assert await ask(RecordedEngine(tmp_path / "r", live, "other"), **GRAMMAR) != held
    await engine.update_weights(WeightUpdate(1, "nowhere", "other"))
    assert await ask(engine, **GRAMMAR) == await ask(RecordedEngine(tmp_path / "r", None, "other"), **GRAMMAR)
    assert live.asked == 3


async def test_faults_are_not_kept(tmp_path):
    answers = iter([EngineError("rollout engine: its actor died"), ([7, 9], [-1.0, -2.0])])

    def respond(*_):
        if isinstance(answer := next(answers), EngineError):
            raise answer
        return answer

    engine = RecordedEngine(tmp_path / "r", ScriptedEngine(respond), "w")
    with pytest.raises(EngineError, match="its actor died"):
        await ask(engine)
    assert (await ask(engine)).token_ids == (7, 9)


def in_flight():
    """Four tokens a request, one a second."""
    return ScriptedEngine(lambda *_: ([5, 6, 7, 9], [-0.5] * 4), latency=lambda _, count: float(count))


async def begin(engine, seconds, **changed):
    turn = asyncio.create_task(ask(engine, max_tokens=4, **changed))
    await asyncio.sleep(seconds)
    return turn


def test_a_cut_completion_replays_as_what_it_was_and_so_does_its_rest(tmp_path):
    async def play():
        engine = RecordedEngine(tmp_path / "r", in_flight(), "w")
        turn = await begin(engine, 2.5)
        await engine.interrupt()
        part = await turn
        assert (part.finish_reason, part.token_ids) == ("cut", (5, 6))
        rest = await ask(engine, prompt_token_ids=[1, 2, 5, 6], max_tokens=4)
        replay = RecordedEngine(tmp_path / "r", None, "w")
        assert await ask(replay, max_tokens=4) == part
        assert await ask(replay, prompt_token_ids=[1, 2, 5, 6], max_tokens=4) == rest
        await replay.interrupt()

    simulate(play())


def test_what_was_cut_before_its_first_token_is_asked_anew(tmp_path):
    async def play():
        engine = RecordedEngine(tmp_path / "r", in_flight(), "w")
        turn = await begin(engine, 0.5)
        await engine.interrupt()
        assert (await turn).token_ids == ()
        with pytest.raises(EngineError, match="request a is not in the recording"):
            await ask(RecordedEngine(tmp_path / "r", None, "w"), max_tokens=4)
        again = RecordedEngine(tmp_path / "r", in_flight(), "w")
        assert (await ask(again, max_tokens=4)).finish_reason == "stop"

    simulate(play())


@pytest.mark.parametrize("mode", ["wait", "recompute", "keep"])
def test_a_completion_stands_under_the_weights_that_sampled_its_first_token(tmp_path, mode):
    async def play():
        engine = RecordedEngine(tmp_path / "r", in_flight(), "old")
        turn = await begin(engine, 2.5)
        update = asyncio.create_task(engine.update_weights(WeightUpdate(1, "nowhere", "new"), mode))
        waited = await begin(engine, 0, sampling=Sampling(seed=4))  # asked of one version, sampled by the next
        first, second = await turn, await waited
        await update
        assert first.runs[0].policy_version == 0 and second.runs == (Run(4, 1),)
        ended = {"wait": (1, "stop"), "recompute": (1, "cut"), "keep": (2, "stop")}
        assert (len(first.runs), first.finish_reason) == ended[mode]
        old, new = RecordedEngine(tmp_path / "r", None, "old"), RecordedEngine(tmp_path / "r", None, "new")
        assert await ask(old, max_tokens=4) == first
        assert await ask(new, max_tokens=4, sampling=Sampling(seed=4)) == second
        for replay, seed in ((new, 3), (old, 4)):
            with pytest.raises(EngineError, match="not in the recording"):
                await ask(replay, max_tokens=4, sampling=Sampling(seed=seed))

    simulate(play())


async def test_what_cannot_be_recorded_is_refused(tmp_path):
    engine = RecordedEngine(tmp_path / "r", Fickle(), "w")
    with pytest.raises(EngineError, match="request a has no seed"):
        await ask(engine, sampling=Sampling())
    await ask(engine, sampling=Sampling(temperature=0.0))
    with pytest.raises(EngineError, match="sampling.grammar='tool_calls' where none was given"):
        await ask(engine, sampling=Sampling(seed=1, grammar="tool_calls"))
    replay = RecordedEngine(tmp_path / "r", None, "w")
    with pytest.raises(EngineError, match="weights of version 1 is not in the recording"):
        await replay.update_weights(WeightUpdate(1, "nowhere", "x"))
    await engine.close()
    with pytest.raises(EngineError, match="after close"):
        await ask(engine)


def test_a_file_that_is_no_recording_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no recording"):
        RecordedEngine(tmp_path / "none", None, "w")
    (tmp_path / "text").write_text("a text that is long enough to be no database at all" * 40)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE replies (asked TEXT)")
    for name, engine in (("text", None), ("text", Fickle()), ("other", None)):
        with pytest.raises(ValueError, match=f"{name}: not a recording of an engine"):
            RecordedEngine(tmp_path / name, engine, "w")


async def test_episodes_replay_without_an_engine(tmp_path):
    limits = RolloutLimits(max_turns=8, max_turn_tokens=200, max_tokens=2000)

    async def play(engine, in_flight):
        tasks = some_tasks()
        return await rollout_batch(
            tasks, 2, 7, engine, LocalEpisodes(), kimi(), Sampling(), limits, in_flight=in_flight, first_rollout=3
        )

    live = await play(RecordedEngine(tmp_path / "r", oracle_engine(some_tasks(), kimi()), "w"), 64)
    assert await play(RecordedEngine(tmp_path / "r", None, "w"), 1) == live
    assert [each.rollout for each in live] == [3, 4] * len(some_tasks())
    assert all(replace(each.outcome, messages=()).ending == "completed" for each in live)


PROCESS = """
import asyncio, json, os, signal, sys
from rl.rollout.recorded_engine import RecordedEngine
from rl.rollout.scripted_engine import ScriptedEngine
from trajectories.trajectory import Sampling

path, last = sys.argv[1], int(sys.argv[2])
engine = RecordedEngine(path, ScriptedEngine(lambda *_: ([os.getpid(), 9], [-0.5, -0.5])), "w")

async def main():
    said = []
    for seed in range(40):
        if seed == last:
            os.kill(os.getpid(), signal.SIGKILL)
        settings = {"max_tokens": 2, "stop_token_ids": [9], "request_id": str(seed)}
        said.append((await engine.generate([1], Sampling(seed=seed), **settings)).token_ids[0])
        if seed == 0:
            print("begun", flush=True)
    print(json.dumps(said))

asyncio.run(main())
"""


def test_two_processes_agree_and_what_a_killed_one_sampled_stays(tmp_path):
    def start(last):
        command = [sys.executable, "-c", PROCESS, str(tmp_path / "r"), str(last)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    killed = start(20)
    killed.wait()
    assert killed.returncode == -signal.SIGKILL
    both = [start(99), start(99)]
    first, second = (json.loads(process.communicate()[0].splitlines()[-1]) for process in both)
    assert first == second
    assert set(first[:20]) == {killed.pid} and killed.pid not in first[20:]
