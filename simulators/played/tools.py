"""A session with tools that exist only as schemas: a chat model answers, and a state document is its memory.

What reaches the model satisfies the tool's `inputSchema`, and what reaches the agent satisfies its `outputSchema`. An
answer that breaks a rule is asked for again, and then it is a fault: the service broke, which is never the policy's
failure. As with a real server, a session ends with its first fault. After the tool simulator of Kimi K2 (arXiv
2507.20534, section 3.1.1).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.chat import ChatError, ChatErrorKind, ChatModel, NoUsableAnswer, ask_until, wait_for
from simulators.mcp.source import FaultKind, MCPFault, MCPToolSource, error_result
from simulators.played.answers import ANSWER, OPENING, check_state, read_answer, read_opening
from simulators.played.checking import SchemaCheck
from simulators.played.prompts import PastCall, asking_for_answer, asking_for_opening
from simulators.played.tool_list import parse_tools
from simulators.worlds import ToolResult
from trajectories.canonical import canonical_json, canonical_value
from trajectories.messages import Message, ToolSpec
from trajectories.seeds import derive_seed

__all__ = ["PlayedConfig", "PlayedTools"]

Read = TypeVar("Read")

_KINDS: Final[dict[ChatErrorKind, FaultKind]] = {
    "unreachable": "unreachable",
    "overloaded": "unreachable",
    "failed": "died",
    "timeout": "timeout",
    "unscripted": "unrecorded",
}
"""Every other error of the model is an answer against the protocol."""


@dataclass(frozen=True, kw_only=True)
class PlayedConfig:
    """How a session is played, and its bounds."""

    attempts: int = 3
    """How often the model is asked for one answer before the session breaks."""
    recent_calls: int = 6
    """Earlier calls, with their results, that the model is shown."""
    max_state_characters: int = 20_000
    """Of the state document, as canonical JSON."""
    max_characters: int = 8_000
    """Of a call's arguments, above which the call is refused, and of a result's text, which is cut."""
    max_tokens: int = 4096
    """Of one answer of the model."""
    temperature: float = 0.0
    """Of the model."""

    def __post_init__(self) -> None:
        for key in ("attempts", "max_state_characters", "max_characters", "max_tokens"):
            if getattr(self, key) < 1:
                raise ValueError(f"played.{key} is at least 1, not {getattr(self, key)}")
        if self.recent_calls < 0 or not self.temperature >= 0:
            raise ValueError("played.recent_calls and played.temperature are at least 0")


class PlayedTools(MCPToolSource):
    """One session, from the opening document on.

    Args:
        name: what the service is called, to the model and in faults.
        tools: as `load_tools` gives them.
        model: who plays. It is not closed with the session, since other sessions have it too.
        opening: the state document at the start; or words, from which the model makes one at the first call.
        seed: of the model's draws; each request has one of its own, by call and attempt.

    Raises:
        ToolListError: a tool has no valid schema.
        ValueError: an opening document that is too long, or is not JSON.
    """

    def __init__(
        self,
        name: str,
        tools: Iterable[ToolSpec],
        model: ChatModel,
        opening: Mapping[str, Any] | str,
        *,
        seed: int = 0,
        config: PlayedConfig | None = None,
    ) -> None:
        self.name, self._model, self._seed = name, model, seed
        self._config = config or PlayedConfig()
        self._by_name = {tool.name: tool for tool in parse_tools([tool.to_mcp() for tool in tools], name)}
        self._inputs = {tool.name: SchemaCheck(tool.inputSchema) for tool in self.tools()}
        self._outputs = {tool.name: SchemaCheck(tool.outputSchema) for tool in self.tools() if tool.outputSchema is not None}
        self._setting = opening if isinstance(opening, str) else None
        self._state = {} if isinstance(opening, str) else self._checked(opening)
        self._recent: deque[PastCall] = deque(maxlen=self._config.recent_calls)
        self._played = 0
        self._fault: MCPFault | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def state(self) -> dict[str, Any]:
        """The state document now, a copy: what the model claims, and no ground truth."""
        copy: dict[str, Any] = canonical_value(self._state)
        return copy

    def _answer(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        if self._closed:
            raise RuntimeError(f"{self.name}: this session is closed")
        if self._fault is not None:
            raise self._fault
        refusal = self._refusal(tool, arguments)
        if refusal is not None:
            return error_result(refusal)
        try:
            if self._setting is not None:
                self._open(self._setting)
            return self._play(self._by_name[tool], arguments)
        except MCPFault as fault:
            self._fault = fault
            raise

    def _refusal(self, tool: str, arguments: dict[str, Any]) -> str | None:
        """Why this call is the caller's mistake; what is told here the model never sees."""
        length = len(canonical_json(arguments))
        if length > self._config.max_characters:
            return f"arguments have {length} characters; {self._config.max_characters} at most are taken"
        return self._inputs[tool].problem(arguments)

    def _open(self, setting: str) -> None:
        dialogue = asking_for_opening(self.name, self.tools(), setting)
        limit = self._config.max_state_characters
        self._state = self._ask(dialogue, OPENING, lambda text: read_opening(text, limit), "the opening document")
        self._setting = None

    def _play(self, tool: ToolSpec, arguments: dict[str, Any]) -> ToolResult:
        config = self._config

        def read(text: str) -> tuple[dict[str, Any], ToolResult]:
            answer = read_answer(
                text,
                tool,
                self._outputs.get(tool.name),
                self._state,
                max_state_characters=config.max_state_characters,
                max_characters=config.max_characters,
            )
            return answer.state, answer.result

        dialogue = asking_for_answer(self.name, self.tools(), tool, arguments, self._state, self._recent)
        self._state, result = self._ask(dialogue, ANSWER, read, tool.name)
        self._played += 1
        self._recent.append(PastCall(tool.name, arguments, result.content, result.isError))
        return result

    def _ask(self, dialogue: tuple[Message, ...], schema: Mapping[str, Any], read: Callable[[str], Read], what: str) -> Read:
        """The model's answer, asked for until `read` takes it.

        Raises:
            MCPFault: it never did, or there is no answer.
        """
        config = self._config
        asked = ask_until(
            self._model,
            dialogue,
            lambda reply: read(reply.message.content),
            attempts=config.attempts,
            seed=lambda attempt: derive_seed(self._seed, "played", what, self._played, attempt),
            response_schema=schema,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
        )
        try:
            return wait_for(asked)
        except NoUsableAnswer as error:
            raise MCPFault("protocol", f"{self.name}: {what}: {error}") from error
        except ChatError as error:
            kind = _KINDS.get(error.kind, "protocol")
            raise MCPFault(kind, f"{self.name}: {what}: {error.kind}: {error.message}") from error

    def _checked(self, opening: Mapping[str, Any]) -> dict[str, Any]:
        try:
            state: dict[str, Any] = canonical_value(dict(opening))
            canonical_json(state).encode()
            check_state(state, self._config.max_state_characters)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{self.name}: the opening document cannot be used: {error}") from error
        return state
