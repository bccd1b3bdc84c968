"""Run this code: a long module of which a short chain of calls, or of assignments, decides what is printed.

After InfiniteBench's code running (arXiv 2402.13718), with branches and loops; the output comes from the interpreter in
`programs`.
"""

import random

from simulators.tasks.long_context.material import Material, Part, Setting, at_depth
from simulators.tasks.long_context.programs import (
    Assign,
    Binary,
    Call,
    Expression,
    Function,
    If,
    Literal,
    Loop,
    Run,
    Statement,
    Variable,
    lines_of,
    source,
)
from simulators.tasks.long_context.snippets import function_names

__all__ = ["run_code"]


def run_code(setting: Setting) -> Material:
    """Kinds: ``calls``, functions that call each other, and ``assignments``, variables one after the other."""
    return _calls(setting) if setting.kind == "calls" else _assignments(setting)


def _calls(setting: Setting) -> Material:
    rng, hops = setting.rng, setting.by_level(2, 3, 3, 4, 5, 6, 8)
    naming = function_names(rng)
    chain = [next(naming) for _ in range(hops)]
    needed = {name: _function(name, callee, rng) for name, callee in zip(chain, [*chain[1:], ""], strict=True)}
    near = [f"{name.rpartition('_')[0]}_{100 + index}" for index, name in enumerate(chain)]
    functions = needed | {name: _function(name, rng.choice([*chain[1:], ""]), rng) for name in near}
    texts = {name: source(function) for name, function in functions.items()}
    names = list(texts)
    written = sum(len(text) + 3 for text in texts.values())
    while written < setting.characters:
        name = next(naming)
        functions[name] = _function(name, rng.choice([*names[-3:], ""]), rng)
        texts[name] = source(functions[name])
        names.append(name)
        written += len(texts[name]) + 3
    rng.shuffle(names)
    _move(names, chain[-1], at_depth(setting))
    arguments = rng.sample(range(11, 100), 2)
    runs = [Run(functions) for _ in arguments]
    printed = [run.call(chain[0], argument) for run, argument in zip(runs, arguments, strict=True)]
    last = f"print({', '.join(f'{chain[0]}({argument})' for argument in arguments)})"
    document = "\n\n\n".join([*(texts[name] for name in names), last])
    return _asked(
        setting,
        document,
        printed,
        decisive=tuple(document.index(f"def {name}(") for name in chain),
        wrong_hop=[run.called[-2][2] for run in runs],
        distractor=[Run(functions).call(near[0], argument) for argument in arguments],
        first_seen=[Run(functions).call(names[0], argument) for argument in arguments],
        tail_only=arguments,
    )


def _move(names: list[str], name: str, depth: float) -> None:
    names.remove(name)
    names.insert(int(depth * len(names)), name)


def _function(name: str, callee: str, rng: random.Random) -> Function:
    """Some arithmetic, a branch or a loop, and a call of `callee` where there is one; the result lies in 0 to 998."""
    parameter, local = rng.sample(("n", "x", "k", "amount", "start", "size"), 2)
    body: list[Statement] = [Assign(local, _arithmetic(parameter, rng))]
    body.append(_branch(local, rng) if rng.random() < 0.6 else _loop(local, rng))
    if callee:
        body.append(Assign(local, Call(callee, Binary("%", Variable(local), Literal(rng.randint(50, 99))))))
        body.append(Assign(local, _arithmetic(local, rng)))
    return Function(name, parameter, tuple(body), Binary("%", Variable(local), Literal(rng.randint(900, 999))))


def _arithmetic(name: str, rng: random.Random) -> Expression:
    step = Binary(rng.choice("+-"), Variable(name), Literal(rng.randint(11, 99)))
    return Binary("*", step, Literal(rng.randint(2, 9))) if rng.random() < 0.5 else step


def _branch(name: str, rng: random.Random) -> Statement:
    condition = Binary("==", Binary("%", Variable(name), Literal(2)), Literal(rng.randint(0, 1)))
    if rng.random() < 0.5:
        condition = Binary(rng.choice("<>"), Variable(name), Literal(rng.randint(20, 200)))
    ways = (Assign(name, Binary("%", _arithmetic(name, rng), Literal(rng.randint(900, 999)))) for _ in range(2))
    return If(condition, (next(ways),), (next(ways),))


def _loop(name: str, rng: random.Random) -> Statement:
    return Loop(rng.randint(2, 5), (Assign(name, Binary(rng.choice("+-"), Variable(name), Literal(rng.randint(3, 40)))),))


def _assignments(setting: Setting) -> Material:
    """Groups of variables that never meet: one is asked for, the others are many."""
    rng, hops = setting.rng, setting.by_level(4, 5, 6, 8, 10, 12, 16)
    naming = function_names(rng)
    own = [next(naming) for _ in range(rng.randint(2, 3))]
    steps = [*own, *(rng.choice(own) for _ in range(hops))]
    steps[-2:] = own[:2]
    mine: list[Statement] = []
    for index, name in enumerate(steps):
        if index < len(own):
            mine.append(Assign(name, Literal(rng.randint(11, 99))))
        elif rng.random() < 0.5:
            mine.append(Assign(name, Binary("%", _arithmetic(rng.choice(own), rng), Literal(rng.randint(900, 999)))))
        else:
            mine.append(_branch(name, rng) if rng.random() < 0.5 else _mixed(name, own, rng))
    texts = ["\n".join(lines_of(statement)) for statement in mine]
    room = max(0, setting.characters - sum(len(text) + 1 for text in texts))
    end = at_depth(setting)
    depths = [*sorted(rng.random() * end for _ in mine[1:]), end]
    others = [next(naming) for _ in range(max(4, setting.characters // 400))]
    known: list[str] = []
    lines: list[str] = []
    decisive: list[int] = []
    filled = written = 0
    seen: list[int] = []
    while len(decisive) < len(mine) or filled < room:
        at = len(decisive)
        if at < len(mine) and filled >= depths[at] * room and known:
            decisive.append(written)
            lines.append(texts[at])
        else:
            fresh = not known or (len(known) < len(others) and rng.random() < 0.4)
            name = others[len(known)] if fresh else rng.choice(known)
            if fresh:
                known.append(name)
                seen.append(rng.randint(100, 999))
                lines.append(f"{name} = {seen[-1]}")
            else:
                lines.append("\n".join(lines_of(_mixed(name, known[-8:], rng) if rng.random() < 0.7 else _branch(name, rng))))
            filled += len(lines[-1]) + 1
        written += len(lines[-1]) + 1
    values: dict[str, int] = {}
    for statement in mine[:-1]:
        Run({}).execute((statement,), values)
    one_short = [values[name] for name in own[:2]]
    Run({}).execute((mine[-1],), values)
    printed = [values[name] for name in own[:2]]
    return _asked(
        setting,
        "\n".join([*lines, f"print({own[0]}, {own[1]})"]),
        printed,
        decisive=tuple(decisive),
        wrong_hop=one_short,
        distractor=printed[::-1],
        first_seen=seen[:2],
        tail_only=seen[-2:],
    )


def _mixed(name: str, others: list[str], rng: random.Random) -> Statement:
    total = Binary(rng.choice("+-"), Variable(name), Variable(rng.choice(others)))
    return Assign(name, Binary("%", Binary("+", total, Literal(rng.randint(11, 99))), Literal(rng.randint(900, 999))))


def _asked(
    setting: Setting,
    document: str,
    printed: list[int],
    *,
    decisive: tuple[int, ...],
    wrong_hop: list[int],
    distractor: list[int],
    first_seen: list[int],
    tail_only: list[int],
) -> Material:
    rng = setting.rng
    cheats = {
        "no_reading": [rng.randint(0, 998) for _ in printed],
        "first_seen": first_seen,
        "wrong_hop": wrong_hop,
        "distractor": distractor,
        "off_by_one": [value + 1 for value in printed],
        "tail_only": tail_only,
    }
    return Material(
        document=document,
        question=setting.say(
            "What does this program print? Give the two numbers, separated by a comma.",
            "这段程序打印出什么？写出两个数字，用逗号隔开。",
        ),
        parts=tuple(Part("integer", str(value)) for value in printed),
        decisive=decisive,
        cheats={name: [str(value) for value in found] for name, found in cheats.items()},
        spray=[str(rng.randint(0, 998)) for _ in range(20)],
    )
