"""Puts a problem to the agent: the documents, what is asked, and the rules that the verifier reads by."""

from collections.abc import Mapping
from typing import Any

from simulators.tasks.faithfulness.documents import body, heading
from simulators.tasks.faithfulness.holding import LATEST
from simulators.tasks.faithfulness.lexicon import lexicon, spoken_name
from simulators.tasks.faithfulness.reports import abstention

__all__ = ["again", "pasted", "prompt"]


def prompt(problem: Mapping[str, Any], family: str, language: str) -> str:
    """The user's opening."""
    words = lexicon(language)["prompts"]
    parts = [_beginning(problem, family, language), _asked(problem, language)]
    if "operation" in problem:
        parts.append(_figure(problem, language))
    label = lexicon(language)["attributes"][problem["asked"][0][1]]["label"]
    name = spoken_name(problem, problem["asked"][0][0], language)
    rules = [
        words["plain"].format(generic=lexicon(language)["generic"][problem["theme"]]),
        words["abstain"].format(
            example=abstention(problem, problem["asked"][0][0], "..." if language == "en" else "……", language)
        ),
        words["latest"] if family in LATEST else words["conflict"].format(label=label, e=name),
        words["nothing_else"],
    ]
    parts.append("\n".join([words["rules"], *(f"- {rule}" for rule in rules)]))
    return "\n\n".join(parts)


def again(problem: Mapping[str, Any], language: str) -> str:
    """The follow-up: a register is to be looked up."""
    name = spoken_name(problem, 0, language)
    return str(lexicon(language)["prompts"]["again"]).format(e=name, n=len(problem["documents"]))


def pasted(problem: Mapping[str, Any], language: str) -> str:
    """All documents but registers, with their numbers."""
    texts = [
        f"[{number}] {heading(problem, number, language)}\n{body(problem, number, language)}"
        for number, document in enumerate(problem["documents"], 1)
        if document["form"] != "register"
    ]
    return "\n\n".join(texts)


def _beginning(problem: Mapping[str, Any], family: str, language: str) -> str:
    words = lexicon(language)["prompts"]
    registers = sum(document["form"] == "register" for document in problem["documents"])
    if family != "tools":
        return f"{words['alone' if registers else 'given']}\n\n{pasted(problem, language)}"
    count = len(problem["documents"])
    told = [words["tools"].format(n=count - registers)]
    if registers:
        told.append(words["register"].format(e=spoken_name(problem, 0, language), n=count))
    return (" " if language == "en" else "").join(told)


def _asked(problem: Mapping[str, Any], language: str) -> str:
    words, labels = lexicon(language)["prompts"], lexicon(language)["attributes"]
    comma = ", " if language == "en" else "、"
    asked: dict[int, list[str]] = {}
    for entity, attribute in problem["asked"]:
        asked.setdefault(entity, []).append(labels[attribute]["label"])
    count = problem["sentences"]
    if len(asked) == 1:
        ((entity, names),) = asked.items()
        form = words["one_counted" if count else "one"]
        return str(form.format(e=spoken_name(problem, entity, language), n=count, labels=comma.join(names)))
    lines = [
        words["item"].format(e=spoken_name(problem, entity, language), labels=comma.join(names))
        for entity, names in asked.items()
    ]
    return "\n".join([words["many_counted" if count else "many"].format(n=count), *lines])


def _figure(problem: Mapping[str, Any], language: str) -> str:
    words, operation = lexicon(language), problem["operation"]
    return str(
        words["prompts"]["figure"].format(
            label=words["attributes"][problem["asked"][0][1]]["label"],
            operation=words["operations"][operation]["label"],
            whose=words["prompts"]["whose"] if operation in ("highest", "lowest") else "",
        )
    )
