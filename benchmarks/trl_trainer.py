"""TRL's `GRPOTrainer` on `benchmarks.digits`, set to the same objective, optimizer and token counts as our trainer.

Generation is the model's own (`generate`), TRL's only mode that works on a CPU with Kimi K2's attention. A step is counted
from its begin to its end, without what lies between steps.
"""

import math
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.digits import Question, Step, right
from rl.policy.presets import load

__all__ = ["train_with_trl"]


def train_with_trl(
    model: str,
    batches: Sequence[Sequence[Question]],
    group_size: int,
    rate: float,
    micro_batch: int | None,
    experts: str,
    seed: int,
) -> list[Step]:
    """Learns from one batch of questions a step; best in a process of its own, whose threads are set.

    Args:
        rate: learning rate of AdamW.
        micro_batch: completions that are generated, and trained on, together. None is TRL's own way: all of a step are
            generated together, and trained on by eights.
        experts: transformers' name of the experts implementation.
    """
    # What this process may have inherited: a launcher's variables would make it wait for ranks that do not come, and
    # accelerate's would wrap the model in DeepSpeed, which TRL was not asked to use.
    for variable in list(os.environ):
        if variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK") or variable.startswith("ACCELERATE_"):
            del os.environ[variable]
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    questions = [question for batch in batches for question in batch]
    length = len(questions[0].answer)
    size = len(batches[0]) * group_size
    together = micro_batch or math.gcd(8, size)
    seconds: list[float] = []
    rewards: list[float] = []
    sampled: list[int] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.begun)

    def reward(completion_ids: Sequence[Sequence[int]], number: Sequence[int], **_: Any) -> list[float]:
        values = [right(questions[row], ids) for ids, row in zip(completion_ids, number, strict=True)]
        rewards.extend(values)
        sampled.extend(map(len, completion_ids))
        return values

    with tempfile.TemporaryDirectory(prefix="orrery-bench-") as directory:
        settings = GRPOConfig(
            output_dir=directory,
            seed=seed,
            max_steps=len(batches),
            per_device_train_batch_size=together,
            gradient_accumulation_steps=size // together,
            steps_per_generation=None if micro_batch is None else 1,
            num_generations=group_size,
            max_completion_length=length,
            generation_kwargs={"min_new_tokens": length},
            temperature=1.0,
            shuffle_dataset=False,
            loss_type="grpo",
            scale_rewards="group",
            beta=0.0,
            epsilon=0.2,
            optim="adamw_torch_fused",
            learning_rate=rate,
            lr_scheduler_type="constant",
            adam_beta1=0.9,
            adam_beta2=0.95,
            weight_decay=0.0,
            max_grad_norm=1.0,
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        policy, tokenizer = load(model, attention="sdpa", experts=experts)
        rows = [{"prompt": question.text, "number": number} for number, question in enumerate(questions)]
        trainer = GRPOTrainer(
            model=policy,
            reward_funcs=reward,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    spans = [slice(step * size, (step + 1) * size) for step in range(len(batches))]
    return [Step(taken, sum(rewards[span]) / size, sum(sampled[span])) for taken, span in zip(seconds, spans, strict=True)]
