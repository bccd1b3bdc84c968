"""Reads constraints off a reply that exists: what its task will ask for."""

from collections.abc import Mapping
from typing import Any

from simulators.tasks.instructions import measure

__all__ = ["counted"]

Ask = Mapping[str, Any]
Constraint = dict[str, Any]


def counted(ask: Ask, text: str, settled: Mapping[str, Constraint], lexicon: Mapping[str, Any], language: str) -> Constraint:
    """The constraint of the ask's kind that `text` satisfies, with its kind.

    Args:
        text: the reply without the quotation marks or the code fence around it.
        settled: by kind, what was decided while it was written.
    """
    kind = ask["kind"]
    if kind in settled:
        return {"kind": kind, **settled[kind]}
    found = _wished(ask, lexicon, language)
    if found is None:
        found = _measured(ask, text, settled, lexicon, language)
    return {"kind": kind, **found}


def _wished(ask: Ask, lexicon: Mapping[str, Any], language: str) -> Constraint | None:
    """What follows from the ask alone."""
    words = [lexicon["keywords"][at] for at in ask.get("keywords", ())]
    match ask["kind"]:
        case "include" | "order":
            return {"words": words}
        case "exclude":
            return {"words": [lexicon["excluded"][at] for at in ask["which"]]}
        case "frequency":
            return {"word": words[0], "n": ask["times"]}
        case "casing":
            return {"case": "full_width" if language == "zh" else ("upper", "lower")[ask["case"]]}
        case "highlights":
            return {"n": ask["n"]}
        case "placeholders":
            return {"n": len(ask["which"])}
        case "fence":
            return {"tag": "text"}
        case "key_order":
            return {"order": "descending" if ask["down"] else "ascending"}
        case "no_commas" | "quoted" | "distinct_starts":
            return {}
        case "without" if ask["what"] == "title":
            opened, closed = lexicon["title_marks"][ask["mark"]]
            return {"what": "title", "open": opened, "close": closed}
        case "without" if ask["what"] == "postscript":
            return {"what": "postscript", "mark": lexicon["postscripts"][ask["mark"]]}
        case "without":
            return {"what": ask["what"]}
    return None


def _measured(ask: Ask, text: str, settled: Mapping[str, Constraint], lexicon: Mapping[str, Any], language: str) -> Constraint:
    sentences = measure.sentence_list(text, language)
    match ask["kind"]:
        case "words":
            return _bounds(measure.length(text, language), ask)
        case "sentences":
            return _bounds(len(sentences), ask)
        case "characters":
            return _bounds(measure.characters(text), ask)
        case "longest_sentence":
            return {"most": max(measure.length(item, language) for item in sentences) + ask["slack"]}
        case "item_words":
            counts = [measure.length(line, language) for line in text.split("\n") if _is_item(line)]
            return {"least": max(1, min(counts) - ask["slack"]), "most": max(counts) + ask["slack"]}
        case "letter":
            letter = lexicon["letters"][ask["index"]]
            return {"letter": letter, "n": measure.plain_text(text).casefold().count(letter)}
        case "nth_sentence":
            word = lexicon["keywords"][ask["keywords"][0]]
            return {"word": word, "n": next(at for at, item in enumerate(sentences, 1) if word in item.casefold())}
        case "begins":
            return {"text": _phrase(measure.plain_text(text), language)}
        case "first_word":
            return {"word": measure.first_word(text, language)}
        case "last_word":
            return {"word": measure.last_word(text, language)}
        case "paragraph_start":
            mark = settled["paragraphs"]["mark"]
            blocks = text.split(f"\n\n{mark}\n\n" if mark else "\n\n")
            nth = 1 + ask["nth"] % len(blocks)
            return {"nth": nth, "mark": mark, "text": _phrase(blocks[nth - 1], language)}
        case "punctuation":
            return {"marks": sorted({item for item in text if not item.isalnum() and not item.isspace()})}
    raise ValueError(f"nothing is read off for {ask['kind']!r}")


def _phrase(text: str, language: str) -> str:
    """The first two words; in Chinese the first three characters."""
    return text[:3] if language == "zh" else " ".join(text.split()[:2])


def _is_item(line: str) -> bool:
    return line[:2] in ("- ", "* ", "• ") or line.split(". ")[0].isdigit()


def _bounds(count: int, ask: Ask) -> Constraint:
    below, above = ask["slack"]
    match ask["bound"]:
        case "exact":
            return {"least": count, "most": count}
        case "least":
            return {"least": max(1, count - below), "most": None}
        case "most":
            return {"least": None, "most": count + above}
    return {"least": max(1, count - below), "most": count + above}
