"""A teacher of dialled competence: the oracle, but each decision goes wrong with a set probability and in a named way.

Every error makes the task fail: what the teacher gets wrong is always something that the rubric asserts. So a teacher
of competence c passes a task of n sub-goals with probability c to the power of n, and a policy can be better than the
teacher it learnt from.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from simulators.tasks import wording
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.wishes import Wish, wishes, without
from simulators.worlds import WorldSpec
from trajectories.seeds import derive_rng
from trajectories.tasks import GoldCall, Task

__all__ = ["ErrorMix", "TeacherAgent", "teacher_rng"]


@dataclass(frozen=True)
class ErrorMix:
    """How often the teacher errs in which way, as weights; those that do not fit a sub-goal are left out.

    Where none of those above 0 fits, the teacher skips the look-up, or, where there was none, ignores the wish.

    Raises:
        ValueError: naming the key, for a weight below 0, and when all are 0.
    """

    act_forbidden: float = 0.8
    """Does what the policy forbids."""
    decline_allowed: float = 0.8
    """Declines what the policy allows."""
    wrong_reason: float = 0.2
    """Declines rightly, but names another reason (only where the world has several)."""
    wrong_answer: float = 0.8
    """Answers a question with a value that is not the record's."""
    skip_look_up: float = 0.1
    """Decides rightly, without having read the record."""
    wrong_digit: float = 0.1
    """Reads and treats the record of another key: one digit differs."""
    wrong_branch: float = 0.8
    """Does the other of two acts."""
    stop_early: float = 0.4
    """Leaves out the last of several steps."""
    skip_confirmation: float = 0.4
    """Acts without asking, where the user is to confirm it."""
    ignore_answer: float = 0.8
    """Asks, and acts although the user says no."""
    ignore_change: float = 0.8
    """Leaves it as it is when the user has a change of mind."""

    def __post_init__(self) -> None:
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"errors.{name} is a finite weight of at least 0, not {weight}")
        if not any(weights.values()):
            raise ValueError(f"errors: at least one of {', '.join(weights)} is above 0")


def teacher_rng(run_seed: int, task_id: str, rollout: int) -> random.Random:
    """The teacher's own generator: its errors depend on run, task and rollout, never on when it plays."""
    return derive_rng(run_seed, "teacher", task_id, rollout)


class TeacherAgent(PlannedAgent):
    """Plays `task`; `errors` names what went wrong, one entry for each sub-goal that did.

    Args:
        competence: probability that a sub-goal is done right, 0 to 1.
        rng: source of the errors, see `teacher_rng`.

    Raises:
        ValueError: for a competence outside of [0, 1].
    """

    def __init__(
        self, task: Task, world: WorldSpec, competence: float, rng: random.Random, mix: ErrorMix | None = None
    ) -> None:
        if not 0 <= competence <= 1:
            raise ValueError(f"a teacher's competence is from 0 to 1, not {competence}")
        done, errors = [], []
        for wish in wishes(task, world):
            if rng.random() < competence:
                done.append(_right(wish))
                continue
            options = _errors(wish, world, rng)
            weights = [getattr(mix or ErrorMix(), name) for name in options]
            name = rng.choices(list(options), weights)[0] if any(weights) else next(iter(options))
            errors.append(name)
            done.append(options[name]())
        self.errors: tuple[str, ...] = tuple(errors)
        super().__init__(_plan(done, task.persona.language))


@dataclass(frozen=True, slots=True)
class _Done:
    """What the teacher does for one sub-goal."""

    calls: tuple[GoldCall, ...]
    answer: str | None = None
    kind: Literal["act", "refuse", "keep"] = "act"
    """What the teacher believes to have done, where it does not answer a question."""

    def reply(self, language: str) -> str:
        if self.answer is not None:
            return wording.reply("lookup", language, answer=self.answer)
        return wording.reply(self.kind, language)


def _right(wish: Wish) -> _Done:
    return _Done(wish.calls, wish.answer, "refuse" if wish.refused else "act" if wish.done or not wish.asked else "keep")


def _plan(done: Sequence[_Done], language: str) -> Plan:
    """All of it in order; whenever the teacher hands over, it says what it did since it last did."""
    calls: list[GoldCall] = []
    told: list[str] = []
    for item in done:
        for call in item.calls:
            if call.say is not None and call.ask is None:
                call = GoldCall(None, say=" ".join(dict.fromkeys(told)))
                told = []
            calls.append(call)
        told.append(item.reply(language))
    return Plan.one_by_one(calls, " ".join(dict.fromkeys(told)))


def _errors(wish: Wish, world: WorldSpec, rng: random.Random) -> dict[str, Callable[[], _Done]]:
    """The errors that fit this sub-goal, by name; an error draws from `rng` only when it is made."""
    before, right = (*wish.finding, *wish.looks), _right(wish)
    options: dict[str, Callable[[], _Done]] = {}
    if (read := wish.read) is not None:
        options["skip_look_up"] = lambda: replace(right, calls=without(wish.calls, wish.readings))
        options["wrong_digit"] = lambda: _with_wrong_digit(wish, read, right, rng)
    else:
        options["ignore_change"] = lambda: _Done(before)
    if wish.rivals:
        options["wrong_answer"] = lambda: replace(right, answer=rng.choice(wish.rivals))
    if wish.act is None:
        return options
    if wish.refused:
        options["act_forbidden"] = lambda: _Done((*before, *wish.asked))
        others = [reason for reason in _reasons(world) if reason != wish.done[0].arguments.get("reason")]
        if others:
            options["wrong_reason"] = lambda: _Done(
                (*before, _declined(wish, world, rng.choice(others))), kind="refuse"
            )
        return options
    rules = [policy.reason for policy in world.policies_on(wish.act.tool or "") if policy.demands == "refusal"]
    likely = rules or _reasons(world)
    options["decline_allowed"] = lambda: _Done((*before, _declined(wish, world, rng.choice(likely))), kind="refuse")
    if wish.branches:
        options["wrong_branch"] = lambda: _Done((*before, *wish.wrong))
    if len(wish.done) > 1:
        options["stop_early"] = lambda: _Done((*before, *wish.done[:-1]))
    if wish.confirmation is not None:
        options["skip_confirmation"] = lambda: _Done((*without(before, [wish.confirmation]), *wish.asked))
        if not wish.done:
            options["ignore_answer"] = lambda: _Done((*before, *wish.asked))
    return options


def _reasons(world: WorldSpec) -> list[str]:
    return sorted({policy.reason for policy in world.policies if policy.demands == "refusal"})


def _declined(wish: Wish, world: WorldSpec, reason: str) -> GoldCall:
    assert wish.subject is not None  # only wishes with a decision can be declined
    argument, key = wish.subject
    return GoldCall(world.decline_operation.name, {argument: key, "reason": reason})


def _with_wrong_digit(wish: Wish, read: GoldCall, right: _Done, rng: random.Random) -> _Done:
    key = next(iter(read.arguments.values()))
    position = rng.randrange(len(key))
    digit = rng.choice([digit for digit in "0123456789" if digit != key[position]])
    wrong = key[:position] + digit + key[position + 1 :]
    found = len(wish.finding)
    return replace(
        right, calls=(*wish.finding, *(_exchanged(call, key, wrong) for call in right.calls[found:]))
    )


def _exchanged(call: GoldCall, key: str, other: str) -> GoldCall:
    return replace(call, arguments={name: other if value == key else value for name, value in call.arguments.items()})
