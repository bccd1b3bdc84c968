"""A long Python module in which one token was replaced: every function's docstring says exactly what the function does.

The defect is unique by construction: each function is written from a pattern that agrees with its docstring, and one
token of one function is swapped for a wrong one. After InfiniteBench's code debugging (arXiv 2402.13718), without its choices.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml

from simulators.tasks.long_context.material import Material, Part, Setting, at_depth
from simulators.tasks.long_context.snippets import function_names

__all__ = ["bug"]

_SLOT: Final = re.compile("«([^|»]+)\\|([^»]+)»")

Spot = tuple[int, str]
"""A token that may be wrong: its line within the function, counted from 1 for the ``def``, and what rightly stands there."""


def bug(setting: Setting) -> Material:
    """Names the function, the line within it, and what should stand there."""
    rng = setting.rng
    faulty_from = min(at_depth(setting), 0.88) * setting.characters
    sources: list[str] = []
    heads: list[tuple[str, Spot]] = []
    found: tuple[int, str, Spot] | None = None
    written = 0
    for name in function_names(rng):
        spoil = found is None and written >= faulty_from and bool(sources)
        source, spots, at = _function(setting, name, spoil)
        if spoil:
            found = (written, name, spots[at])
        sources.append(source)
        heads.append((name, spots[at]))
        written += len(source) + 2
        if written >= setting.characters and found is not None and not spoil:
            break
    assert found is not None
    offset, name, (line, right) = found
    others = [head for head in heads if head[0] != name]
    wrong_name, (wrong_line, wrong_token) = rng.choice(others)

    def said(name: str, line: int, token: str) -> list[str]:
        return [name, str(line), token]

    return Material(
        document="\n\n\n".join(sources),
        question=setting.say(
            "Every docstring above is right, but in exactly one function one token (an operator, a number, a name or a keyword) "
            "was replaced by a wrong one. Name the function, the number of the line within the function (its `def` line is line "
            "1, its docstring line 2), and the token that should stand there, separated by commas.",
            "以上各函数的文档字符串都是对的，但恰有一个函数中有一个记号（运算符、数字、名称或关键字）被换错了。"
            "请写出函数名、该行在函数内的行号（def那一行为第1行，文档字符串为第2行），以及那里本来应有的记号，用逗号隔开。",
        ),
        parts=(Part("identifier", name), Part("integer", str(line)), Part("token", right)),
        decisive=(offset,),
        cheats={
            "no_reading": said(next(function_names(rng)), rng.randint(3, 6), rng.choice("+-*<>")),
            "first_seen": said(heads[0][0], *heads[0][1]),
            "last_seen": said(heads[-1][0], *heads[-1][1]),
            "distractor": said(wrong_name, wrong_line, wrong_token),
            "wrong_hop": said(wrong_name, line, right),
            "off_by_one": said(name, line + 1, right),
            "tail_only": said(heads[-1][0], *heads[-1][1]),
        },
        spray=[head[0] for head in heads[:40]],
    )


def _function(setting: Setting, name: str, spoil: bool) -> tuple[str, list[Spot], int]:
    """Its source, its tokens that may be wrong, and which of them was chosen (and, with `spoil`, is wrong)."""
    rng = setting.rng
    pattern = rng.choice(_patterns())
    a, b, c, d = (str(number) for number in rng.sample(range(3, 40), 4))
    m, n = (str(number) for number in rng.sample(range(41, 99), 2))
    fill = {"a": a, "b": b, "c": c, "d": d, "m": m, "n": n}
    lines = pattern["body"].format(**fill).split("\n")
    spots = [(at + 3, match[1]) for at, line in enumerate(lines) for match in _SLOT.finditer(line)]
    chosen = rng.randrange(len(spots))
    turns = iter(range(len(spots)))

    def token(match: re.Match[str]) -> str:
        return match[2] if next(turns) == chosen and spoil else match[1]

    code = "\n".join(f"    {_SLOT.sub(token, line)}" for line in lines)
    doc = pattern[setting.language].format(**fill)
    return f'def {name}({pattern["parameters"]}):\n    """{doc}"""\n{code}', spots, chosen


@lru_cache
def _patterns() -> list[dict[str, str]]:
    return yaml.safe_load(Path(__file__).with_name("bugs.yaml").read_text(encoding="utf-8"))
