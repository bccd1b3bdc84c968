"""Things that lie in boxes that are carried about: bAbI's moved objects in long texts (BABILong, arXiv 2406.10149)."""

import random
from dataclasses import dataclass, field

from simulators.tasks.long_context.material import Fact, Material, Part, Setting, scatter

__all__ = ["moved"]


@dataclass
class _Journey:
    """What happened, and where everything is in the end."""

    first: dict[str, str]
    """Where each box stood."""
    place: dict[str, str] = field(default_factory=dict)
    """Where each box stands."""
    inside: dict[str, str] = field(default_factory=dict)
    """The box of each thing, ..."""
    put_at: dict[str, str] = field(default_factory=dict)
    """... and where that box stood when the thing was put in."""
    texts: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    """Of each text: the box or the thing that moved."""

    def where(self, thing: str) -> str:
        return self.place[self.inside[thing]]

    def tell(self, text: str, about: str) -> None:
        self.texts.append(text)
        self.about.append(about)


def moved(setting: Setting) -> Material:
    """Things lie in boxes, boxes stand in places, and both are moved: where are some of the things in the end?"""
    asked = setting.by_level(3, 3, 3, 3, 3, 4, 4)
    chosen: list[str] = []
    while not chosen:
        journey = _journey(setting)
        chosen = _different(journey, asked, setting.rng)
    return _question(setting, journey, chosen)


def _journey(setting: Setting) -> _Journey:
    rng, names = setting.rng, setting.names
    count = setting.by_level(4, 4, 5, 6, 8, 10, 12)
    boxes, things, towns = names.containers(count, rng), names.objects(count, rng), names.towns(count + 4, rng)
    journey = _Journey(first=dict(zip(boxes, towns, strict=False)))
    for box, town in journey.first.items():
        journey.place[box] = town
        journey.tell(_stands(setting, box, town), box)
    for thing in things:
        box = rng.choice(boxes)
        journey.inside[thing], journey.put_at[thing] = box, journey.place[box]
        journey.tell(_lies(setting, thing, box), thing)
    for _ in range(setting.by_level(3, 8, 14, 20, 30, 42, 56)):
        if rng.random() < 0.5:
            thing = rng.choice(things)
            box = rng.choice([box for box in boxes if box != journey.inside[thing]])
            text = _put(setting, thing, journey.inside[thing], box)
            if text not in journey.texts:
                journey.inside[thing], journey.put_at[thing] = box, journey.place[box]
                journey.tell(text, thing)
        else:
            box = rng.choice(boxes)
            town = rng.choice([town for town in towns if town != journey.place[box]])
            text = _carry(setting, box, journey.place[box], town)
            if text not in journey.texts:
                journey.place[box] = town
                journey.tell(text, box)
    return journey


def _different(journey: _Journey, asked: int, rng: random.Random) -> list[str]:
    """Things in different places, the first of which was carried there in its box; none where there are too few."""
    things = sorted(journey.inside, key=lambda thing: (journey.put_at[thing] == journey.where(thing), rng.random()))
    by_place: dict[str, str] = {}
    for thing in things:
        by_place.setdefault(journey.where(thing), thing)
    found = list(by_place.values())[:asked]
    carried = len(found) == asked and journey.put_at[found[0]] != journey.where(found[0])
    return rng.sample(found, asked) if carried else []


def _question(setting: Setting, journey: _Journey, chosen: list[str]) -> Material:
    rng, asked = setting.rng, len(chosen)
    depths = sorted(0.97 * rng.random() for _ in journey.texts)
    document = scatter(setting, [Fact(depth, text) for depth, text in zip(depths, journey.texts, strict=True)])
    last = [max(at for at, name in enumerate(journey.about) if name in (thing, journey.inside[thing])) for thing in chosen]
    towns = list(dict.fromkeys([*journey.first.values(), *journey.place.values()]))
    modal = max(towns, key=lambda town: (document.text.count(town), town))
    in_order = [journey.place.get(name) or journey.where(name) for name in journey.about]
    tail = document.text[int(0.9 * len(document.text)) :]
    return Material(
        document=document.text,
        question=setting.say(
            f"In which places are these in the end, in this order: {setting.join(chosen)}? Give the names of the places alone, "
            "separated by commas.",
            f"下列物件最后各在什么地方，请按顺序回答：{setting.join(chosen)}。只写地名，用顿号隔开。",
        ),
        parts=tuple(Part("name", journey.where(thing)) for thing in chosen),
        decisive=tuple(document.positions[at] for at in last),
        cheats={
            "no_reading": setting.names.towns(asked, rng),
            "first_seen": [in_order[0]] * asked,
            "last_seen": [in_order[-1]] * asked,
            "most_frequent": [modal] * asked,
            "wrong_hop": [journey.put_at[thing] for thing in chosen],
            "tail_only": ([town for town in towns if town in tail] or towns)[-1:] * asked,
        },
        spray=towns,
    )


def _stands(setting: Setting, box: str, town: str) -> str:
    return setting.say(f"The {box} stands in {town}.", f"{box}放在{town}。")


def _lies(setting: Setting, thing: str, box: str) -> str:
    return setting.say(f"The {thing} lies in the {box}.", f"{thing}装在{box}里。")


def _put(setting: Setting, thing: str, old: str, new: str) -> str:
    return setting.say(
        f"Somebody took the {thing} out of the {old} and put it into the {new}.", f"有人把{thing}从{old}里取出，装进了{new}。"
    )


def _carry(setting: Setting, box: str, old: str, new: str) -> str:
    return setting.say(f"The {box} was carried from {old} to {new}.", f"{box}从{old}运到了{new}。")
