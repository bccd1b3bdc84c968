"""GRPO on `benchmarks.digits` with the engine and the trainer of this project: what `benchmarks.trl_trainer` does with TRL.

A step is counted from the first request until the engine has the new weights and they are proven.
"""

import asyncio
import time
from collections.abc import Sequence
from statistics import mean

import numpy as np
import torch

from benchmarks.digits import Question, Step, right
from rl.rollout.engine import Completion, Engine
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine
from rl.rollout.replicated_engine import ReplicatedEngine
from rl.training.advantages import group_advantages
from rl.training.muonclip import OptimizerConfig
from rl.training.packing import TokenRow
from rl.training.synchronise import prove_engine, synchronise
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import Placement, TrainerGroup
from trajectories.seeds import derive_seed
from trajectories.trajectory import Sampling

__all__ = ["train_with_engine"]


async def train_with_engine(
    model: str,
    batches: Sequence[Sequence[Question]],
    group_size: int,
    rate: float,
    config: EngineConfig,
    replicas: int,
    placement: Placement,
    seed: int,
) -> list[Step]:
    """Learns from one batch of questions a step; needs a running Ray.

    Args:
        rate: learning rate of AdamW.
        replicas: engines of this configuration.
    """
    engines = [RemoteVLLMEngine(config) for _ in range(replicas)]
    engine = ReplicatedEngine(engines)
    settings = TrainerConfig(
        objective="grpo",
        objective_settings={"low": 0.2, "high": 0.2, "beta": 0.0},
        optimizer=OptimizerConfig(name="adamw", adam_lr=rate, betas=(0.9, 0.95), weight_decay=0.0, qk_clip_threshold=None),
        gradient_steps=1,
        max_grad_norm=1.0,
    )
    try:
        trainer = await TrainerGroup.start(settings, model, placement)
        try:
            await asyncio.gather(*(one.start() for one in engines))
            await prove_engine(engine, trainer, derive_seed(seed, "probe", 0))
            steps = []
            for number, asked in enumerate(batches, start=1):
                started = time.perf_counter()
                group = [question for question in asked for _ in range(group_size)]
                completions = await asyncio.gather(
                    *(_answer(engine, question, number, row, seed) for row, question in enumerate(group))
                )
                rewards = [right(question, c.token_ids) for question, c in zip(group, completions, strict=True)]
                await trainer.train_batch(_rollouts(group, completions, rewards, group_size))
                await synchronise(engine, trainer, derive_seed(seed, "probe", number))
                seconds = time.perf_counter() - started
                steps.append(Step(seconds, mean(rewards), sum(len(c.token_ids) for c in completions)))
            return steps
        finally:
            await trainer.close()
    finally:
        await engine.close()


async def _answer(engine: Engine, question: Question, step: int, row: int, seed: int) -> Completion:
    return await engine.generate(
        question.prompt,
        Sampling(seed=derive_seed(seed, "sampling", step, row)),
        max_tokens=len(question.answer),
        stop_token_ids=(),
        request_id=f"{step}/{row}",
    )


def _rollouts(
    group: Sequence[Question], completions: Sequence[Completion], rewards: Sequence[float], group_size: int
) -> Rollouts:
    rows = []
    for question, completion in zip(group, completions, strict=True):
        before = len(question.prompt)
        ids = np.array(question.prompt + completion.token_ids, dtype=np.int64)
        log_probs = np.concatenate([np.zeros(before), completion.log_probs]).astype(np.float32)
        rows.append(TokenRow(ids, np.arange(len(ids)) >= before, log_probs))
    groups, valid = torch.arange(len(rows)) // group_size, torch.ones(len(rows), dtype=torch.bool)
    return Rollouts(rows, group_advantages(torch.tensor(rewards), valid, groups, "std"), valid, groups)
