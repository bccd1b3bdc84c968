"""Bad tasks, made from good ones by one stroke each, are refused for what is bad about them; the good ones pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.tasks.certify import certify
from simulators.tasks.compose import compose
from simulators.tasks.leaks import answers, leaks
from simulators.tasks.stream import TaskStream
from simulators.worlds import WorldSpec
from trajectories.messages import ToolSpec
from trajectories.tasks import Certificate, Criterion, Fact, Rubric, Task
from trajectories.words import stands_in

VERIFY = verifier_for("tool_use").verify
WORLD = worlds.load("order_desk")


def judged(task: Task, world: WorldSpec = WORLD) -> Certificate:
    certificate = certify(task.with_id(), world, VERIFY).certificate
    assert certificate is not None
    return certificate


def good(family: str, fits: Callable[[Task], bool] = lambda task: True) -> Task:
    """The first task of this family that fits; tasks of one sub-goal, so that every part has one place."""
    tasks = (compose(WORLD, n, run_seed=3, split="train", difficulty=1, families=(family,)) for n in range(60))
    return next(task for task in tasks if fits(task) and judged(task).certified)


def changes_count(task: Task) -> bool:
    return task.gold.calls[-1].tool == "change_count"


ACT, REFUSE, ASK = good("act", changes_count), good("refuse"), good("ask")
LOOKUP = good("lookup", lambda task: task.rubric.criteria[1].expected[0] in ("sent", "done"))
ANSWER = answers(LOOKUP)[0]


@pytest.mark.parametrize("task", [ACT, REFUSE, ASK, LOOKUP], ids=["act", "refuse", "ask", "lookup"])
def test_the_originals_are_certified(task: Task) -> None:
    assert judged(task).certified, judged(task).reasons


def with_gold(task: Task, **changes) -> Task:
    return replace(task, gold=replace(task.gold, **changes))


def with_rubric(task: Task, **changes) -> Task:
    return replace(task, rubric=replace(task.rubric, **changes))


def with_ledger(task: Task, **changes) -> Task:
    return replace(task, ledger=replace(task.ledger, **changes))


def without_criterion(task: Task, name: str) -> Task:
    return with_rubric(task, criteria=tuple(item for item in task.rubric.criteria if item.name != name))


def saying(task: Task, *expected: str) -> Task:
    criteria = [replace(item, expected=expected) if item.kind == "says" else item for item in task.rubric.criteria]
    return with_rubric(task, criteria=tuple(criteria))


def already_so(task: Task) -> Task:
    """The order has the count that the user asks for."""
    wanted = task.gold.calls[-1].arguments["count"]
    patches = [replace(patch, fields={**patch.fields, "count": wanted}) for patch in task.gold.initialise]
    return with_gold(task, initialise=tuple(patches), changes=())


def decision_alone(task: Task) -> Task:
    """Neither the rubric asks for a reading, nor does the oracle make one."""
    return with_gold(with_rubric(task, tool_patterns=(), checkpoints=()), calls=task.gold.calls[-1:])


BAD: dict[str, tuple[Task, str]] = {
    "goal_already_true": (with_gold(decision_alone(already_so(ACT)), calls=()), "null"),
    "goal_already_true_said_done": (with_gold(decision_alone(already_so(ACT)), calls=()), "claim"),
    "act_by_one_blind_call": (decision_alone(ACT), "one_call"),
    "refusal_by_one_blind_call": (decision_alone(REFUSE), "one_call"),
    "answer_without_looking": (with_rubric(LOOKUP, tool_patterns=(), checkpoints=()), "claim"),
    "answer_in_the_opening": (with_ledger(LOOKUP, opening=f"{LOOKUP.ledger.opening} Is it {ANSWER}?"), "leak"),
    "answer_in_the_opening_in_capitals": (with_ledger(LOOKUP, opening=f"{ANSWER.upper()}? {LOOKUP.ledger.opening}"), "leak"),
    "answer_withheld_by_the_user": (with_ledger(LOOKUP, facts=(Fact("status", ANSWER, ("status",), f"{ANSWER}!"),)), "leak"),
    "answer_in_a_follow_up": (with_ledger(LOOKUP, follow_ups=(f"So it is {ANSWER}.",)), "leak"),
    "rubric_that_asks_nothing": (replace(LOOKUP, rubric=Rubric()), "oracle"),
    "rubric_that_forbids_only": (replace(LOOKUP, rubric=Rubric(LOOKUP.rubric.criteria[-1:])), "null"),
    "answer_without_rivals": (saying(LOOKUP, ANSWER), "spray"),
    "rivals_that_nobody_would_say": (saying(LOOKUP, ANSWER, "not:zebra", "not:17 moons"), "recite"),
    "oracle_leaves_another_state": (with_gold(ACT, changes=()), "oracle"),
    "oracle_says_something_else": (with_gold(LOOKUP, reply="It is so."), "oracle"),
    "oracle_calls_what_is_not_there": (with_gold(ACT, calls=(replace(ACT.gold.calls[0], tool="peek"),)), "oracle"),
    "record_that_nobody_names": (with_ledger(ACT, opening="Please change my order to some items."), "untold"),
    "key_that_is_never_asked_for": (with_gold(ASK, calls=ASK.gold.calls[1:]), "untold"),
    "answer_that_no_tool_says": (
        with_gold(saying(LOOKUP, "None", "not:new"), reply="It is None.", initialise=()),
        "untold",
    ),
    "acts_beyond_the_wish_are_free": (without_criterion(ACT, "state"), "mutated_extra_act"),
    "refusals_beyond_the_wish_are_free": (without_criterion(ACT, "no_other_refusal"), "mutated_extra_refusal"),
    "any_refusal_will_do": (without_criterion(without_criterion(REFUSE, "refusal_1"), "no_other_refusal"), "mutated_twice"),
    "gold_that_goes_on_after_the_last_checkpoint": (with_rubric(ACT, checkpoints=()), "form"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_spoiled_task_is_refused_for_what_is_bad_about_it(name: str) -> None:
    task, reason = BAD[name]
    certificate = judged(task)
    assert not certificate.certified
    assert any(item.startswith(f"{reason}: ") for item in certificate.reasons), certificate.reasons


def test_an_act_that_changes_nothing_is_refused_although_the_oracle_passes_and_every_cheat_fails() -> None:
    """The desk without its own check, so that setting a count to what it is succeeds."""
    document = {**WORLD.source, "operations": {**WORLD.source["operations"]}}
    change = document["operations"]["change_count"]
    document["operations"]["change_count"] = {**change, "require": change["require"][1:]}
    lenient = worlds.parse(document, "lenient")
    assert judged(ACT, lenient).certified
    certificate = judged(already_so(ACT), lenient)
    assert certificate.oracle == 1.0 and set(certificate.cheats.values()) == {0.0}
    assert certificate.reasons == ("idle: change_count changes nothing",)


def found(prompt: str = WORLD.instructions, tools: tuple[ToolSpec, ...] = WORLD.tool_specs()) -> list[str]:
    return list(leaks(LOOKUP, WORLD, prompt, tools))


KEY = next(iter(LOOKUP.gold.calls[-1].arguments.values()))


def test_what_the_world_says_of_all_records_is_no_leak() -> None:
    assert stands_in(ANSWER, WORLD.instructions), "the policy names the values it is about"
    assert any(ANSWER in str(tool.to_mcp()) for tool in WORLD.tool_specs()), "and schemas list them all"
    assert found() == []


@pytest.mark.parametrize(
    ("prompt", "tools", "where"),
    [
        (f"You are Kim. Everything is {ANSWER}. {WORLD.instructions}", (), "the system prompt"),
        (f"{WORLD.instructions}\nEverything is {ANSWER}.", (), "the system prompt"),
    ],
)
def test_an_answer_in_the_agents_own_prompt_is_found(prompt: str, tools: tuple[ToolSpec, ...], where: str) -> None:
    assert found(prompt, tools) == [f"{where} holds the answer {ANSWER!r}"]


def test_an_answer_beside_the_record_is_found_wherever_the_world_tells_it() -> None:
    text = f"Orders are read by their id. Order {KEY} is {ANSWER}."
    schema = {"type": "object", "properties": {"order_id": {"type": "string", "description": text}}}
    tools = (ToolSpec("get_order", "Read an order.", schema),)
    assert found(tools=tools) == [f"tool get_order holds the answer {ANSWER!r} beside {KEY!r}"]
    assert found(tools=(ToolSpec("get_order", f"{KEY} is an id. It may be {ANSWER}."),)) == []
    told = replace(WORLD, instructions=f"{WORLD.instructions} {text}")
    assert f"leak: the instructions holds the answer {ANSWER!r} beside {KEY!r}" in judged(LOOKUP, told).reasons


def test_a_number_inside_another_is_no_leak() -> None:
    task = replace(LOOKUP, rubric=Rubric((Criterion("says_1", "says", ("5", "not:4")),)))
    for text, leaked in (("15 of 1.5, room 5b", False), ("set it to 5.", True), ("5% now", True)):
        assert bool(list(leaks(with_ledger(task, opening=text), WORLD, WORLD.instructions, ()))) is leaked


@given(st.sampled_from(worlds.names()), st.integers(0, 10**6), st.sampled_from([2, 3]))
@settings(max_examples=20, deadline=None)
def test_no_certified_task_tells_its_answer_beforehand(name: str, number: int, difficulty: int) -> None:
    stream = TaskStream(worlds=(name,), difficulty=difficulty, families=("act", "search", "ask", "lookup"))
    task = stream.task(number, run_seed=0, split="train", verify=VERIFY)
    assert not any(stands_in(answer, task.ledger.opening) for answer in answers(task))
