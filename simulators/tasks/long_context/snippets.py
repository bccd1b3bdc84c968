"""Names for the functions of generated modules."""

import random
from collections.abc import Iterator

from simulators.tasks.long_context.grammar import names_of

__all__ = ["function_names"]


def function_names(rng: random.Random) -> Iterator[str]:
    """Names without end, all different; about every third one differs from the one before it by its number alone."""
    words = names_of("en").words
    seen: set[str] = set()
    stem = ""
    while True:
        if not stem or rng.random() < 0.67:
            stem = f"{rng.choice(words['verb'])}_{rng.choice(words['noun'])}_{rng.choice(words['noun'])}"
        name = f"{stem}_{rng.randint(1, 99)}"
        if name not in seen:
            seen.add(name)
            yield name
