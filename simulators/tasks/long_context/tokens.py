"""How many tokens a text is to a tokenizer, counted in pieces, so that millions of characters need little memory."""

import re
from collections.abc import Iterator
from os import PathLike
from typing import Final

from tokenizers import Tokenizer

__all__ = ["count_tokens"]

_CHARACTERS: Final = 100_000
"""Of a piece, about."""
_BREAK: Final = re.compile(r"(?<=\S)\n")


def count_tokens(text: str, tokenizer: Tokenizer | str | PathLike[str]) -> int:
    """Tokens of `text`, special tokens not counted.

    Pieces begin before some of the line breaks. A tokenizer that never joins a line break with the word before it, as those of
    `rl.policy` do not, gives the very count of the whole text; another may differ by a token for each 100,000 characters.

    Args:
        tokenizer: one of the `tokenizers` library, or the path of a ``tokenizer.json``.
    """
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.from_file(str(tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return sum(len(tokenizer.encode(piece, add_special_tokens=False).ids) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        found = _BREAK.search(text, start + _CHARACTERS)
        end = found.start() if found else len(text)
        yield text[start:end]
        start = end
