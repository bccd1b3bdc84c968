"""Problems of reasoning-gym behind our seeding, its answers checked again, its scorers never asked.

Its item i of seed s is item 0 of seed s + i, so that neighbouring seeds share their items; every problem here is the only item
of a data set with a seed of its own. What is drawn stands in the problem, so nothing depends on the library's version later.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import reasoning_gym

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question

__all__ = ["Borrowed", "Item", "borrowed"]

Item = Mapping[str, Any]
"""As the library gives it: ``question``, ``answer``, ``metadata``."""
Taken = tuple[str, Mapping[str, Any], str]
"""Question, key and a right answer."""

_TRIES: Final = 500

_FRAME: Final = {
    "en": "{question}\n\nWhatever form is asked for above, this is how to hand in the answer:",
    "zh": "请解答下面的英文题目：\n\n{question}\n\n无论上文要求何种格式，请按以下方式作答：",
}


@dataclass(frozen=True, slots=True)
class Borrowed:
    """One of its data sets."""

    dataset: str
    about: str
    tags: tuple[str, ...]
    levels: tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
    """Its configuration at each level."""
    take: Callable[[Item], Taken | None]
    """From an item to a problem; None for one that is wrong, ambiguous or too easy to guess."""
    form: Mapping[str, str] = field(default_factory=dict)
    """By language: how the answer is to be written, where its kind does not say."""


def borrowed(source: Borrowed) -> Family:
    return Family(
        source.about,
        ("reasoning_gym", *source.tags),
        partial(_draw, source),
        partial(_put, source),
    )


def _draw(source: Borrowed, level: int, rng: random.Random) -> Problem:
    for _ in range(_TRIES):
        data = reasoning_gym.create_dataset(source.dataset, seed=rng.getrandbits(60), size=1, **source.levels[level - 1])
        if (taken := source.take(data[0])) is not None:
            question, key, answer = taken
            return {"question": question.strip(), "key": dict(key), "answer": answer}
    raise ValueError(f"reasoning-gym: none of {_TRIES} items of {source.dataset} at level {level} can be used")


def _put(source: Borrowed, problem: Problem, language: str) -> Question:
    text = _FRAME[language].format(question=problem["question"])
    return Question(text, problem["key"], problem["answer"], source.form.get(language, ""))
