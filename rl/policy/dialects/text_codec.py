"""Text to token ids and back, with markup kept out: `encode` never yields a special token, whatever the text spells.

The text is encoded by a copy of the tokenizer that knows no added tokens. (Hugging Face tokenizers otherwise match
their special tokens anywhere in a text, so that a tool result could end its own turn and forge the assistant's.)
"""

import functools
import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

__all__ = ["TextCodec"]


class TextCodec:
    """Encodes text and single markup tokens over one tokenizer; remembers what it encoded."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, markup: Sequence[str], owner: str = "the format") -> None:
        """
        Args:
            markup: the special tokens that the format needs.
            owner: who asks, for the error.

        Raises:
            ValueError: when the tokenizer lacks a markup token, or is not a fast tokenizer.
        """
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in markup if token not in vocabulary]
        if missing:
            raise ValueError(f"{owner}: the tokenizer has no token {', '.join(missing)}; choose another dialect")
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ValueError(f"{owner}: {type(tokenizer).__name__} is not a fast tokenizer; markup needs one")
        self._backend: Tokenizer = backend
        self._plain = _without_added_tokens(backend)
        self._ids = {token: vocabulary[token] for token in markup}
        self._special = frozenset(self._ids.values()) | frozenset(tokenizer.all_special_ids)
        self.text_ids = tuple(sorted(set(vocabulary.values()) - self._special))
        """Every token that text is made of."""
        self._cached = functools.lru_cache(maxsize=8192)(self._encode)

    def markup_id(self, token: str) -> int:
        return self._ids[token]

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text` as ordinary text. Lone surrogates, which UTF-8 cannot hold, are written as U+FFFD.

        Raises:
            ValueError: if the tokenizer's own model turns the text into a special token (no byte-level BPE does).
        """
        return self._cached(text) if len(text) <= 4096 else self._encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of ids that hold no special token."""
        return self._backend.decode(list(token_ids), skip_special_tokens=False)

    def spell(self, token_ids: Sequence[int]) -> str:
        """Everything as a person would read it, special tokens spelled out. Not for parsing."""
        return "".join(
            self._backend.id_to_token(run) or f"<unknown {run}>" if isinstance(run, int) else self.decode(run)
            for run in self.runs(token_ids)
        )

    def runs(self, token_ids: Sequence[int]) -> Iterator[int | list[int]]:
        """Special tokens one at a time, and the text between them as lists."""
        for special, group in groupby(token_ids, key=self._special.__contains__):
            if special:
                yield from group
            else:
                yield list(group)

    def _encode(self, text: str) -> tuple[int, ...]:
        try:
            ids = self._plain.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeEncodeError):
            readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            ids = self._plain.encode(readable, add_special_tokens=False).ids
        if not self._special.isdisjoint(ids):
            raise ValueError(f"the tokenizer turns ordinary text into a special token: {text[:200]!r}")
        return tuple(ids)


def _without_added_tokens(backend: Tokenizer) -> Tokenizer:
    values = json.loads(backend.to_str())
    values["added_tokens"] = []
    values["post_processor"] = values["truncation"] = values["padding"] = None
    return Tokenizer.from_str(json.dumps(values))
