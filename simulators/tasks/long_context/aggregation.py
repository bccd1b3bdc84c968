"""Records scattered over a long text that have to be counted, summed or compared; some were planned and never happened.

Cousins of RULER's common and frequent words (arXiv 2404.06654), over facts instead of words.
"""

from collections import Counter
from dataclasses import dataclass, replace

from simulators.tasks.long_context.material import Fact, Material, Part, Setting, scatter

__all__ = ["aggregation"]


@dataclass(frozen=True, slots=True)
class _Delivery:
    day: int
    person: str
    goods: str
    town: str
    sacks: int
    made: bool
    """Whether it was not only planned."""


_MADE = {
    "en": (
        "On day {day}, {person} delivered {sacks} sacks of {goods} to {town}.",
        "{town} received {sacks} sacks of {goods} from {person} on day {day}.",
        "On day {day}, {sacks} sacks of {goods} reached {town}, brought by {person}.",
    ),
    "zh": (
        "第{day}天，{person}把{sacks}袋{goods}送到了{town}。",
        "{town}在第{day}天收到了{person}送来的{sacks}袋{goods}。",
        "第{day}天，由{person}押运的{sacks}袋{goods}抵达{town}。",
    ),
}
_PLANNED = {
    "en": (
        "{person} meant to bring {sacks} sacks of {goods} to {town} on day {day}, but never did.",
        "The {sacks} sacks of {goods} that {town} expected from {person} on day {day} were never delivered.",
    ),
    "zh": (
        "{person}本打算在第{day}天把{sacks}袋{goods}送到{town}，最终没有成行。",
        "{town}原等着{person}在第{day}天送来{sacks}袋{goods}，却始终没有送到。",
    ),
}


def aggregation(setting: Setting) -> Material:
    """Questions: the sum for a place, the number for several places, the goods delivered most often, the largest delivery."""
    towns = setting.names.towns(setting.by_level(3, 3, 4, 4, 5, 6, 8), setting.rng)
    right: list[Part] = []
    while not right:
        deliveries = _deliveries(setting, towns)
        right = _answer(setting, deliveries, towns)
        misread = _misread(setting, deliveries, towns)
        early = setting.kind != "largest" or _largest(deliveries, towns[0]) in deliveries[: int(0.85 * len(deliveries))]
        if not early or [part.value for part in right] in misread.values():
            right = []
    rng = setting.rng
    depths = sorted(rng.random() for _ in deliveries)
    depths[0], depths[-1] = 0.0, 0.999
    document = scatter(setting, [Fact(depth, _told(setting, item)) for depth, item in zip(depths, deliveries, strict=True)])
    tail = [item for at, item in enumerate(deliveries) if document.in_tail(at)]
    cheats = misread | {
        "no_reading": [part.value for part in _answer(setting, _deliveries(setting, towns), towns)] or misread["last_seen"],
        "off_by_one": [str(int(part.value) + 1) if part.form == "integer" else part.value for part in right],
        "tail_only": [part.value for part in _answer(setting, tail, towns)],
    }
    return Material(
        document=document.text,
        question=_question(setting, towns),
        parts=tuple(right),
        decisive=tuple(document.positions),
        cheats={name: cheat for name, cheat in cheats.items() if cheat},
        spray=[str(item.sacks) for item in deliveries],
    )


def _misread(setting: Setting, deliveries: list[_Delivery], towns: list[str]) -> dict[str, list[str]]:
    """What those answer who see one record only, or count what was only planned."""
    planned_too = [replace(item, made=True) for item in deliveries]
    return {
        "first_seen": _of_one(setting, deliveries[0]),
        "last_seen": _of_one(setting, deliveries[-1]),
        "distractor": [part.value for part in _answer(setting, planned_too, towns)],
    }


def _of_one(setting: Setting, item: _Delivery) -> list[str]:
    if setting.kind == "sum":
        return [str(item.sacks)]
    if setting.kind == "count":
        return ["1"] * 3
    return [item.goods, "1", str(item.sacks)] if setting.kind == "most" else [item.person, item.goods, str(item.day)]


def _deliveries(setting: Setting, towns: list[str]) -> list[_Delivery]:
    """With different days and amounts, so that no two are told alike."""
    rng, count = setting.rng, setting.by_level(8, 12, 18, 26, 36, 48, 64)
    persons = setting.names.persons(4, rng)
    goods = rng.sample(setting.names.words["goods"], setting.by_level(3, 3, 4, 4, 5, 5, 6))
    days, sacks = rng.sample(range(1, 365), count), rng.sample(range(11, 100), count)
    return [
        _Delivery(day, rng.choice(persons), rng.choice(goods), rng.choice(towns), amount, rng.random() < 0.75)
        for day, amount in zip(days, sacks, strict=True)
    ]


def _told(setting: Setting, item: _Delivery) -> str:
    template = setting.rng.choice((_MADE if item.made else _PLANNED)[setting.language])
    return template.format(day=item.day, person=item.person, goods=item.goods, town=item.town, sacks=item.sacks)


def _answer(setting: Setting, deliveries: list[_Delivery], towns: list[str]) -> list[Part]:
    """Empty where there is no answer, or more than one."""
    made = [item for item in deliveries if item.made]
    if setting.kind == "sum":
        here = [item.sacks for item in made if item.town == towns[0]]
        return [Part("integer", str(sum(here)))] if here else []
    if setting.kind == "count":
        return [Part("integer", str(sum(item.town == town for item in made))) for town in towns[:3]]
    if setting.kind == "most":
        often = Counter(item.goods for item in made).most_common(2)
        if not often or (len(often) == 2 and often[0][1] == often[1][1]):
            return []
        goods, times = often[0]
        total = sum(item.sacks for item in made if item.goods == goods)
        return [Part("name", goods), Part("integer", str(times)), Part("integer", str(total))]
    largest = _largest(deliveries, towns[0])
    if largest is None:
        return []
    return [Part("name", largest.person), Part("name", largest.goods), Part("integer", str(largest.day))]


def _largest(deliveries: list[_Delivery], town: str) -> _Delivery | None:
    here = [item for item in deliveries if item.made and item.town == town]
    return max(here, key=lambda item: item.sacks, default=None)


def _question(setting: Setting, towns: list[str]) -> str:
    if setting.kind == "sum":
        return setting.say(
            f"How many sacks were delivered to {towns[0]} in all? Count only deliveries that took place. Give the number alone.",
            f"一共有多少袋货物送到了{towns[0]}？只算实际送到的。只写数字。",
        )
    if setting.kind == "count":
        return setting.say(
            f"How many deliveries reached each of these places, in this order: {setting.join(towns[:3])}? Count only deliveries "
            "that took place. Give the numbers alone, separated by commas.",
            f"下列各地分别收到过几次货物，请按顺序回答：{setting.join(towns[:3])}。只算实际送到的。只写数字，用顿号隔开。",
        )
    if setting.kind == "most":
        return setting.say(
            "Which goods were delivered most often, how many times, and how many sacks of them in all? Count only deliveries "
            "that took place. Give the goods and the two numbers, separated by commas.",
            "哪种货物送到的次数最多，共几次，总计多少袋？只算实际送到的。请写出货物名和两个数字，用顿号隔开。",
        )
    return setting.say(
        f"In the largest single delivery that reached {towns[0]}: who brought it, which goods were they, and on which day? Count "
        "only deliveries that took place. Give the name, the goods and the number of the day, separated by commas.",
        f"送到{towns[0]}的货物中，袋数最多的那一次是谁送的，送的是什么，在第几天？只算实际送到的。请写出人名、货物名和天数，用顿号隔开。",
    )
