"""Reasoning with tokens of its own: what follows it has the turn's, and nothing is ever put into the policy's mouth."""

from dataclasses import replace
from functools import cache

import pytest

from rl.policy import dialects
from rl.policy.tokenizer import train_tokenizer
from rl.rollout.agent_loop import rollout
from rl.rollout.episode import RolloutLimits
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_dialogue, repeating_engine, some_tasks
from trajectories.messages import Message
from trajectories.trajectory import Sampling, Segment, Trajectory

LIMITS = RolloutLimits(max_turns=12, max_turn_tokens=200, max_tokens=4000)
THOUGHT = "The user wants this done, so it is looked up first, then the policy is read, and only then it is done."


@cache
def qwen():
    texts = [THOUGHT] * 4
    for message in (message for task in some_tasks() for message in oracle_dialogue(task)):
        texts += [message.content, *(call.arguments for call in message.tool_calls)]
    return dialects.get("qwen3", train_tokenizer(texts * 2, 512, dialect="qwen3"), tools_format="none")


def thinking(task):
    """What the oracle says, after thoughts, with the log-probabilities that tell the place."""
    segments, between = [], []
    for message in oracle_dialogue(task):
        if message.role != "assistant":
            between.append(message)
            continue
        context = qwen().append(between) if segments else qwen().prefix(between)
        said = qwen().render_turn(replace(message, reasoning_content=THOUGHT))
        segments += [Segment("context", tuple(context)), Segment("policy", tuple(said), (-1.0,) * len(said))]
        between = []
    return Trajectory("oracle", task.id, segments=tuple(segments))


async def play(limits, sampling=None, **options):
    task, engine = some_tasks()[0], repeating_engine(thinking(some_tasks()[0]))
    return await rollout(task, 7, engine, LocalEpisodes(), qwen(), sampling or Sampling(), limits, **options)


def policy_tokens(trajectory):
    return [token for segment in trajectory.segments if segment.origin == "policy" for token in segment.token_ids]


def lengths():
    """(tokens of the thought, tokens of the longest rest of a turn) of the oracle's turns."""
    turns = [segment.token_ids for segment in thinking(some_tasks()[0]).segments if segment.origin == "policy"]
    (thought,) = {qwen().reasoning_of(turn)[0] for turn in turns}
    return thought, max(len(turn) for turn in turns) - thought


def test_the_reasoning_of_a_turn_is_its_head_and_is_open_until_it_ends():
    turn = qwen().render_turn(Message("assistant", "Done.", reasoning_content=THOUGHT))
    end = turn.index(qwen().end_of_reasoning) + 1
    for length in range(len(turn) + 1):
        reasoned, goes_on = qwen().reasoning_of(turn[:length])
        assert (reasoned, goes_on) == (min(length, end), 0 < length < end)
    plain = qwen().render_turn(Message("assistant", "Done."))
    assert qwen().reasoning_of(plain) == (0, False) == kimi().reasoning_of(kimi().render_turn(Message("assistant", "Done.")))
    assert kimi().end_of_reasoning is None


async def test_a_budget_that_suffices_changes_nothing_but_the_parts():
    whole = await play(LIMITS)
    thought, _ = lengths()
    assert whole.outcome.ending == "completed"
    apart = await play(replace(LIMITS, max_reasoning_tokens=thought))
    assert apart.token_ids == whole.token_ids and apart.messages == whole.messages and apart.outcome == whole.outcome
    assert apart.loss_mask == whole.loss_mask
    assert all(message.reasoning_content for message in apart.messages if message.role == "assistant")


async def test_what_follows_the_reasoning_has_the_turns_tokens_to_itself():
    thought, rest = lengths()
    tight = replace(LIMITS, max_turn_tokens=rest)
    assert rest < thought + rest and (await play(tight)).outcome.ending == "token_limit"
    assert (await play(replace(tight, max_reasoning_tokens=thought))).outcome.ending == "completed"


async def test_reasoning_that_does_not_end_in_time_ends_the_episode_with_what_was_sampled():
    thought, _ = lengths()
    whole = await play(LIMITS)
    for most in (1, thought // 2, thought - 1):
        cut = await play(replace(LIMITS, max_reasoning_tokens=most))
        assert cut.outcome.ending == "token_limit" and len(policy_tokens(cut)) == most
        assert cut.token_ids == whole.token_ids[: len(cut.token_ids)]


async def test_a_budget_counts_over_the_parts_of_an_unfinished_turn():
    thought, _ = lengths()
    limits = replace(LIMITS, max_reasoning_tokens=thought, iteration_tokens=5)
    pool, unfinished, task = LocalEpisodes(), None, some_tasks()[0]
    engine = repeating_engine(thinking(task))
    for _ in range(400):
        unfinished = await rollout(task, 7, engine, pool, qwen(), Sampling(), limits, unfinished=unfinished)
        if unfinished.outcome is not None:
            break
    whole = await play(LIMITS)
    assert unfinished.token_ids == whole.token_ids and unfinished.messages == whole.messages


async def test_a_budget_with_a_grammar_is_refused():
    with pytest.raises(ValueError, match="limits.max_reasoning_tokens may end in the middle of a turn"):
        await play(replace(LIMITS, max_reasoning_tokens=9), sampling=Sampling(grammar="tool_calls"), for_training=False)


def test_a_budget_of_no_tokens_is_named():
    with pytest.raises(ValueError, match="limits.max_reasoning_tokens is at least 1, not 0"):
        RolloutLimits(max_reasoning_tokens=0)
