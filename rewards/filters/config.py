"""Which filters are on, and their limits."""

from dataclasses import dataclass, fields

__all__ = ["FilterConfig"]


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Each filter can be switched off by its name.

    Raises:
        ValueError: naming the key.
    """

    leaked_reasoning: bool = True
    """Think tags, scratchpads, chat markup, raw calls or the system prompt in what the user reads."""
    hallucinated_tool: bool = True
    """Calls of tools that were not declared."""
    invalid_arguments: bool = True
    """Arguments that are no JSON object, or not as the tool's schema has them."""
    wrong_call_id: bool = True
    """Calls and answers that do not belong together by their ids, one to one and in order."""
    repeated_call: bool = True
    """The same call again, with nothing changed in between."""
    long_turn: bool = True
    """Endless turns of the assistant."""
    wrong_language: bool = True
    """Prose of the assistant in another language than the user's."""
    empty_turn: bool = True
    """Turns of the assistant without words and without calls."""
    claimed_call: bool = True
    """Prose that says that a tool was called which was not."""
    max_prompt_words: int = 24
    """Words of the system prompt in a row that the assistant may repeat; each Chinese character counts as one."""
    max_repeats: int = 2
    """How often the same call may be made again with nothing changed in between."""
    max_words: int = 400
    """Words of one turn of the assistant; each Chinese character counts as one."""
    max_characters: int = 4000
    """Characters of one turn of the assistant, tool calls excluded."""
    max_foreign_share: float = 0.4
    """Share of a turn that may be in another script than the user's language, 0 to 1."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "max_repeats" else 1
            if type(value) is int and value < least:
                raise ValueError(f"{field.name}: is at least {least}, not {value}")
        if not 0 <= self.max_foreign_share <= 1:
            raise ValueError(f"max_foreign_share: is from 0 to 1, not {self.max_foreign_share}")
