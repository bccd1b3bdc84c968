"""Who said what: a long conversation in which many say nearly the same."""

from dataclasses import dataclass

from simulators.tasks.long_context.grammar import prose
from simulators.tasks.long_context.material import Material, Part, Setting, at_depth

__all__ = ["dialogue"]


@dataclass(frozen=True, slots=True)
class _Claim:
    speaker: str
    thing: str
    town: str
    crowns: int
    answered_by: str
    """Who speaks next."""


def dialogue(setting: Setting) -> Material:
    """Three claims are asked about: who made them, who spoke right after them, or what price was named."""
    rng = setting.rng
    people = setting.names.persons(setting.by_level(6, 7, 8, 9, 10, 12, 14), rng)
    claims = _claims(setting, people)
    chosen = claims[:3]
    right = {
        "who": [claim.speaker for claim in chosen],
        "next": [claim.answered_by for claim in chosen],
        "price": [str(claim.crowns) for claim in chosen],
    }[setting.kind]
    document, positions, speakers = _spoken(setting, people, claims)
    order = sorted(range(len(claims)), key=lambda index: positions[index])
    tail = [claims[index] for index in order if positions[index] >= 0.9 * len(document)]

    def read(claim: _Claim) -> str:
        return {"who": claim.speaker, "next": claim.answered_by, "price": str(claim.crowns)}[setting.kind]

    names = setting.kind != "price"
    guess = [str(rng.randint(100, 999)) for _ in chosen] if not names else setting.names.persons(3, rng)
    swapped = [claim.speaker if setting.kind == "next" else claim.answered_by for claim in chosen]
    modal = max(people, key=lambda name: (speakers.count(name), name))
    return Material(
        document=document,
        question=_question(setting, chosen),
        parts=tuple(Part("integer" if setting.kind == "price" else "name", value) for value in right),
        decisive=tuple(positions[:3]),
        cheats={
            "no_reading": guess,
            "first_seen": [read(claims[index]) for index in order[:3]],
            "last_seen": [read(claims[index]) for index in order[-3:]],
            "distractor": [read(claim) for claim in claims[3:6]],
            "off_by_one": [right[-1], *right[:-1]],
            "tail_only": [read(claim) for claim in (tail or claims[-1:])[-1:]] * 3,
            **({"most_frequent": [modal] * 3, "wrong_hop": swapped} if names else {}),
        },
        spray=[*people, *(str(claim.crowns) for claim in claims)],
    )


def _claims(setting: Setting, people: list[str]) -> list[_Claim]:
    """The first three are asked about; each has a near one: the same thing by another, in another place, at another price."""
    rng, near = setting.rng, setting.by_level(1, 2, 3, 4, 5, 7, 9)
    things = setting.names.objects(3, rng)
    towns = setting.names.towns(3 * (near + 1), rng)
    crowns = iter(rng.sample(range(100, 1000), 3 * (near + 1)))
    asked = rng.sample(people, 3)
    answers = rng.sample(people, 3)
    while any(speaker == answer for speaker, answer in zip(asked, answers, strict=True)):
        answers = rng.sample(people, 3)
    claims = [_Claim(asked[index], things[index], towns[index], next(crowns), answers[index]) for index in range(3)]
    for turn in range(1, near + 1):
        for index in range(3):
            speaker, answer = rng.sample([name for name in people if name not in (asked[index], answers[index])], 2)
            claims.append(_Claim(speaker, things[index], towns[3 * turn + index], next(crowns), answer))
    return claims


def _spoken(setting: Setting, people: list[str], claims: list[_Claim]) -> tuple[str, list[int], list[str]]:
    """The dialogue, where each claim begins in it, and who spoke, turn by turn."""
    rng, colon = setting.rng, setting.say(": ", "：")
    depths = [at_depth(setting)] + [rng.uniform(0.02, 0.88) for _ in claims[1:]]
    first, last = rng.sample(range(3, len(claims)), 2)
    depths[first], depths[last] = 0.0, 0.999
    order = sorted(range(len(claims)), key=lambda index: depths[index])
    positions = [0] * len(claims)
    lines: list[str] = []
    speakers: list[str] = []
    small_talk = prose(setting.language, rng)
    facts = sum(2 * len(_said(setting, claim)) for claim in claims)
    room = max(1, setting.characters - facts)
    written = filled = placed = 0

    def add(speaker: str, words: str) -> int:
        line = f"{speaker}{colon}{words}"
        lines.append(line)
        speakers.append(speaker)
        return len(line) + 1

    while placed < len(claims) or written < setting.characters:
        if placed < len(claims) and (filled >= depths[order[placed]] * room or filled >= room):
            claim = claims[order[placed]]
            positions[order[placed]] = written
            written += add(claim.speaker, _said(setting, claim))
            written += add(claim.answered_by, next(small_talk))
            placed += 1
            continue
        words = next(small_talk)
        if rng.random() < 0.4:
            words += setting.say(" ", "") + next(small_talk)
        added = add(rng.choice([name for name in people if not speakers or name != speakers[-1]]), words)
        written, filled = written + added, filled + added
    return "\n".join(lines), positions, speakers


def _said(setting: Setting, claim: _Claim) -> str:
    return setting.say(
        f"I sold the {claim.thing} in {claim.town} for {claim.crowns} crowns.",
        f"我在{claim.town}把{claim.thing}卖了{claim.crowns}克朗。",
    )


def _question(setting: Setting, chosen: list[_Claim]) -> str:
    sales = setting.say(
        "; ".join(f"the {claim.thing} in {claim.town}" for claim in chosen),
        "；".join(f"在{claim.town}卖掉{claim.thing}" for claim in chosen),
    )
    if setting.kind == "who":
        return setting.say(
            f"Who said they had sold these, in this order: {sales}? Give the names alone, separated by commas.",
            f"下列各事分别是谁说自己做的，请按顺序回答：{sales}。只写名字，用顿号隔开。",
        )
    if setting.kind == "next":
        return setting.say(
            f"Who was the next to speak after somebody said they had sold these, in this order: {sales}? Give the names alone, "
            "separated by commas.",
            f"有人说自己做了下列各事之后，紧接着说话的分别是谁，请按顺序回答：{sales}。只写名字，用顿号隔开。",
        )
    return setting.say(
        f"For how many crowns did the speakers say they had sold these, in this order: {sales}? Give the numbers alone, "
        "separated by commas.",
        f"说话人说自己做下列各事时，分别卖了多少克朗，请按顺序回答：{sales}。只写数字，用顿号隔开。",
    )
