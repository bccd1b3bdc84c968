"""Steps that programs are made of: what each does in words, as Python, and as a function of ours.

The words and the Python are for tasks; what a step really does is its function here. Certification runs the Python in a
sandbox and compares, so the two cannot drift apart.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final, Literal

__all__ = ["OPERATIONS", "Kind", "Operation", "Step", "draw_step", "run_step"]

Kind = Literal["numbers", "number", "text"]
"""``list[int]``, ``int`` or ``str``."""

Step = Mapping[str, Any]
"""``{"name": of the operation, "values": its numbers}``."""


@dataclass(frozen=True)
class Operation:
    """One step. In words and code, ``{a}`` and ``{b}`` are its numbers; the code is an expression of ``x``."""

    takes: Kind
    gives: Kind
    english: str
    chinese: str
    code: str
    run: Callable[..., Any]
    ranges: tuple[tuple[int, int], ...] = ()
    """Lowest and highest of each number."""


def _digits(value: int) -> int:
    return sum(map(int, str(abs(value))))


def _is_prime(value: int) -> bool:
    return value > 1 and all(value % divisor for divisor in range(2, int(value**0.5) + 1))


def _peaks(x: Sequence[int]) -> int:
    return sum(x[i - 1] < x[i] > x[i + 1] for i in range(1, len(x) - 1))


def _most_common(x: Sequence[int]) -> int:
    return min(Counter(x).items(), key=lambda item: (-item[1], item[0]))[0] if x else -1


def _run_lengths(x: str) -> str:
    parts, i = [], 0
    while i < len(x):
        j = i
        while j < len(x) and x[j] == x[i]:
            j += 1
        parts.append(f"{x[i]}{j - i}")
        i = j
    return "".join(parts)


def _shift(x: str, a: int) -> str:
    return "".join(chr((ord(c) - 97 + a) % 26 + 97) if "a" <= c <= "z" else c for c in x)


def _n(english: str, chinese: str, code: str, run: Callable[..., Any], *ranges: tuple[int, int]) -> Operation:
    return Operation("numbers", "numbers", english, chinese, code, run, ranges)


def _r(english: str, chinese: str, code: str, run: Callable[..., Any], *ranges: tuple[int, int]) -> Operation:
    return Operation("numbers", "number", english, chinese, code, run, ranges)


def _t(english: str, chinese: str, code: str, run: Callable[..., Any], *ranges: tuple[int, int]) -> Operation:
    return Operation("text", "text", english, chinese, code, run, ranges)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "keep_multiples": _n(
        "keep only the multiples of {a}",
        "只保留{a}的倍数",
        "[v for v in x if v % {a} == 0]",
        lambda x, a: [v for v in x if v % a == 0],
        (2, 7),
    ),
    "drop_multiples": _n(
        "remove the multiples of {a}",
        "去掉{a}的倍数",
        "[v for v in x if v % {a} != 0]",
        lambda x, a: [v for v in x if v % a],
        (2, 9),
    ),
    "keep_greater": _n(
        "keep only the numbers greater than {a}",
        "只保留大于{a}的数",
        "[v for v in x if v > {a}]",
        lambda x, a: [v for v in x if v > a],
        (-20, 20),
    ),
    "keep_less": _n(
        "keep only the numbers less than {a}",
        "只保留小于{a}的数",
        "[v for v in x if v < {a}]",
        lambda x, a: [v for v in x if v < a],
        (-10, 40),
    ),
    "keep_primes": _n(
        "keep only the prime numbers",
        "只保留质数",
        "[v for v in x if v > 1 and all(v % d for d in range(2, int(v ** 0.5) + 1))]",
        lambda x: [v for v in x if _is_prime(v)],
    ),
    "add": _n("add {a} to each number", "给每个数加上{a}", "[v + {a} for v in x]", lambda x, a: [v + a for v in x], (1, 40)),
    "multiply": _n(
        "multiply each number by {a}", "把每个数乘以{a}", "[v * {a} for v in x]", lambda x, a: [v * a for v in x], (2, 9)
    ),
    "square": _n("square each number", "求每个数的平方", "[v * v for v in x]", lambda x: [v * v for v in x]),
    "absolute": _n(
        "replace each number by its absolute value", "取每个数的绝对值", "[abs(v) for v in x]", lambda x: [abs(v) for v in x]
    ),
    "remainder": _n(
        "replace each number by its remainder modulo {a}, which is never negative",
        "把每个数换成它除以{a}的余数（余数不为负）",
        "[v % {a} for v in x]",
        lambda x, a: [v % a for v in x],
        (5, 30),
    ),
    "clip": _n(
        "replace numbers below {a} by {a}, and numbers above {b} by {b}",
        "把小于{a}的数换成{a}，大于{b}的数换成{b}",
        "[min(max(v, {a}), {b}) for v in x]",
        lambda x, a, b: [min(max(v, a), b) for v in x],
        (-20, 0),
        (5, 40),
    ),
    "digit_sums": _n(
        "replace each number by the sum of its decimal digits, without the sign",
        "把每个数换成它各位数字之和（不计符号）",
        "[sum(int(c) for c in str(abs(v))) for v in x]",
        lambda x: [_digits(v) for v in x],
    ),
    "sort": _n("sort from smallest to largest", "从小到大排序", "sorted(x)", sorted),
    "sort_down": _n(
        "sort from largest to smallest", "从大到小排序", "sorted(x, reverse=True)", lambda x: sorted(x, reverse=True)
    ),
    "reverse": _n("reverse the order", "颠倒顺序", "x[::-1]", lambda x: x[::-1]),
    "distinct": _n(
        "keep only the first occurrence of each number",
        "每个数只保留第一次出现",
        "list(dict.fromkeys(x))",
        lambda x: list(dict.fromkeys(x)),
    ),
    "running_sums": _n(
        "replace each number by the sum of all numbers up to and including it",
        "把每个数换成到它为止（含它）的累加和",
        "[sum(x[:i + 1]) for i in range(len(x))]",
        lambda x: list(accumulate(x)),
    ),
    "running_maxima": _n(
        "replace each number by the largest number up to and including it",
        "把每个数换成到它为止（含它）的最大值",
        "[max(x[:i + 1]) for i in range(len(x))]",
        lambda x: list(accumulate(x, max)),
    ),
    "differences": _n(
        "replace the list by the differences of neighbours, each number minus the one before it",
        "换成相邻两数之差（后一个减前一个）",
        "[x[i] - x[i - 1] for i in range(1, len(x))]",
        lambda x: [b - a for a, b in pairwise(x)],
    ),
    "rotate": _n(
        "rotate the list to the left by {a} places (an empty list stays empty)",
        "把列表向左循环移动{a}位（空列表不变）",
        "(x[{a} % len(x):] + x[:{a} % len(x)]) if x else []",
        lambda x, a: x[a % len(x) :] + x[: a % len(x)] if x else [],
        (1, 6),
    ),
    "take": _n("keep only the first {a} numbers", "只保留前{a}个数", "x[:{a}]", lambda x, a: x[:a], (3, 9)),
    "skip": _n("remove the first {a} numbers", "去掉前{a}个数", "x[{a}:]", lambda x, a: x[a:], (1, 4)),
    "every": _n(
        "keep every number at a position divisible by {a}, counting positions from 0",
        "只保留下标（从0开始）能被{a}整除的数",
        "x[::{a}]",
        lambda x, a: x[::a],
        (2, 4),
    ),
    "negate_every": _n(
        "change the sign of the numbers at positions divisible by {a}, counting positions from 0",
        "把下标（从0开始）能被{a}整除的数变号",
        "[-v if i % {a} == 0 else v for i, v in enumerate(x)]",
        lambda x, a: [-v if i % a == 0 else v for i, v in enumerate(x)],
        (2, 5),
    ),
    "chunk_sums": _n(
        "cut the list into consecutive chunks of {a} numbers (the last may be shorter) and replace each chunk by its sum",
        "把列表依次切成每段{a}个数（最后一段可以更短），每段换成它的和",
        "[sum(x[i:i + {a}]) for i in range(0, len(x), {a})]",
        lambda x, a: [sum(x[i : i + a]) for i in range(0, len(x), a)],
        (2, 4),
    ),
    "merge_equal": _n(
        "of equal neighbours, keep only the first",
        "相邻且相等的数只保留第一个",
        "[v for i, v in enumerate(x) if i == 0 or v != x[i - 1]]",
        lambda x: [v for i, v in enumerate(x) if i == 0 or v != x[i - 1]],
    ),
    "total": _r("return the sum of the list", "返回列表的和", "sum(x)", sum),
    "spread": _r(
        "return the largest number minus the smallest, or 0 for an empty list",
        "返回最大值减最小值，空列表返回0",
        "max(x) - min(x) if x else 0",
        lambda x: max(x) - min(x) if x else 0,
    ),
    "count_distinct": _r(
        "return how many different numbers there are", "返回不同的数的个数", "len(set(x))", lambda x: len(set(x))
    ),
    "alternating": _r(
        "return the alternating sum: the first number minus the second plus the third, and so on",
        "返回交错和：第一个减第二个加第三个，依此类推",
        "sum(v if i % 2 == 0 else -v for i, v in enumerate(x))",
        lambda x: sum(v if i % 2 == 0 else -v for i, v in enumerate(x)),
    ),
    "peaks": _r(
        "return how many numbers are greater than both of their neighbours",
        "返回比左右两个邻居都大的数的个数",
        "sum(x[i - 1] < x[i] > x[i + 1] for i in range(1, len(x) - 1))",
        _peaks,
    ),
    "most_common": _r(
        "return the number that occurs most often, of several the smallest, or -1 for an empty list",
        "返回出现次数最多的数，若有多个取最小的，空列表返回-1",
        "min(x, key=lambda v: (-x.count(v), v)) if x else -1",
        _most_common,
    ),
    "weighted": _r(
        "return the sum of each number times its position, counting positions from {a}",
        "返回每个数乘以其位置（从{a}开始计）之和",
        "sum(v * (i + {a}) for i, v in enumerate(x))",
        lambda x, a: sum(v * (i + a) for i, v in enumerate(x)),
        (1, 9),
    ),
    "shift": _t(
        "move every letter {a} places forward in the alphabet, from z on to a",
        "把每个字母在字母表中后移{a}位，z之后回到a",
        "''.join(chr((ord(c) - 97 + {a}) % 26 + 97) if 'a' <= c <= 'z' else c for c in x)",
        _shift,
        (1, 25),
    ),
    "reverse_text": _t("reverse the text", "把文本颠倒", "x[::-1]", lambda x: x[::-1]),
    "reverse_words": _t(
        "reverse the order of the words",
        "颠倒单词的顺序",
        "' '.join(x.split()[::-1])",
        lambda x: " ".join(x.split()[::-1]),
    ),
    "drop_vowels": _t(
        "remove the letters a, e, i, o and u",
        "去掉字母a、e、i、o、u",
        "''.join(c for c in x if c not in 'aeiou')",
        lambda x: "".join(c for c in x if c not in "aeiou"),
    ),
    "long_words": _t(
        "keep only the words of more than {a} letters",
        "只保留超过{a}个字母的单词",
        "' '.join(w for w in x.split() if len(w) > {a})",
        lambda x, a: " ".join(w for w in x.split() if len(w) > a),
        (2, 4),
    ),
    "sort_words": _t(
        "sort the words by length, and words of equal length alphabetically",
        "把单词按长度排序，长度相同的按字母顺序",
        "' '.join(sorted(x.split(), key=lambda w: (len(w), w)))",
        lambda x: " ".join(sorted(x.split(), key=lambda w: (len(w), w))),
    ),
    "double_every": _t(
        "write every character at a position divisible by {a} twice, counting positions from 0",
        "下标（从0开始）能被{a}整除的字符写两遍",
        "''.join(c * 2 if i % {a} == 0 else c for i, c in enumerate(x))",
        lambda x, a: "".join(c * 2 if i % a == 0 else c for i, c in enumerate(x)),
        (2, 5),
    ),
    "rotate_words": _t(
        "rotate each word to the left by {a} letters",
        "把每个单词向左循环移动{a}个字母",
        "' '.join(w[{a} % len(w):] + w[:{a} % len(w)] for w in x.split())",
        lambda x, a: " ".join(w[a % len(w) :] + w[: a % len(w)] for w in x.split()),
        (1, 5),
    ),
    "word_ends": _t(
        "keep only the first and the last letter of each word (a word of one letter stays)",
        "每个单词只保留首尾字母（单字母单词不变）",
        "' '.join(w if len(w) == 1 else w[0] + w[-1] for w in x.split())",
        lambda x: " ".join(w if len(w) == 1 else w[0] + w[-1] for w in x.split()),
    ),
    "run_lengths": _t(
        "replace each run of equal characters by the character and the length of the run",
        "把每段连续相同的字符换成该字符加段长",
        "__import__('re').sub(r'(.)\\1*', lambda m: m[1] + str(len(m[0])), x)",
        _run_lengths,
    ),
    "words_to_numbers": Operation(
        "text",
        "numbers",
        "go on with the list of the lengths of the words",
        "换成各单词长度的列表",
        "[len(w) for w in x.split()]",
        lambda x: [len(w) for w in x.split()],
    ),
    "letters_to_numbers": Operation(
        "text",
        "numbers",
        "go on with the list of the places in the alphabet (a is 1) of the letters, in order",
        "换成各字母在字母表中的序号（a为1）的列表，保持顺序",
        "[ord(c) - 96 for c in x if 'a' <= c <= 'z']",
        lambda x: [ord(c) - 96 for c in x if "a" <= c <= "z"],
    ),
}


def draw_step(takes: Kind, gives: Sequence[Kind], rng: random.Random) -> dict[str, Any]:
    """A step from one kind to one of others."""
    names = [name for name, operation in OPERATIONS.items() if operation.takes == takes and operation.gives in gives]
    name = rng.choice(names)
    return {"name": name, "values": [rng.randint(low, high) for low, high in OPERATIONS[name].ranges]}


def run_step(step: Step, x: Any) -> Any:
    """What the step makes of `x`."""
    return OPERATIONS[step["name"]].run(x, *step["values"])
