"""However an episode is cut, paused, stored and brought back, what comes of it is what would have come of it at once."""

import asyncio
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.rollout.agent_loop import RolloutLimits, rollout
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import Completion, EngineError, Run, WeightUpdate
from rl.rollout.unfinished import WaitingSlots
from rl.training.packing import TokenRow
from tests.rl.rollout.episodes import (
    LocalEpisodes,
    kimi,
    oracle_engine,
    place_log_prob,
    repeating_engine,
    some_tasks,
    text_engine,
)
from tests.rl.rollout.scheduling.virtual_time import simulate
from trajectories.codec import TRAJECTORY_SCHEMA, from_row, to_row
from trajectories.columns import from_batch, to_batch
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Fault
from trajectories.trajectory import Sampling, Segment, Trajectory

LIMITS = RolloutLimits(max_turns=8, max_turn_tokens=200, max_tokens=2000)
TASK = some_tasks()[1]


def play(engine, pool, limits=LIMITS, task=TASK, **options):
    return rollout(task, 7, engine, pool, kimi(), Sampling(), limits, **options)


@cache
def scripts():
    """Whole episodes: the oracle's, one of a clumsy agent, and one that ends in broken markup."""
    begin, stop = kimi().render_turn(call("get_order", "{}"))[0], kimi().stop_token_ids[0]
    engines = [
        oracle_engine(some_tasks(), kimi()),
        text_engine(kimi(), call("nothing", "{"), call("get_order", "[]", 1), Message("assistant", "Which order is it?")),
        text_engine(kimi(), Message("assistant", "Which order is it?"), [begin, begin, stop]),
    ]
    return [asyncio.run(play(engine, LocalEpisodes(), replace(LIMITS, max_turns=3))) for engine in engines]


@pytest.fixture(scope="module", autouse=True)
def played_before_any_test():
    """In an event loop of their own, which no test has yet."""
    scripts()


def call(name, arguments, index=0):
    return Message("assistant", tool_calls=(ToolCall(f"functions.{name}:{index}", name, arguments),))


class Cutting:
    """Cuts what another engine says, and changes the weights under it, as it is told request by request.

    Args:
        plan: for each request, (tokens after which it is cut, or None; places in it where new weights go on; whether the
            weights change before it).
    """

    def __init__(self, engine, plan=()):
        self._engine, self._plan, self.version = engine, list(plan), 0
        self.sampled_by = {}
        self.seeds = []

    async def generate(self, prompt, sampling, **options):
        self.seeds.append((len(prompt), sampling.seed))
        whole = await self._engine.generate(prompt, sampling, **options)
        end, places, changes = self._plan.pop(0) if self._plan else (None, (), False)
        self.version += changes
        is_cut = end is not None and end < len(whole.token_ids)
        tokens = whole.token_ids[:end] if is_cut else whole.token_ids
        bounds = [0, *sorted({place for place in places if 0 < place < len(tokens)}), len(tokens)]
        runs, first = [], self.version
        for start, stop in pairwise(bounds):
            if start:
                self.version += 1
            if stop > start:
                runs.append(Run(stop - start, self.version, first if self.version > first else None))
        place = len(prompt)
        for run in runs:
            self.sampled_by |= {place + offset: (run.policy_version, run.stale_cache_version) for offset in range(run.tokens)}
            place += run.tokens
        reason = "cut" if is_cut else whole.finish_reason
        return Completion(tokens, whole.log_probs[: len(tokens)], reason, self.version, tuple(runs))


def stored(trajectory):
    """As it comes back from a Parquet file."""
    (row,) = from_batch(to_batch([to_row(trajectory)], TRAJECTORY_SCHEMA))
    return from_row(Trajectory, row)


PAUSES = ("wait", "store", "store_and_lose", "lose", "no_room")
PLAN = st.lists(st.tuples(st.none() | st.integers(0, 12), st.lists(st.integers(1, 12), max_size=2), st.booleans()), max_size=12)


async def play_in_pieces(script, limits, plan, budgets, pauses):
    """The trajectory, the engine, and what was unfinished on the way."""
    engine, pool, waiting = Cutting(repeating_engine(script), plan), LocalEpisodes(), WaitingSlots(1)
    trajectory, on_the_way = None, []
    while trajectory is None or trajectory.outcome is None:
        piece = len(on_the_way)
        pause = pauses[piece % len(pauses)]
        budget = budgets[piece % len(budgets)]
        waiting.most = 0 if pause == "no_room" else 1
        trajectory = await play(engine, pool, replace(limits, iteration_tokens=budget), unfinished=trajectory, waiting=waiting)
        assert len(pool.running) <= len(waiting), "only environments that wait are in a slot"
        if trajectory.outcome is not None:
            break
        on_the_way.append(trajectory)
        if pause.startswith("store"):
            assert stored(trajectory) == trajectory
            trajectory = stored(trajectory)
        if pause == "store_and_lose":
            pool, waiting = LocalEpisodes(), WaitingSlots(1)
        if pause == "lose":
            pool.running.clear()
    assert pool.running == {} and len(waiting) == 0
    return trajectory, engine, on_the_way


@settings(max_examples=60)
@given(
    number=st.integers(0, 2),
    limits=st.builds(
        RolloutLimits,
        max_turns=st.integers(1, 4),
        max_turn_tokens=st.integers(1, 60),
        max_reasoning_tokens=st.none() | st.integers(1, 60),
        max_tokens=st.integers(90, 400),
    ),
    plan=PLAN,
    budgets=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    pauses=st.lists(st.sampled_from(PAUSES), min_size=1, max_size=5),
)
def test_no_cut_no_update_and_no_pause_changes_what_comes_of_an_episode(number, limits, plan, budgets, pauses):
    script = scripts()[number]
    whole = asyncio.run(play(repeating_engine(script), LocalEpisodes(), limits))
    cut, engine, on_the_way = asyncio.run(play_in_pieces(script, limits, plan, budgets, pauses))
    assert cut.token_ids == whole.token_ids and cut.loss_mask == whole.loss_mask
    assert cut.behaviour_log_probs == whole.behaviour_log_probs
    assert replace(cut, segments=()) == replace(whole, segments=())  # messages, tools, outcome and all the rest
    for piece in on_the_way:
        assert piece.outcome is None and piece.reward is None
        assert cut.token_ids[: len(piece.token_ids)] == piece.token_ids
        assert cut.messages[: len(piece.messages)] == piece.messages
    place = 0
    for segment in cut.segments:
        for place_of_token, log_prob in enumerate(segment.log_probs or (), place):
            assert engine.sampled_by[place_of_token] == (segment.policy_version, segment.stale_cache_version)
            assert log_prob == place_log_prob(place_of_token)
        place += len(segment.token_ids)
    assert len({seed for _, seed in engine.seeds}) == len({place for place, _ in engine.seeds}), "one seed for each part"


async def test_a_budget_for_reasoning_ends_no_turn_that_has_none():
    for iteration_tokens in (None, 1000):
        limits = replace(LIMITS, max_turns=3, max_reasoning_tokens=2, iteration_tokens=iteration_tokens)
        played = await play(repeating_engine(scripts()[0]), LocalEpisodes(), limits)
        assert played.token_ids == scripts()[0].token_ids and played.outcome == scripts()[0].outcome


async def test_an_episode_stays_within_the_tokens_of_each_iteration_and_uses_them_up():
    script = scripts()[0]
    trajectory, spent = None, []
    waiting, pool = WaitingSlots(1), LocalEpisodes()
    while trajectory is None or trajectory.outcome is None:
        before = trajectory.num_policy_tokens if trajectory else 0
        limits = replace(LIMITS, iteration_tokens=6)
        trajectory = await play(repeating_engine(script), pool, limits, unfinished=trajectory, waiting=waiting)
        spent.append(trajectory.num_policy_tokens - before)
    assert set(spent[:-1]) == {6} and 0 < spent[-1] <= 6
    assert pool.resets == 1, "its environment waited"


async def test_a_turn_that_was_cut_names_turn_and_part_in_its_seeds_and_requests():
    asked = []

    class Heard(Cutting):
        async def generate(self, prompt, sampling, *, request_id, **options):
            asked.append((request_id, sampling.seed))
            return await super().generate(prompt, sampling, request_id=request_id, **options)

    whole = Heard(repeating_engine(scripts()[0]))
    at_once = await play(whole, LocalEpisodes())
    first = list(asked)
    asked.clear()
    cut = await play(Heard(repeating_engine(scripts()[0]), [(2, (), 0), (0, (), 0), (3, (), 0)]), LocalEpisodes())
    assert [name.rsplit("/", 1)[1] for name, _ in asked[:4]] == ["0", "0.1", "0.1", "0.2"], "an empty part is none"
    assert asked[0] == first[0] and [item for item in asked if item in first] == first, "whole turns draw as ever"
    assert len({seed for _, seed in asked}) == len(asked) - 1
    assert [len(segment.token_ids) for segment in cut.segments[1:3]] == [2, 3]
    assert cut.outcome == at_once.outcome


async def play_and_update(script, events):
    """Episodes of a sleeping engine, one token a second, while its weights change; (seconds, mode) one after the other."""
    engine = repeating_engine(script, latency=lambda request_id, tokens: tokens)
    playing = asyncio.create_task(play(engine, LocalEpisodes()))
    for version, (seconds, mode) in enumerate(events, 1):
        await asyncio.sleep(seconds)
        if mode == "interrupt":
            await engine.interrupt()
        else:
            await engine.update_weights(WeightUpdate(version, "nowhere", "abc"), mode)
    return await playing


@settings(max_examples=40)
@given(
    st.integers(0, 2),
    st.lists(
        st.tuples(
            st.integers(0, 99).map(lambda tenths: tenths / 10), st.sampled_from(["wait", "recompute", "keep", "interrupt"])
        ),
        max_size=8,
    ),
)
def test_updates_in_flight_change_no_word_and_every_token_names_who_sampled_it(number, events):
    script = scripts()[number]
    trajectory = simulate(play_and_update(script, events))
    assert replace(trajectory, segments=()) == replace(script, segments=())
    assert trajectory.token_ids == script.token_ids and trajectory.behaviour_log_probs == [
        place_log_prob(place) if sampled else 0.0 for place, sampled in enumerate(script.loss_mask)
    ]
    policy = [segment for segment in trajectory.segments if segment.origin == "policy"]
    versions = [segment.policy_version for segment in policy]
    assert versions == sorted(versions)
    row = TokenRow.of(trajectory)
    oldest = [min(s.policy_version, s.policy_version if s.stale_cache_version is None else s.stale_cache_version) for s in policy]
    expected = [version for version, segment in zip(oldest, policy, strict=True) for _ in segment.token_ids]
    assert row.versions[row.loss_mask].tolist() == expected and (row.versions[~row.loss_mask] == -1).all()


@pytest.mark.parametrize(
    ("mode", "segments"),
    [
        ("wait", [(0, None), (1, None)]),
        ("recompute", [(0, None), (1, None), (1, None)]),
        ("keep", [(0, None), (1, 0), (1, None)]),
    ],
)
def test_a_segment_ends_where_another_version_goes_on(mode, segments):
    script = scripts()[0]
    trajectory = simulate(play_and_update(script, [(4.5, mode)]))
    policy = [segment for segment in trajectory.segments if segment.origin == "policy"]
    seen = [(segment.policy_version, segment.stale_cache_version) for segment in policy]
    assert seen[: len(segments)] == segments and set(seen[len(segments) :]) <= {(1, None)}
    first = len(script.segments[1].token_ids)
    assert [len(segment.token_ids) for segment in policy][: 1 + (mode != "wait")] == (
        [first] if mode == "wait" else [4, first - 4]
    )


def up_to_the_second_turn():
    """Limits under which the first script stops when it has said two tokens of its second turn."""
    return replace(LIMITS, iteration_tokens=len(scripts()[0].segments[1].token_ids) + 2)


async def unfinished():
    return await play(repeating_engine(scripts()[0]), LocalEpisodes(), up_to_the_second_turn())


@pytest.mark.parametrize(
    "change",
    [{"task_id": "another"}, {"seed": 8}, {"rollout": 1}, {"id": "elsewhere"}, {"metadata": {}}],
    ids=["task", "seed", "rollout", "id", "no word of where it stopped"],
)
async def test_an_unfinished_trajectory_of_another_episode_is_refused(change):
    trajectory = replace(await unfinished(), **change)
    with pytest.raises(ValueError, match="unfinished"):
        await play(repeating_engine(scripts()[0]), LocalEpisodes(), unfinished=trajectory)


async def test_a_finished_trajectory_is_not_gone_on_with():
    with pytest.raises(ValueError, match="is not unfinished"):
        await play(repeating_engine(scripts()[0]), LocalEpisodes(), unfinished=scripts()[0])


def other_words(trajectory, role):
    """The trajectory with other words in the last message of a role."""
    messages = list(trajectory.messages)
    at = max(number for number, message in enumerate(messages) if message.role == role)
    messages[at] = replace(messages[at], content=messages[at].content + " And now?")
    return replace(trajectory, messages=tuple(messages))


def other_token(trajectory, number):
    segments = list(trajectory.segments)
    ids = list(segments[number].token_ids)
    ids[1] = 300 if ids[1] != 300 else 301
    segments[number] = replace(segments[number], token_ids=tuple(ids))
    return replace(trajectory, segments=tuple(segments))


DEMONSTRATION = Segment("demonstration", (5,))


@pytest.mark.parametrize(
    ("tamper", "names"),
    [
        (lambda item: other_words(item, "tool"), "turn 1: the tokens before it"),
        (lambda item: other_words(item, "user"), "turn 0: the tokens before it"),
        (lambda item: other_words(item, "assistant"), "turn 0: the policy's tokens"),
        (lambda item: other_token(item, 0), "turn 0: the tokens before it"),
        (lambda item: other_token(item, 1), "turn 0: the policy's tokens"),
        (lambda item: replace(item, segments=item.segments[:1]), "runs of tokens"),
        (lambda item: replace(item, segments=item.segments[1:]), "runs of tokens|origin policy"),
        (lambda item: replace(item, metadata={"unfinished": {"turn": 3, "part": 1}}), "says that it stopped at"),
        (lambda item: replace(item, metadata={"unfinished": {"turn": 1, "part": 2}}), "says that it stopped at"),
        (lambda item: replace(item, segments=(*item.segments[:-1], item.segments[0])), "turn 1: the tokens before it"),
        (lambda item: replace(item, segments=(*item.segments[:-1], DEMONSTRATION)), "turn 1: tokens of origin demonstration"),
        (lambda item: replace(item, segments=(item.segments[1], *item.segments[1:])), "turn 0: tokens of origin policy"),
        (lambda item: replace(item, metadata={"unfinished": "here"}), "says that it stopped at here"),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
async def test_what_its_tokens_do_not_tell_is_a_fault_that_names_the_place(tamper, names, waits):
    pool, waiting = LocalEpisodes(), WaitingSlots(1)
    script = scripts()[0]
    honest = await play(repeating_engine(script), pool, up_to_the_second_turn(), waiting=waiting)
    assert len(honest.messages) > 3 and len(waiting) == 1
    if not waits:
        pool, waiting = LocalEpisodes(), WaitingSlots(1)
    trajectory = await play(repeating_engine(script), pool, unfinished=tamper(honest), waiting=waiting)
    assert trajectory.outcome.ending == "fault" and pool.running == {} and len(waiting) == 0
    (fault,) = trajectory.outcome.faults
    assert fault.source == "infrastructure"
    with pytest.raises(AssertionError, match=names):
        raise AssertionError(fault.message)


class Different(LocalEpisodes):
    """A world that is not what it was."""

    async def step(self, slot, message):
        result = await super().step(slot, message)
        return replace(result, messages=(replace(result.messages[0], content="Sold out."), *result.messages[1:]))


async def test_a_replay_that_differs_is_a_fault_that_says_what_differed():
    pool = Different()
    trajectory = await play(repeating_engine(scripts()[0]), pool, unfinished=await unfinished())
    (fault,) = trajectory.outcome.faults
    assert fault.source == "infrastructure" and pool.running == {}
    assert "turn 0" in fault.message and "Sold out." in fault.message and "is recorded" in fault.message


@pytest.mark.parametrize("tokens", [2, 30])
async def test_another_task_behind_the_same_name_is_a_fault(tokens):
    waits = await play(repeating_engine(scripts()[0]), LocalEpisodes(), replace(LIMITS, iteration_tokens=tokens))
    pool, task = LocalEpisodes(), replace(some_tasks()[2], id=TASK.id)
    trajectory = await play(repeating_engine(scripts()[0]), pool, task=task, unfinished=waits)
    assert "replay of an unfinished episode: " in trajectory.outcome.faults[0].message and pool.running == {}


async def test_other_tools_than_it_was_told_of_are_a_fault():
    waits = replace(await unfinished(), tools=scripts()[0].tools[1:])
    trajectory = await play(repeating_engine(scripts()[0]), LocalEpisodes(), unfinished=waits)
    assert "its tools are not those that are recorded" in trajectory.outcome.faults[0].message


async def test_a_slot_that_another_episode_took_is_not_mistaken_for_its_own():
    pool, waiting, engine = LocalEpisodes(), WaitingSlots(2), repeating_engine(scripts()[0])
    first = await play(engine, pool, up_to_the_second_turn(), waiting=waiting)
    await play(engine, pool, replace(LIMITS, iteration_tokens=1), waiting=waiting)  # anew, in the same slot
    again = await play(engine, pool, unfinished=first, waiting=waiting)
    assert again.outcome == scripts()[0].outcome and pool.running == {}
    await play(engine, pool, up_to_the_second_turn(), waiting=waiting)
    await play(engine, pool, waiting=waiting)  # anew, to its end
    assert len(waiting) == 0 and pool.running == {}, "nobody waits in a slot that another has left"
    # And by somebody who does not play by the rules.
    first = await play(engine, pool, up_to_the_second_turn(), waiting=waiting)
    await pool.reset(first.id, TASK, 3)
    taken = await play(engine, pool, unfinished=first, waiting=waiting)
    fault = "turn 2 was due and turn 1 was played: another episode took the slot"
    assert taken.outcome.faults == (Fault("infrastructure", fault),)


async def test_waiting_environments_are_bounded_and_the_bound_changes_no_trajectory():
    tasks = some_tasks()
    scripted = await rollout_batch(tasks, 1, 7, oracle_engine(tasks, kimi()), LocalEpisodes(), kimi(), Sampling(), LIMITS)
    seen = []
    for most in (0, 2, 9):
        pool, waiting, played = LocalEpisodes(), WaitingSlots(most), []
        while not played or any(item.outcome is None for item in played):
            played = await rollout_batch(
                tasks, 1, 7, repeating_engine(*scripted), pool, kimi(), Sampling(), replace(LIMITS, iteration_tokens=9),
                earlier=played, waiting=waiting,
            )  # fmt: skip
            assert len(pool.running) == len(waiting) <= most
        assert pool.running == {}
        seen.append(played)
        assert [item.outcome for item in played] == [item.outcome for item in scripted]
        assert [item.token_ids for item in played] == [item.token_ids for item in scripted]
    assert seen[0] == seen[1] == seen[2]


async def test_an_episode_that_goes_in_circles_ends_when_its_tokens_are_spent():
    word = kimi().codec.encode("order ")
    turn = [*(word * 40), kimi().stop_token_ids[0]]
    circles = replace(LIMITS, iteration_tokens=len(word) * 20, repetition_ngram=4)
    waits = await play(text_engine(kimi(), turn), LocalEpisodes(), circles)
    assert waits.outcome is None, "never, unless it is asked for"
    pool = LocalEpisodes()
    ended = await play(text_engine(kimi(), turn), pool, replace(circles, max_repetition=0.5))
    assert ended.outcome.ending == "token_limit" and ended.outcome.faults == () and pool.running == {}
    assert ended.segments == waits.segments and ended.messages[-1].content.startswith("order order")
    honest = await play(repeating_engine(scripts()[0]), LocalEpisodes(), replace(LIMITS, iteration_tokens=9, max_repetition=0.5))
    assert honest.outcome is None


@pytest.mark.parametrize("requests", [0, 1, 3])
async def test_an_engine_that_breaks_between_two_parts_leaves_what_was_said(requests):
    class Breaking(Cutting):
        async def generate(self, *arguments, **options):
            if len(self.seeds) == requests:
                raise EngineError("its actor died")
            return await super().generate(*arguments, **options)

    pool = LocalEpisodes()
    trajectory = await play(Breaking(repeating_engine(scripts()[0]), [(2, (), 0)] * 3), pool)
    assert trajectory.outcome.ending == "fault" and pool.running == {}
    assert trajectory.outcome.faults == (Fault("engine", "its actor died"),)
    assert trajectory.outcome.messages == trajectory.messages[1:]
    assert [message.role for message in trajectory.messages[2:]] == ["assistant"] * bool(requests)
    assert [segment.origin for segment in trajectory.segments] == ["context", *["policy"] * requests]


async def test_a_turn_held_to_a_grammar_is_not_cut():
    held = {"sampling": Sampling(grammar="tool_calls"), "for_training": False}
    arguments = (TASK, 7, Cutting(repeating_engine(scripts()[0]), [(2, (), 0)]), LocalEpisodes(), kimi())
    with pytest.raises(ValueError, match="no grammar can go on"):
        await rollout(*arguments, limits=replace(LIMITS, iteration_tokens=5), **held)
    cut = await rollout(*arguments, limits=LIMITS, **held)
    assert cut.outcome.faults[0].source == "engine" and "grammar" in cut.outcome.faults[0].message


@pytest.mark.parametrize(
    "wrong", [{"iteration_tokens": 0}, {"max_repetition": 0.0}, {"max_repetition": 1.5}, {"repetition_ngram": 0}]
)
def test_limits_that_make_no_sense_are_named(wrong):
    with pytest.raises(ValueError, match=f"limits.{next(iter(wrong))}"):
        RolloutLimits(**wrong)
