"""A long JSON object of UUIDs: the values of some keys, while other keys differ from them in one digit."""

import random
from collections.abc import Iterator

from simulators.tasks.long_context.material import Material, Part, Setting, at_depth

__all__ = ["key_value"]

_LINE = 80
"""Characters of one pair with its comma and line break."""


def key_value(setting: Setting) -> Material:
    """The document is the object, one pair a line."""
    rng = setting.rng
    count = max(6, -(-setting.characters // _LINE))
    asked = setting.by_level(1, 1, 2, 2, 3, 3, 4)
    places = [int(at_depth(setting) * count) or 1]
    while len(places) < asked:
        places = list(dict.fromkeys([*places, rng.randrange(1, max(2, int(0.88 * count)))]))
    near = rng.sample([place for place in range(count) if place not in places], asked)
    keys = {place: _uuid(rng) for place in places}
    keys |= {other: _one_digit_off(keys[place], rng) for place, other in zip(places, near, strict=True)}
    values: list[str] = []
    text = "{\n" + ",\n".join(_pairs(keys, count, values, rng)) + "\n}"
    wanted = [keys[place] for place in places]
    for key in wanted:
        if text.count(key) != 1:
            raise ValueError(f"long_context: key {key} stands {text.count(key)} times in its object")
    which = ", ".join(f'"{key}"' for key in wanted)
    tail = [values[place] if place >= 0.9 * count else values[-1] for place in places]
    return Material(
        document=text,
        question=setting.say(
            f"Which values do these keys of the object have, in this order: {which}? Separate values by commas.",
            f"对象中下列键的值依次是什么：{which}？各值用逗号隔开。",
        ),
        parts=tuple(Part("uuid", values[place]) for place in places),
        decisive=tuple(2 + place * _LINE for place in places),
        cheats={
            "no_reading": [_uuid(rng) for _ in places],
            "first_seen": values[:asked],
            "last_seen": values[-asked:],
            "distractor": [values[place] for place in near],
            "wrong_hop": wanted,
            "off_by_one": [values[place + 1] for place in places],
            "tail_only": tail,
        },
        spray=values[:40],
    )


def _pairs(keys: dict[int, str], count: int, values: list[str], rng: random.Random) -> Iterator[str]:
    for place in range(count):
        values.append(_uuid(rng))
        yield f'"{keys.get(place) or _uuid(rng)}": "{values[-1]}"'


def _uuid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _one_digit_off(uuid: str, rng: random.Random) -> str:
    place = rng.choice([place for place, digit in enumerate(uuid) if digit != "-"])
    return uuid[:place] + rng.choice([digit for digit in "0123456789abcdef" if digit != uuid[place]]) + uuid[place + 1 :]
