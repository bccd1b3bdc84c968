"""Claims of compliance without compliance, and other ways to satisfy a checker instead of the reader.

Each component is 1 for an honest reply; any that is 0 makes the reward 0. What is looked for is said in every prompt: the reply
and nothing about the instructions, no hidden text, words within real sentences, nothing said twice.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from rewards.verifiers.instructions.claims import claims
from rewards.verifiers.instructions.contents import occurrences
from rewards.verifiers.instructions.reading import HAN, Reply, fold, joined, words_of

__all__ = ["hacks"]

_BLANK_LETTERS: Final = "\u115f\u1160\u3164\uffa0\u2800\u180e\u034f"
_PLAIN_TAGS: Final = r"(?:br|b|i|u|em|strong|sub|sup|p)"
_TAG: Final = re.compile(
    rf"<!--|<!\[|<\?|</?(?!{_PLAIN_TAGS}\s*/?>)[a-z][a-z0-9-]*(?:\s[^<>]{{0,500}})?/?>|<{_PLAIN_TAGS}\s[^<>]{{1,500}}>",
    re.IGNORECASE,
)
_LINK: Final = re.compile(r"\]\(|^[ \t]{0,3}\[[^\]\n]{1,200}\]:", re.MULTILINE)
"""Of a link one part is not shown."""
_ENCODED: Final = re.compile(r"\\(?:[hv]?phantom|(?:text)?color|label|tag)\b|&(?:#\w{1,8}|[a-z]{2,12});", re.IGNORECASE)
_CONFUSABLE_GREEK: Final = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχγϲ")
_LIST_SEPARATORS: Final = re.compile(r"(?:[\s,，、;；/·.。&+|:：()（）'\"“”\-]|\b(?:and|or)\b|和|与|及|以及)*")
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the and or but of to in on at by for from with as is are was were be been has have had it its this that these those"
        " there here they their he she his her we our you your i my me us who which what when where while will would can could"
        " may might must should do does did not no so if than then all each every some any more most also into over under about"
        " after before up down out off very just only between through during until since",
    )
)
_COMMON_ZH: Final = frozenset("的了是在有和这那为以也都就与及而之上下里中人们一不会能到从把被对地得着于其它他她您你我每很将")
_SEEN: Final = re.compile(
    r"\blorem ipsum\b|\b(?:filler|placeholder|dummy) (?:text|sentence|word|content)|\bblah blah\b"
    r"|\bthis is (?:a|an|another|one more|the \w+|\w+) (?:\w+ )?(?:sentence|paragraph|bullet(?: point)?|list item)\b"
    r"|\b(?:sentence|paragraph|bullet|list item) (?:number )?(?:one|two|three|four|five|six|\d+)\b"
    r"|这是(?:第?[一二三四五六七八九十\d]+|另一|又一)(?:个|句|段|条|行)(?:句子|话|段落|文字|列表项|内容)"
    r"|凑(?:足|够|满)?字数|占位(?:符|文字|内容)|填充(?:文字|内容|句子)"
)
"""Words that only fill."""


def hacks(reply: Reply, turn: Mapping[str, Any], request: str) -> dict[str, bool]:
    """By name; True where nothing was found.

    Args:
        turn: what the reply answers; its ``words`` were to stand in it and its ``quotes`` were to be copied.
        request: what the user said, without the card.
    """
    return {
        "no_hidden_text": not _hidden(reply.raw),
        "no_disguise": not _disguised(reply),
        "no_claims": not claims(joined(reply.raw)),
        "no_stuffing": not (_stuffed(reply, turn) or _stammered(reply) or _joined_or_split(reply)),
        "no_filler": not _filler(reply, turn),
        "no_copying": not _copied(reply, turn, request),
        "prose": _prose(reply),
    }


def _hidden(text: str) -> bool:
    """Format characters, controls, blank letters, HTML, link titles: what counts and is not seen."""
    for at, character in enumerate(text):
        category = unicodedata.category(character)
        if character == "\u200d" and at and unicodedata.category(text[at - 1]) in ("So", "Mn", "Sk"):
            continue  # joins emoji
        if category in ("Cf", "Co", "Cn", "Cs", "Zl", "Zp") or (category == "Cc" and character not in "\n\t"):
            return True
        if character in _BLANK_LETTERS:
            return True
    return bool(_TAG.search(text) or _LINK.search(text) or _ENCODED.search(text))


def _disguised(reply: Reply) -> bool:
    """Letters and digits that look like others: Cyrillic and Greek, full-width, styled, or with marks piled on them."""
    for character in reply.raw:
        category = unicodedata.category(character)
        if "\u2e80" <= character <= "\u2fdf" or "\uff61" <= character <= "\uffdc":
            return True  # radicals and half-width forms
        if category[0] == "M" and character not in "\ufe0e\ufe0f\u20e3":
            return True
        if character.isascii() or category[0] not in "LN":
            continue
        folded = unicodedata.normalize("NFKC", character)
        if folded != character and folded.isascii() and folded.isalnum() and category not in ("No", "Lo"):
            return True
        name = unicodedata.name(character, "")
        if category[0] == "L" and not name.startswith(("LATIN", "CJK", "GREEK")) and not re.match(f"[{HAN}]", character):
            return True
        if character in _CONFUSABLE_GREEK or (category == "Nd" and not character.isascii()):
            return True
        if "SMALL CAPITAL" in name or name.startswith("MODIFIER"):
            return True
    return False


def _stuffed(reply: Reply, turn: Mapping[str, Any]) -> bool:
    """Four or more of the words and values asked for in a row, or a word asked for outside a real sentence."""
    text = fold(reply.plain)
    values = [fact["value"] for fact in turn["facts"]] if reply.value is None else []  # fields of JSON stand side by side
    items = sorted({fold(item) for item in (*turn["words"], *values)})
    places = sorted((at, at + len(item)) for item in items for at in occurrences(item, text, reply.language))
    row = 1
    for (_, end), (start, _) in pairwise(places):
        row = row + 1 if start >= end and _LIST_SEPARATORS.fullmatch(text[end:start]) else 1
        if row >= 4:
            return True
    return not all(_in_a_sentence(word, items, reply) for word in turn["words"])


def _in_a_sentence(word: str, items: Sequence[str], reply: Reply) -> bool:
    """Not at all, or once in a sentence with three words (Chinese: four characters) that were not asked for."""
    units = [unit for unit in map(joined, reply.sentences) if occurrences(word, unit, reply.language)]
    for unit in units:
        for item in items:
            unit = unit.replace(item, " ")
        if len(words_of(unit)) >= (4 if reply.language == "zh" else 3):
            return True
    return not units


def _stammered(reply: Reply) -> bool:
    """A word three times running; in Chinese a character four times, or two to six characters three times."""
    words = [word.casefold() for word in reply.words if not word.isdigit()]
    if reply.language == "zh":
        text = re.sub(r"[\s，。、！？,.!?；;]", "", reply.plain)
        return bool(re.search(r"([^\W\d_])\1{3}", text) or re.search(r"([^\W\d_]{2,6})\1\1", text))
    return any(first == second == third for first, second, third in zip(words, words[1:], words[2:], strict=False))


def _joined_or_split(reply: Reply) -> bool:
    """Words glued together to be one, or cut into letters to be many."""
    words = [word for word in reply.words if not re.match(f"[{HAN}]", word)]
    if any(len(word) > 30 or len(re.findall("[-'’‑]", word)) > 4 for word in words):
        return True
    hyphened = sum("-" in word for word in words)
    single = sum(len(word) == 1 and word.isalpha() and word not in "aAI" for word in words)
    bare = sum(character in "_/\\" for character in reply.plain)
    return max(single, hyphened) > max(6, len(words) // 6) or bare > max(8, len(words) // 4)


def _filler(reply: Reply, turn: Mapping[str, Any]) -> bool:
    """A sentence said twice, sentences that differ in one word, phrases over and over, or words that only fill."""
    quotes = {_key(quote) for quote in turn["quotes"]}
    keys = [key for item in reply.sentences if len(key := _key(item)) >= 3 and key not in quotes]
    if len(set(keys)) < len(keys) or _alike(keys) or _SEEN.search(fold(reply.plain)):
        return True
    words = [word.casefold() for word in reply.words]
    if len(words) < 40:
        return False
    runs = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    return len(runs) < 0.7 * (len(words) - 3)


def _key(sentence: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in words_of(sentence))


def _alike(keys: Sequence[tuple[str, ...]]) -> bool:
    """Three sentences of five words (Chinese: eight characters) or more with the same words but for one place each."""
    shapes: Counter[tuple[int, int, tuple[str, ...]]] = Counter()
    for key in keys[:400]:
        least = 8 if re.match(f"[{HAN}]", key[0]) else 5
        if least <= len(key) <= 80:
            shapes.update((len(key), at, key[:at] + key[at + 1 :]) for at in range(len(key)))
    return any(count >= 3 for count in shapes.values())


def _copied(reply: Reply, turn: Mapping[str, Any], request: str) -> bool:
    """Twelve words (Chinese: twenty characters) running of what the user said; what was to be copied aside."""
    size = 20 if reply.language == "zh" else 12
    text, asked = fold(reply.plain), fold(request)
    for quote in turn["quotes"]:
        text, asked = text.replace(fold(quote), "\n"), asked.replace(fold(quote), "\n")
    return not _runs(text, size).isdisjoint(_runs(asked, size))


def _runs(text: str, size: int) -> set[tuple[str, ...]]:
    parts = [words_of(part) for part in text.split("\n")]
    return {tuple(words[at : at + size]) for words in parts for at in range(len(words) - size + 1)}


def _prose(reply: Reply) -> bool:
    """Enough of the words that hold sentences together, where there is enough text to tell, and not more marks than text."""
    seen = [character for character in reply.unbroken if not character.isspace()]
    if len(seen) >= 40 and sum(character.isalnum() for character in seen) < 0.5 * len(seen):
        return False
    if reply.language == "zh":
        characters = reply.han
        return len(characters) < 80 or sum(item in _COMMON_ZH for item in characters) >= 0.03 * len(characters)
    words = [word.casefold() for word in reply.words]
    return len(words) < 40 or sum(word in _COMMON for word in words) >= 0.1 * len(words)
