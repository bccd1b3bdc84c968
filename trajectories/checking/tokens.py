"""Whether stored token ids are those of their dialogue (law 1: tokens are the truth, so they must tell the same).

What was rendered (context, demonstrations) is rendered again and must give the same ids in the same segments. What a policy
sampled is not rendered: a text has many spellings in tokens, and only the sampled one is right. It must read as the message.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, Protocol

from trajectories.messages import Message, ToolSpec
from trajectories.trajectory import Segment, Trajectory

__all__ = ["Rendering", "segment_problems", "token_problems"]

_ORIGINS: Final = ("context", "policy", "demonstration")


class _Turn(Protocol):
    @property
    def message(self) -> Message: ...
    @property
    def malformed(self) -> str | None: ...


class Rendering(Protocol):
    """A chat format over a tokenizer; see `rl.policy.dialects.Dialect`."""

    def prefix(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> list[int]: ...
    def append(self, messages: Sequence[Message]) -> list[int]: ...
    def render_turn(self, message: Message) -> list[int]: ...
    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> tuple[list[int], list[bool]]: ...
    def parse(self, token_ids: Sequence[int], call_index: int = 0) -> _Turn: ...


def segment_problems(segments: Sequence[Segment]) -> Iterator[str]:
    """What can be seen without a tokenizer: unknown origins, log-probabilities that are none, sampling that is not told."""
    for number, segment in enumerate(segments):
        place = f"segment {number} ({segment.origin})"
        if segment.origin not in _ORIGINS:
            yield f"{place}: the origin is none of {', '.join(_ORIGINS)}"
        if not segment.token_ids:
            yield f"{place}: has no tokens"
        if segment.origin != "policy":
            continue
        wrong = [value for value in segment.log_probs or () if not (math.isfinite(value) and value <= 0)]
        if wrong:
            yield f"{place}: {len(wrong)} log-probabilities are not finite numbers of at most 0, the first is {wrong[0]}"
        if segment.sampling is None:
            yield f"{place}: nobody says how it was sampled"
        if segment.policy_version is None:
            yield f"{place}: nobody says by which weights it was sampled"
    if segments and not any(segment.origin in ("policy", "demonstration") for segment in segments):
        yield "no segment is in the loss"


def token_problems(trajectory: Trajectory, rendering: Rendering, vocabulary: int) -> Iterator[str]:
    """Where the tokens do not tell the dialogue; the first place that differs.

    Args:
        vocabulary: number of token ids that there are.
    """
    for number, segment in enumerate(trajectory.segments):
        if strangers := [token for token in segment.token_ids if not 0 <= token < vocabulary]:
            yield f"segment {number} ({segment.origin}): token id {strangers[0]} is not among the {vocabulary} of the vocabulary"
            return
    sampled = any(segment.origin == "policy" for segment in trajectory.segments)
    try:
        yield from (_sampled if sampled else _rendered)(trajectory, rendering)
    except ValueError as error:
        yield f"the dialogue cannot be rendered: {error}"


def _rendered(trajectory: Trajectory, rendering: Rendering) -> Iterator[str]:
    ids, mask = rendering.render(trajectory.messages, trajectory.tools)
    runs = [list(run) for _, run in groupby(range(len(ids)), key=lambda place: mask[place])]
    expected = [("demonstration" if mask[run[0]] else "context", [ids[place] for place in run]) for run in runs]
    for number, (segment, (origin, tokens)) in enumerate(zip(trajectory.segments, expected, strict=False)):
        if segment.origin != origin:
            yield f"segment {number} is {segment.origin} where the rendering has {origin}"
            return
        if problem := _difference(number, segment, tokens):
            yield problem
            return
    if len(trajectory.segments) != len(expected):
        yield f"there are {len(trajectory.segments)} segments, the rendering has {len(expected)}"


def _sampled(trajectory: Trajectory, rendering: Rendering) -> Iterator[str]:
    trajectory = replace(trajectory, segments=_whole_turns(trajectory.segments))
    messages = trajectory.messages
    turns = [number for number, message in enumerate(messages) if message.role == "assistant"]
    ending = trajectory.outcome.ending if trajectory.outcome is not None else None
    segments, calls, start = trajectory.segments, 0, 0
    for index, turn in enumerate(turns):
        if (problem := _origin(segments, 2 * index, ("context",))) or (
            problem := _origin(segments, 2 * index + 1, ("policy", "demonstration"))
        ):
            yield problem
            return
        between = messages[start:turn]
        context = rendering.append(between) if index else rendering.prefix(between, trajectory.tools)
        if problem := _difference(2 * index, segments[2 * index], context):
            yield problem
            return
        may_break = turn == turns[-1] and ending in ("token_limit", "malformed", "fault")
        if problem := _turn(2 * index + 1, segments[2 * index + 1], messages[turn], calls, may_break, rendering):
            yield problem
            return
        calls, start = calls + len(messages[turn].tool_calls), turn + 1
    yield from _tail(trajectory, messages[start:], 2 * len(turns), ending, rendering)


def _whole_turns(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Each policy turn in one segment; one that was cut, or that several versions of the weights sampled, has several."""
    turns: list[Segment] = []
    for segment in segments:
        if turns and segment.origin == turns[-1].origin == "policy":
            before = turns.pop()
            log_probs = (*(before.log_probs or ()), *(segment.log_probs or ()))
            segment = replace(before, token_ids=before.token_ids + segment.token_ids, log_probs=log_probs)
        turns.append(segment)
    return tuple(turns)


def _origin(segments: Sequence[Segment], number: int, wanted: tuple[str, ...]) -> str | None:
    if number >= len(segments):
        return f"segment {number} ({wanted[0]}) is missing"
    origin = segments[number].origin
    return None if origin in wanted else f"segment {number} is {origin} where {wanted[0]} is due"


def _turn(
    number: int, segment: Segment, message: Message, calls: int, may_break: bool, rendering: Rendering
) -> str | None:
    if segment.origin == "demonstration":
        return _difference(number, segment, rendering.render_turn(message))
    turn = rendering.parse(segment.token_ids, calls)
    if turn.malformed is not None and not may_break:
        return f"segment {number} (policy) is no whole turn: {turn.malformed}"
    if turn.message != message:
        return f"segment {number} (policy) reads as {turn.message.to_openai()!r:.200}, which is not its message"
    return None


def _tail(
    trajectory: Trajectory, messages: Sequence[Message], number: int, ending: str | None, rendering: Rendering
) -> Iterator[str]:
    """What was read behind the last turn: only where the dialogue was cut off before the next one."""
    rest = trajectory.segments[number:]
    if len(rest) > 1 or (rest and (not messages or ending not in ("token_limit", "fault", None))):
        yield f"there are {len(trajectory.segments)} segments, the dialogue has {number + (len(rest) > 1)}"
    elif rest:
        expected = rendering.append(messages) if number else rendering.prefix(messages, trajectory.tools)
        if problem := _origin(trajectory.segments, number, ("context",)) or _difference(number, rest[0], expected):
            yield problem
    elif messages and ending == "token_limit":
        yield f"segment {number} (context) is missing"


def _difference(number: int, segment: Segment, expected: Sequence[int]) -> str | None:
    if list(segment.token_ids) == list(expected):
        return None
    pairs = enumerate(zip(segment.token_ids, expected, strict=False))
    place = next((place for place, (one, other) in pairs if one != other), None)
    where = f"segment {number} ({segment.origin})"
    if place is None:
        return f"{where} has {len(segment.token_ids)} tokens, the rendering {len(expected)}"
    return f"{where}, token {place}: {segment.token_ids[place]} where the rendering has {expected[place]}"
