"""A single-turn task for comparisons of trainers: counting on from a number, digit by digit, modulo ten.

``47=`` is to be answered with ``8901234567...``, so many digits, one token each: every prompt and every answer has the
same length, and nobody has to pad. The reward is 1 for exactly that answer and 0 for any other. A policy warms up on
demonstrations until it is right now and then; reinforcement learning has the rest to find.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from benchmarks.bare_torch import BareTrainer
from rl.policy.presets import load, save
from rl.training.muonclip import OptimizerConfig
from rl.training.packing import TokenRow, collate
from trajectories.seeds import derive_rng, derive_seed

__all__ = ["Question", "Step", "questions", "reads_digit_by_digit", "right", "warm_up"]


@dataclass(frozen=True)
class Question:
    text: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


class Step(NamedTuple):
    """One iteration of reinforcement learning on this task."""

    seconds: float
    reward: float
    """Mean over its completions, before it was learnt from."""
    tokens: int
    """Sampled."""


def reads_digit_by_digit(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the task can be put to this tokenizer: each character is a token of its own, wherever it stands."""
    text = "0123456789="
    alone = [tokenizer(character)["input_ids"] for character in text]
    return all(len(ids) == 1 for ids in alone) and tokenizer(text)["input_ids"] == [ids[0] for ids in alone]


def questions(tokenizer: PreTrainedTokenizerBase, count: int, length: int, seed: int) -> list[Question]:
    """So many questions with answers of `length` digits; a function of the seed. There are 100 different ones."""
    rng: random.Random = derive_rng(seed, "digits")
    made = []
    for _ in range(count):
        number = rng.randrange(100)
        text = f"{number:02}="
        answer = "".join(str((number + further) % 10) for further in range(1, length + 1))
        made.append(Question(text, tuple(tokenizer(text)["input_ids"]), tuple(tokenizer(answer)["input_ids"])))
    return made


def right(question: Question, completion: Sequence[int]) -> float:
    """The reward: 1 for the answer, token by token, 0 for anything else."""
    return float(tuple(completion) == question.answer)


def warm_up(model: str, directory: str, steps: int, batch: int, length: int, seed: int) -> None:
    """Writes the policy of `model` to `directory` after so many steps of supervised learning on answers."""
    optimizer = OptimizerConfig(muon_lr=6e-3, adam_lr=2e-3)
    bare, tokenizer = BareTrainer(model, optimizer, experts="grouped_mm", autocast="float32"), load(model)[1]
    rows = [_row(question) for question in questions(tokenizer, steps * batch, length, derive_seed(seed, "warm-up"))]
    bare.train([collate(rows, range(first, first + batch))] for first in range(0, len(rows), batch))
    save(bare.model.eval(), tokenizer, directory)


def _row(question: Question) -> TokenRow:
    ids = np.array(question.prompt + question.answer, dtype=np.int64)
    return TokenRow(ids, np.arange(len(ids)) >= len(question.prompt))
