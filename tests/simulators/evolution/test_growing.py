"""What grows is valid, distinct, callable, the same every time, and changes only as its steps say."""

import copy
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verifier_for
from simulators.evolution.domains import Domain
from simulators.evolution.draft import a, spoken
from simulators.evolution.errands import errand
from simulators.evolution.fingerprints import tool_fingerprint
from simulators.evolution.growing import grow
from simulators.evolution.operators import OPERATORS
from simulators.evolution.reading import categories
from simulators.evolution.registry import domain_rows
from simulators.evolution.seed_world import seed_draft
from simulators.tasks import make_agent, play
from simulators.worlds import WorldState, parse
from trajectories.canonical import canonical_json, digest

ALL = [domain for category in categories() for domain in category.domains.values()]
SOME = ALL[::40]
VERIFY = verifier_for("tool_use").verify
domains = st.sampled_from(ALL)
EFFORT = settings(max_examples=6, deadline=None)


@pytest.mark.parametrize("domain", SOME, ids=lambda domain: domain.name)
def test_tools_are_many_distinct_and_each_answers_a_call(domain: Domain) -> None:
    rows = domain_rows(domain, 0, VERIFY)
    tools, steps, document = rows.tools, rows.steps, rows.world
    assert len(tools) >= 63  # times 320 domains: twenty thousand
    assert len({row["fingerprint"] for row in tools}) == len(tools) == len({row["tool"] for row in tools})
    assert [row["tool"] for row in tools if not row["called"]] == []
    assert {row["change"] for row in steps} == {"additive", "breaking", "cosmetic"} - (
        set() if any(row["operator"] == "rename" for row in steps) else {"cosmetic"}
    )
    assert all(row["description"][0].isupper() and row["description"].endswith(".") for row in tools)
    world = parse(document)
    assert [row["tool"] for row in tools if not row["certified"]] == []
    for task, row in zip(rows.tasks, tools, strict=True):
        best = play(task, world, make_agent("oracle", task, world), task.seed)[2]
        assert VERIFY(task, best).value == 1.0
        assert any(call.name == row["tool"] and not call.is_error for call in best.calls)
        assert task.certificate.certified and set(task.certificate.cheats.values()) == {0.0}
        blind = len(task.gold.calls) == 1 and world.operations[row["tool"]].changes_state
        assert not blind, f"{row['tool']}: one blind call does it"
    for row in tools[::9]:
        state = world.instantiate(row["example_seed"])
        assert not state.call(row["tool"], row["example_arguments"]).isError


@EFFORT
@given(domains, st.integers(0, 2**32))
def test_growing_is_a_function_of_domain_and_seed(domain: Domain, seed: int) -> None:
    first, second = grow(domain, seed), grow(domain, seed)
    assert first.world.fingerprint() == second.world.fingerprint() and first.steps == second.steps


@pytest.mark.parametrize("domain", SOME, ids=lambda domain: domain.name)
def test_every_rule_that_the_agent_is_told_is_in_force(domain: Domain) -> None:
    world = grow(domain, 0).world
    assert {policy.id for policy in world.policies} >= {rule.id for rule in domain.rules}
    assert all(policy.operations and policy.text.removesuffix(".") in world.instructions for policy in world.policies)
    told = re.findall(r"decline with reason (\w+)", world.instructions)
    assert sorted(told) == sorted(policy.reason for policy in world.policies if policy.reason)
    assert "confirmation" in {policy.demands for policy in world.policies}


@EFFORT
@given(domains)
def test_steps_are_a_chain_from_the_seed_world_to_the_grown_one(domain: Domain) -> None:
    grown = grow(domain, 0)
    assert all(step.child == after.parent for step, after in zip(grown.steps, grown.steps[1:], strict=False))
    assert all(step.parent != step.child for step in grown.steps)
    assert grown.steps[-1].child == grown.world.fingerprint()
    assert set(grown.origin) == set(grown.world.operations)


@EFFORT
@given(domains, st.integers(0, 100))
def test_a_step_does_what_its_class_says(domain: Domain, seed: int) -> None:
    draft = seed_draft(domain, random.Random(seed))
    for operator in OPERATORS:
        before = copy.deepcopy(draft.document)
        taken = len(draft.steps)
        operator(draft)
        classes = {step.change for step in draft.steps[taken:]}
        after = draft.document
        if classes <= {"additive"}:
            for name, tool in before["operations"].items():
                assert interface(after["operations"][name]) == interface(tool), f"{operator.__name__} changed {name}"
            assert after["policies"] == before["policies"]
        if classes == {"cosmetic"}:
            prints = [sorted(fingerprints(document).values()) for document in (before, after)]
            assert prints[0] == prints[1] and before["entities"] == after["entities"]
        parse(copy.deepcopy(after) | {"policies": after["policies"] or [any_policy(domain)]})


def interface(tool: dict[str, Any]) -> str:
    """Everything but what a new record begins with where nobody says anything."""
    plain = copy.deepcopy(tool)
    for effect in plain.get("effects", []):
        if "create" in effect:
            effect["create"]["fields"] = {k: v for k, v in effect["create"]["fields"].items() if isinstance(v, dict)}
    return canonical_json(plain)


def fingerprints(document: dict[str, Any]) -> dict[str, str]:
    return {name: tool_fingerprint(document, name, shapes=True) for name in document["operations"]}


def any_policy(domain: Domain) -> dict[str, Any]:
    case, rule = domain.case, domain.rules[0]
    return {"id": "any", "text": "Never.", "operations": [f"{case.moves[0].name}_{case.name}"], "entity": case.name,
            "forbids_when": dict(rule.when), "reason": "any"}  # fmt: skip


def test_renaming_everything_leaves_the_fingerprint_and_a_change_does_not() -> None:
    document = dict(grow(SOME[0], 0).world.source)
    names = {entity: f"x{number}" for number, entity in enumerate(document["entities"])}
    operations = document["operations"]
    tool = next(name for name, part in operations.items() if part["kind"] == "search" and "records" not in part)
    moved = copy.deepcopy(document)
    entity = moved["operations"][tool]["entity"]
    new = names[entity]
    moved["entities"] = {names[name]: part for name, part in moved["entities"].items()}
    text = canonical_json(moved["operations"][tool]).replace(f'"{entity}"', f'"{new}"').replace(f'"{entity}.', f'"{new}.')
    moved["operations"]["renamed"] = {key: json.loads(text)[key] for key in moved["operations"][tool]}
    assert tool_fingerprint(moved, "renamed", shapes=True) == tool_fingerprint(document, tool, shapes=True)
    other = copy.deepcopy(document)
    other["operations"][tool]["match"][0]["op"] = "not_equal"
    assert tool_fingerprint(other, tool, shapes=True) != tool_fingerprint(document, tool, shapes=True)


@EFFORT
@given(domains, st.integers(0, 5), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=12))
def test_no_error_changes_a_grown_world_and_digests_tell_contents(
    domain: Domain, seed: int, plan: list[tuple[int, int]]
) -> None:
    rows = domain_rows(domain, 0, VERIFY)
    tools, world = rows.tools, parse(rows.world)
    state: WorldState = world.instantiate(seed)
    for choice, _ in plan:
        row = tools[choice % len(tools)]
        before, content = state.digest(), whole(state)
        result = state.call(row["tool"], row["example_arguments"])
        if result.isError or not world.operations[row["tool"]].changes_state:
            assert (state.digest(), whole(state)) == (before, content)
        else:
            assert (state.digest() == before) == (whole(state) == content)


def whole(state: WorldState) -> str:
    return digest({entity: state.records(entity) for entity in state.world.entities})


def test_words_are_said_as_people_say_them() -> None:
    nouns = ("outlet", "room_type", "unit", "upgrade")
    assert [a(noun) for noun in nouns] == ["an outlet", "a room type", "a unit", "an upgrade"]
    assert spoken("bearer_email", "bearer") == "email" and spoken("issued_on", "card") == "issued date"


def test_a_yes_or_no_that_an_errand_borrows_must_be_looked_up() -> None:
    domain = next(item for category in categories() for item in category.domains.values() if item.name == "operating_theatre")
    world = grow(domain, 0).world
    task = errand(world, "register_theatre", run_seed=0, split="train", verify=VERIFY)
    assert task is not None and [item.name.partition("_")[0] for item in task.rubric.checkpoints] == ["look"]
    assert task.certificate is not None and task.certificate.cheats["one_call"] == 0.0
