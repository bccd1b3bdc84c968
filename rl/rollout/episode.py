"""One episode as it is played: the policy's context only ever grows by appending, whatever it is cut by.

A turn is sampled in parts: the engine may be interrupted in the middle of it, and so may the episode, when the tokens of an
iteration are spent. Every part is kept as sampled and the next one is asked for with all that is there, so a turn that was cut
reads as if it had been sampled at once, and limits count over its parts.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from rewards.repetition import repetition
from rl.rollout.engine import Completion, Engine, EngineError
from rl.rollout.unfinished import Standing, WaitingSlots, free, replay, standing_of
from simulators.environment import Observation, StepResult
from simulators.pool import SlotFault
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.seeds import derive_seed
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Segment, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect

__all__ = ["Episode", "Episodes", "RolloutLimits"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class RolloutLimits:
    """Where an episode is cut off."""

    max_turns: int = 12
    """Policy turns; ending ``turn_limit``."""
    max_turn_tokens: int = 128
    """Tokens of one policy turn; a turn that does not stop in time ends the episode with ``token_limit``."""
    max_reasoning_tokens: int | None = None
    """Tokens of the reasoning at the head of one policy turn; ``max_turn_tokens`` then goes for what follows it. Reasoning that
    does not end in time ends the episode with ``token_limit``. None: reasoning counts among the turn's tokens."""
    max_tokens: int = 1024
    """Tokens of the whole trajectory, context included; ending ``token_limit``."""
    budgets: Mapping[str, int] = field(default_factory=dict)
    """Tokens that the policy may sample in an episode of a domain; ending ``token_limit``. None said, none but the limits above.
    Learning takes them from `rewards`, where going beyond a budget costs something."""
    iteration_tokens: int | None = None
    """Tokens that the policy may sample in one call of `rollout`; then the trajectory comes back unfinished, in the middle of
    a turn if need be, and waits to go on (partial rollouts). None where every episode is played to its end."""
    max_repetition: float = 1.0
    """Share of repeated n-grams (see `rewards.repetition`) above which an episode whose ``iteration_tokens`` are spent is not
    gone on with, but ends with ``token_limit``; 1 for never."""
    repetition_ngram: int = 20
    """Tokens of such an n-gram."""

    def __post_init__(self) -> None:
        counts = ("max_turns", "max_turn_tokens", "max_reasoning_tokens", "max_tokens", "iteration_tokens", "repetition_ngram")
        for key in counts:
            if (value := getattr(self, key)) is not None and value < 1:
                raise ValueError(f"limits.{key} is at least 1, not {value}")
        for domain, budget in self.budgets.items():
            if budget < 1:
                raise ValueError(f"limits.budgets.{domain} is at least 1, not {budget}")
        if not 0 < self.max_repetition <= 1:
            raise ValueError(f"limits.max_repetition is above 0 and at most 1, not {self.max_repetition}")


class Episodes(Protocol):
    """Environments by slot, as `simulators.pool.EnvironmentPool` offers them; its methods raise `SlotFault`."""

    async def reset(self, slot: str, task: Task, seed: int) -> Observation: ...
    async def step(self, slot: str, message: Message) -> StepResult: ...
    async def abort(self, slot: str, ending: Ending, fault: Fault | None = None, message: Message | None = None) -> None: ...
    async def outcome(self, slot: str) -> Outcome: ...


@dataclass
class Episode:
    """An episode of `task`; the arguments are those of `rl.rollout.agent_loop.rollout`."""

    task: Task
    seed: int
    index: int
    slot: str
    engine: Engine
    pool: Episodes
    dialect: "Dialect"
    sampling: Sampling
    limits: RolloutLimits

    def __post_init__(self) -> None:
        self.token_ids: list[int] = []
        self.segments: list[Segment] = []
        self.messages: list[Message] = []
        self.tools: tuple[ToolSpec, ...] = ()
        self._turn = self._part = self._calls = 0
        self._spoken: list[int] = []  # of the turn that is due, over its parts
        self._sampled = 0  # by this call
        self._waited: Trajectory | None = None  # whose environment is taken to be in the slot, and was not seen yet

    @property
    def standing(self) -> Standing:
        return Standing(self._turn, self._part, self._calls, tuple(self._spoken))

    async def restore(self, unfinished: Trajectory, waiting: WaitingSlots | None) -> None:
        """Takes up an unfinished trajectory, its environment from the slot where it waits, or by replay.

        Raises:
            SlotFault: its tokens do not tell its messages, or the replay differs.
        """
        self.token_ids, self.segments = unfinished.token_ids, list(unfinished.segments)
        self.messages, self.tools = list(unfinished.messages), unfinished.tools
        occupied = waiting is not None and self.slot in waiting
        waits = waiting is not None and waiting.take(self.slot, unfinished.messages)
        try:
            at = standing_of(unfinished, self.dialect)
        except ValueError as error:
            if occupied:
                await free(self.slot, self.pool)
            raise SlotFault(self.slot, Fault("infrastructure", f"unfinished trajectory: {error}")) from error
        self._turn, self._part, self._calls, self._spoken = at.turn, at.part, at.calls, list(at.spoken)
        if waits:
            self._waited = unfinished
        else:
            await replay(unfinished, self.task, self._user_seed, self.pool)

    async def play(self) -> Outcome | None:
        """The outcome; None where the tokens of this call are spent before the end."""
        if not self.messages:
            first = await self.pool.reset(self.slot, self.task, self._user_seed)
            self.messages.extend(first.messages)
            self.tools = first.tools
            self._read(self.dialect.prefix(first.messages, first.tools))
        while self._turn < self.limits.max_turns:
            stopped = await self._speak()
            if stopped is None:
                return None
            if not self._spoken and not any(segment.origin == "policy" for segment in self.segments):
                fault = f"the task's first prompt has {len(self.token_ids)} tokens, which leaves none of max_tokens to answer"
                return await self._end("fault", fault=Fault("infrastructure", fault))
            if not self._spoken:
                return await self._end("token_limit")
            parsed = self.dialect.parse(self._spoken, self._calls)
            self.messages.append(parsed.message)
            if not stopped:
                return await self._end("token_limit", parsed.message)
            if parsed.malformed is not None:
                return await self._end("malformed", parsed.message)
            result = await self._step(parsed.message)
            self._turn, self._part, self._calls, self._spoken = self._turn + 1, 0, self._calls + parsed.calls, []
            self.messages.extend(result.messages)
            if result.terminated or result.truncated:
                return await self.pool.outcome(self.slot)
            self._read(self.dialect.append(result.messages))
        return await self._end("turn_limit")

    async def give_up(self, fault: Fault) -> Outcome:
        try:
            return await self._end("fault", self._broken_off(), fault)
        except SlotFault as error:
            return self.faulty(fault, error.fault)

    def faulty(self, *faults: Fault) -> Outcome:
        self._broken_off()
        dialogue = tuple(message for message in self.messages if message.role != "system")
        return Outcome(ending="fault", messages=dialogue, faults=faults)

    def _broken_off(self) -> Message | None:
        """What was said of a turn that a fault breaks off between two parts; it is a message from now on."""
        if not self._spoken or self.messages[-1].role == "assistant":
            return None
        self.messages.append(self.dialect.parse(self._spoken, self._calls).message)
        return self.messages[-1]

    @property
    def _user_seed(self) -> int:
        return derive_seed(self.seed, "user", self.task.id, self.index)

    def _read(self, token_ids: list[int]) -> None:
        self.token_ids.extend(token_ids)
        self.segments.append(Segment("context", tuple(token_ids)))

    async def _speak(self) -> bool | None:
        """Samples the turn that is due, or the rest of it; whether it stopped by itself. None where there is more to say and
        no token left in this iteration."""
        while True:
            room = min(self._room_in_turn, self.limits.max_tokens - len(self.token_ids))
            if (budget := self.limits.budgets.get(self.task.domain)) is not None:
                sampled = sum(len(segment.token_ids) for segment in self.segments if segment.origin == "policy")
                room = min(room, budget - sampled)
            if room < 1:
                return False
            left = room if self.limits.iteration_tokens is None else self.limits.iteration_tokens - self._sampled
            if left < 1:
                return False if self._repeats else None
            asked = min(room, left)
            completion = await self._sample(asked)
            if completion.finish_reason == "stop" and completion.token_ids[-1] in self.dialect.stop_token_ids:
                return True
            if completion.finish_reason == "length" and len(completion.token_ids) < asked:
                return False

    @property
    def _room_in_turn(self) -> int:
        if self.limits.max_reasoning_tokens is None:
            return self.limits.max_turn_tokens - len(self._spoken)
        reasoned, goes_on = self.dialect.reasoning_of(self._spoken)
        if goes_on:
            return self.limits.max_reasoning_tokens - reasoned
        if not self._spoken:  # nobody knows yet whether it will begin with reasoning
            return min(self.limits.max_reasoning_tokens, self.limits.max_turn_tokens)
        return self.limits.max_turn_tokens - (len(self._spoken) - reasoned)

    @property
    def _stop_token_ids(self) -> tuple[int, ...]:
        """Reasoning with tokens of its own is a part of its own: what follows has others."""
        end = self.dialect.end_of_reasoning if self.limits.max_reasoning_tokens is not None else None
        return self.dialect.stop_token_ids if end is None else (*self.dialect.stop_token_ids, end)

    @property
    def _repeats(self) -> bool:
        if self.limits.max_repetition == 1:
            return False
        said = Trajectory(self.slot, self.task.id, segments=tuple(self.segments))
        return repetition(said, self.limits.repetition_ngram) > self.limits.max_repetition

    async def _sample(self, max_tokens: int) -> Completion:
        keys = (self._turn, self._part) if self._part else (self._turn,)
        sampling = replace(self.sampling, seed=derive_seed(self.seed, "sampling", self.task.id, self.index, *keys))
        generate = self.engine.generate
        if sampling.grammar is not None:
            generate = partial(generate, grammar=self.dialect.tool_call_grammar(self.tools, self._calls))
        completion = await generate(
            self.token_ids,
            sampling,
            max_tokens=max_tokens,
            stop_token_ids=self._stop_token_ids,
            request_id=f"{self.slot}/{'.'.join(map(str, keys))}",
        )
        if sampling.grammar is not None and completion.finish_reason == "cut":
            raise EngineError("a turn that is held to a grammar was cut: no grammar begins in the middle of a turn")
        self.token_ids.extend(completion.token_ids)
        self.segments.extend(_segments(completion, sampling))
        self._spoken.extend(completion.token_ids)
        self._sampled += len(completion.token_ids)
        self._part += bool(completion.token_ids)
        return completion

    async def _step(self, message: Message) -> StepResult:
        result = await self._on_slot(partial(self.pool.step, self.slot, message))
        if (turn := result.info.get("turn", self._turn + 1)) != self._turn + 1:
            fault = f"turn {self._turn + 1} was due and turn {turn} was played: another episode took the slot"
            raise SlotFault(self.slot, Fault("infrastructure", fault))
        return result

    async def _end(self, ending: Ending, message: Message | None = None, fault: Fault | None = None) -> Outcome:
        await self._on_slot(partial(self.pool.abort, self.slot, ending, fault, message))
        return await self.pool.outcome(self.slot)

    async def _on_slot(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """What `act` gives; where the environment that waited in the slot is lost, on another that is brought to its state."""
        waited, self._waited = self._waited, None
        try:
            return await act()
        except SlotFault:
            if waited is None:
                raise
        await replay(waited, self.task, self._user_seed, self.pool)
        return await act()


def _segments(completion: Completion, sampling: Sampling) -> Iterator[Segment]:
    """The tokens of a completion, cut where another version of the weights went on."""
    start = 0
    for run in completion.runs:
        end = start + run.tokens
        token_ids, log_probs = completion.token_ids[start:end], completion.log_probs[start:end]
        yield Segment("policy", token_ids, log_probs, sampling, run.policy_version, run.stale_cache_version)
        start = end
