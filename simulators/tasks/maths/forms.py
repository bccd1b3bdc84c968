"""How an answer is to be written, in words, by the key's kind; and answers as texts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trajectories.answers import ASK

__all__ = ["closing", "listed", "rows"]

_FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "number": "The answer is one number.",
        "integer": "The answer is one whole number, in digits.",
        "exact": "The answer is one exact number: whole, a fraction, or a decimal with all its digits.",
        "lowest": "The answer is one fraction in lowest terms, such as 3/4 (or a whole number).",
        "text": "The answer is the text alone, without explanations.",
        "sequence": "The answer is a list on one line, its parts separated by commas.",
        "grid": "The answer is the grid on one line, as a JSON list of rows such as [[1, 2], [3, 4]].",
        "assignment": "The answer is one line such as A=1, B=2 with every name once.",
        "expression": "The answer is one formula, written like 3*x^2/4 - 2*sin(x) or in LaTeX. Put brackets around "
        "denominators that are not one number or letter; ln is the natural logarithm.",
        "target": "The answer is one calculation with + - * / and brackets, such as (1 + 2) * 3 / 4.",
    },
    "zh": {
        "number": "答案是一个数。",
        "integer": "答案是一个用阿拉伯数字写的整数。",
        "exact": "答案是一个精确的数：整数、分数或写出全部数位的小数。",
        "lowest": "答案是一个最简分数，例如 3/4（或整数）。",
        "text": "答案只写文字本身，不要解释。",
        "sequence": "答案是写在一行内的列表，各项用逗号分隔。",
        "grid": "答案是写在一行内的表格，用 JSON 的行列表表示，例如 [[1, 2], [3, 4]]。",
        "assignment": "答案写成一行，例如 A=1, B=2，每个名称出现一次。",
        "expression": "答案是一个式子，写法如 3*x^2/4 - 2*sin(x)，也可用 LaTeX。分母若不是单个数或字母请加括号；ln 为自然对数。",
        "target": "答案是一个只含 + - * / 和括号的算式，例如 (1 + 2) * 3 / 4。",
    },
}
_SAME_AS: Final = {"sudoku": "grid", "weights": "grid", "survo": "grid", "queens": "sequence", "palindrome": "text",
    "colouring": "assignment", "jugs": "sequence", "hanoi": "sequence", "route": "sequence", "lock": "sequence"}  # fmt: skip


def closing(key: Mapping[str, Any], form: str, language: str) -> str:
    """The last paragraph of a prompt: the answer's form, and the line it stands on."""
    kind = key["kind"]
    kind = key.get("form", "number") if kind == "number" else _SAME_AS.get(kind, kind)
    return f"{form or _FORMS[language][kind]}{' ' if language == 'en' else ''}{ASK[language]}"


def listed(parts: Iterable[Any]) -> str:
    return ", ".join(str(part) for part in parts)


def rows(grid: Sequence[Sequence[Any]]) -> str:
    """A grid as the answer line gives it."""
    return json.dumps([list(row) for row in grid], ensure_ascii=False)
