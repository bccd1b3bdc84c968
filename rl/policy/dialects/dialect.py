"""What every chat format keeps: a dialogue grows by appending, and markup comes from the format alone.

A format describes a dialogue as pieces: `Markup`, one special token each, and text. Text is encoded by the tokenizer's
model without its added tokens, so no text (a tool result that spells ``<|im_end|>``, say) can become a special token.
The text between two markup tokens is encoded as one piece, and context apart from policy turns; so rendering a whole
dialogue and appending to it turn by turn give the same ids.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import ClassVar, get_args

from transformers import PreTrainedTokenizerBase

from rl.policy.dialects.declarations import ToolsFormat
from rl.policy.dialects.text_codec import TextCodec
from rl.policy.dialects.tool_grammar import arguments_rules, token_set
from trajectories.messages import Message, ToolCall, ToolSpec

__all__ = ["Dialect", "Markup", "MalformedTurn", "ParsedTurn", "Piece", "call_from_id", "read_text", "with_call_ids"]


class Markup(str):
    """The spelling of one special token."""

    __slots__ = ()


Piece = Markup | str


class MalformedTurn(ValueError):
    """A policy turn that is not in the format; the message says what is wrong with the markup."""


@dataclass(frozen=True, slots=True)
class ParsedTurn:
    message: Message
    """The assistant message. Of a malformed turn: everything as content, markup spelled out, and no tool calls."""
    malformed: str | None
    """What is wrong with the markup, or None. Arguments that are not JSON are the tool's business, not markup."""
    calls: int
    """Number of tool calls in the message; the next turn's call index is larger by this."""


class Dialect(ABC):
    """One chat format over one tokenizer."""

    name: ClassVar[str]
    markup: ClassVar[tuple[str, ...]]
    """The special tokens of the format, in the order in which a new tokenizer numbers them."""
    end_of_turn: ClassVar[str]
    """The token that ends the policy's turn."""
    reasoning: ClassVar[tuple[str, str] | None] = None
    """The tokens that begin and end the reasoning at the head of a turn; None where the format has no place for it."""
    chat_template: ClassVar[str]
    """The same format for Hugging Face's `apply_chat_template`; takes ``tools_ts_str`` where tools are TypeScript."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tools_format: ToolsFormat = "json") -> None:
        if tools_format not in get_args(ToolsFormat):
            raise ValueError(f"tools_format is one of {', '.join(get_args(ToolsFormat))}, not {tools_format!r}")
        self.tools_format = tools_format
        self.codec = TextCodec(tokenizer, self.markup, owner=f"dialect {self.name}")
        stops = [self.codec.markup_id(self.end_of_turn), tokenizer.eos_token_id]
        self.stop_token_ids: tuple[int, ...] = tuple(dict.fromkeys(token for token in stops if token is not None))
        """Tokens at which the engine stops. All but the first make the turn malformed."""

    def prefix(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> list[int]:
        """The ids before the policy's first turn: tool declaration, `messages`, generation prompt."""
        return self._encode([*self._opening(messages, tools), *self._generation_prompt()])

    def append(self, messages: Sequence[Message]) -> list[int]:
        """The ids between two policy turns: tool results and user turns, then the generation prompt."""
        return self._encode([*self._following(messages), *self._generation_prompt()])

    def render_turn(self, message: Message) -> list[int]:
        """An assistant message as the policy would write it, stop token included.

        Raises:
            ValueError: when the format cannot say it: another role, a foreign call id, reasoning without a place.
        """
        if message.role != "assistant":
            raise ValueError(f"a policy turn is an assistant message, not one of role {message.role}")
        return self._encode(self._turn(message))

    def parse(self, token_ids: Sequence[int], call_index: int = 0) -> ParsedTurn:
        """Reads a policy turn, stop token included.

        Args:
            call_index: number of tool calls earlier in the dialogue; the ids of this turn's calls count on from it.
        """
        try:
            message = self._read_turn(list(self._complete_runs(token_ids)), call_index)
        except MalformedTurn as error:
            ended = bool(token_ids) and token_ids[-1] in self.stop_token_ids
            spelled = self.codec.spell(token_ids[:-1] if ended else token_ids)
            return ParsedTurn(Message(role="assistant", content=spelled), str(error), 0)
        return ParsedTurn(message, None, len(message.tool_calls))

    @cached_property
    def end_of_reasoning(self) -> int | None:
        """The id of the token that ends reasoning."""
        return None if self.reasoning is None else self.codec.markup_id(self.reasoning[1])

    def reasoning_of(self, spoken: Sequence[int]) -> tuple[int, bool]:
        """How many of a turn's tokens so far are its reasoning, markup included, and whether it still goes on."""
        if self.reasoning is None or not spoken or spoken[0] != self.codec.markup_id(self.reasoning[0]):
            return 0, False
        length = next((number for number, token in enumerate(spoken, 1) if token == self.end_of_reasoning), None)
        return (len(spoken), True) if length is None else (length, False)

    def tool_call_grammar(self, tools: Sequence[ToolSpec], call_index: int = 0) -> str:
        """The turns whose tool calls name one of `tools` with arguments that its schema takes; all other text is free.

        Such a turn ends with its end of turn and always parses. `rl.policy.dialects.tool_grammar` says where it is stricter
        than a schema.

        Args:
            call_index: as in `parse`.

        Returns:
            A grammar over token ids, in Lark as llguidance reads it.

        Raises:
            ValueError: when a tool's schema cannot be enforced.
        """
        text = f"text: {self._text}*"
        return "\n".join(["%llguidance {}", *self._turn_rules(tools, call_index), text, *arguments_rules(tools)])

    @cached_property
    def _text(self) -> str:
        return token_set(self.codec.text_ids)

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> tuple[list[int], list[bool]]:
        """A whole dialogue as (token ids, loss mask): the mask is True on assistant turns, their stop tokens included.

        Equal to prefix, turn, append, turn, ... one after the other.
        """
        ids: list[int] = []
        mask: list[bool] = []
        for in_loss, pieces in self._segments(messages, tools):
            new = self._encode(pieces)
            ids += new
            mask += [in_loss] * len(new)
        return ids, mask

    @classmethod
    def texts(
        cls, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), tools_format: ToolsFormat = "json"
    ) -> list[str]:
        """The text pieces of a dialogue exactly as they are encoded: what to train a tokenizer on."""
        unbound = cls.__new__(cls)
        unbound.tools_format = tools_format
        return [
            "".join(run)
            for _, pieces in unbound._segments(messages, tools)
            for is_markup, run in groupby(pieces, key=lambda piece: isinstance(piece, Markup))
            if not is_markup
        ]

    def _segments(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Iterator[tuple[bool, list[Piece]]]:
        """(in the loss, pieces) in order: contexts that end with a generation prompt, and policy turns."""
        start, opening = 0, True
        while opening or start < len(messages):
            end = next((i for i in range(start, len(messages)) if messages[i].role == "assistant"), len(messages))
            context = messages[start:end]
            pieces = self._opening(context, tools) if opening else self._following(context)
            has_turn = end < len(messages)
            yield False, [*pieces, *(self._generation_prompt() if has_turn else ())]
            if has_turn:
                yield True, self._turn(messages[end])
            start, opening = end + 1, False

    def _encode(self, pieces: Sequence[Piece]) -> list[int]:
        ids: list[int] = []
        for is_markup, run in groupby(pieces, key=lambda piece: isinstance(piece, Markup)):
            if is_markup:
                ids += [self.codec.markup_id(piece) for piece in run]
            else:
                ids += self.codec.encode("".join(run))
        return ids

    def _complete_runs(self, token_ids: Sequence[int]) -> Iterator[Piece]:
        """The turn as text and markup, its end-of-turn token checked and left out."""
        if not token_ids or token_ids[-1] not in self.stop_token_ids:
            raise MalformedTurn("the turn has no end")
        if token_ids[-1] != self.stop_token_ids[0]:
            raise MalformedTurn(f"the turn ends with {self.codec.spell(token_ids[-1:])} instead of {self.end_of_turn}")
        for run in self.codec.runs(token_ids[:-1]):
            if isinstance(run, int):
                yield Markup(self.codec.spell([run]))
            else:
                yield self.codec.decode(run)

    @abstractmethod
    def _opening(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Piece]:
        """Declaration and first messages, no generation prompt. May hold assistant messages (not in the loss)."""

    @abstractmethod
    def _following(self, messages: Sequence[Message]) -> list[Piece]:
        """Messages after a policy turn, no generation prompt."""

    @abstractmethod
    def _generation_prompt(self) -> list[Piece]: ...

    @abstractmethod
    def _turn(self, message: Message) -> list[Piece]:
        """What the policy writes for `message`, end of turn included."""

    @abstractmethod
    def _turn_rules(self, tools: Sequence[ToolSpec], call_index: int) -> list[str]:
        """The rule ``start`` and those below it, over ``text`` and ``arguments_N`` of the tool with index N."""

    def _token(self, markup: str) -> str:
        """The markup token in a grammar."""
        return token_set([self.codec.markup_id(markup)])

    @abstractmethod
    def _read_turn(self, pieces: list[Piece], call_index: int) -> Message:
        """The message of a turn whose end has been taken off; raises MalformedTurn."""


_CALL_ID = re.compile(r"functions\.(?P<name>\S+):(?P<index>0|[1-9][0-9]*)", re.ASCII)


def call_from_id(call_id: str, arguments: str, index: int) -> ToolCall:
    """The call with id ``functions.{name}:{index}`` (Kimi K2, arXiv 2507.20534, appendix B).

    Raises:
        MalformedTurn: for an id of another shape, or one that does not count on from the calls before it.
    """
    match = _CALL_ID.fullmatch(call_id)
    if match is None:
        raise MalformedTurn(f"tool call id {call_id[:80]!r} is not functions.NAME:INDEX")
    if int(match["index"]) != index:
        raise MalformedTurn(f"tool call id {call_id[:80]!r} where index {index} is due")
    return ToolCall(id=call_id, name=match["name"], arguments=arguments)


def read_text(stream: Iterator[Piece], closing: Markup) -> str:
    """The text, possibly none, before `closing`.

    Raises:
        MalformedTurn: when something else comes before it.
    """
    piece = next(stream, None)
    text = ""
    if piece is not None and not isinstance(piece, Markup):
        text, piece = piece, next(stream, None)
    if not isinstance(piece, Markup) or piece != closing:
        raise MalformedTurn(f"{'the end' if piece is None else piece} where {closing} is due")
    return text


def with_call_ids(messages: Sequence[Message]) -> list[Message]:
    """The dialogue with tool call ids of the form ``functions.{name}:{index}``, counted over it from 0.

    Raises:
        ValueError: for a tool message that answers no earlier call.
    """
    renamed: dict[str, str] = {}
    count = 0
    result = []
    for message in messages:
        calls = []
        for call in message.tool_calls:
            renamed[call.id] = f"functions.{call.name}:{count}"
            calls.append(replace(call, id=renamed[call.id]))
            count += 1
        answered = message.tool_call_id
        if answered is not None and answered not in renamed:
            raise ValueError(f"a tool message answers {answered!r}, which no earlier message called")
        result.append(replace(message, tool_calls=tuple(calls), tool_call_id=renamed[answered] if answered else None))
    return result
