"""Qwen3's chat format, with tool calls in the Hermes style.

A message is ``<|im_start|>role\\ncontent<|im_end|>``, messages apart by a line break. Tools stand in the system
message, a call is a JSON object between ``<tool_call>`` and ``</tool_call>``, results are a user message of
``<tool_response>`` blocks. The format has no call ids; calls are numbered as in `kimi_k2`. Reasoning is kept in every
turn, where the published template drops it from earlier ones: a dialogue here only ever grows. The words around the
tools are ours.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from rl.policy.dialects.declarations import declare
from rl.policy.dialects.dialect import Dialect, MalformedTurn, Markup, Piece, call_from_id, read_text
from rl.policy.dialects.tool_grammar import MOST_CALLS, literal
from trajectories.messages import Message, ToolCall, ToolSpec

__all__ = ["Qwen3"]

START, END = Markup("<|im_start|>"), Markup("<|im_end|>")
CALL_BEGIN, CALL_END = Markup("<tool_call>"), Markup("</tool_call>")
RESPONSE_BEGIN, RESPONSE_END = Markup("<tool_response>"), Markup("</tool_response>")
THINK_BEGIN, THINK_END = Markup("<think>"), Markup("</think>")

TOOLS_HEADING = "# Tools\n\nThese functions can be called:\n"
TOOLS_FOOTING = '\n\nTo call one, write a JSON object {"name": ..., "arguments": {...}} between the tags '


class Qwen3(Dialect):
    name = "qwen3"
    markup = (START, END, CALL_BEGIN, CALL_END, RESPONSE_BEGIN, RESPONSE_END, THINK_BEGIN, THINK_END)
    end_of_turn = END
    reasoning = (THINK_BEGIN, THINK_END)
    chat_template = (
        "{%- set declaration = tools | tojson(separators=(',', ':')) if tools else '' -%}"
        "{%- set declaration = tools_ts_str if tools_ts_str else declaration -%}"
        "{%- macro heading(declaration) -%}"
        "{{ " + json.dumps(TOOLS_HEADING) + " ~ declaration ~ " + json.dumps(TOOLS_FOOTING) + " }}"
        "<tool_call></tool_call>"
        "{%- endmacro -%}"
        "{%- if declaration and (not messages or messages[0].role != 'system') -%}"
        "<|im_start|>{{ 'system\\n' ~ heading(declaration) }}<|im_end|>{{ '\\n' if messages else '' }}"
        "{%- endif -%}"
        "{%- for message in messages -%}"
        "{%- set earlier = '' if loop.first else messages[loop.index0 - 1].role -%}"
        "{%- if message.role == 'tool' -%}"
        "{{ '\\n<tool_response>\\n' if earlier == 'tool' else '<|im_start|>user\\n<tool_response>\\n' }}"
        "{{ message.content ~ '\\n</tool_response>' }}"
        "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>{% endif -%}"
        "{%- else -%}"
        "<|im_start|>{{ message.role ~ '\\n' }}"
        "{%- if message.reasoning_content is string -%}"
        "{{ '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' }}"
        "{%- endif -%}"
        "{{ message.content or '' }}"
        "{%- if loop.first and message.role == 'system' and declaration -%}"
        "{{ '\\n\\n' ~ heading(declaration) }}"
        "{%- endif -%}"
        "{%- for call in message.tool_calls or [] -%}"
        "{{ '\\n' if message.content or not loop.first else '' }}"
        "{%- set arguments = call.function.arguments -%}"
        "{{ '<tool_call>\\n{\"name\": ' ~ (call.function.name | tojson) ~ ', \"arguments\": ' }}"
        "{{ (arguments if arguments is string else arguments | tojson) ~ '}\\n</tool_call>' }}"
        "{%- endfor -%}"
        "<|im_end|>"
        "{%- endif -%}"
        "{%- set following = '' if loop.last else messages[loop.index0 + 1].role -%}"
        "{{ '\\n' if following and not (message.role == 'tool' and following == 'tool') else '' }}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '\\n' if messages else '' }}<|im_start|>{{ 'assistant\\n' }}{%- endif -%}"
    )

    def _opening(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Piece]:
        declaration = declare(tools, self.tools_format)
        first = messages[0].content if messages and messages[0].role == "system" else None
        rest = messages[1:] if first is not None else messages
        pieces: list[Piece] = []
        if first is not None or declaration is not None:
            pieces = [START, "system\n", first or ""]
            if declaration is not None:
                heading = ("\n\n" if first is not None else "") + TOOLS_HEADING
                pieces += [heading, declaration, TOOLS_FOOTING, CALL_BEGIN, CALL_END]
            pieces.append(END)
        following = self._following(rest)
        return pieces + following if pieces else following[1:]

    def _following(self, messages: Sequence[Message]) -> list[Piece]:
        pieces: list[Piece] = []
        for is_tool, group in groupby(messages, key=lambda message: message.role == "tool"):
            if is_tool:
                results = [[RESPONSE_BEGIN, f"\n{message.content}\n", RESPONSE_END] for message in group]
                pieces += ["\n", START, "user\n", *results[0]]
                for result in results[1:]:
                    pieces += ["\n", *result]
                pieces.append(END)
                continue
            for message in group:
                if message.role == "assistant":
                    pieces += [*self._generation_prompt(), *self._turn(message)]
                else:
                    pieces += ["\n", START, f"{message.role}\n{message.content}", END]
        return pieces

    def _generation_prompt(self) -> list[Piece]:
        return ["\n", START, "assistant\n"]

    def _turn(self, message: Message) -> list[Piece]:
        pieces: list[Piece] = []
        if message.reasoning_content is not None:
            pieces += [THINK_BEGIN, f"\n{message.reasoning_content}\n", THINK_END, "\n\n"]
        if message.content:
            pieces.append(message.content)
        for position, call in enumerate(message.tool_calls):
            if message.content or position:
                pieces.append("\n")
            pieces += [CALL_BEGIN, f"\n{_opened(call.name)}{call.arguments}}}\n", CALL_END]
        return [*pieces, END]

    def _turn_rules(self, tools: Sequence[ToolSpec], call_index: int) -> list[str]:
        thought = f"({self._token(THINK_BEGIN)} text {self._token(THINK_END)})?"
        calls = f"(call ({literal(chr(10))} call){{0,{MOST_CALLS - 1}}})?" if tools else ""
        rules = [f"start: {thought} text {calls} {self._token(END)}"]
        if tools:
            bodies = " | ".join(f"{literal(chr(10) + _opened(tool.name))} arguments_{index}" for index, tool in enumerate(tools))
            closing = literal("}\n")
            rules.append(f"call: {self._token(CALL_BEGIN)} ({bodies}) {closing} {self._token(CALL_END)}")
        return rules

    def _read_turn(self, pieces: list[Piece], call_index: int) -> Message:
        stream = iter(pieces)
        piece = next(stream, None)
        reasoning = None
        if isinstance(piece, Markup) and piece == THINK_BEGIN:
            reasoning = _without(read_text(stream, THINK_END), "\n", "\n")
            piece = next(stream, None)
        content = ""
        if piece is not None and not isinstance(piece, Markup):
            content = _without(piece, "\n\n" if reasoning is not None else "", "")
            piece = next(stream, None)
        calls = tuple(_read_calls(piece, stream, call_index))
        if calls:
            content = _without(content, "", "\n")
        return Message(role="assistant", content=content, tool_calls=calls, reasoning_content=reasoning)


def _opened(name: str) -> str:
    """A call's JSON up to its arguments."""
    return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": '


_CALL = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s?(.*)\}\s*', re.DOTALL)


def _read_calls(piece: Piece | None, stream: Iterator[Piece], call_index: int) -> Iterator[ToolCall]:
    index = call_index
    while piece is not None:
        if isinstance(piece, Markup):
            if piece != CALL_BEGIN:
                raise MalformedTurn(f"{piece} outside a tool call")
            match = _CALL.fullmatch(read_text(stream, CALL_END))
            if match is None:
                raise MalformedTurn('a tool call that is not {"name": ..., "arguments": ...}')
            try:
                name = json.loads(match[1])
            except ValueError as error:
                raise MalformedTurn(f"a tool name that is not a JSON string: {error}") from error
            yield call_from_id(f"functions.{name}:{index}", match[2], index)
            index += 1
        elif piece.strip():
            raise MalformedTurn(f"{piece[:80]!r} after a tool call")
        piece = next(stream, None)


def _without(text: str, before: str, after: str) -> str:
    return text.removeprefix(before).removesuffix(after)
