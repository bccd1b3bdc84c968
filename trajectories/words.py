"""When a text counts as said: as whole words, in any case.

One rule serves the verifier, which looks for answers in what the agent says, and certification, which looks for them in
what the agent is told beforehand: what would count as an answer there counts as a leak here.
"""

import re
from typing import Final

__all__ = ["stands_in"]

_LETTER: Final = r"[^\W\u4e00-\u9fff]"
"""Of a word; Chinese is written without spaces, so its characters bound words of other scripts."""
_BEGINS: Final = re.compile(rf"(?<!{_LETTER})(?<!\.)")
_ENDS: Final = re.compile(rf"(?!{_LETTER}|\.\w)")


def stands_in(text: str, content: str) -> bool:
    """Whether `text` is in `content` as whole words: 5 is neither in 15 nor in 1.5."""
    text, content = text.casefold(), content.casefold()
    # A pattern made of the text itself would be compiled for every text, which costs a thousand times the search.
    start = content.find(text)
    while start >= 0:
        if _BEGINS.match(content, start) and _ENDS.match(content, start + len(text)):
            return True
        start = content.find(text, start + 1)
    return False
