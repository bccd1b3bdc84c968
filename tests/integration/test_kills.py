"""Processes of a run are killed as an operator's `kill -9` would: vLLM's, the environments', a rank's of the trainer."""

import asyncio
import contextlib
import io
import os
import random
import signal

import psutil
import pytest

from pipelines.learning.deaths import TrainerDiedError, naming_dead_ranks
from pipelines.learning.loop import iterate
from pipelines.progress import Progress
from pipelines.rollouts import RolloutSettings, open_rollouts
from pipelines.run_directory import RunDirectory
from rewards.composition import CompositeReward
from rl.policy.presets import build_model, save
from rl.policy.source import PolicyConfig
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.engine_config import EngineConfig
from rl.rollout.scheduling import CommitLog
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import Placement, TrainerGroup
from rl.training.weight_sync import FileExporter
from simulators.pool import EnvironmentPool, PoolConfig
from tests.pipelines.learning_run import SEED, LocalTasks, LocalTrainer, make_policy, settings, train, weights, words
from tests.rl.training.trainer_cases import nano, rollouts, tokenizer
from trajectories.shards import read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("ray_cluster")]


class ExportingTrainer(LocalTrainer):
    """In this process, but its weights travel as those of any trainer."""

    def __init__(self, config, model):
        super().__init__(config, model)
        self.exporter = FileExporter()

    async def export_weights(self):
        return self.exporter.export(self.trainer.model, self.trainer.version)


async def kill_engines(rollouts, moments):
    """Kills vLLM's process, then the actor's, each when turns are in flight at its moment."""
    for process, moment in zip((1, 0), moments, strict=True):
        while (engine := rollouts.engine._serving) is None or not engine._waiting or not moment():
            await asyncio.sleep(0.01)
        processes = await engine.process_ids()
        await asyncio.sleep(0.1)
        os.kill(processes[process], signal.SIGKILL)
        while rollouts.engine._serving is engine:
            await asyncio.sleep(0.01)


async def test_a_run_whose_vllm_is_killed_in_the_middle_of_turns_goes_on_with_the_same_weights(memory_directory, tmp_path):
    save(build_model("nano_k2", words(), seed=0), words(), memory_directory / "policy")
    policy = PolicyConfig(path=str(memory_directory / "policy"), tools_format="none")
    plan = settings("sync", steps=3, trainer=TrainerConfig(gradient_steps=1))
    trainer = ExportingTrainer(plan.trainer, policy.path)
    engine = EngineConfig(model="", max_model_len=1024, max_num_seqs=16, kv_cache_gb=0.25, threads=1)
    limits = RolloutLimits(max_turns=4, max_turn_tokens=256, max_tokens=1024)
    told = RolloutSettings(engine=engine, engine_restarts=2, pool=PoolConfig(actors=1), limits=limits)

    def learnt(steps):
        return lambda: trainer.trainer.version >= steps

    async with open_rollouts(told, policy, Progress(stream=io.StringIO())) as playing:
        killing = asyncio.create_task(kill_engines(playing, (learnt(1), learnt(2))))
        with RunDirectory.open("train", {}, out=tmp_path / "run", resume="never") as run:
            parts = (trainer, LocalTasks(plan.prompts_per_step), CompositeReward(), playing, run)
            summary = await iterate(plan, policy, *parts, Progress(stream=io.StringIO()), seed=SEED)
        await killing
        left = [psutil.Process(process) for process in await playing.engine._serving.process_ids()]
    trainer.exporter.close()
    assert not psutil.wait_procs(left, timeout=20)[1], "engine and actor end with the run"
    assert summary["engine"]["restarts"] == 2 and summary["train"]["faults"] == {}
    assert summary["train"]["max_logprob_difference"] <= 1e-3, "every token is its version's"
    log = CommitLog(tmp_path / "run" / "rollouts" / "commits.jsonl").commits
    assert [list(commit.tokens) for commit in log] == [["0"], ["1"], ["2"]]
    names = [row["id"] for row in read(tmp_path / "run" / "rollouts")]
    assert len(names) == len(set(names)) == 12
    assert "an engine is started anew (2 of 2)" in (tmp_path / "run" / "run.log").read_text()


@pytest.mark.parametrize("schedule", ["parts", "async"])
def test_a_run_whose_environments_are_killed_again_and_again_ends_with_the_same_weights(schedule, tmp_path):
    policy, draw, killed = make_policy(tmp_path / "start"), random.Random(schedule), 0
    train(settings(schedule), policy, tmp_path / "undisturbed")
    pool = EnvironmentPool(PoolConfig(actors=2))

    def watch(event):
        nonlocal killed
        if event == "before step" and draw.random() < 0.1:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed += 1
            processes.clear()
        elif not processes and event == "before train_batch":  # nothing is under way that the others would wait for
            processes.extend(pool.pids())

    processes = pool.pids()
    try:
        summary = train(settings(schedule), policy, tmp_path / "run", pool=pool, watch=watch)
        assert killed >= 2 and pool.deaths >= 2 and summary["train"]["faults"] == {}
        assert weights(tmp_path / "run") == weights(tmp_path / "undisturbed")
    finally:
        pool.close()


async def test_when_a_rank_dies_in_a_training_step_the_others_are_ended_and_it_is_named(tmp_path):
    save(nano(), tokenizer(), tmp_path / "nano")
    config = TrainerConfig(tokens_per_micro_batch=80, gradient_steps=200, mini_batches="whole")
    group = await TrainerGroup.start(config, str(tmp_path / "nano"), Placement(ranks=2, threads=1))
    ranks = [child for child in psutil.Process().children(recursive=True) if "TrainerActor" in " ".join(child.cmdline())]
    assert len(ranks) == 2
    try:
        with pytest.raises(TrainerDiedError, match=r"trainer: rank [01] of 2 died.*resume=auto goes on"):
            async with naming_dead_ranks(group):
                step = asyncio.ensure_future(group.train_batch(rollouts(nano(), groups=6)))
                await asyncio.sleep(3)
                ranks[-1].kill()
                await step
    finally:
        await group.close()
    assert not psutil.wait_procs(ranks, timeout=20)[1]
