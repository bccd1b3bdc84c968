"""An agent has all that its task needs, whatever else it has; its tools and its prompt tell nobody what is right."""

import random
from collections import defaultdict
from dataclasses import replace
from functools import cache

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.environment import Environment
from simulators.evolution.growing import grow
from simulators.evolution.reading import categories
from simulators.stochastic import ToolTroubles
from simulators.tasks import certify, compose, make_agent, play
from simulators.tasks.equipping import AgentMix, equip, nearness, needed_tools
from simulators.tasks.patient import most_turns
from simulators.tasks.preambles import LANGUAGES, draw_preamble
from simulators.worlds import WorldSpec
from trajectories.canonical import canonical_json
from trajectories.codec import from_row, to_row
from trajectories.messages import Message, ToolCall
from trajectories.tasks import Criterion, Task
from trajectories.words import stands_in

VERIFY = verifier_for("tool_use").verify
FAMILIES = ("act", "refuse", "search", "ask", "lookup")
GROWN = ("outpatient_clinic", "plant_maintenance")
NAMES = (*worlds.names(), *GROWN)
EVERY = AgentMix(share=1.0)
mixes = st.builds(
    lambda first, second, weights: AgentMix(1.0, min(first, second), max(first, second), *weights),
    st.integers(2, 128),
    st.integers(2, 128),
    st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.2, 0.3)]),
)


@cache
def world_of(name: str) -> WorldSpec:
    if name not in GROWN:
        return worlds.load(name)
    return grow(next(domain for item in categories() for key, domain in item.domains.items() if key == name), 0).world


def composed(name: str, index: int, **settings) -> Task:
    defaults = {"run_seed": 3, "split": "train", "difficulty": 1 + index % 3, "families": FAMILIES}
    return compose(world_of(name), index, **{**defaults, **settings})


def equipped(name: str, index: int, mix: AgentMix = EVERY, seed: int = 0, **settings) -> Task:
    return equip(composed(name, index, **settings), world_of(name), mix, random.Random(seed))


@given(st.sampled_from(NAMES), st.integers(0, 50), st.integers(0, 2**32), mixes)
@settings(max_examples=60, deadline=None)
def test_an_agent_has_what_the_task_needs_and_as_many_tools_as_the_mix_says(name, index, seed, mix):
    world, task = world_of(name), composed(name, index)
    agent = equip(task, world, mix, random.Random(seed)).agent
    assert agent == equip(task, world, mix, random.Random(seed)).agent
    tools, needed = agent.tools, needed_tools(task, world)
    assert len(set(tools)) == len(tools) and set(needed) <= set(tools) <= set(world.operations)
    fewest, most = max(mix.fewest_tools, len(needed)), max(mix.most_tools, len(needed))
    assert min(fewest, len(world.operations)) <= len(tools) <= min(most, len(world.operations))
    assert 2 <= len(tools) <= 128


@pytest.mark.parametrize("name", NAMES)
def test_every_equipped_task_is_certified_by_the_same_cheats_as_before(name):
    world, certified = world_of(name), 0
    for index in range(9):
        plain, task = composed(name, index), equipped(name, index, seed=index)
        assert task.id == task.content_id() != plain.id and task.certificate is None
        outcome = play(task, world, make_agent("oracle", task, world), 1, max_turns=24)[2]
        assert VERIFY(task, outcome).value == 1.0
        before, after = (certify(each, world, VERIFY).certificate for each in (plain, task))
        assert (after.certified, after.cheats) == (before.certified, before.cheats), after.reasons
        certified += after.certified
        assert from_row(Task, to_row(task)) == task
    assert certified >= 7, "a stream replaces the others"


@pytest.mark.parametrize("name", NAMES)
def test_hidden_tools_are_errors_and_change_nothing(name):
    world, task = world_of(name), equipped(name, 4, AgentMix(1.0, 2, 2))
    environment = Environment(world)
    shown = [tool.name for tool in environment.reset(task, 0).tools]
    assert shown == list(task.agent.tools) and len(shown) < len(world.operations)
    state = world.instantiate(task.seed, task.gold.initialise)
    hidden = [tool for tool in world.operations.values() if tool.name not in shown][:60]
    calls = []
    for tool in hidden:
        keys = {arg.name: next(iter(state.keys(arg.entity))) for arg in tool.arguments.values() if arg.kind == "key"}
        calls.append(ToolCall(f"functions.{tool.name}:0", tool.name, canonical_json(keys)))
    environment.step(Message("assistant", tool_calls=tuple(calls)))
    outcome = environment.outcome()
    assert len(outcome.calls) == len(hidden) and all(call.is_error for call in outcome.calls)
    assert all(f"no tool {call.name[:40]}" in call.content for call in outcome.calls) and outcome.changes == ()


@pytest.mark.parametrize("name", NAMES)
def test_needed_tools_are_the_same_whether_policy_allows_the_wish_or_not(name):
    world, needed = world_of(name), defaultdict(lambda: defaultdict(set))
    for index in range(60):
        task = composed(name, index, difficulty=1, families=("act", "refuse"))
        (operation,) = [tag for tag in task.tags if tag.startswith("op:")]
        needed[operation]["refuse" in task.tags].add(needed_tools(task, world))
    both = [sides for sides in needed.values() if len(sides) == 2]
    assert both and all(sides[True] == sides[False] and len(sides[True]) == 1 for sides in both)


@pytest.mark.parametrize("name", NAMES)
def test_refusing_and_what_the_user_asked_for_are_always_possible(name):
    world = world_of(name)
    for index in range(12):
        task = equipped(name, index, AgentMix(1.0, 2, 2))
        asked = {tag.removeprefix("op:") for tag in task.tags if tag.startswith("op:")}
        assert asked | {world.decline_operation.name} <= set(task.agent.tools)


def test_near_distractors_are_more_like_the_needed_tools_than_far_ones_and_mixed_ones_lie_between():
    name = GROWN[0]
    world, likeness = world_of(name), {}
    for kind in ("near", "mixed", "far"):
        mix = AgentMix(1.0, 16, 16, **{"near": 0, "far": 0, "mixed": 0, kind: 1})
        values = []
        for index in range(20):
            task = equipped(name, index, mix, seed=index)
            needed = needed_tools(task, world)
            values += [nearness(world, tool, needed) for tool in task.agent.tools if tool not in needed]
        likeness[kind] = sum(values) / len(values)
    assert likeness["near"] > likeness["mixed"] + 0.3 > likeness["far"] + 0.6
    read = world.operations_of("patient", "read")[0].name
    assert nearness(world, read, [read]) == 3.0


def test_the_order_of_tools_is_drawn_and_needed_ones_stand_anywhere():
    places = defaultdict(set)
    for seed in range(40):
        task = equipped("order_desk", 0, AgentMix(1.0, 0, 0), seed)
        assert len(task.agent.tools) == 8
        for place, tool in enumerate(task.agent.tools):
            places[tool].add(place)
    assert all(len(found) >= 6 for found in places.values())


def test_with_no_bounds_agents_have_every_tool_of_a_world_that_has_more_than_the_most():
    world = world_of(GROWN[0])
    assert len(world.operations) > 128
    assert len(equipped(GROWN[0], 0, AgentMix(1.0, 0, 0)).agent.tools) == len(world.operations)
    assert len(equipped(GROWN[0], 0, AgentMix(1.0, 128, 128)).agent.tools) == 128


def test_a_patient_oracle_passes_with_the_agents_tools_under_all_troubles():
    troubles = ToolTroubles.uniform(timeout_after_commit=0.4, malformed=0.2, transient=0.2, stale=0.2, permanent=0.5)
    for name in NAMES:
        world = world_of(name)
        for index in range(6):
            task = equipped(name, index, AgentMix(1.0, 2, 8), seed=index)
            patient = make_agent("patient", task, world)
            turns = most_turns(task, world, troubles)
            outcome = play(task, world, patient, 1, max_turns=turns, troubles=troubles)[2]
            assert VERIFY(task, outcome).value == 1.0


def test_there_are_thousands_of_preambles_in_two_languages_and_nearly_none_comes_twice():
    rng = random.Random(0)
    for language in LANGUAGES:
        drawn = [draw_preamble("Order desk", language, rng) for _ in range(3000)]
        assert len({text for _, text in drawn}) > 2900
        assert sum(any("\u4e00" <= sign <= "\u9fff" for sign in text) for _, text in drawn) == 3000 * (language == "zh")
        assert not any(sign in text for _, text in drawn for sign in "{}0123456789")


def test_preambles_have_forty_roles_and_no_word_that_decides_anything(request):
    path = request.config.rootpath / "simulators" / "tasks" / "prompts.yaml"
    parts = yaml.safe_load(path.read_text("utf-8"))
    assert tuple(parts) == LANGUAGES and sum(len(part["roles"]) for part in parts.values()) >= 40
    texts = [text for part in parts.values() for key in ("tones", "lengths", "rules") for text in part[key]]
    texts += [text for part in parts.values() for text in part["roles"].values()]
    assert len(set(texts)) == len(texts)
    world_words = {word for name in NAMES for word in world_of(name).operations}
    world_words |= {policy.reason for name in NAMES for policy in world_of(name).policies if policy.reason}
    forms = {"JSON", "XML", "YAML", "markdown", "English", "Chinese", "decline", "refuse", "approve", "always", "中文", "英文"}
    for text in texts:
        assert not [word for word in forms | world_words if stands_in(word.replace("_", " "), text)], text


def test_a_preamble_never_holds_what_must_be_found_out():
    task = composed("order_desk", 0)
    words = Criterion("says_1", "says", ("you", "the", "not:company"))
    task = replace(task, rubric=replace(task.rubric, criteria=(*task.rubric.criteria, words)))
    agents = [equip(task, world_of("order_desk"), AgentMix(1.0, chinese=0), random.Random(seed)).agent for seed in range(40)]
    assert all(not any(stands_in(word, agent.preamble) for word in ("you", "the", "company")) for agent in agents)
    assert all(agent.name == "plain" for agent in agents if not agent.preamble)


def test_preambles_and_languages_are_as_frequent_as_set():
    agents = [equipped("travel", 0, AgentMix(1.0, preambles=0.5, chinese=0.5), seed).agent for seed in range(200)]
    chinese = sum("\u4e00" <= agent.preamble[-2:-1] <= "\u9fff" for agent in agents)
    assert 70 < sum(bool(agent.preamble) for agent in agents) < 130 and 25 < chinese < 75


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.1}, "share: is from 0 to 1, not 1.1"),
        ({"preambles": float("nan")}, "preambles: is from 0 to 1"),
        ({"fewest_tools": 1}, "fewest_tools: is from 2 to 128, or 0 for all tools of the world, not 1"),
        ({"most_tools": 129}, "most_tools: is from 2 to 128"),
        ({"fewest_tools": 9, "most_tools": 8}, "fewest_tools: 9 is more than most_tools, 8"),
        ({"fewest_tools": 0}, "fewest_tools: all is more than most_tools, 128"),
        ({"far": -1}, "far: is a finite weight of at least 0, not -1"),
        ({"near": 0, "far": 0, "mixed": 0}, "near: at least one of near, far and mixed"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused_by_its_key(settings, message):
    with pytest.raises(ValueError, match=message):
        AgentMix(**settings)
