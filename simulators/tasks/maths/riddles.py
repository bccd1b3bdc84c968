"""Riddles with one answer, which is proven by trying all: houses in a row, numbers with properties, heads and legs."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.forms import listed
from simulators.tasks.maths.phrases import phrase, section

__all__ = ["RIDDLES", "holds", "orders"]

_THINGS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "person": (
        ("Anna", "安娜"),
        ("Boris", "鲍里斯"),
        ("Chen", "小陈"),
        ("Dora", "朵拉"),
        ("Emil", "埃米尔"),
        ("Fatima", "法蒂玛"),
        ("Gao", "小高"),
        ("Hana", "哈娜"),
    ),
    "drink": (
        ("tea", "茶"),
        ("coffee", "咖啡"),
        ("milk", "牛奶"),
        ("juice", "果汁"),
        ("water", "水"),
        ("cocoa", "可可"),
        ("soda", "汽水"),
        ("broth", "肉汤"),
    ),
    "pet": (
        ("cat", "猫"),
        ("dog", "狗"),
        ("parrot", "鹦鹉"),
        ("turtle", "乌龟"),
        ("rabbit", "兔子"),
        ("goldfish", "金鱼"),
        ("hamster", "仓鼠"),
        ("snake", "蛇"),
    ),
}
_SIZES: Final = {1: (4, 2), 2: (4, 3), 3: (5, 3)}
"""By level: houses, and kinds of things that belong to them."""

_HAS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"person": "{} lives", "drink": "the one who drinks {} lives", "pet": "the owner of the {} lives"},
    "zh": {"person": "{}", "drink": "喝{}的人", "pet": "养{}的人"},
}
_KINDS: Final = {"en": {"drink": "a drink", "pet": "a pet"}, "zh": {"drink": "饮料", "pet": "宠物"}}
_NAMES: Final = {"en": {"drink": "Drinks", "pet": "Pets"}, "zh": {"drink": "饮料", "pet": "宠物"}}
_ORDER: Final = {
    "en": {"person": "person", "drink": "drink", "pet": "pet"},
    "zh": {"person": "人名", "drink": "饮料", "pet": "宠物"},
}

Clue = Sequence[Any]
"""``[kind, [thing, index], [thing, index] or house]``; houses count from 0."""


def holds(clue: Clue, house: Callable[[Sequence[Any]], int]) -> bool:
    """Whether a clue is true where `house` says who or what is where."""
    kind, one, other = clue
    here = house(one)
    if kind in ("at", "not_at"):
        return (here == other) == (kind == "at")
    there = house(other)
    return {
        "same": here == there,
        "next": abs(here - there) == 1,
        "left": here < there,
        "right_after": here == there + 1,
        "apart": abs(here - there) == 2,
    }[str(kind)]


def orders(count: int, kinds: Sequence[str], clues: Sequence[Clue], limit: int = 2) -> list[dict[str, tuple[int, ...]]]:
    """The first `limit` ways to fill the houses, by kind: the house of every index.

    The thing with the fewest houses left is placed first; what that rules out for others is crossed out at once.
    """
    things = [(kind, index) for kind in kinds for index in range(count)]
    number = {thing: place for place, thing in enumerate(things)}
    left = [(1 << count) - 1] * len(things)
    ties: list[list[tuple[int, Sequence[int]]]] = [[] for _ in things]
    for kind, one, other in clues:
        a = number[one[0], one[1]]
        if kind in ("at", "not_at"):
            left[a] &= 1 << other if kind == "at" else ~(1 << other)
            continue
        b = number[other[0], other[1]]
        ties[a].append((b, _allowed(kind, count, forward=True)))
        ties[b].append((a, _allowed(kind, count, forward=False)))
    for kind_place in range(len(kinds)):
        for a in range(kind_place * count, (kind_place + 1) * count):
            others = [~(1 << house) for house in range(count)]
            ties[a] += [(b, others) for b in range(kind_place * count, (kind_place + 1) * count) if b != a]
    found: list[dict[str, tuple[int, ...]]] = []

    def place(open_things: list[int], left: list[int]) -> None:
        if not open_things:
            houses = [mask.bit_length() - 1 for mask in left]
            found.append({kind: tuple(houses[k * count : (k + 1) * count]) for k, kind in enumerate(kinds)})
            return
        thing = min(open_things, key=lambda one: left[one].bit_count())
        rest = [other for other in open_things if other != thing]
        for house in range(count):
            if left[thing] >> house & 1 and len(found) < limit:
                after = left[:]
                after[thing] = 1 << house
                for other, allowed in ties[thing]:
                    after[other] &= allowed[house]
                if all(after):
                    place(rest, after)

    if all(left):
        place(list(range(len(things))), left)
    return found


@lru_cache(maxsize=64)
def _allowed(kind: str, count: int, *, forward: bool) -> tuple[int, ...]:
    """By house of one thing, the houses that a clue leaves the other, as a bit set."""
    return tuple(
        sum(
            1 << b
            for b in range(count)
            if holds([kind, ["", a], ["", b]] if forward else [kind, ["", b], ["", a]], lambda one: one[1])
        )
        for a in range(count)
    )


def _draw_houses(level: int, rng: random.Random) -> Problem:
    """Random true clues until they leave one way, then fewer while they still do."""
    count, depth = _SIZES[level]
    kinds = list(_THINGS)[:depth]
    shown = {kind: sorted(rng.sample(range(len(_THINGS[kind])), count)) for kind in kinds}
    truth = {kind: rng.sample(range(count), count) for kind in kinds}
    things = [[kind, index] for kind in kinds for index in range(count)]
    clues: list[Clue] = []
    while True:
        clues.append(_clue(things, truth, count, rng))
        if len(clues) >= count + 2 * (depth - 1) and len(orders(count, kinds, clues)) == 1:
            break
    for clue in list(clues):
        fewer = [other for other in clues if other is not clue]
        if len(orders(count, kinds, fewer)) == 1:
            clues = fewer
    return {"houses": count, "shown": shown, "clues": [list(clue) for clue in clues]}


def _clue(things: list[list[Any]], truth: Mapping[str, list[int]], count: int, rng: random.Random) -> Clue:
    while True:
        kind = rng.choice(("at", "not_at", "same", "same", "next", "next", "left", "right_after", "apart"))
        one, other = rng.sample(things, 2)
        clue: Clue = [kind, one, rng.randrange(count) if kind in ("at", "not_at") else other]
        if (kind != "same" or one[0] != other[0]) and holds(clue, lambda thing: truth[thing[0]][thing[1]]):
            return clue


def _put_houses(problem: Problem, language: str) -> Question:
    count, shown, tongue = problem["houses"], problem["shown"], 0 if language == "en" else 1
    kinds = [kind for kind in _THINGS if kind in shown]

    def name(kind: str, index: int) -> str:
        return _THINGS[kind][shown[kind][index]][tongue]

    def said(thing: Sequence[Any]) -> str:
        return _HAS[language][thing[0]].format(name(thing[0], thing[1]))

    lines = []
    for kind, one, other in problem["clues"]:
        words = {"n": other + 1} if isinstance(other, int) else {"b": said(other)}
        line = phrase("clues", language, kind).format(a=said(one), **words)
        lines.append("- " + line[0].upper() + line[1:])
    groups = {kind: listed(name(kind, index) for index in range(count)) for kind in kinds}
    text = phrase("houses", language).format(
        n=count,
        kinds=(" and " if language == "en" else "和").join(_KINDS[language][kind] for kind in kinds[1:]),
        people=groups["person"],
        things=" ".join(f"{_NAMES[language][kind]}: {groups[kind]}." for kind in kinds[1:]),
        clues="\n".join(lines),
    )
    at = orders(count, kinds, problem["clues"], 1)[0]
    answer = [name(kind, at[kind].index(house)) for house in range(count) for kind in kinds]
    order = ("、" if language == "zh" else ", ").join(_ORDER[language][kind] for kind in kinds)
    return Question(
        text,
        {"kind": "sequence", "item": "text", "answer": answer},
        listed(answer),
        phrase("fillings", language).format(n=count, order=order),
    )


_MODULI: Final = {1: (2, 5, 13, 300), 2: (3, 5, 17, 2000), 3: (3, 7, 29, 20000)}
"""By level: how many remainders, moduli from and to, and how large the bound is."""


def _draw_number(level: int, rng: random.Random) -> Problem:
    count, low, high, bound = _MODULI[level]
    moduli = sorted(rng.sample(range(low, high + 1), count))
    hidden = rng.randint(bound // 2, bound * 2)
    return {"rest": [[m, hidden % m] for m in moduli], "digits": sum(map(int, str(hidden))), "least": rng.randint(10, hidden - 1)}


def _put_number(problem: Problem, language: str) -> Question:
    words = {name: texts[language] for name, texts in section("hidden_number").items()}
    facts = [words["rest"].format(m=m, r=r) for m, r in problem["rest"]]
    facts += [words["digits"].format(s=problem["digits"]), words["least"].format(least=problem["least"])]
    found = next(
        n
        for n in itertools.count(problem["least"] + 1)
        if all(n % m == r for m, r in problem["rest"]) and sum(map(int, str(n))) == problem["digits"]
    )
    key = {"kind": "number", "answer": str(found), "form": "integer"}
    return Question(words["intro"].format(facts="\n".join(facts)), key, str(found))


_FARM: Final = (
    ("chickens", "鸡", 2),
    ("rabbits", "兔", 4),
    ("beetles", "甲虫", 6),
    ("spiders", "蜘蛛", 8),
    ("crabs", "螃蟹", 10),
)
_MORE: Final = {"en": ", and there are {n} more {a} than {b}", "zh": "，且{a}比{b}多 {n} 只"}
_EACH: Final = {"en": "{a} have {legs} legs each", "zh": "每只{a}有 {legs} 条腿"}
_MOST: Final = {1: (2, 400), 2: (2, 5000), 3: (3, 2000)}


def _draw_cage(level: int, rng: random.Random) -> Problem:
    kinds, most = _MOST[level]
    chosen = sorted(rng.sample(range(len(_FARM)), kinds))
    counts = [rng.randint(2, most) for _ in chosen]
    if kinds == 3:
        counts[0] = counts[1] + rng.randint(1, most)
    return {"kinds": chosen, "counts": counts}


def _put_cage(problem: Problem, language: str) -> Question:
    tongue = 0 if language == "en" else 1
    names, counts = [str(_FARM[index][tongue]) for index in problem["kinds"]], problem["counts"]
    legs = [_FARM[index][2] for index in problem["kinds"]]
    extra = _MORE[language].format(n=counts[0] - counts[1], a=names[0], b=names[1]) if len(counts) == 3 else ""
    joined = (", " if language == "en" else "、").join(names)
    text = phrase("cages", language).format(
        kinds=joined,
        heads=sum(counts),
        legs=sum(n * leg for n, leg in zip(counts, legs, strict=True)),
        extra=extra,
        each=(", " if language == "en" else "，").join(
            _EACH[language].format(a=a, legs=leg) for a, leg in zip(names, legs, strict=True)
        ),
    )
    key = {"kind": "sequence", "item": "number", "answer": [str(n) for n in counts]}
    return Question(text, key, listed(counts), phrase("counts", language).format(kinds=joined))


RIDDLES: Final[Mapping[str, Family]] = {
    "houses": Family("Who lives where with what, by clues that leave one way", ("logic", "riddles"), _draw_houses, _put_houses),
    "hidden_number": Family(
        "The smallest number with given remainders and digits", ("number_theory", "riddles"), _draw_number, _put_number
    ),
    "heads_and_legs": Family("Animals by their heads and legs", ("algebra", "riddles", "word_problems"), _draw_cage, _put_cage),
}
