"""Turns wishes into what a user says, by a small grammar for each language.

The grammars (``phrases/en.yaml``, ``phrases/zh.yaml``) hold every sentence, for user and oracle. An operation without
phrases of its own is phrased after its name, so that any world can be spoken of. What is said depends on the wish, the
user's style and its language, never on whether the wish may be granted.
"""

import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import yaml

from simulators.users.voice import LANGUAGES, not_known, not_understood, require_language
from simulators.worlds import OperationSpec, WorldSpec

__all__ = [
    "CONFIRM_KEYWORDS", "LANGUAGES", "STYLES", "Form", "answer", "ask_keywords", "branch", "change_of_mind", "confirm_question",
    "confirmation", "confirmed_text", "follow_up", "it", "not_known", "not_understood", "opening", "question", "reach", "reply",
    "request", "said_anyway", "spoken", "spoken_value", "subject",
]  # fmt: skip

STYLES: tuple[str, ...] = ("plain", "polite", "terse", "chatty")
"""The styles of tasks that are composed without a mix of personas; `simulators.users.voice.STYLES` are all there are."""

Form = Literal["request", "question", "branch"]
"""Of a phrase: to do something, to tell something, or to do one of two things."""


@lru_cache(maxsize=8)
def _grammar(language: str) -> dict[str, Any]:
    path = files("simulators.tasks").joinpath("phrases", f"{require_language(language)}.yaml")
    grammar: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return grammar


CONFIRM_KEYWORDS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    language: tuple(dict.fromkeys([*_grammar(language)["confirm_keywords"], *_grammar("en")["confirm_keywords"]]))
    for language in LANGUAGES
})  # fmt: skip
"""By language, the keywords of a confirmation; English ones are understood by everybody."""


def opening(wishes: Sequence[tuple[Form, str]], style: str, rng: random.Random, language: str = "en") -> str:
    """The user's first message: the first phrase in a frame of the user's style, the others joined on.

    Raises:
        ValueError: for a style or a language that there is not.
    """
    grammar = _grammar(language)
    frames = (_of_style("frames", style, language), *(grammar["joiners"] for _ in wishes[1:]))
    said = (_framed(rng.choice(frame[form]), phrase, language) for frame, (form, phrase) in zip(frames, wishes, strict=True))
    return str(grammar["joint"]).join(said)


def follow_up(form: Form, phrase: str, rng: random.Random, style: str, language: str = "en") -> str:
    """A wish that the user comes out with later."""
    return _framed(rng.choice(_of_style("follow_ups", style, language)[form]), phrase, language)


def change_of_mind(phrase: str, rng: random.Random, language: str = "en") -> str:
    """A wish that takes the place of an earlier one."""
    return _framed(rng.choice(_grammar(language)["changes_of_mind"]), phrase, language)


def request(
    world: WorldSpec,
    operation: OperationSpec,
    argument: str,
    named: str,
    values: Mapping[str, Any],
    rng: random.Random,
    language: str = "en",
) -> str:
    """A phrase that asks for `operation`.

    Args:
        argument: the operation's argument that holds the subject's key.
        named: how the subject is named, see `subject`.
        values: every argument of the call.
    """
    phrases = _grammar(language)["requests"].get(world.name, {}).get(operation.name)
    phrase = rng.choice(phrases or [_named_request(operation, argument, language)])
    types = {name: item.value_type for name, item in operation.arguments.items()}
    told = {_slot(name): spoken_value(value, types[name], language) for name, value in values.items()}
    text = str(phrase).format(subject=named, **told)
    return _spaced(re.sub(r"\b1 (\w+)s\b", r"1 \1", text), language)


def _slot(argument: str) -> str:
    """An argument's place in a phrase; ``{subject}`` is the record in question, whatever arguments are called."""
    return "subject_" if argument == "subject" else argument


def branch(field: str, value: Any, named: str, then: str, otherwise: str, rng: random.Random, language: str = "en") -> str:
    """A phrase (of form `branch`) that asks for one of two things, by what a field of a record is."""
    phrase = str(rng.choice(_grammar(language)["branches"]))
    told = {"field": _asked(field, language), "value": spoken_value(value, language=language), "subject": named}
    return _spaced(phrase.format(**told, then=then, otherwise=otherwise), language)


def reach(field: str, value: Any, named: str, rng: random.Random, language: str = "en") -> str:
    """A phrase that asks for a state, and leaves the steps to the agent."""
    phrase = str(rng.choice(_grammar(language)["reaches"]))
    return _spaced(phrase.format(field=_asked(field, language), value=spoken(value), subject=named), language)


def question(field: str, named: str, rng: random.Random, language: str = "en") -> str:
    """A phrase that asks for a field of a record."""
    phrase = str(rng.choice(_grammar(language)["questions"]))
    return _spaced(phrase.format(field=_asked(field, language), subject=named), language)


def subject(access: str, entity: str, rng: random.Random, language: str = "en", **values: Any) -> str:
    """How the user names the record: by ``key`` (direct), by ``field`` and ``value`` (search), by ``owner``, which is how
    another record is named (related), or not at all (ask)."""
    grammar = _grammar(language)
    texts = {name: spoken(value) for name, value in values.items()}
    if "field" in values:
        texts["field"] = grammar["labels"].get(values["field"], texts["field"])
    named = grammar["entities"].get(entity, spoken(entity))
    return _spaced(str(rng.choice(grammar["subjects"][access])).format(entity=named, **texts), language)


def it(language: str = "en") -> str:
    """How a record is named that was named before."""
    return str(_grammar(language)["it"])


def answer(key: str, rng: random.Random, language: str = "en") -> str:
    """What the user says when asked for a withheld key."""
    return str(rng.choice(_grammar(language)["answers"])).format(key=key)


def ask_keywords(entity: str, slot: str, language: str = "en") -> tuple[str, ...]:
    """The keywords of a withheld key; everybody understands its English name too."""
    words: list[str] = []
    for spoken_here in dict.fromkeys([language, "en"]):
        grammar = _grammar(spoken_here)
        words += [grammar["entities"].get(entity, spoken(entity)), grammar["slots"].get(slot, spoken(slot))]
        words += grammar["ask_keywords"]
    return tuple(dict.fromkeys(words))


def confirmation(yes: bool, rng: random.Random, language: str = "en") -> str:
    """The user's yes or no; begins with `confirmed_text`."""
    return str(rng.choice(_grammar(language)["confirmations"]["given" if yes else "denied"][1]))


def confirmed_text(yes: bool, language: str = "en") -> str:
    """What every `confirmation` of this kind begins with, for a checkpoint to look for."""
    return str(_grammar(language)["confirmations"]["given" if yes else "denied"][0])


def confirm_question(phrase: str, language: str = "en") -> str:
    """What the oracle asks before an act that needs a confirmation."""
    return _framed(_grammar(language)["confirm_question"], phrase, language)


def reply(kind: str, language: str = "en", **values: Any) -> str:
    """What the oracle says: ``act``, ``refuse``, ``keep``, ``lookup`` (with ``answer``), ``ask`` (with ``slot``)."""
    grammar = _grammar(language)
    texts = {name: spoken(value) for name, value in values.items()}
    if "slot" in values:
        texts["slot"] = grammar["slots"].get(values["slot"], texts["slot"])
    return _spaced(str(grammar["replies"][kind]).format(**texts), language)


def said_anyway(text: str) -> bool:
    """Whether `text` is among the words that the oracle says, in some language, whatever the answer to a question is."""
    words, asked = _always_said(), set(re.findall(r"\w+", text.casefold()))
    return not words.isdisjoint(asked) or any(item in word for item in asked if not item.isascii() for word in words)


def spoken(value: Any) -> str:
    """A name or a value as a person says it: ``order_id`` becomes ``order id``."""
    return str(value).replace("_", " ")


def spoken_value(value: Any, value_type: str = "", language: str = "en") -> str:
    """A value as a person says it: yes or no, an amount of money in its currency, a quantity with its unit.

    Args:
        value_type: as `FieldSpec.value_type`; money is counted in hundredths.
    """
    if isinstance(value, bool):
        return str(_grammar(language)["answers_of_truth"][value])
    kind, _, unit = value_type.removesuffix("?").partition(":")
    if kind == "money" and isinstance(value, int):
        return f"{value // 100:,}.{value % 100:02} {unit}"
    return f"{value} {unit}" if kind == "quantity" and isinstance(value, int) else spoken(value)


@lru_cache(maxsize=1)
def _always_said() -> frozenset[str]:
    replies = " ".join(reply for language in LANGUAGES for reply in _grammar(language)["replies"].values())
    return frozenset(re.findall(r"\w+", replies.casefold()))


def _of_style(section: str, style: str, language: str) -> Mapping[Form, Sequence[str]]:
    frames: Mapping[str, Mapping[Form, Sequence[str]]] = _grammar(language)[section]
    if style not in frames:
        raise ValueError(f"persona.style: nobody speaks in style {style!r}; there are: {', '.join(frames)}")
    return frames[style]


def _asked(field: str, language: str) -> str:
    """A field as the thing that is asked about."""
    grammar = _grammar(language)
    return str(grammar["fields"].get(field) or grammar["labels"].get(field, spoken(field)))


def _framed(frame: str, phrase: str, language: str) -> str:
    return _spaced(frame.format(phrase=phrase, Phrase=phrase[:1].upper() + phrase[1:]), language)


def _spaced(text: str, language: str) -> str:
    """`text`, in Chinese with a space between its characters and Latin letters or digits: so it is written, and so a value
    in it stands as a word of its own."""
    if language != "zh":
        return text
    return re.sub(r"(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])", " ", text)


def _named_request(operation: OperationSpec, argument: str, language: str) -> str:
    """``cancel_order`` becomes ``cancel {subject}``, and ``create_loan`` of a member ``create loan for {subject}``."""
    grammar = _grammar(language)
    form, labels = grammar["named_request"], grammar["labels"]
    entity = operation.arguments[argument].entity
    verb = operation.name.removesuffix(f"_{entity}")
    named_after_it = operation.entity == entity and verb != operation.name
    start = form["own" if named_after_it else "other"].format(
        verb=spoken(verb), operation=spoken(operation.name), subject="{subject}"
    )
    others = (item for item in operation.arguments.values() if item.name != argument)
    names = ((item.entity if item.kind == "key" else item.name, item.name) for item in others)
    said = ((labels.get(label, spoken(label)), f"{{{_slot(name)}}}") for label, name in names)
    return start + "".join(form["argument"].format(label=label, value=value) for label, value in said)
