"""The data sets of reasoning-gym that the domain draws from; library.yaml has their configuration, level by level.

Left out: answers that are one of few (yes or no, weekdays, colours, small counts); items that have more than one right answer and
no checker; wrong or shaky items (some depend on the date, or on the hash seed of the process); and constructors that take
more than about 10 ms an item. docs/gym/maths.md lists them.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Final

import yaml

from simulators.tasks.maths import checked
from simulators.tasks.maths.borrowed import Borrowed, Item, Taken, borrowed
from simulators.tasks.maths.family import Family

__all__ = ["LIBRARY"]


def _triangle(item: Item) -> Taken | None:
    take = {"angle_measure": checked.angle, "incircle_radius": checked.circle, "orthocenter": checked.orthocentre}
    return take[item["metadata"]["task_type"]](item)


def _inserted(item: Item) -> Taken | None:
    return checked.text(item) if item["answer"] != item["metadata"]["string"] else None


def _palindrome(item: Item) -> Taken | None:
    return item["question"], {"kind": "palindrome", "letters": item["metadata"]["letters"]}, item["answer"]


_TAKES: Final[Mapping[str, Callable[[Item], Taken | None]]] = {
    "basic_arithmetic": checked.arithmetic,
    "chain_sum": checked.arithmetic,
    "products": checked.arithmetic,
    "decimal_chain_sum": checked.arithmetic,
    "decimal_arithmetic": checked.arithmetic,
    "bitwise_arithmetic": checked.hexadecimal,
    "fraction_simplification": checked.simplified,
    "lcm": partial(checked.common, of=math.lcm),
    "prime_factorization": checked.factors,
    "count_primes": checked.primes,
    "base_conversion": checked.base,
    "dice": checked.dice,
    "gsm_symbolic": partial(checked.number, least=1),
    "leg_counting": checked.number,
    "simple_equations": checked.equation,
    "simple_geometry": checked.polygon,
    "advanced_geometry": _triangle,
    "ab": checked.text,
    "binary_matrix": checked.grid,
    "manipulate_matrix": checked.grid,
    "rotate_matrix": checked.grid,
    "spiral_matrix": checked.cells,
    "number_sorting": checked.sorted_numbers,
    "number_filtering": checked.sorted_numbers,
    "word_sorting": checked.words,
    "word_sequence_reversal": checked.words,
    "string_insertion": _inserted,
    "string_splitting": checked.cells,
    "string_synthesis": checked.cells,
    "palindrome_generation": _palindrome,
    "needle_haystack": checked.text,
    "knights_knaves": checked.islanders,
    "graph_color": checked.colouring,
    "largest_island": checked.number,
    "path_star": checked.cells,
    "shortest_path": checked.route,
    "kakurasu": checked.weights,
    "mini_sudoku": checked.board,
    "survo": checked.survo,
}


def _library() -> Mapping[str, Family]:
    described = yaml.safe_load(files(__package__).joinpath("library.yaml").read_text("utf-8"))
    return {
        name: borrowed(Borrowed(name, one["about"], tuple(one["tags"]), tuple(one["levels"]), _TAKES[name], one.get("form", {})))
        for name, one in described.items()
    }


LIBRARY: Final = _library()
