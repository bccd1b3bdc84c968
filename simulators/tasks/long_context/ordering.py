"""The order of events: as they are told, or by the days on which they happened, which the text mixes up."""

from simulators.tasks.long_context.material import Fact, Material, Part, Setting, at_depth, scatter

__all__ = ["order_of_events"]

_EVENTS = {
    "en": (
        "the bell tower of {town} burned down",
        "the archive of {town} was flooded",
        "a comet was seen over {town}",
        "the council of {town} was dissolved",
        "a circus arrived in {town}",
        "the lighthouse of {town} was lit for the first time",
        "the old treasury of {town} was robbed",
        "the printers of {town} went on strike",
        "a whale was stranded at {town}",
        "the theatre of {town} reopened",
    ),
    "zh": (
        "{town}的钟楼失了火",
        "{town}的档案馆遭了水灾",
        "{town}上空出现了彗星",
        "{town}的议会被解散",
        "一个马戏团来到{town}",
        "{town}的灯塔第一次点亮",
        "{town}的旧金库遭了劫",
        "{town}的印刷工人罢了工",
        "一头鲸鱼在{town}搁浅",
        "{town}的剧院重新开张",
    ),
}


def order_of_events(setting: Setting) -> Material:
    """Kinds: ``told`` and ``dated``. Events stand in the question under letters, and only some of the text's events do."""
    rng, dated = setting.rng, setting.kind == "dated"
    asked, others = setting.by_level(6, 6, 7, 7, 8, 9, 10), setting.by_level(2, 4, 8, 12, 16, 24, 32)
    towns = setting.names.towns(asked + others, rng)
    events = [rng.choice(_EVENTS[setting.language]).format(town=town) for town in towns]
    days = sorted(rng.sample(range(1, 1000), asked)) + rng.sample(range(1, 1000), others)
    depths = [rng.uniform(0.03, 0.88) for _ in range(asked)]
    depths[0] = at_depth(setting)
    depths.sort()
    while dated and depths in (sorted(depths), sorted(depths, reverse=True)):
        rng.shuffle(depths)
    depths += [rng.random() for _ in range(others)]
    depths[asked], depths[asked + 1] = 0.0, 0.999
    facts = [Fact(depth, _told(setting, event, day)) for depth, event, day in zip(depths, events, days, strict=True)]
    document = scatter(setting, facts)
    letters = [chr(ord("A") + index) for index in range(asked)]
    while letters in (sorted(letters), sorted(letters, reverse=True)):
        rng.shuffle(letters)
    """Of the events, which are in their right order."""
    listed = sorted(range(asked), key=lambda index: letters[index])
    appearance = [letters[index] for index in sorted(range(asked), key=lambda index: document.positions[index])]
    late = [index for index in range(asked) if document.in_tail(index)]
    swap = rng.randrange(asked - 1)
    off = [*letters[:swap], letters[swap + 1], letters[swap], *letters[swap + 2 :]]
    items = "\n".join(f"{letters[index]}. {events[index]}" for index in listed)
    cheats = {
        "no_reading": sorted(letters),
        "last_seen": letters[::-1],
        "off_by_one": off,
        "tail_only": [*sorted(set(letters) - {letters[index] for index in late}), *(letters[index] for index in late)],
    }
    if dated:
        cheats |= {"first_seen": appearance, "distractor": appearance[::-1]}
    return Material(
        document=document.text,
        question=setting.say(
            f"Put these events in the order {'of the days on which they happened' if dated else 'in which the text tells them'}, "
            f"the first one first. Give the letters alone, separated by commas.\n{items}",
            f"请把下列事件按{'发生的日子' if dated else '文中叙述'}的先后排序，最早的在前。只写字母，用逗号隔开。\n{items}",
        ),
        parts=tuple(Part("letter", letter) for letter in letters),
        decisive=document.positions[:asked],
        cheats=cheats,
        spray=[*sorted(letters), *letters],
    )


def _told(setting: Setting, event: str, day: int) -> str:
    if setting.kind != "dated":
        return setting.rng.choice(
            (
                setting.say(f"Then {event}.", f"随后，{event}。"),
                setting.say(f"Word came that {event}.", f"有消息说，{event}。"),
                setting.say(f"It was in those days that {event}.", f"就在那些日子里，{event}。"),
            )
        )
    return setting.rng.choice(
        (
            setting.say(f"On day {day}, {event}.", f"第{day}天，{event}。"),
            setting.say(f"It was on day {day} that {event}.", f"就在第{day}天，{event}。"),
            setting.say(f"The chronicle has it that {event} on day {day}.", f"据编年史记载，第{day}天，{event}。"),
        )
    )
