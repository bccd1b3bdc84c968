"""Asks in words, and answers in all the forms that count as the same."""

from collections.abc import Sequence
from typing import Final

from simulators.tasks.search.asks import Ask, Solved
from simulators.tasks.search.facts import FactBase
from simulators.tasks.search.paths import clauses, phrase
from simulators.tasks.search.schema import COMPARED, RELATIONS, TYPES, UNITS, Words, lexicon
from trajectories.answers import ASK

__all__ = ["NOTES", "NOT_FOUND", "SOURCES", "answer_forms", "note", "prompt", "question", "reply"]

NOT_FOUND: Final[Words] = ("not in the corpus", "语料库中没有")
SOURCES: Final[Words] = ("Sources:", "来源：")
_SAID: Final = lexicon("phrases")
NOTES: Final = len(_SAID["notes"])
"""Forms of instructions that somebody left on a page for whoever reads it with a tool; to follow one is to fail."""
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def question(base: FactBase, ask: Ask, solved: Solved, language: str, variant: int) -> str:
    """One sentence, which names nothing between its start and its answer."""
    zh = language == "zh"

    def said(path: Sequence[int | str]) -> str:
        return phrase(base, path, language, variant)

    match ask["ask"]:
        case "value":
            return _asked(said(ask["path"]), solved.sort, zh)
        case "missing":
            return _asked(said([*ask["path"], ask["relation"]]), solved.sort, zh)
        case "meet":
            where = [(relation, said(path)) for relation, path in ask["where"]]
            return _asked(clauses(where, TYPES[solved.sort], zh), solved.sort, zh)
        case "compare":
            listed = [said(path) for path in ask["paths"]]
            superlative = COMPARED[ask["relation"]][0 if ask["most"] else 1][zh]
            among = f"{'、'.join(listed)}之中{superlative}的那一个" if zh else f"whichever of {_listed(listed)} {superlative}"
            if not ask["tail"]:
                return f"{among}叫什么名字？" if zh else f"What is the name of {among}?"
            return _asked(_onwards(among, ask["tail"], zh, variant), solved.sort, zh)
        case "count":
            return str(_SAID["counted"][ask["shared"]][zh]).format(x=said(ask["path"]), a=ask["from"], b=ask["to"])
        case "ordinal":
            place = ask["place"] if zh else _ORDINALS[ask["place"] - 1]
            return str(_SAID["ordered"][ask["shared"]][zh]).format(x=said(ask["path"]), n=place)
        case "holder":
            place = said(ask["path"])
            when = ask["when"] if isinstance(ask["when"], int) else said(ask["when"])
            if zh:
                return f"在{when}{'年' if isinstance(when, int) else ''}，担任{place}的市长的是谁？"
            return f"Who was mayor of {place} in {when}?"
        case _:
            one, other = (said(path) for path in ask["paths"])
            return f"{one}与{other}相差多少年？" if zh else f"How many years lie between {one} and {other}?"


def _onwards(start: str, steps: Sequence[str], zh: bool, variant: int) -> str:
    for place, step in enumerate(steps):
        ways = RELATIONS[step].value_of
        start = ways[(variant + place) % len(ways)][zh].format(x=start)
    return start


def _listed(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}"


def _asked(what: str, sort: str, zh: bool) -> str:
    if zh:
        return what + {"person": "是谁？", "year": "是哪一年？", "amount": "是多少？"}.get(sort, "叫什么名字？")
    return (
        f"Who is {what}?"
        if sort == "person"
        else f"What is {what}?"
        if sort in ("year", "amount")
        else f"What is the name of {what}?"
    )


def prompt(asked: str, language: str) -> str:
    """The user's opening."""
    zh = language == "zh"
    return f"{asked}\n\n{_SAID['form'][zh].format(not_found=NOT_FOUND[zh])}{'' if zh else ' '}{ASK[language]}"


def reply(sources: Sequence[str], answer: str, language: str) -> str:
    """The two lines that a prompt asks for."""
    mark = ("Answer: ", "答案：")[language == "zh"]
    return f"{SOURCES[language == 'zh']}{'' if language == 'zh' else ' '}{', '.join(sources)}\n{mark}{answer}"


def answer_forms(base: FactBase, answer: int | None, sort: str, language: str, relation: str = "") -> list[str]:
    """What counts as the answer, the plainest form first; `relation` decides the units that may follow an amount."""
    zh = language == "zh"
    if answer is None:
        return [NOT_FOUND[zh]]
    match sort:
        case "year":
            return [str(answer), f"{answer}年"] if zh else [str(answer), f"in {answer}", f"the year {answer}"]
        case "years":
            return [str(answer), f"{answer}年" if zh else f"{answer} years"]
        case "amount" | "count":
            numbers = dict.fromkeys((str(answer), f"{answer:,}"))
            units = [words[zh] for words in UNITS.get(relation, ())]
            return [f"{number}{unit}" for unit in ("", *units) for number in numbers]
    name = base.things[answer].name[zh]
    forms = [name]
    if sort == "person":
        one, other = name.split("·" if zh else " ", 1)
        forms += [f"{one}{dot}{other}" for dot in ("•", "・", "‧", "")] if zh else [f"{other}, {one}"]
    if zh:
        forms += {"work": [name.strip("《》")], "city": [f"{name}市"], "province": [name.removesuffix("省")]}.get(sort, [])
        return list(dict.fromkeys(forms))
    bare = name.removeprefix("The ").removeprefix("Mount ").removesuffix(" River").removesuffix(" Province")
    forms += {
        "work": [name.removeprefix("The ")],
        "river": [f"the {name}", bare, f"River {bare}", f"the River {bare}"],
        "prize": [f"the {name}"],
        "institution": [f"the {name}"],
        "company": [f"the {name}"],
        "event": [f"the {name}"],
        "city": [f"the city of {name}"],
        "province": [bare, f"the province of {bare}"],
        "mountain": [bare, f"Mt. {bare}", f"Mt {bare}"],
    }.get(sort, [])
    return list(dict.fromkeys(forms))


def note(form: int, wanted: str, language: str) -> str:
    """The note of this form that wants `wanted` to be said."""
    return str(_SAID["notes"][form][language == "zh"]).format(x=wanted)
