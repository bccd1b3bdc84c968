"""Kimi K2's published chat format.

A message is ``<|im_ROLE|>name<|im_middle|>content<|im_end|>``. Tools are declared in a first system block named
``tool_declare``. Tool calls stand in one section at the end of the assistant's turn, each with the id
``functions.{name}:{index}``, the index counted over the dialogue from 0; a result is a system message named after the
tool that begins with ``## Return of {id}``. Unlike the published template, this one invents no system prompt.
"""

from collections.abc import Iterator, Sequence

from rl.policy.dialects.declarations import declare
from rl.policy.dialects.dialect import Dialect, MalformedTurn, Markup, Piece, call_from_id, read_text
from rl.policy.dialects.tool_grammar import MOST_CALLS, literal
from trajectories.messages import Message, ToolCall, ToolSpec

__all__ = ["KimiK2"]

END, MIDDLE = Markup("<|im_end|>"), Markup("<|im_middle|>")
USER, ASSISTANT, SYSTEM = Markup("<|im_user|>"), Markup("<|im_assistant|>"), Markup("<|im_system|>")
SECTION_BEGIN, SECTION_END = Markup("<|tool_calls_section_begin|>"), Markup("<|tool_calls_section_end|>")
CALL_BEGIN, CALL_END = Markup("<|tool_call_begin|>"), Markup("<|tool_call_end|>")
ARGUMENT_BEGIN = Markup("<|tool_call_argument_begin|>")


class KimiK2(Dialect):
    name = "kimi_k2"
    markup = (
        END, USER, ASSISTANT, SYSTEM, MIDDLE,
        SECTION_BEGIN, SECTION_END, CALL_BEGIN, ARGUMENT_BEGIN, CALL_END,
    )  # fmt: skip
    end_of_turn = END
    chat_template = (
        "{%- if tools_ts_str or tools -%}"
        "<|im_system|>tool_declare<|im_middle|>"
        "{{ tools_ts_str if tools_ts_str else tools | tojson(separators=(',', ':')) }}<|im_end|>"
        "{%- endif -%}"
        "{%- for message in messages -%}"
        "{%- set openers = {'user': '<|im_user|>', 'assistant': '<|im_assistant|>'} -%}"
        "{%- set opener = openers.get(message.role, '<|im_system|>') -%}"
        "{{ opener }}{{ message.name or message.role }}<|im_middle|>"
        "{%- if message.role == 'tool' %}{{ '## Return of ' ~ message.tool_call_id ~ '\\n' }}{% endif -%}"
        "{{ message.content or '' }}"
        "{%- if message.tool_calls -%}"
        "<|tool_calls_section_begin|>"
        "{%- for call in message.tool_calls -%}"
        "{%- set arguments = call.function.arguments -%}"
        "<|tool_call_begin|>{{ call.id }}<|tool_call_argument_begin|>"
        "{{ arguments if arguments is string else arguments | tojson(separators=(',', ':')) }}<|tool_call_end|>"
        "{%- endfor -%}"
        "<|tool_calls_section_end|>"
        "{%- endif -%}"
        "<|im_end|>"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|im_assistant|>assistant<|im_middle|>{%- endif -%}"
    )

    def _opening(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Piece]:
        declaration = declare(tools, self.tools_format)
        head: list[Piece] = [SYSTEM, "tool_declare", MIDDLE, declaration, END] if declaration is not None else []
        return head + self._following(messages)

    def _following(self, messages: Sequence[Message]) -> list[Piece]:
        return [piece for message in messages for piece in self._message(message)]

    def _generation_prompt(self) -> list[Piece]:
        return [ASSISTANT, "assistant", MIDDLE]

    def _message(self, message: Message) -> list[Piece]:
        if message.role == "assistant":
            return [*self._generation_prompt(), *self._turn(message)]
        opener = USER if message.role == "user" else SYSTEM
        heading = f"## Return of {message.tool_call_id}\n" if message.role == "tool" else ""
        return [opener, message.name or message.role, MIDDLE, heading + message.content, END]

    def _turn(self, message: Message) -> list[Piece]:
        if message.reasoning_content is not None:
            raise ValueError("the kimi_k2 dialect has no place for reasoning_content; choose another or drop it")
        pieces: list[Piece] = [message.content] if message.content else []
        if message.tool_calls:
            pieces.append(SECTION_BEGIN)
            for call in message.tool_calls:
                pieces += [CALL_BEGIN, _checked_id(call), ARGUMENT_BEGIN, call.arguments, CALL_END]
            pieces.append(SECTION_END)
        return [*pieces, END]

    def _turn_rules(self, tools: Sequence[ToolSpec], call_index: int) -> list[str]:
        end = self._token(END)
        if not tools:
            return [f"start: text {end}"]
        section_end = self._token(SECTION_END)
        rules = [f"start: text ({self._token(SECTION_BEGIN)} call_0)? {end}"]
        for position in range(MOST_CALLS):  # one rule each, since the index in a call's id counts on
            calls = " | ".join(
                f"{literal(f'functions.{tool.name}:{call_index + position}')} {self._token(ARGUMENT_BEGIN)} arguments_{index}"
                for index, tool in enumerate(tools)
            )
            following = f"(call_{position + 1} | {section_end})" if position + 1 < MOST_CALLS else section_end
            rules.append(f"call_{position}: {self._token(CALL_BEGIN)} ({calls}) {self._token(CALL_END)} {following}")
        return rules

    def _read_turn(self, pieces: list[Piece], call_index: int) -> Message:
        stream = iter(pieces)
        content = ""
        calls: tuple[ToolCall, ...] = ()
        for piece in stream:
            if not isinstance(piece, Markup):
                content = piece
            elif piece == SECTION_BEGIN:
                calls = tuple(_read_section(stream, call_index))
                break
            else:
                raise MalformedTurn(f"{piece} outside a tool call section")
        for piece in stream:
            if isinstance(piece, Markup) or piece.strip():
                raise MalformedTurn(f"{piece[:80]!r} after the tool call section")
        return Message(role="assistant", content=content, tool_calls=calls)


def _read_section(stream: Iterator[Piece], call_index: int) -> Iterator[ToolCall]:
    """The calls between SECTION_BEGIN, already taken, and SECTION_END. Only white space may stand between calls."""
    count = 0
    while (piece := next(stream, None)) != SECTION_END:
        if piece == CALL_BEGIN and isinstance(piece, Markup):
            call_id = read_text(stream, ARGUMENT_BEGIN).strip()
            yield call_from_id(call_id, read_text(stream, CALL_END), call_index + count)
            count += 1
        elif piece is None or isinstance(piece, Markup) or piece.strip():
            raise MalformedTurn(f"{'the end' if piece is None else repr(piece[:80])} between tool calls")
    if count == 0:
        raise MalformedTurn("a tool call section without a tool call")


def _checked_id(call: ToolCall) -> str:
    prefix, _, index = call.id.rpartition(":")
    if prefix != f"functions.{call.name}" or not index.isdecimal():
        raise ValueError(f"tool call id {call.id!r} is not functions.{call.name}:INDEX; rename with with_call_ids")
    return call.id
