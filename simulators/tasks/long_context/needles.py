"""Numbers that are said once in a long text: one of them, several at once, and one that was corrected since.

Kinds of questions after RULER's needles (arXiv 2404.06654) and InfiniteBench's passkeys (arXiv 2402.13718). The distractors
are near: the same place with another label, a place whose name begins alike with the same label.
"""

from collections.abc import Mapping

from simulators.tasks.long_context.material import Fact, Material, Part, Setting, at_depth, scatter

__all__ = ["conflict", "numbers", "passkey"]

_SAID = {
    "en": (
        "The {label} of {town} is {value}.",
        "In {town}, the {label} reads {value}.",
        "Whoever comes to {town} learns that the {label} there is {value}.",
        "{value} is the {label} of {town}.",
        "They say in {town} that {value} has always been the {label}.",
    ),
    "zh": (
        "{town}的{label}是{value}。",
        "在{town}，{label}写的是{value}。",
        "到过{town}的人都知道，那里的{label}是{value}。",
        "{value}就是{town}的{label}。",
        "{town}的人常说，{value}向来是他们的{label}。",
    ),
}
_CORRECTED = {
    "en": (
        "A correction: the {label} of {town} given before is wrong, it is {value}.",
        "The {label} of {town} has been changed to {value}.",
        "What was said of {town} no longer holds: its {label} is {value}.",
    ),
    "zh": (
        "更正：前面所说的{town}的{label}有误，应为{value}。",
        "{town}的{label}已经改成了{value}。",
        "关于{town}的说法已不再成立：它的{label}是{value}。",
    ),
}
_DATED = {
    "en": ("Note of day {day}: the {label} of {town} is {value}.", "As of day {day}, {town} has {value} as its {label}."),
    "zh": ("第{day}天的记录：{town}的{label}是{value}。", "截至第{day}天，{town}的{label}为{value}。"),
}

Key = tuple[str, str]
"""A place and a label."""


def _keys(setting: Setting, count: int) -> list[Key]:
    """Different keys; those at odd places are near the one before them."""
    rng, labels = setting.rng, setting.names.words["label"]
    towns = iter(setting.names.towns(count, rng))
    keys: list[Key] = []
    while len(keys) < count:
        town, label = next(towns), rng.choice(labels)
        keys.append((town, label))
        near = rng.random() < 0.5
        keys.append((next(towns), label) if near else (town, rng.choice([other for other in labels if other != label])))
    return keys[:count]


def _values(setting: Setting, count: int) -> list[str]:
    return [str(value) for value in setting.rng.sample(range(100_000, 1_000_000), count)]


def _said(setting: Setting, templates: Mapping[str, tuple[str, ...]], key: Key, value: str, day: int = 0) -> str:
    return setting.rng.choice(templates[setting.language]).format(town=key[0], label=key[1], value=value, day=day)


def _next_to(value: str) -> str:
    return str(int(value) + 1)


def passkey(setting: Setting) -> Material:
    """One number among many."""
    return _asked_for(setting, 1, setting.by_level(4, 8, 12, 16, 24, 36, 48))


def numbers(setting: Setting) -> Material:
    """Several numbers, in the order of the question."""
    return _asked_for(setting, setting.by_level(2, 2, 3, 3, 4, 5, 6), setting.by_level(6, 10, 16, 20, 32, 40, 64))


def _asked_for(setting: Setting, asked: int, count: int) -> Material:
    rng = setting.rng
    keys, values = _keys(setting, count), _values(setting, count)
    chosen = sorted(rng.sample(range(0, count - 1, 2), asked), key=lambda index: rng.random())  # the near ones follow them
    depths = [rng.random() for _ in keys]
    for index in chosen:
        depths[index] = rng.uniform(0.02, 0.88)
    depths[chosen[0]] = at_depth(setting)
    first, last = rng.sample([index for index in range(count) if index not in chosen], 2)
    depths[first], depths[last] = 0.0, 0.99
    facts = [Fact(depth, _said(setting, _SAID, key, value)) for depth, key, value in zip(depths, keys, values, strict=True)]
    again = facts[first].text
    while again == facts[first].text:
        again = _said(setting, _SAID, keys[first], values[first])
    document = scatter(setting, [*facts, Fact(rng.random(), again)])
    seen = sorted(range(count), key=lambda index: document.positions[index])
    wanted = setting.say(
        "; ".join(f"the {keys[index][1]} of {keys[index][0]}" for index in chosen),
        "；".join(f"{keys[index][0]}的{keys[index][1]}" for index in chosen),
    )
    question = (
        setting.say(f"What is {wanted}? Give the number alone.", f"{wanted}是多少？只写数字。")
        if asked == 1
        else setting.say(
            f"What are these, in this order: {wanted}? Give the numbers alone, separated by commas.",
            f"请按顺序回答：{wanted}各是多少？只写数字，用顿号隔开。",
        )
    )
    tail = [values[index] for index in seen if document.in_tail(index)]
    return Material(
        document=document.text,
        question=question,
        parts=tuple(Part("integer", values[index]) for index in chosen),
        decisive=tuple(document.positions[index] for index in chosen),
        cheats={
            "no_reading": _values(setting, asked),
            "first_seen": [values[index] for index in seen[:asked]],
            "last_seen": [values[index] for index in seen[-asked:]],
            "most_frequent": [values[first]] * asked,
            "distractor": [values[index + 1] for index in chosen],
            "off_by_one": [_next_to(values[index]) for index in chosen],
            "tail_only": [values[index] if document.in_tail(index) else (tail or values)[-1] for index in chosen],
        },
        spray=[values[index] for index in seen],
    )


def conflict(setting: Setting) -> Material:
    """A number that is said anew: the later word holds, be it later in the text or of a later day."""
    rng, dated = setting.rng, setting.kind == "dated"
    versions, others = setting.by_level(3, 3, 3, 4, 4, 5, 6), setting.by_level(1, 3, 5, 7, 11, 17, 23)
    keys = _keys(setting, 1 + others)
    histories = [versions] + [rng.randint(1, versions) for _ in range(others)]
    if setting.level == 1:
        histories[1] = 2
    values = iter(_values(setting, sum(histories)))
    facts: list[Fact] = []
    said: list[tuple[int, int, str]] = []
    """Of each fact: its key, its version, its value."""
    for index, (key, count) in enumerate(zip(keys, histories, strict=True)):
        end = at_depth(setting) if index == 0 else 0.999
        depths = sorted(rng.random() * end for _ in range(count))
        if index == 0:
            depths[-1] = end
        elif index == 1:
            depths[0], depths[-1] = 0.0, 0.999
        days = sorted(rng.sample(range(1, 400), count))
        order = list(range(count))
        if dated:  # the latest day is neither the first nor the last in the text
            order = [*range(count - 1)]
            rng.shuffle(order)
            order.insert(rng.randint(1, count - 2) if count > 2 else 0, count - 1)
        for place, version in enumerate(order):
            value = next(values)
            templates: Mapping[str, tuple[str, ...]] = _DATED if dated else (_CORRECTED if version else _SAID)
            facts.append(Fact(depths[place], _said(setting, templates, key, value, days[version])))
            said.append((index, version, value))
    document = scatter(setting, facts)
    seen = sorted(range(len(facts)), key=lambda index: document.positions[index])
    own = {version: value for index, version, value in said if index == 0}
    right = own[versions - 1]
    town, label = keys[0]
    rule = setting.say("Where the text corrects itself, the later word holds.", "若文中有更正，以后出现的说法为准。")
    if dated:
        rule = setting.say("Where notes disagree, that of the latest day holds.", "若记录互相矛盾，以日期最晚的为准。")
    tail = [said[index][2] for index in seen if document.in_tail(index)]
    return Material(
        document=document.text,
        question=setting.say(
            f"{rule} What is the {label} of {town}? Give the number alone.", f"{rule}{town}的{label}是多少？只写数字。"
        ),
        parts=(Part("integer", right),),
        decisive=(document.positions[next(at for at, item in enumerate(said) if item[2] == right)],),
        cheats={
            "no_reading": _values(setting, 1),
            "first_seen": [said[seen[0]][2]],
            "last_seen": [said[seen[-1]][2]],
            "stale": [own[0]],
            "distractor": [next(value for index, version, value in reversed(said) if index == 1)],
            "wrong_hop": [own[versions - 2]],
            "off_by_one": [_next_to(right)],
            "tail_only": [(tail or [own[0]])[-1]],
        },
        spray=[value for _, _, value in said],
    )
