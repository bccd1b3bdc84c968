"""Short-answer questions on a generated novel: how things stood at the end of a chapter, what came first, whose hands.

After InfiniteBench's questions on novels (arXiv 2402.13718); here the book is made with the question, so nobody has read it.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from simulators.tasks.long_context.material import Material, Part, Setting, at_depth
from simulators.tasks.long_context.narrating import Novel, narrate
from simulators.tasks.long_context.world import Snapshot, World

__all__ = ["novel"]

_ASKED = 3
"""Persons or things of one question."""
_HANDS = (3, 12)
"""Names in an answer about the hands that a thing went through."""

Read = Callable[[Snapshot, str], str]


def novel(setting: Setting) -> Material:
    """Kinds: ``where``, ``pupil``, ``whose``, ``thing``, ``hands``, ``journey`` and ``chapters``."""
    while True:
        world, teachers = _world(setting)
        if setting.kind == "hands":
            found = _hands(setting, world, teachers)
        elif setting.kind in ("journey", "chapters"):
            found = _journeys(setting, world, teachers)
        else:
            found = _state(setting, world, teachers)
        if found is not None:
            return found


def _world(setting: Setting) -> tuple[World, dict[str, str]]:
    rng, names = setting.rng, setting.names
    persons = names.persons(setting.by_level(5, 6, 8, 10, 14, 18, 24), rng)
    towns = names.towns(setting.by_level(6, 7, 9, 12, 16, 20, 28), rng)
    things = names.objects(setting.by_level(4, 5, 6, 8, 10, 12, 16), rng)
    chapters, events = setting.by_level(2, 4, 8, 16, 32, 64, 100), setting.by_level(5, 6, 7, 7, 8, 9, 10)
    ring = rng.sample(persons, len(persons))
    teachers = dict(zip(ring, [*ring[1:], ring[0]], strict=True)) if setting.kind == "pupil" else {}
    return World(persons, towns, things, chapters, events, rng), teachers


def _state(setting: Setting, world: World, teachers: dict[str, str]) -> Material | None:
    """How three persons or things stood at the end of a chapter; None where the beginning or the end of the book says it, too."""
    rng = setting.rng
    chapter = min(max(1, round(at_depth(setting) * world.chapters)), world.chapters - 1)
    read, subject = _READS[setting.kind](teachers)
    now = world.snapshots[chapter]
    known = list(now.holder) if setting.kind == "whose" else (world.persons if subject == "person" else world.things)
    if len(known) < _ASKED + 1:
        return None

    def at(snapshot: Snapshot, asked: Sequence[str]) -> list[str]:
        return [read(snapshot, name) for name in asked]

    asked = rng.sample(known, _ASKED)
    right, first, last = at(now, asked), at(world.snapshots[0], asked), at(world.snapshots[-1], asked)
    other = rng.sample([name for name in known if name not in asked] * _ASKED, _ASKED)
    nearly = sorted(world.snapshots, key=lambda snapshot: abs(world.snapshots.index(snapshot) - chapter))
    off = next((value for snapshot in nearly if (value := at(snapshot, asked)) != right), right)
    cheats = {
        "first_seen": first,
        "last_seen": last,
        "tail_only": last,
        "most_frequent": Counter(at(now, known)).most_common(1)[0][:1] * _ASKED,
        "distractor": at(now, other),
        "off_by_one": off,
        "wrong_hop": [now.place[name] for name in asked] if setting.kind == "pupil" else first,
    }
    if any(list(cheat) == right for cheat in cheats.values()):
        return None
    pool = setting.names.persons if setting.kind == "whose" else setting.names.towns
    cheats["no_reading"] = pool(_ASKED, rng)
    book = narrate(setting, world, teachers)
    decisive = [_told_at(world, book, teachers.get(name, name), chapter) for name in asked]
    return Material(
        document=book.text,
        question=_state_question(setting, chapter, setting.join(asked)),
        parts=tuple(Part("name", value) for value in right),
        decisive=tuple(decisive),
        cheats=cheats,
        spray=world.persons if setting.kind == "whose" else world.towns,
    )


_READS: dict[str, Callable[[dict[str, str]], tuple[Read, str]]] = {
    "where": lambda teachers: (lambda snapshot, name: snapshot.place[name], "person"),
    "pupil": lambda teachers: (lambda snapshot, name: snapshot.place[teachers[name]], "person"),
    "thing": lambda teachers: (lambda snapshot, name: snapshot.where(name), "thing"),
    "whose": lambda teachers: (lambda snapshot, name: snapshot.holder.get(name, ""), "thing"),
}
"""How an answer is read off a snapshot, and about what."""


def _told_at(world: World, book: Novel, name: str, chapter: int) -> int:
    """Where the last event about a person's or thing's whereabouts up to a chapter is told."""
    about = [
        book.positions[at]
        for at, event in enumerate(world.events)
        if event.chapter <= chapter and (event.thing == name or (event.kind == "arrive" and event.who == name))
    ]
    return about[-1] if about else book.beginnings[name]


def _state_question(setting: Setting, chapter: int, names: str) -> str:
    what = {
        "where": setting.say(
            f"where was each of these: {names}? Give the names of the places",
            f"下列各人分别在哪里：{names}？只写地名",
        ),
        "pupil": setting.say(
            f"where was the teacher of each of these: {names}? Give the names of the places",
            f"下列各人的老师分别在哪里：{names}？只写地名",
        ),
        "thing": setting.say(
            f"in which place was each of these, with whoever had it or on its own: {names}? Give the names of the places",
            f"下列各物（无论在谁手上或无人持有）分别在什么地方：{names}？只写地名",
        ),
        "whose": setting.say(
            f"who had each of these: {names}? Give the names of the persons",
            f"下列各物分别在谁手上：{names}？只写人名",
        ),
    }[setting.kind]
    return setting.say(
        f"At the end of chapter {chapter}, {what} alone, in this order, separated by commas.",
        f"到第{chapter}章结束时，{what}，按上述顺序，用顿号隔开。",
    )


def _hands(setting: Setting, world: World, teachers: dict[str, str]) -> Material | None:
    """Everybody who had a thing, in order."""
    rng = setting.rng
    passed = {thing: world.hands(thing) for thing in world.things}
    fit = [thing for thing, names in passed.items() if _HANDS[0] <= len(names) <= _HANDS[1]]
    if not fit:
        return None
    thing = rng.choice(fit)
    names = passed[thing]
    other = max((other for other in world.things if other != thing), key=lambda other: len(passed[other]))
    if passed[other] == names:
        return None
    book = narrate(setting, world, teachers)
    told = [book.positions[at] for at, event in enumerate(world.events) if event.thing == thing]
    return Material(
        document=book.text,
        question=setting.say(
            f"Who had the {thing}, from the beginning of the book to its end? Give the names of all persons who had it in order, "
            "separated by commas; who had it again after somebody else stands there again.",
            f"从全书开头到结尾，{thing}先后在哪些人手上？请按先后写出所有人名，用顿号隔开；隔了别人之后再次拥有的人要再写一次。",
        ),
        parts=tuple(Part("name", name) for name in names),
        decisive=(book.beginnings[thing], *told),
        cheats={
            "no_reading": setting.names.persons(3, rng),
            "first_seen": names[:1],
            "last_seen": names[-1:],
            "most_frequent": Counter(names).most_common(1)[0][:1] * len(names),
            "distractor": passed[other],
            "wrong_hop": names[:-1],
            "off_by_one": names[1:],
            "tail_only": names[-2:],
        },
        spray=[*world.persons, *world.persons],
    )


def _journeys(setting: Setting, world: World, teachers: dict[str, str]) -> Material | None:
    """Where somebody went first, or in which chapters somebody first came to some places."""
    rng = setting.rng
    who = rng.choice(world.persons)
    went = [event.town for event in world.events if event.kind == "arrive" and event.who == who]
    mine = [at for at, event in enumerate(world.events) if event.kind == "arrive" and event.who == who]
    if setting.kind == "journey":
        if len(went) < _ASKED + 1:
            return None
        right, last, off = went[:_ASKED], went[-_ASKED:], went[1 : _ASKED + 1]
        start = world.snapshots[0].place[who]
        wrong, decisive = [start, *went[: _ASKED - 1]], mine[:_ASKED]
        question = setting.say(
            f"Which were the first three places that {who} travelled to, in order? A home where the book begins does not count; "
            "a place travelled to twice stands there twice. Give the names of the places alone, separated by commas.",
            f"{who}在书中最先前往的三个地方依次是哪里？全书开头时的住处不算；去过两次的地方写两次。只写地名，用顿号隔开。",
        )
    else:
        again = [town for town in dict.fromkeys(went) if len(set(world.arrivals(who, town))) > 1]
        towns = list(dict.fromkeys([*again[:1], *rng.sample(went, len(went))]))[:_ASKED]
        if not again or len(towns) < _ASKED:
            return None
        rng.shuffle(towns)
        chapters = [world.arrivals(who, town) for town in towns]
        right, last = [str(found[0]) for found in chapters], [str(found[-1]) for found in chapters]
        off = [str(found[0] + 1) for found in chapters]
        wrong = [str(world.chapters - found[0]) for found in chapters]
        decisive = [next(at for at in mine if world.events[at].town == town) for town in towns]
        question = setting.say(
            f"In which chapters did {who} travel to these places for the first time: {setting.join(towns)}? A home "
            "where the book begins does not count. Give the numbers of the chapters alone, in this order, separated by commas.",
            f"{who}第一次前往下列各地分别是在第几章：{setting.join(towns)}？全书开头时的住处不算。只写章的数字，按上述顺序，用顿号隔开。",
        )
    guess = setting.names.towns(_ASKED, rng) if setting.kind == "journey" else [str(rng.randint(1, 99)) for _ in range(_ASKED)]
    cheats = {"first_seen": right[:1] * _ASKED, "last_seen": last, "off_by_one": off, "wrong_hop": wrong, "tail_only": last}
    if right in cheats.values():
        return None
    book = narrate(setting, world, teachers)
    return Material(
        document=book.text,
        question=question,
        parts=tuple(Part("name" if setting.kind == "journey" else "integer", value) for value in right),
        decisive=tuple(book.positions[at] for at in decisive),
        cheats={**cheats, "no_reading": guess},
        spray=world.towns,
    )
