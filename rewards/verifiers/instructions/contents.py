"""Constraints on length, words, order, script and copying."""

import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from rewards.verifiers.instructions.reading import HAN, Reply, fold, joined, plain, words_of

__all__ = ["CONTENTS", "occurrences"]

Asked = Mapping[str, Any]

_OUTER: Final = "\"'“”‘’「」『』《》<>«»()（）[]【】*_ \t\n"


def occurrences(word: str, text: str, language: str) -> list[int]:
    """Where `word` stands in folded `text`: as whole words, in Chinese anywhere but inside a longer number."""
    bare, found = fold(word), []
    at = text.find(bare) if bare else -1
    while at >= 0:
        end = at + len(bare)
        whole = _apart(text[max(at - 1, 0) : at], bare[0], language) and _apart(text[end : end + 1], bare[-1], language)
        if whole:
            found.append(at)
        at = text.find(bare, end if whole else at + 1)
    return found


def _apart(beside: str, edge: str, language: str) -> bool:
    """Whether the character beside a word does not continue it."""
    if language == "zh":
        return not (edge.isdecimal() and beside.isdecimal())
    return not beside.isalnum()


def _within(count: int, asked: Asked) -> bool:
    least, most = asked.get("least"), asked.get("most")
    return (least is None or count >= least) and (most is None or count <= most)


def _words(reply: Reply, asked: Asked) -> bool:
    return _within(reply.length, asked)


def _sentences(reply: Reply, asked: Asked) -> bool:
    return _within(len(reply.sentences), asked)


def _characters(reply: Reply, asked: Asked) -> bool:
    """All characters of the text but white space."""
    return _within(len(re.sub(r"\s", "", reply.plain)), asked)


def _longest_sentence(reply: Reply, asked: Asked) -> bool:
    return bool(reply.sentences) and all(reply.counted(item) <= asked["most"] for item in reply.sentences)


def _item_words(reply: Reply, asked: Asked) -> bool:
    items = _items(reply)
    return bool(items) and all(_within(reply.counted(item), asked) for item in items)


def _paragraph_sentences(reply: Reply, asked: Asked) -> bool:
    blocks = [Reply(block, reply.language) for block in reply.paragraphs(asked["mark"])]
    return bool(blocks) and all(len(block.sentences) == asked["n"] for block in blocks)


def _items(reply: Reply) -> list[str]:
    return [line.text for line in reply.lines if line.kind in ("bullet", "number")]


def _found(reply: Reply, word: str) -> list[int]:
    return occurrences(word, fold(reply.plain), reply.language)


def _include(reply: Reply, asked: Asked) -> bool:
    return all(_found(reply, word) for word in asked["words"])


def _exclude(reply: Reply, asked: Asked) -> bool:
    return not any(_found(reply, word) for word in asked["words"])


def _frequency(reply: Reply, asked: Asked) -> bool:
    return len(_found(reply, asked["word"])) == asked["n"]


def _letter(reply: Reply, asked: Asked) -> bool:
    return reply.plain.casefold().count(asked["letter"]) == asked["n"]


def _order(reply: Reply, asked: Asked) -> bool:
    """Each word stands there, and they first occur in this order."""
    firsts = [next(iter(_found(reply, word)), -1) for word in asked["words"]]
    return -1 not in firsts and all(first < second for first, second in pairwise(firsts))


def _nth_sentence(reply: Reply, asked: Asked) -> bool:
    """The word stands in the n-th sentence and in no other."""
    holding = [
        number for number, text in enumerate(reply.sentences, 1) if occurrences(asked["word"], joined(text), reply.language)
    ]
    return holding == [asked["n"]]


def _begins(reply: Reply, asked: Asked) -> bool:
    return _starts(reply.plain, asked["text"], reply.language)


def _ends(reply: Reply, asked: Asked) -> bool:
    return reply.plain.strip().rstrip('"”」').endswith(asked["text"])


def _first_word(reply: Reply, asked: Asked) -> bool:
    return bool(reply.words) and reply.words[0].casefold() == asked["word"].casefold()


def _last_word(reply: Reply, asked: Asked) -> bool:
    """In Chinese the last characters before closing marks."""
    if reply.language == "zh":
        end = next((at for at in range(len(reply.plain), 0, -1) if reply.plain[at - 1].isalnum()), 0)
        return reply.plain[:end].endswith(asked["word"])
    return bool(reply.words) and reply.words[-1].casefold() == asked["word"].casefold()


def _repeat(reply: Reply, asked: Asked) -> bool:
    """The first line is the text, character for character, and more follows."""
    return len(reply.lines) > 1 and reply.lines[0].text.strip() == asked["text"]


def _paragraph_start(reply: Reply, asked: Asked) -> bool:
    blocks = reply.paragraphs(asked["mark"])
    return len(blocks) >= asked["nth"] and _starts(plain(blocks[asked["nth"] - 1]), asked["text"], reply.language)


def _starts(text: str, phrase: str, language: str) -> bool:
    text = text.lstrip(_OUTER)
    following = text[len(phrase) : len(phrase) + 1]
    return text.startswith(phrase) and (language == "zh" or not following.isalnum())


def _distinct_starts(reply: Reply, asked: Asked) -> bool:
    """No two sentences begin with the same word; in Chinese, with the same two characters."""
    width = 2 if reply.language == "zh" else 1
    starts = ["".join(words_of(item)[:width]).casefold() for item in reply.sentences]
    return len(starts) == len(set(starts)) > 0


def _acrostic(reply: Reply, asked: Asked) -> bool:
    """One line for each letter, and the first letters spell the word."""
    firsts = [line.text.lstrip(_OUTER)[:1] for line in reply.lines]
    return "".join(firsts).casefold() == asked["word"].casefold()


def _sorted(reply: Reply, asked: Asked) -> bool:
    """The items of the list by alphabet or by length; equal ones may stand together."""
    items = _items(reply)
    by_length = asked["by"] == "length"
    keys: list[Any] = [reply.counted(item) if by_length else [word.casefold() for word in words_of(item)] for item in items]
    return len(keys) > 1 and keys == sorted(keys, reverse=asked["order"] == "descending")


def _casing(reply: Reply, asked: Asked) -> bool:
    """No letter of the other case; in Chinese, none of the half-width marks that have a full-width form."""
    match asked["case"]:
        case "upper":
            return not any(character.islower() for character in reply.plain)
        case "lower":
            return not any(character.isupper() for character in reply.plain)
        case "full_width":
            return not re.search(r"[,.!?:;()]", reply.plain)
    raise ValueError(f"no case {asked['case']!r}")


def _no_commas(reply: Reply, asked: Asked) -> bool:
    return not re.search("[,，﹐､]" if reply.language == "en" else "[,，﹐]", reply.body)


def _punctuation(reply: Reply, asked: Asked) -> bool:
    """No mark but these; marks are characters that are neither letters, digits nor white space."""
    allowed = set(asked["marks"])
    return all(
        character in allowed or character.isspace() or unicodedata.category(character)[0] in "LNM" for character in reply.body
    )


_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")


def _language(reply: Reply, asked: Asked) -> bool:
    """English: Latin letters and no Chinese characters; Chinese: the other way round."""
    han, latin = re.search(f"[{HAN}]", reply.plain), _LATIN.search(reply.plain)
    return bool(han and not latin) if asked["language"] == "zh" else bool(latin and not han)


CONTENTS = {
    "words": _words,
    "sentences": _sentences,
    "characters": _characters,
    "longest_sentence": _longest_sentence,
    "item_words": _item_words,
    "paragraph_sentences": _paragraph_sentences,
    "include": _include,
    "exclude": _exclude,
    "frequency": _frequency,
    "letter": _letter,
    "order": _order,
    "nth_sentence": _nth_sentence,
    "begins": _begins,
    "ends": _ends,
    "first_word": _first_word,
    "last_word": _last_word,
    "repeat": _repeat,
    "paragraph_start": _paragraph_start,
    "distinct_starts": _distinct_starts,
    "acrostic": _acrostic,
    "sorted": _sorted,
    "casing": _casing,
    "no_commas": _no_commas,
    "punctuation": _punctuation,
    "language": _language,
}
"""By kind: whether a reply is as asked."""
