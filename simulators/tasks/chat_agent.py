"""An agent played by a chat model, which may be any model behind an endpoint: a policy that demonstrates, errors and all.

Whatever the model says is its own doing and is judged: calls that are no calls, tools that do not exist, replies that are
cut off. Only what keeps it from saying anything (`ChatError`) is a fault. Seeds hang on (run, task, rollout, turn), so that
a recorded model replays whoever runs beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from services.chat import ChatError, ChatModel, Usage, wait_for
from simulators.environment import Environment
from simulators.playable import Playable
from simulators.stochastic import ToolTroubles
from simulators.users import AnyVoice
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import Fault, Outcome
from trajectories.seeds import derive_seed
from trajectories.tasks import Task

__all__ = ["CallId", "ChatAgent", "ChatPlay", "ChatPolicy", "CutOffError", "play_chat"]


@dataclass(frozen=True, kw_only=True)
class ChatPolicy:
    """How a chat model plays."""

    temperature: float | None = 1.0
    """Of every turn; null leaves it to the endpoint."""
    max_tokens: int | None = 2048
    """Of one turn, reasoning included; a turn that is longer ends the episode with ``token_limit``. Null for no limit."""
    max_turns: int = 20
    """Turns of one episode; ending ``turn_limit``."""
    end_on_malformed: bool = False
    """Whether a call that is no JSON object, or names no tool, ends the episode (``malformed``) instead of being answered."""
    show_reasoning: bool = True
    """Whether the model reads its earlier reasoning again; for endpoints that take no ``reasoning_content``, false."""

    def __post_init__(self) -> None:
        if self.temperature is not None and not self.temperature >= 0:
            raise ValueError(f"temperature: is at least 0 or null, not {self.temperature}")
        for key in ("max_tokens", "max_turns"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise ValueError(f"{key}: is at least 1, not {value}")


@dataclass(frozen=True, slots=True)
class CallId:
    """A tool call whose id was made anew."""

    turn: int
    was: str
    """The model's; empty where it gave none."""
    now: str
    """``functions.{name}:{index}``, the index counted over the dialogue."""
    clashed: bool
    """Whether an earlier call had the model's id already."""


class CutOffError(RuntimeError):
    """The model's turn was cut off at its token limit: `message` is what there is of it."""

    def __init__(self, message: Message) -> None:
        super().__init__("the turn is cut off at max_tokens")
        self.message = message


class ChatAgent:
    """Plays one episode; any number of them may share a model, each in a thread of its own.

    Args:
        tools: that the model is told of.
        task_id, run_seed, rollout: what the seeds of its turns hang on.
    """

    def __init__(
        self, model: ChatModel, tools: Sequence[ToolSpec], policy: ChatPolicy, task_id: str, run_seed: int, rollout: int = 0
    ) -> None:
        self._model, self._tools, self._policy = model, tuple(tools), policy
        self._seed_of = partial(derive_seed, run_seed, "sampling", task_id, rollout)
        self._given: set[str] = set()
        self.renamed: list[CallId] = []
        """Calls whose ids were not those of their place in the dialogue."""
        self.usage: Usage | None = None
        """Tokens so far, where the model counts them."""

    def act(self, messages: Sequence[Message]) -> Message:
        """The model's next turn.

        Raises:
            ChatError: there is none.
            CutOffError: there is half of one.
        """
        turn = sum(message.role == "assistant" for message in messages)
        shown = messages if self._policy.show_reasoning else [replace(each, reasoning_content=None) for each in messages]
        reply = wait_for(
            self._model.complete(
                shown,
                tools=self._tools,
                temperature=self._policy.temperature,
                max_tokens=self._policy.max_tokens,
                seed=self._seed_of(turn),
            )
        )
        if reply.message.role != "assistant":
            raise ChatError("malformed", f"{self._model.name}: a reply of role {reply.message.role}")
        if reply.usage is not None:
            before = self.usage or Usage(0, 0)
            self.usage = Usage(
                before.prompt_tokens + reply.usage.prompt_tokens,
                before.completion_tokens + reply.usage.completion_tokens,
            )
        first = sum(len(message.tool_calls) for message in messages)
        calls = tuple(self._in_place(call, turn, first + index) for index, call in enumerate(reply.message.tool_calls))
        message = replace(reply.message, tool_calls=calls)
        if reply.finish_reason == "length":
            raise CutOffError(message)
        return message

    def _in_place(self, call: ToolCall, turn: int, index: int) -> ToolCall:
        """The call with the id of its place: endpoints make ids up, at random or the same for every call."""
        now = f"functions.{call.name}:{index}"
        if call.id != now:
            self.renamed.append(CallId(turn, call.id, now, clashed=call.id in self._given))
        self._given.add(call.id)
        return replace(call, id=now)


@dataclass(frozen=True, slots=True)
class ChatPlay:
    """One episode of a chat model."""

    messages: tuple[Message, ...]
    """The dialogue, system prompt included."""
    tools: tuple[ToolSpec, ...]
    outcome: Outcome
    renamed: tuple[CallId, ...] = ()
    """Calls whose ids were made anew."""
    usage: Usage | None = None
    """Tokens of all turns, where the model counts them."""


def play_chat(
    task: Task,
    world: Playable,
    model: ChatModel,
    seed: int,
    *,
    run_seed: int,
    rollout: int = 0,
    policy: ChatPolicy | None = None,
    troubles: ToolTroubles | None = None,
    voice: AnyVoice | None = None,
) -> ChatPlay:
    """Plays one whole episode; blocks, and may run in many threads at once.

    Args:
        seed: the user's and the troubles', see `Environment.reset`.
        run_seed, rollout: see `ChatAgent`.
        troubles, voice: see `Environment`.

    Returns:
        The episode. A model that gives no reply ends it with ending ``fault`` and a fault of source ``engine``; a reply that
        is cut off ends it with ``token_limit``, and its calls are not executed.
    """
    policy = policy or ChatPolicy()
    environment = Environment(
        world, max_turns=policy.max_turns, end_on_malformed=policy.end_on_malformed, troubles=troubles, voice=voice
    )
    observation = environment.reset(task, seed)
    agent = ChatAgent(model, observation.tools, policy, task.id, run_seed, rollout)
    messages, over = list(observation.messages), False
    while not over:
        try:
            message = agent.act(messages)
        except ChatError as error:
            environment.abort("fault", Fault("engine", f"policy: {error.kind}: {error}"))
            break
        except CutOffError as error:
            environment.abort("token_limit", message=error.message)
            messages.append(error.message)
            break
        result = environment.step(message)
        messages += [message, *result.messages]
        over = result.terminated or result.truncated
    return ChatPlay(tuple(messages), observation.tools, environment.outcome(), tuple(agent.renamed), agent.usage)
