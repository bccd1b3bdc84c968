"""Other words for a tool, and nothing but words.

A description is held to a closed vocabulary: what the tool's own definition and its description now say, and some words that
any documentation needs. So it cannot name a tool, an argument or a value that is not there, cannot turn round what the tool
does, and cannot speak to its reader. What tells tools apart (fields, values, bounds, negations) must stay. The check is of
words: it does not understand the sentence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulators.evolution.domains import Domain
from simulators.evolution.draft import spoken
from simulators.evolution.proposals.asking import Unacceptable

__all__ = ["KINDS", "Wording", "wording_of"]

KINDS: Final = ("read", "search", "list", "compute", "update", "create", "delete", "notify")
"""Kinds of tools whose description is made by an operator. What a move does is said by the lexicon alone, and in a transfer
two records of one kind have roles, which words in another order would exchange."""
MAX_CHARACTERS: Final = 200
_VERBS: Final = (
    {"get", "return", "read", "fetch", "retrieve", "show"}, {"find", "search", "locate"}, {"list", "browse", "show"},
    {"set", "change", "update", "edit"}, {"add", "create", "register"}, {"delete", "remove"}, {"report", "give", "return"},
)  # fmt: skip
"""Verbs that are one, at the start of a description."""
_PLAIN: Final = frozenset(re.findall(
    "[a-z]+",
    "a an the of in on at by for to with and its it their them that this which who whose is are was be one has have as given"
    " from record records detail details information data entry field fields value values identifier result results full"
    " complete known stored single",
))  # fmt: skip
_MARKS: Final = frozenset(re.findall(
    "[a-z]+",
    "no not without never none nothing only all any each every several once if still unless refused while least most minimum"
    " maximum earliest latest lowest highest after before until above below over under exact yet raise lower back or count sum"
    " caller first last",
))  # fmt: skip
"""Words on which it hangs which records are meant, or how many: none may go, and none may come."""
_LANGUAGE: Final = frozenset(re.findall(
    "[a-z]+",
    "argument arguments capacity descending effects entity equal error field fields key left match op optional page record"
    " records require returns right size sort totals transition",
))  # fmt: skip
"""Keys of the world language that could be taken for words of the trade."""
_SENTENCES: Final = re.compile(r"[A-Z][A-Za-z0-9 ,;:'()/_-]*\.(?: [A-Z][A-Za-z0-9 ,;:'()/_-]*\.)?")


@dataclass(frozen=True)
class Wording:
    """What the description of one tool may and must say."""

    tool: str
    document: Mapping[str, Any]
    """The tool as the world has it."""
    called: Mapping[str, tuple[str, ...]]
    """By entity of the world, how it is called: one, several, and, where no other ends alike, by the last word of its name."""
    others: frozenset[str]
    """Descriptions of the world's other tools."""
    names: frozenset[str]
    """Tools of the world, and what this one takes and returns: words with an underscore are one of them."""

    @property
    def now(self) -> str:
        return str(self.document["description"])

    @property
    def entity(self) -> tuple[str, ...]:
        """How the tool's entity is called."""
        return self.called[self.document["entity"]]

    @property
    def verbs(self) -> frozenset[str]:
        first = _words(self.now)[0]
        return frozenset({first}.union(*(group for group in _VERBS if first in group)))

    @property
    def defined(self) -> frozenset[str]:
        """Words of the tool's definition, its description aside."""
        rest = {key: value for key, value in self.document.items() if key not in ("description", "kind")}
        return frozenset(_words(" ".join([self.tool, *_strings(rest)]))) - _LANGUAGE

    @property
    def must_say(self) -> tuple[str, ...]:
        called = set(_words(" ".join(self.entity)))
        first = _words(self.now.partition(". ")[0])[1:]
        kept = [word for word in first if word in _MARKS or (word in self.defined and word not in _PLAIN)]
        figures = {"count", "sum"} & self.verbs
        return tuple(dict.fromkeys(word for word in (*figures, *kept) if word not in called))

    @property
    def may_say(self) -> frozenset[str]:
        # Marks and verbs in a definition are words of its language, such as "least" or "sum".
        own = self.defined - _MARKS - frozenset[str]().union(*_VERBS)
        return own | _PLAIN | frozenset(_words(self.now)) | frozenset(_words(" ".join(self.entity))) | self.verbs

    def check(self, text: str) -> str:
        """`text`, if it is another description of the tool.

        Raises:
            Unacceptable: it is not.
        """
        if len(text) > MAX_CHARACTERS or not _SENTENCES.fullmatch(text):
            raise Unacceptable(
                f"description: one or two sentences, each with a capital and a full stop, {MAX_CHARACTERS} characters at most,"
                " of plain letters, digits and ,;:'()/-"
            )
        if text.casefold() == self.now.casefold() or text.casefold() in self.others:
            raise Unacceptable("description: it is the one that this tool or another one of this world has already")
        if unknown := [name for name in re.findall(r"\w*_\w*", text) if name not in self.names]:
            raise Unacceptable(f"description: there is no {unknown[0]}")
        words = _words(text)
        if words[0] not in self.verbs:
            raise Unacceptable(f"description: begins with {' or '.join(sorted(self.verbs))}")
        named, before = self._named(words), self._named(_words(self.now))
        if self.document["entity"] not in named or named[:1] != (before or named)[:1]:
            raise Unacceptable(f"description: names {self.entity[0]}; what is named first now stays first")
        if missing := [word for word in self.must_say if not {word, f"{word}s", word.removesuffix("s")} & set(words)]:
            raise Unacceptable(f"description: leaves out {', '.join(missing)}")
        allowed = self.may_say
        if foreign := [word for word in dict.fromkeys(words) if not {word, f"{word}s", word.removesuffix("s")} & allowed]:
            raise Unacceptable(f"description: words that are not of this tool: {', '.join(foreign[:12])}")
        return text

    def _named(self, words: Sequence[str]) -> list[str]:
        """The entities in a text by where they are named; of two at one place the longer name counts."""
        said = " ".join(words)
        places = [
            (found.start(), -len(name), entity)
            for entity, names in self.called.items()
            for name in names
            if (found := re.search(rf"\b{re.escape(name)}\b", said))
        ]
        return [entity for _, _, entity in sorted(places)]


def wording_of(domain: Domain, world: Mapping[str, Any], tool: str) -> Wording:
    """The rules for one tool of a world document.

    Raises:
        Unacceptable: there is no such tool, or none whose words may change.
    """
    operations = world["operations"]
    if tool not in operations or operations[tool]["kind"] not in KINDS:
        raise Unacceptable(f"{domain.name} has no tool {tool} whose description may change")
    document = operations[tool]
    others = (part["description"].casefold() for key, part in operations.items() if key != tool)
    own = [*document.get("arguments", {}), *document.get("returns", {}), *document.get("totals", {})]
    called = {name: tuple(_called(domain, name, list(world["entities"]))) for name in world["entities"]}
    return Wording(tool, document, called, frozenset(others), frozenset([*operations, *own]))


def _called(domain: Domain, name: str, entities: Sequence[str]) -> Iterator[str]:
    yield spoken(name)
    yield spoken(domain.entities[name].plural) if name in domain.entities else f"{spoken(name)}s"
    last = name.rpartition("_")[2]
    if last != name and [other for other in entities if other.rpartition("_")[2] == last] == [name]:
        yield from (last, f"{last}s")


def _strings(value: Any) -> Iterator[str]:
    """Every text in a part of a definition that names something: keys too, since arguments are keys."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", text.lower().replace("'s ", " "))
