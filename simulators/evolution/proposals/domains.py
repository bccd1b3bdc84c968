"""A domain that a model proposes: read as the lexicon is, grown, and held to what is asked of the domains that ship."""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from simulators.evolution import reading
from simulators.evolution.domains import Category, Domain
from simulators.evolution.draft import Extension
from simulators.evolution.errands import Verify
from simulators.evolution.proposals.asking import Unacceptable
from simulators.evolution.registry import DomainRows, domain_rows
from simulators.evolution.vocabulary import VOCABULARIES
from simulators.worlds import WorldSpecError
from trajectories.canonical import canonical_json, digest
from trajectories.messages import Message

__all__ = ["asking_for_domain", "check_life", "check_names", "check_plain", "check_words", "read_domain", "require_sound"]

MAX_CHARACTERS: Final = 12_000
FEWEST_TOOLS: Final = 63
"""Of a domain that ships."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9 ,.;:'()/%&+-]+")
_LONGEST: Final = {"title": 60, "role": 100, "about": 120, "says": 100, "text": 140}
"""Characters of each kind of sentence; those that ship are a little shorter."""
_ADDRESSING: Final = frozenset(re.findall(
    "[a-z]+",
    "ignore disregard override overrule prompt prompts jailbreak obey your yourself always pretend previous"
    " reveal password passwords https",
))  # fmt: skip
"""Words by which a text turns to whoever reads it; no trade needs them."""
_DOCUMENT: Final = """\
You propose application domains, from which a program grows tools. The user message is a JSON object: the `category`, the \
`domains` that it has, other names that are `taken`, the `vocabularies` of texts, and an `example` of a document. Answer one \
YAML document of the same form and nothing else, with exactly one domain: an application of the category that is not there \
yet, under a new name, with entities, fields, states and rules of its own trade.
{format}
A domain has 3 to 6 entities: exactly one `case`, at least one `party`, and one or more of `item`, `stock` and `account`; a \
case has 3 to 8 states, each of them reached by its moves, and each rule forbids moves of the case, `change` or `delete` under \
a condition of its own and begins with "Never". Labels are persons, companies, products, places, titles, streets, emails, \
phones or codes. Plain international English; only letters, digits and simple punctuation."""


def asking_for_domain(category: Category, known: Iterable[Domain], example: str) -> tuple[Message, ...]:
    """The dialogue that asks for a domain of a category.

    Args:
        known: every domain there is. example: the name of one of the category's that ships.
    """
    raw = yaml.safe_load((reading.LEXICON / f"{category.name}.yaml").read_text(encoding="utf-8"))
    document = {"category": category.name, "title": category.title, "domains": {example: raw["domains"][example]}}
    domains = list(known)
    asked = {
        "category": category.name,
        "domains": {domain.name: domain.title for domain in domains if domain.category == category.name},
        "taken": [domain.name for domain in domains if domain.category != category.name],
        "vocabularies": list(VOCABULARIES),
        "example": yaml.safe_dump(document, sort_keys=False, width=1000),
    }
    system = _DOCUMENT.format(format=reading.__doc__ or "")
    return Message("system", system), Message("user", canonical_json(asked))


def read_domain(text: str, category: str, known: Sequence[Domain]) -> Domain:
    """The domain in a document, by the lexicon's own reader.

    Raises:
        Unacceptable: it is none, or one that exists, or its sentences are not plain.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unacceptable(f"the document has {len(text)} characters; {MAX_CHARACTERS} at most")
    found = _read(_unfenced(text), category).domains
    if len(found) != 1:
        raise Unacceptable(f"domains: exactly one is asked for, not {len(found)}")
    domain = next(iter(found.values()))
    where = f"domains.{domain.name}"
    for other in known:
        if other.name == domain.name or other.title.casefold() == domain.title.casefold():
            raise Unacceptable(f"{where}: {other.name}, {other.title!r}, exists in {other.category}; propose another domain")
        if _shape(other) == _shape(domain):
            raise Unacceptable(f"{where}: this is {other.name} of {other.category} under other names; propose another domain")
    check_names(domain)
    check_words(domain)
    check_life(domain)
    return domain


def require_sound(domain: Domain, seed: int, verify: Verify, extensions: tuple[Extension, ...] = ()) -> DomainRows:
    """What grows from a domain and its extensions, when it is what is asked of the domains that ship.

    Raises:
        Unacceptable: it does not grow, or its tools are too few, too alike, or not all called and certified.
    """
    where = f"domains.{domain.name}"
    try:
        rows = domain_rows(domain, seed, verify, extensions)
    except Exception as error:  # whatever a foreign document sets off in an operator is its fault
        raise Unacceptable(f"{where}: no world grows from it: {type(error).__name__}: {str(error)[:300]}") from error
    if len(rows.tools) < FEWEST_TOOLS:
        raise Unacceptable(f"{where}: only {len(rows.tools)} tools grow from it, and {FEWEST_TOOLS} should; say more fields")
    if len({row["fingerprint"] for row in rows.tools}) < len(rows.tools):
        raise Unacceptable(f"{where}: two of its tools are one")
    for key, what in (("called", "is ever called with success"), ("certified", "has a task that can be certified")):
        if without := [row["tool"] for row in rows.tools if not row[key]]:
            raise Unacceptable(f"{where}: none of these tools {what}: {', '.join(without[:5])}")
    in_force = {policy["id"] for policy in rows.world["policies"]}
    if idle := [rule.id for rule in domain.rules if rule.id not in in_force]:
        raise Unacceptable(f"{where}.rules: there is nothing that {idle[0]} could forbid")
    return rows


def check_names(domain: Domain) -> None:
    """No two entities are called alike, so that no two tools are.

    Raises:
        Unacceptable: two are.
    """
    names = [name for entity in domain.entities.values() for name in dict.fromkeys((entity.name, entity.plural))]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Unacceptable(f"domains.{domain.name}.entities: two are called {twice[0]}, as entity or plural")


def check_words(domain: Domain) -> None:
    """Every sentence is short, in plain characters, and about the trade.

    Raises:
        Unacceptable: one is not; names it.
    """
    sentences = [("title", domain.title), ("role", domain.role)]
    sentences += [("about", entity.about) for entity in domain.entities.values()]
    sentences += [("says", move.says) for move in domain.case.moves] + [("text", rule.text) for rule in domain.rules]
    for kind, text in sentences:
        check_plain(f"domains.{domain.name}", text, _LONGEST[kind])
    for rule in domain.rules:
        if not rule.text.startswith("Never "):
            raise Unacceptable(f"domains.{domain.name}.rules: the text of {rule.id} begins with Never")


def check_plain(where: str, text: str, longest: int) -> None:
    """A text is short, in plain characters, and does not turn to its reader.

    Raises:
        Unacceptable: otherwise, with `where` first.
    """
    if len(text) > longest:
        raise Unacceptable(f"{where}: {text[:60]!r} has {len(text)} characters; {longest} at most")
    if not _PLAIN.fullmatch(text):
        raise Unacceptable(f"{where}: {text!r} has other characters than letters, digits and ,.;:'()/%&+-")
    if addressing := _ADDRESSING & set(re.findall("[a-z]+", text.lower())):
        raise Unacceptable(f"{where}: {text!r} speaks to its reader: {', '.join(sorted(addressing))}")


def check_life(domain: Domain) -> None:
    """The case comes to every state, and every rule's reason is the right one somewhere.

    Raises:
        Unacceptable: otherwise.
    """
    case, reached = domain.case, {domain.case.states[0]}
    while new := {move.end for move in case.moves if reached & set(move.start)} - reached:
        reached |= new
    if lost := [state for state in case.states if state not in reached]:
        raise Unacceptable(f"domains.{domain.name}.entities.{case.name}.states: no moves lead to {', '.join(lost)}")
    if len({str(rule.when) for rule in domain.rules}) < len(domain.rules):
        raise Unacceptable(f"domains.{domain.name}.rules: two have one condition, so that only one reason is ever right")


def _read(text: str, category: str) -> Category:
    """By way of a file, since that is what the reader reads; nothing of the file's place stays in a complaint."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{category}.yaml"
        try:
            path.write_text(text, encoding="utf-8")
            return reading.read_category(path)
        except UnicodeEncodeError as error:
            raise Unacceptable("the document holds half of a surrogate pair") from error
        except WorldSpecError as error:
            raise Unacceptable(str(error).replace(f"{directory}/", "")) from error
        except (ValueError, OverflowError, RecursionError) as error:
            raise Unacceptable(f"not a plain document: {type(error).__name__}: {str(error)[:200]}") from error


def _unfenced(text: str) -> str:
    """The one code block of an answer that is one, as models like to write it."""
    found = re.fullmatch(r"\s*```[a-z]*\n(.*?)\n?```\s*", text, re.DOTALL)
    return found[1] if found else text


def _shape(domain: Domain) -> str:
    """What is left of a domain without its names: kinds of entities, fields by what they may hold, and the moves."""

    def plain(document: Mapping[str, Any]) -> str:
        kept = {key: value for key, value in document.items() if key not in ("vocabulary", "values")}
        return canonical_json(kept | {"values": len(document.get("values", ()))})

    entities = sorted(
        (entity.archetype, sorted(plain(field.document) for field in entity.fields.values()), len(entity.of))
        for entity in domain.entities.values()
    )
    states = {name: number for number, name in enumerate(domain.case.states)}
    moves = sorted(([states[name] for name in move.start], states[move.end]) for move in domain.case.moves)
    return digest([entities, moves])
