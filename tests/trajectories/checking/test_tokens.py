"""Tokens tell their dialogue, or the check says where they do not: every token of some dialogues is tried in every way."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import pytest

from rl.policy import dialects
from rl.policy.tokenizer import train_tokenizer
from tests.rl.policy.dialects.dialogues import TOOLS, dialogue
from trajectories.checking.tokens import segment_problems, token_problems
from trajectories.messages import Message
from trajectories.outcomes import Fault, Outcome
from trajectories.trajectory import Sampling, Segment, Trajectory

FORMATS = ("kimi_k2", "qwen3")
TOKENIZERS = {
    name: train_tokenizer(dialects.DIALECTS[name].texts(dialogue(), TOOLS) * 3, 400, dialect=name) for name in FORMATS
}
RENDERINGS = {name: dialects.get(name, tokenizer) for name, tokenizer in TOKENIZERS.items()}


def demonstrated(name: str, messages: list[Message]) -> Trajectory:
    ids, mask = RENDERINGS[name].render(messages, TOOLS)
    pairs = groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    segments = tuple(Segment("demonstration" if shown else "context", tuple(i for i, _ in run)) for shown, run in pairs)
    return Trajectory("x", "t", messages=tuple(messages), tools=TOOLS, segments=segments)


def sampled(name: str, messages: list[Message]) -> Trajectory:
    rendering, segments, between = RENDERINGS[name], [], []
    for message in messages:
        if message.role != "assistant":
            between.append(message)
            continue
        context = rendering.append(between) if segments else rendering.prefix(between, TOOLS)
        ids = tuple(rendering.render_turn(message))
        segments += [Segment("context", tuple(context)), Segment("policy", ids, (-1.0,) * len(ids), Sampling(), 3)]
        between = []
    return Trajectory("x", "t", messages=tuple(messages), tools=TOOLS, segments=tuple(segments), outcome=Outcome("completed"))


def problems(name: str, trajectory: Trajectory) -> list[str]:
    return list(token_problems(trajectory, RENDERINGS[name], len(TOKENIZERS[name])))


def other_ids(segment: Segment, ids: list[int]) -> Segment:
    return replace(segment, token_ids=tuple(ids), log_probs=None if segment.log_probs is None else (-1.0,) * len(ids))


def corrupted(trajectory: Trajectory, vocabulary: int) -> Iterator[tuple[str, Trajectory]]:
    for number, segment in enumerate(trajectory.segments):
        before, after = trajectory.segments[:number], trajectory.segments[number + 1 :]
        for place in range(len(segment.token_ids)):
            changed, dropped, swapped = list(segment.token_ids), list(segment.token_ids), list(segment.token_ids)
            changed[place] = (changed[place] + 1 + 37 * place) % vocabulary
            del dropped[place]
            swapped[place - 1 : place + 1] = swapped[place - 1 : place + 1][::-1]
            for what, ids in (("changed", changed), ("dropped", dropped), ("swapped", swapped)):
                if tuple(ids) != segment.token_ids:
                    yield f"{what} {number}:{place}", replace(trajectory, segments=(*before, other_ids(segment, ids), *after))
            if after:  # the boundary moves to the front
                mine, theirs = list(segment.token_ids[:place]), [*segment.token_ids[place:], *after[0].token_ids]
                moved = (*before, other_ids(segment, mine), other_ids(after[0], theirs), *after[1:])
                yield f"moved {number}:{place}", replace(trajectory, segments=moved)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("make", [demonstrated, sampled])
def test_every_corruption_of_every_token_is_found(name: str, make) -> None:
    trajectory = make(name, dialogue())
    assert problems(name, trajectory) == [] and list(segment_problems(trajectory.segments)) == []
    tried = list(corrupted(trajectory, len(TOKENIZERS[name])))
    assert len(tried) > 3 * len(trajectory.token_ids)
    missed = [what for what, spoilt in tried if not problems(name, spoilt)]
    # What a policy wrote between two calls, or around them, no message tells.
    assert not missed or (name == "qwen3" and make is sampled and len(missed) < 0.01 * len(tried)), missed


def in_parts(name: str, messages: list[Message]) -> Trajectory:
    """Every turn sampled three tokens at a time, each part by newer weights."""
    segments: list[Segment] = []
    for segment in sampled(name, messages).segments:
        if segment.origin != "policy":
            segments.append(segment)
            continue
        for start in range(0, len(segment.token_ids), 3):
            ids = segment.token_ids[start : start + 3]
            segments.append(Segment("policy", ids, (-1.0,) * len(ids), Sampling(), len(segments)))
    return replace(sampled(name, messages), segments=tuple(segments))


@pytest.mark.parametrize("name", FORMATS)
def test_a_turn_that_was_sampled_in_parts_tells_its_message(name: str) -> None:
    trajectory = in_parts(name, dialogue())
    assert problems(name, trajectory) == [] and list(segment_problems(trajectory.segments)) == []
    at = next(number for number, segment in enumerate(trajectory.segments) if segment.origin == "policy") + 1
    ids = [token + 1 for token in trajectory.segments[at].token_ids]
    spoilt = (*trajectory.segments[:at], other_ids(trajectory.segments[at], ids), *trajectory.segments[at + 1 :])
    assert problems(name, replace(trajectory, segments=spoilt))


@pytest.mark.parametrize("name", FORMATS)
def test_the_place_of_the_first_difference_is_named(name: str) -> None:
    trajectory = demonstrated(name, dialogue())
    ids = list(trajectory.segments[2].token_ids)
    was, ids[1] = ids[1], 0
    segments = (*trajectory.segments[:2], other_ids(trajectory.segments[2], ids), *trajectory.segments[3:])
    assert problems(name, replace(trajectory, segments=segments)) == [
        f"segment 2 (context), token 1: 0 where the rendering has {was}"
    ]


def test_what_was_read_behind_the_last_turn_depends_on_the_ending() -> None:
    messages = dialogue()[:7]  # ends with the result of a call
    trajectory = sampled("kimi_k2", messages)
    tail = Segment("context", tuple(RENDERINGS["kimi_k2"].append(messages[6:])))
    whole = replace(trajectory, segments=(*trajectory.segments, tail))

    def ended(given: Trajectory, ending: str) -> list[str]:
        faults = (Fault("engine", "gone"),) if ending == "fault" else ()
        return problems("kimi_k2", replace(given, outcome=Outcome(ending, faults=faults)))  # type: ignore[arg-type]

    assert [ended(trajectory, ending) for ending in ("turn_limit", "malformed", "fault")] == [[], [], []]
    assert [ended(whole, ending) for ending in ("token_limit", "fault")] == [[], []]
    assert ended(trajectory, "token_limit") == ["segment 4 (context) is missing"]
    assert ended(whole, "turn_limit") and ended(whole, "completed")
    assert ended(replace(whole, segments=(*trajectory.segments, other_ids(tail, [*tail.token_ids, 5]))), "token_limit")


def test_a_turn_that_did_not_end_is_one_only_where_the_dialogue_was_cut_off() -> None:
    trajectory = sampled("kimi_k2", dialogue())
    last = trajectory.segments[-1]
    cut = replace(trajectory, segments=(*trajectory.segments[:-1], other_ids(last, list(last.token_ids[:-1]))))
    assert "is no whole turn: the turn has no end" in problems("kimi_k2", cut)[0]
    assert problems("kimi_k2", replace(cut, outcome=Outcome("token_limit"))) == []


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([Segment("policy", (1,), (0.5,), Sampling(), 0)], "1 log-probabilities are not finite numbers of at most 0"),
        ([Segment("policy", (1, 2), (float("nan"), -1.0), Sampling(), 0)], "the first is nan"),
        ([Segment("policy", (1,), (-1.0,), None, 0)], "nobody says how it was sampled"),
        ([Segment("policy", (1,), (-1.0,), Sampling())], "nobody says by which weights"),
        ([Segment("demonstration", ())], "has no tokens"),
        ([Segment("prompt", (1,))], "the origin is none of"),  # type: ignore[arg-type]
        ([Segment("context", (1,))], "no segment is in the loss"),
    ],
)
def test_what_needs_no_tokenizer_is_found_without_one(segments: list[Segment], said: str) -> None:
    assert any(said in problem for problem in segment_problems(segments))


def test_a_dialogue_that_the_format_cannot_say_is_a_problem_and_no_crash() -> None:
    trajectory = demonstrated("kimi_k2", dialogue())
    thinking = replace(trajectory.messages[-1], reasoning_content="Hm.")
    found = problems("kimi_k2", replace(trajectory, messages=(*trajectory.messages[:-1], thinking)))
    assert len(found) == 1 and "cannot be rendered: the kimi_k2 dialect has no place for reasoning_content" in found[0]
    strange = replace(trajectory, segments=(Segment("demonstration", (10**6,)),))
    assert "is not among the" in problems("kimi_k2", strange)[0]
