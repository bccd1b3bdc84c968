"""A novel from its world: chapters of prose in which every event is told once, in order, among much that matters to nobody."""

from dataclasses import dataclass, replace

from simulators.tasks.long_context.material import Fact, Setting, scatter
from simulators.tasks.long_context.world import Event, World

__all__ = ["Novel", "narrate"]

_TOLD = {
    "en": {
        "arrive": (
            "{who} travelled to {town}.",
            "After a long ride {who} arrived in {town}.",
            "{who} took the road to {town} and reached it before long.",
        ),
        "give": ("{who} gave the {thing} to {other}.", "{other} received the {thing} from {who}."),
        "leave": (
            "{who} put the {thing} down in {town} for anybody to find.",
            "In {town} {who} gave up the {thing} and hid it there.",
        ),
        "take": ("{who} found the {thing} in {town} and picked it up.", "In {town} {who} came upon the {thing} and took it."),
        "lives": ("{who} lived in {town}.", "At that time {town} was the home of {who}."),
        "owns": ("{who} owned the {thing}.", "The {thing} belonged to {who}."),
        "taught": ("{other} had been the teacher of {who}.", "{who} had learned everything from {other}."),
    },
    "zh": {
        "arrive": ("{who}启程去了{town}。", "走了很远的路，{who}来到了{town}。", "{who}动身前往{town}，不久便到了。"),
        "give": ("{who}把{thing}交给了{other}。", "{other}从{who}手里接过了{thing}。"),
        "leave": ("{who}把{thing}放在了{town}，任人取走。", "{who}在{town}舍弃了{thing}，把它藏在那里。"),
        "take": ("{who}在{town}找到{thing}，捡了起来。", "在{town}，{who}取走了{thing}。"),
        "lives": ("{who}住在{town}。", "那时候，{who}的家在{town}。"),
        "owns": ("{who}拥有{thing}。", "{thing}归{who}所有。"),
        "taught": ("{other}曾是{who}的老师。", "{who}的一身本领都是跟{other}学的。"),
    },
}
_IDLE = {
    "en": (
        "{who} could not sleep that night.",
        "{who} thought of {other} and said nothing.",
        "Everybody spoke of the {thing} in those days.",
        "{who} had never trusted the rumours about {town}.",
        "There was an old song about {town}, and {who} knew it by heart.",
        "{who} dreamed of the {thing}.",
    ),
    "zh": (
        "那一夜{who}怎么也睡不着。",
        "{who}想起了{other}，却什么也没说。",
        "那些日子人人都在谈论{thing}。",
        "{who}从来不信关于{town}的传言。",
        "有一首关于{town}的老歌，{who}记得烂熟。",
        "{who}梦见了{thing}。",
    ),
}


@dataclass(frozen=True, slots=True)
class Novel:
    text: str
    beginnings: dict[str, int]
    """Where each person's home, thing's owner (by the thing) and pupil's teacher (``taught:`` and the pupil) is told."""
    positions: tuple[int, ...]
    """Where each event of the world is told."""


def narrate(setting: Setting, world: World, teachers: dict[str, str]) -> Novel:
    """Chapters of about equal length; homes, owners and teachers are told in the first."""
    chapters: list[str] = []
    positions: list[int] = []
    beginnings: dict[str, int] = {}
    written = 0
    start = world.snapshots[0]
    subjects = [*world.persons, *world.things, *(f"taught:{pupil}" for pupil in teachers)]
    opening = [
        *(_told(setting, "lives", who=who, town=start.place[who]) for who in world.persons),
        *(_told(setting, "owns", who=start.holder[thing], thing=thing) for thing in world.things),
        *(_told(setting, "taught", who=pupil, other=teacher) for pupil, teacher in teachers.items()),
    ]
    for chapter in range(1, world.chapters + 1):
        heading = setting.say(f"Chapter {chapter}", f"第{chapter}章") + "\n\n"
        texts = [_event(setting, event) for event in world.events if event.chapter == chapter]
        texts = opening + texts if chapter == 1 else texts
        left = max(1, (setting.characters - written) // (world.chapters - chapter + 1) - len(heading) - 2)
        document = _chapter(setting, world, texts, left)
        written += len(heading)
        places = [written + position for position in document[1]]
        if chapter == 1:
            beginnings = dict(zip(subjects, places, strict=False))
        positions += places[len(opening) if chapter == 1 else 0 :]
        chapters.append(heading + document[0])
        written += len(document[0]) + 2
    return Novel("\n\n".join(chapters), beginnings, tuple(positions))


def _chapter(setting: Setting, world: World, texts: list[str], characters: int) -> tuple[str, list[int]]:
    rng = setting.rng
    idle = (characters - sum(map(len, texts))) // 150
    facts = [Fact(depth, text) for depth, text in zip(sorted(rng.random() for _ in texts), texts, strict=True)]
    facts += [Fact(rng.random(), _idle(setting, world)) for _ in range(min(max(0, idle), len(texts)))]
    document = scatter(replace(setting, characters=characters), facts, once=False)
    return document.text, list(document.positions[: len(texts)])


def _event(setting: Setting, event: Event) -> str:
    return _told(setting, event.kind, who=event.who, town=event.town, thing=event.thing, other=event.other)


def _told(setting: Setting, kind: str, **fields: str) -> str:
    return setting.rng.choice(_TOLD[setting.language][kind]).format(**fields)


def _idle(setting: Setting, world: World) -> str:
    rng = setting.rng
    who, other = rng.sample(world.persons, 2)
    template = rng.choice(_IDLE[setting.language])
    return template.format(who=who, other=other, thing=rng.choice(world.things), town=rng.choice(world.towns))
