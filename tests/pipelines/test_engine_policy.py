"""A policy that demonstrates: order, seeds, marks and faults, with a scripted engine."""

import pytest

from pipelines.engine_policy import EnginePolicy, EnginePolicySettings
from pipelines.rollouts import RolloutSettings
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.engine import EngineError
from rl.rollout.recorded_engine import RecordedEngine
from rl.rollout.scripted_engine import ScriptedEngine
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, some_tasks
from trajectories.trajectory import Sampling

LIMITS = RolloutSettings(limits=RolloutLimits(max_turns=8, max_turn_tokens=400, max_tokens=1024), in_flight=3)


def policy(engine=None, **settings):
    settings = EnginePolicySettings(rollouts=LIMITS, **settings)
    return EnginePolicy(settings, "nano (0123)", engine or oracle_engine(some_tasks(), kimi()), LocalEpisodes(), kimi())


async def test_episodes_come_back_by_task_marked_and_unjudged():
    played = await policy(temperature=0.7, top_p=0.9).play(some_tasks(), 2, 7)
    assert [(each.task_id, each.rollout) for each in played] == [(task.id, k) for task in some_tasks() for k in range(2)]
    for each in played:
        assert each.outcome.ending == "completed" and each.reward is None
        assert each.provenance.models == {"policy": "nano (0123)"} and each.provenance.run_seed == 7
        for segment in (segment for segment in each.segments if segment.origin == "policy"):
            sampling = segment.sampling
            assert (sampling.temperature, sampling.top_p, sampling.grammar) == (0.7, 0.9, "tool_calls")
            assert len(segment.log_probs) == len(segment.token_ids)


async def test_however_the_work_is_cut_up_it_is_the_same():
    whole = await policy().play(some_tasks(), 3, 7)
    parts = [
        each
        for task in some_tasks()
        for first in range(3)
        for each in await policy().play([task], 1, 7, first_rollout=first)
    ]
    assert parts == whole
    seeds = [segment.sampling.seed for each in whole for segment in each.segments if segment.sampling is not None]
    assert len(set(seeds)) == len(seeds)


async def test_an_engine_that_breaks_half_way_is_a_fault_and_the_rest_replays(tmp_path):
    working, asked = oracle_engine(some_tasks(), kimi()), []

    def respond(prompt, sampling, request_id):
        asked.append(request_id)
        if len(asked) == 5:
            raise EngineError("rollout engine: its actor died")
        return working._respond(prompt, sampling, request_id)

    recorded = RecordedEngine(tmp_path / "completions.sqlite", ScriptedEngine(respond), "w")
    (broken,) = [each for each in await policy(recorded).play(some_tasks(), 1, 7) if each.outcome.ending == "fault"]
    assert [fault.source for fault in broken.outcome.faults] == ["engine"]
    before = len(asked)
    again = await policy(recorded).play(some_tasks(), 1, 7)
    assert again == await policy().play(some_tasks(), 1, 7)
    turns = sum(segment.origin == "policy" for each in again if each.task_id == broken.task_id for segment in each.segments)
    assert len(asked) - before <= turns, "only what the fault cut off is sampled anew"
    assert again == await policy(RecordedEngine(tmp_path / "completions.sqlite", None, "w")).play(some_tasks(), 1, 7)


def test_settings_become_sampling_and_wrong_ones_are_named():
    assert EnginePolicySettings(tool_grammar=False).sampling == Sampling()
    for key, value in (("temperature", -0.1), ("top_p", 0.0), ("top_p", 1.1), ("top_k", 0)):
        with pytest.raises(ValueError, match=f"{key}: is "):
            EnginePolicySettings(**{key: value})
