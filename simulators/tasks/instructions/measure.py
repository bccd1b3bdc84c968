"""What an oracle's reply has: the numbers that its task then asks for.

Written apart from the verifier's reading on purpose: both must count alike on every task, or certification refuses it.
"""

import re

__all__ = ["characters", "first_word", "han", "last_word", "length", "plain_text", "sentence_list", "tokens"]

_MARKS = re.compile(r"^(?:- |\* |• |\d+\. |#+ )")


def plain_text(text: str) -> str:
    """Without list markers, table bars, emphasis and lines that are marks alone."""
    lines = []
    for line in text.split("\n"):
        bare = line.strip()
        if not bare or bare in ("***", "---", "===") or set(bare) <= set("|- "):
            continue
        lines.append(_MARKS.sub("", bare).replace("**", ""))
    return "\n".join(lines)


def tokens(text: str) -> list[str]:
    """Words of English text, which has neither apostrophes nor decimals."""
    return re.findall(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", plain_text(text))


def han(text: str) -> list[str]:
    return [character for character in plain_text(text) if "一" <= character <= "鿿"]


def length(text: str, language: str) -> int:
    return len(han(text) if language == "zh" else tokens(text))


def characters(text: str) -> int:
    return len("".join(plain_text(text).split()))


def sentence_list(text: str, language: str) -> list[str]:
    """Of text whose sentences all end with a full stop; a line without one is one, too."""
    ends = "。" if language == "zh" else ". "
    found = [part for line in plain_text(text).split("\n") for part in (line + " ").split(ends)]
    return [part.strip() for part in found if part.strip(" .。“”")]


def first_word(text: str, language: str) -> str:
    return han(text)[0] if language == "zh" else tokens(text)[0]


def last_word(text: str, language: str) -> str:
    """In Chinese the last two characters before punctuation."""
    return re.sub(r"[\W_]+$", "", plain_text(text))[-2:] if language == "zh" else tokens(text)[-1]
