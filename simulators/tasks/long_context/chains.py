"""Numbers told by way of other numbers, after RULER's variable tracking (arXiv 2404.06654)."""

import random

from simulators.tasks.long_context.material import Fact, Material, Part, Setting, at_depth, scatter

__all__ = ["chain"]

_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"


def _registers(count: int, rng: random.Random) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        name = "".join(rng.choice(_CONSONANTS) for _ in range(3))
        found[name] = None
        found[name[:2] + rng.choice(_CONSONANTS)] = None
    return rng.sample(list(found)[:count], count)


def chain(setting: Setting) -> Material:
    """Registers that are what other registers are: the number at the end, or all registers that show a number."""
    rng, adding = setting.rng, setting.kind == "value"
    hops, chains = setting.by_level(2, 3, 4, 5, 6, 8, 10), setting.by_level(3, 3, 4, 4, 5, 6, 8)
    names = _registers(chains * (hops + 1), rng)
    starts = rng.sample(range(10_000, 90_000), chains)
    rows = [names[index * (hops + 1) : (index + 1) * (hops + 1)] for index in range(chains)]
    steps = [[rng.randint(11, 99) if adding else 0 for _ in range(hops)] for _ in range(chains)]
    facts: list[Fact] = []
    owners: list[tuple[int, int]] = []
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        for place, name in enumerate(row):
            depth = at_depth(setting) if (index, place) == (0, 0) else rng.random() * (0.88 if index == 0 else 1.0)
            if (index, place) == (1, 0):
                depth = 0.0
            if (index, place) == (2, 0):
                depth = 0.999
            text = _set(setting, name, start) if not place else _like(setting, name, row[place - 1], steps[index][place - 1])
            facts.append(Fact(depth, text))
            owners.append((index, place))
    document = scatter(setting, facts)
    totals = [start + sum(step) for start, step in zip(starts, steps, strict=True)]
    decisive = tuple(document.positions[: hops + 1])
    if adding:
        return Material(
            document=document.text,
            question=setting.say(
                f"Which number does register {rows[0][-1]} show? Give the number alone.",
                f"寄存器{rows[0][-1]}显示的数是多少？只写数字。",
            ),
            parts=(Part("integer", str(totals[0])),),
            decisive=decisive,
            cheats={
                "no_reading": [str(rng.randint(10_000, 90_000))],
                "first_seen": [str(starts[1])],
                "last_seen": [str(starts[2])],
                "distractor": [str(totals[1])],
                "wrong_hop": [str(totals[0] - steps[0][-1])],
                "off_by_one": [str(totals[0] + 1)],
                "tail_only": [str(starts[2])],
            },
            spray=[str(total) for total in (*totals, *starts)],
        )
    tail = [rows[index][place] for at, (index, place) in enumerate(owners) if document.in_tail(at)]
    return Material(
        document=document.text,
        question=setting.say(
            f"Which registers show {starts[0]}? Name all of them, separated by commas, in any order.",
            f"哪些寄存器显示{starts[0]}？请全部写出，用顿号隔开，顺序不限。",
        ),
        parts=tuple(Part("identifier", name) for name in rows[0]),
        decisive=decisive,
        cheats={
            "no_reading": _registers(hops + 1, rng),
            "first_seen": rows[1],
            "last_seen": rows[2],
            "distractor": [*rows[0][:-1], rows[1][-1]],
            "wrong_hop": rows[0][:-1],
            "off_by_one": [*rows[0], rows[1][0]],
            "tail_only": tail or rows[2],
        },
        spray=names,
        ordered=False,
    )


def _set(setting: Setting, name: str, value: int) -> str:
    return setting.rng.choice(
        (
            setting.say(f"Register {name} shows {value}.", f"寄存器{name}显示{value}。"),
            setting.say(f"{value} is what register {name} shows.", f"{value}是寄存器{name}显示的数。"),
        )
    )


def _like(setting: Setting, name: str, other: str, step: int) -> str:
    if step:
        return setting.rng.choice(
            (
                setting.say(
                    f"Register {name} shows {step} more than register {other}.",
                    f"寄存器{name}显示的数比寄存器{other}多{step}。",
                ),
                setting.say(
                    f"Whatever register {other} shows, register {name} shows that and {step} on top.",
                    f"寄存器{other}显示的数再加{step}，就是寄存器{name}的数。",
                ),
            )
        )
    return setting.rng.choice(
        (
            setting.say(f"Register {name} shows what register {other} shows.", f"寄存器{name}与寄存器{other}显示的一样。"),
            setting.say(f"Like register {other}, so register {name}.", f"寄存器{other}显示什么，寄存器{name}就显示什么。"),
        )
    )
