"""Numbered tasks of a domain: functions of their number, in one split only, certified by what really happens."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verifiers.judging import judged
from simulators.environment import Environment
from simulators.playable import PLAIN, FunctionWorld, Playable, ToolError, open_world
from simulators.tasks.domains.common_cheats import COMMON_CHEATS
from simulators.tasks.domains.measuring import drawn_ids, measure
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.domains.registry import DOMAINS, domain_of
from simulators.tasks.domains.stream import (
    DomainMix,
    UncertifiableError,
    candidate,
    certified_task,
    choice,
    problem_id,
    split_of,
)
from simulators.tasks.stream import TaskStream
from simulators.worlds import load
from trajectories.answers import answer_of
from trajectories.codec import from_row, to_row
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import Fault, Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

MIX = DomainMix(levels=(1, 2), languages=("en", "zh"))


@dataclass
class Sums:
    """Adds two numbers; of level 2, larger ones."""

    name: str = "sums"
    about: str = "adds numbers"
    families: Mapping[str, str] = field(default_factory=lambda: {"two": "a + b", "three": "a + b + c"})
    levels: int = 2
    languages: tuple[str, ...] = ("en", "zh")
    cheats: tuple[str, ...] = ("off_by_one",)
    most: int = 10**9

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        return {"terms": [rng.randrange(self.most**level) for _ in range(2 if family == "two" else 3)]}

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        total = sum(problem["terms"])
        ask = "加起来是多少" if language == "zh" else "What is the sum"
        prompt = f"{ask}: {' + '.join(map(str, problem['terms']))}?"
        return Draft(
            prompt=prompt, reply=f"Answer: {total}", key={"total": total}, cheats={"off_by_one": f"Answer: {total + 1}"}
        )

    def world(self) -> Playable:
        raise AssertionError("there are no tools")


def verify(task: Task, outcome: Outcome) -> Reward:
    assert task.key is not None
    total = str(task.key["total"])
    return judged(outcome, lambda reply: {"answer": float(answer_of(reply) == total)}, grader="sums/1")


def test_a_task_is_a_function_of_its_number_and_is_certified() -> None:
    task = certified_task(Sums(), 5, mix=MIX, run_seed=3, split="train", verify=verify)
    again = certified_task(Sums(), 5, mix=MIX, run_seed=3, split="train", verify=verify)
    other = certified_task(Sums(), 5, mix=MIX, run_seed=4, split="train", verify=verify)
    assert task == again and task.id != other.id and task.id == task.content_id()
    assert task.domain == "sums" and task.world == "plain" and task.tags[0] in Sums().families
    assert task.certificate is not None and task.certificate.certified and task.certificate.oracle == 1.0
    assert {*COMMON_CHEATS, "off_by_one"} - {"gold_unread"} == set(task.certificate.cheats)
    assert set(task.certificate.cheats.values()) == {0.0}
    assert from_row(Task, to_row(task)) == task


def test_families_then_levels_then_languages_take_turns() -> None:
    asked = [choice(Sums(), number, MIX) for number in range(8)]
    assert [item.family for item in asked] == ["two", "three"] * 4
    assert [item.level for item in asked] == [1, 1, 2, 2] * 2
    assert [item.language for item in asked] == ["en"] * 4 + ["zh"] * 4
    few = choice(Sums(), 3, DomainMix(families=("three",), levels=(7,), languages=("fr",)))
    assert (few.family, few.level, few.language) == ("three", 2, "en")


@given(st.integers(0, 10**6), st.integers(0, 2**63 - 1))
def test_a_problem_belongs_to_one_split_whatever_the_seed_or_the_language(number: int, seed: int) -> None:
    domain = Sums(most=50)
    for split in ("train", "held_out"):
        task, _ = candidate(domain, number, mix=MIX, run_seed=seed, split=split)  # type: ignore[arg-type]
        terms = [int(part) for part in task.ledger.opening.rstrip("?").split(": ")[1].split(" + ")]
        assert split_of(problem_id("sums", task.tags[0], {"terms": terms})) == split == task.split


def test_small_spaces_repeat_themselves_and_splits_stay_apart() -> None:
    ids = {
        split: set(drawn_ids(Sums(most=30), range(4000), mix=DomainMix(), run_seed=0, split=split))  # type: ignore[arg-type]
        for split in ("train", "held_out")
    }
    assert len(ids["train"]) < 4000 and not ids["train"] & ids["held_out"]
    assert len(set(drawn_ids(Sums(), range(4000), mix=DomainMix(), run_seed=0, split="train"))) == 4000


def test_a_split_without_problems_and_a_cheat_that_is_paid_are_told() -> None:
    class Lone(Sums):
        def draw(self, family: str, level: int, rng: random.Random) -> Problem:
            return {"terms": [1, 1]}

    split = split_of(problem_id("sums", "two", {"terms": [1, 1]}))
    other = "train" if split == "held_out" else "held_out"
    with pytest.raises(UncertifiableError, match=rf"sums/two: none of 4096 problems of level 1 is {other}"):
        candidate(Lone(), 0, mix=DomainMix(), run_seed=0, split=other)  # type: ignore[arg-type]

    class Bribed(Sums):
        def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
            draft = super().render(problem, family, level, language)
            return Draft(prompt=draft.prompt, reply=draft.reply, key=draft.key, cheats={"paid": draft.reply})

    with pytest.raises(UncertifiableError, match=r"none of 8 candidates for task 0 is certified: paid: 1\.0"):
        certified_task(Bribed(), 0, mix=DomainMix(), run_seed=0, split="train", verify=verify)
    found = next(iter(measure(Bribed(), [0], mix=DomainMix(), run_seed=0, split="train", verify=verify)))
    assert not found.certified and found.oracle == 1.0 and found.cheats["paid"] == 1.0


def test_a_verifier_that_breaks_certifies_nothing() -> None:
    def broken(task: Task, outcome: Outcome) -> Reward:
        return judged(outcome, lambda reply: {"x": 1 / 0}, grader="sums/1")

    with pytest.raises(UncertifiableError, match="oracle: verifier: sums/1: ZeroDivisionError"):
        certified_task(Sums(), 0, mix=DomainMix(), run_seed=0, split="train", verify=broken)


def test_the_asker_says_its_follow_ups_and_leaves() -> None:
    task, _ = candidate(Sums(), 0, mix=DomainMix(), run_seed=0, split="train")
    environment = Environment(PLAIN)
    environment.reset(task, 0)
    result = environment.step(Message("assistant", "What do you mean? Shall I go on?"))
    assert result.terminated and environment.outcome().ending == "completed"
    assert environment.outcome().messages[-1].content == "What do you mean? Shall I go on?"


def test_numbers_of_a_stream_are_shared_out_among_domains() -> None:
    with pytest.raises(ValueError, match="domains: alchemy is not among tool_use, maths"):
        TaskStream(domains=("tool_use", "alchemy"))
    plain = TaskStream().task(3, run_seed=0, split="train", verify=lambda task, outcome: Reward(_verdict(task, outcome)))
    mixed = TaskStream(domains=("maths", "tool_use")).task(
        7, run_seed=0, split="train", verify=lambda task, outcome: Reward(_verdict(task, outcome))
    )
    assert mixed.id == plain.id


def _verdict(task: Task, outcome: Outcome) -> float:
    from rewards.verifiers import verify

    return verify(task, outcome).value or 0.0


def test_names_lead_to_worlds_and_unknown_ones_are_told() -> None:
    assert open_world("plain") is PLAIN and open_world("order_desk") is load("order_desk")
    assert PLAIN.tool_specs() == () and len(PLAIN.fingerprint()) == 64
    with pytest.raises(ValueError, match="there is no domain 'alchemy'; there are: maths"):
        domain_of("alchemy")
    assert len(set(DOMAINS)) == len(DOMAINS)


ECHO = ToolSpec("echo", "Says it again.", {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]})


def _echo(read: Any, arguments: Mapping[str, Any]) -> Any:
    if arguments["text"] == "no":
        raise ToolError("I would rather not")
    return {"said": arguments["text"], "seed": read}


WORLD = FunctionWorld("echoes", "Echo.", lambda seed, patches: seed, [(ECHO, _echo)])


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("ecko", {}, "no tool ecko; did you mean echo?"),
        ("echo", "{", "the arguments of echo are not a JSON object"),
        ("echo", {}, '\\"text\\" is a required property'),
        ("echo", {"text": 5}, "is not of type"),
        ("echo", {"text": "x" * 200_000}, "are too long"),
        ("echo", {"text": "no"}, "I would rather not"),
        ("echo", {"text": "\ud800"}, "no JSON that can be written again"),
        ("echo", {"text": float("nan")}, "no JSON that can be written again"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_to_the_agent(tool: str, arguments: Any, words: str) -> None:
    result = WORLD.instantiate(7).call(tool, arguments)
    assert result.isError and words in result.content


def test_functions_answer_in_an_environment() -> None:
    state = WORLD.instantiate(7)
    result = state.call("echo", {"text": "hello"})
    assert result.structuredContent == {"said": "hello", "seed": 7} and not result.isError and state.diff() == ()
    assert WORLD.fingerprint() != FunctionWorld("echoes", "Echo!", tools=[(ECHO, _echo)]).fingerprint()


def test_a_tool_that_breaks_is_a_fault_and_no_failure() -> None:
    def breaks(read: Any, arguments: Mapping[str, Any]) -> Any:
        raise RuntimeError("disk on fire")

    task, _ = candidate(Sums(), 0, mix=DomainMix(), run_seed=0, split="train")
    environment = Environment(FunctionWorld("plain", "x", tools=[(ECHO, breaks)]))
    environment.reset(task, 0)
    environment.step(Message("assistant", tool_calls=(ToolCall("a", "echo", '{"text": "x"}'),)))
    outcome = environment.outcome()
    assert outcome.faults == (Fault("tool", "echo: RuntimeError: disk on fire"),)
    assert not verify(task, outcome).valid
