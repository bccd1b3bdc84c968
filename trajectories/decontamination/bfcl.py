"""Items of the Berkeley Function-Calling Leaderboard: a question file, its answers and the tools of its classes.

A line of a question file has ``question`` (turns of messages; a list of messages or one text in old versions), ``function``
(tools), and sometimes ``ground_truth``. The answers lie in ``possible_answer/`` under the same name, the tools of
``involved_classes`` in ``multi_turn_func_doc/``, one file per class; both are read where they lie beside the question file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trajectories.decontamination.benchmark import BenchmarkError, BenchmarkItem, GoldCallSpec, ToolSignature
from trajectories.decontamination.call_text import parse_call
from trajectories.decontamination.json_items import kind_of, objects
from trajectories.decontamination.shapes import content_text, items_of, mapping, text, tool_signature, tool_signatures

__all__ = ["BfclReader"]

Documents = list[dict[str, ToolSignature]]


class BfclReader:
    """Reads the items of one question file; answers that belong to no item are an error at the end."""

    def __init__(self, path: Path) -> None:
        answers, documents = path.parent / "possible_answer" / path.name, path.parent / "multi_turn_func_doc"
        self._answers_path = answers
        self._answers = dict(_answers(answers)) if answers.is_file() else {}
        self._unused = set(self._answers)
        self._documents: Documents = [_document(file) for file in sorted(documents.glob("*.json"))] if documents.is_dir() else []

    def item(self, value: Mapping[str, Any], identity: str, place: str) -> BenchmarkItem:
        said = list(_said(value["question"], f"{place}.question"))
        tools = tool_signatures(value.get("function"), f"{place}.function")
        answer = self._answers.get(identity, value.get("ground_truth"))
        self._unused.discard(identity)
        named = {tool.name: tool for document in self._documents for tool in document.values()} | {t.name: t for t in tools}
        calls = tuple(_calls(answer, named, f"{place}.ground_truth"))
        return BenchmarkItem(
            identity,
            texts=tuple(content for role, content in said if role == "user"),
            prompts=tuple(content for role, content in said if role == "system"),
            calls=calls,
            tools=tools + self._of_classes(value, calls, place),
        )

    def finish(self) -> None:
        if self._unused:
            raise BenchmarkError(f"{self._answers_path}: answers {min(self._unused)!r}, which no question has")

    def _of_classes(self, value: Mapping[str, Any], calls: tuple[GoldCallSpec, ...], place: str) -> tuple[ToolSignature, ...]:
        """The tools of every class that the item names a method of: a file that declares one declares its class."""
        if "involved_classes" not in value:
            return ()
        path = items_of(value.get("path"), f"{place}.path")
        names = {text(name, f"{place}.path").rpartition(".")[2] for name in path} | {call.name for call in calls}
        return tuple(tool for document in self._documents if names & document.keys() for tool in document.values())


def _document(path: Path) -> dict[str, ToolSignature]:
    tools = (tool_signature(value, place) for place, value in objects(path))
    return {tool.name: tool for tool in tools}


def _answers(path: Path) -> Iterator[tuple[str, Any]]:
    for place, value in objects(path):
        if "ground_truth" not in value:
            raise BenchmarkError(f"{place}.ground_truth: is missing")
        yield str(value.get("id")), value["ground_truth"]


def _said(question: Any, place: str) -> Iterator[tuple[str, str]]:
    """(role, content) of every message, whatever the nesting of turns."""
    if isinstance(question, str):
        yield "user", question
        return
    for i, turn in enumerate(items_of(question, place)):
        messages = turn if isinstance(turn, list) else [turn]
        for j, message in enumerate(messages):
            here = f"{place}[{i}][{j}]" if isinstance(turn, list) else f"{place}[{i}]"
            wire = mapping(message, here)
            if "content" not in wire:
                raise BenchmarkError(f"{here}.content: is missing")
            yield text(wire.get("role"), f"{here}.role") or "user", content_text(wire["content"], f"{here}.content")


def _calls(answer: Any, tools: Mapping[str, ToolSignature], place: str) -> Iterator[GoldCallSpec]:
    """Calls of an answer: texts, ``{tool: {argument: accepted values}}``, and lists of these (one per turn)."""
    if answer is None:
        return
    if isinstance(answer, list):
        for i, part in enumerate(answer):
            yield from _calls(part, tools, f"{place}[{i}]")
    elif isinstance(answer, str):
        call = parse_call(answer, tools)
        if call is not None:
            yield call
    elif isinstance(answer, dict):
        for name, arguments in answer.items():
            given = mapping(arguments, f"{place}.{name}")
            accepted = {key: tuple(v) if isinstance(v, list) else (v,) for key, v in given.items()}
            # BFCL writes an empty text among the accepted values where an argument may be left out.
            optional = frozenset(key for key, values in accepted.items() if "" in values)
            yield GoldCallSpec(name, accepted, optional)
    else:
        raise BenchmarkError(f"{place}: is {kind_of(answer)}, not a call")
