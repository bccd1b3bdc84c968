"""Agents that must fail every certified task: they do not do the work, or not as asked.

The trivial ones serve as rulers in evaluation too. Where it makes a cheat stronger it is given what only the oracle
knows (the right key, the right arguments, the right reason), because a rubric that such a cheat fails is also failed
by weaker ones.
"""

from collections.abc import Sequence
from dataclasses import replace

from simulators.tasks import wording
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.wishes import Wish, wishes, without
from simulators.worlds import WorldSpec
from trajectories.messages import Message
from trajectories.tasks import GoldCall, Task

__all__ = [
    "AlwaysActAgent", "AlwaysRefuseAgent", "DropArgumentsAgent", "EchoAgent", "NullAgent", "SprayAgent",
    "mutated_plans",
]  # fmt: skip


class NullAgent:
    """Does nothing and says nothing."""

    def act(self, messages: Sequence[Message]) -> Message:
        return Message("assistant", "")


class EchoAgent:
    """Says what was last said to it."""

    def act(self, messages: Sequence[Message]) -> Message:
        return Message("assistant", messages[-1].content)


class AlwaysRefuseAgent(PlannedAgent):
    """Declines every request at once: with the right reason where there is one, else with the world's first."""

    def __init__(self, task: Task, world: WorldSpec) -> None:
        calls = [call for wish in wishes(task, world) for call in _refusals(wish, world)[:1]]
        super().__init__(Plan.one_by_one(calls, wording.reply("refuse", task.persona.language)))


class AlwaysActAgent(PlannedAgent):
    """Does at once whatever was asked, without looking; answers questions with what it could not know yet."""

    def __init__(self, task: Task, world: WorldSpec) -> None:
        found = wishes(task, world)
        super().__init__(Plan.one_by_one([call for wish in found for call in wish.at_once], _reply(found, task.persona.language)))


class SprayAgent(PlannedAgent):
    """Reads, then tries every answer: declines with every reason, does the act, and says every value."""

    def __init__(self, task: Task, world: WorldSpec) -> None:
        turns: list[tuple[GoldCall, ...]] = []
        for wish in wishes(task, world):
            turns += [(call,) for call in (*wish.finding, *wish.looks)]
            if wish.asked:
                turns.append((*_refusals(wish, world), *wish.asked))
        said = [text for wish in wishes(task, world) for text in (wish.answer, *wish.rivals) if text is not None]
        super().__init__(Plan(tuple(turns), f"{task.gold.reply} {' '.join(said)}"))


class DropArgumentsAgent(PlannedAgent):
    """The oracle, but its calls have no arguments."""

    def __init__(self, task: Task) -> None:
        calls = [replace(call, arguments={}) for call in task.gold.calls]
        super().__init__(Plan.one_by_one(calls, task.gold.reply))


def mutated_plans(task: Task, world: WorldSpec) -> dict[str, Plan]:
    """Oracles that go wrong in one place, by name. `certify` leaves out those whose outcome is the oracle's."""
    found, calls, reply = wishes(task, world), task.gold.calls, task.gold.reply
    changed = {
        "missing_sub_goal": [wish.calls for wish in found[:-1]],
        "no_decision": [(*wish.finding, *wish.looks) for wish in found],
        "no_reading": [without(wish.calls, wish.readings) for wish in found],
        "half_reading": [without(wish.calls, wish.readings[1:]) for wish in found],
        "no_confirmation": [without(wish.calls, [wish.confirmation]) for wish in found],
        "ignored_answer": [wish.calls if wish.done else (*wish.calls, *wish.asked) for wish in found],
        "stopped_early": [(*wish.finding, *wish.looks, *(wish.done[:-1] or wish.done)) for wish in found],
        "wrong_action": [_opposite(wish, world) for wish in found],
    }
    plans = {name: Plan.one_by_one([call for part in parts for call in part], reply) for name, parts in changed.items()}
    plans["one_breath"] = Plan(tuple(turn for wish in found for turn in _in_one_breath(wish)), reply)
    plans["twice"] = Plan.one_by_one([*calls, *(call for wish in found for call in wish.done)], reply)
    for wish in found:
        plans |= _about_another_record(wish, found, task, world)
    return plans


def _about_another_record(wish: Wish, found: Sequence[Wish], task: Task, world: WorldSpec) -> dict[str, Plan]:
    """The wish's record mixed up with one that nobody spoke of, or that one treated as well."""
    calls, reply, read = task.gold.calls, task.gold.reply, wish.read
    if read is None:
        return {}
    state = world.instantiate(task.seed, task.gold.initialise)
    spoken_of = {value for other in found if other.read is not None for value in other.read.arguments.values()}
    others = [key for key in state.keys(world.operations[read.tool or ""].entity) if key not in spoken_of]
    if not others:
        return {}
    mixed_up = wish.done or (read,)
    plans = {"wrong_record": [_about(call, read, others[0]) if call in mixed_up else call for call in calls]}
    if wish.act is not None:
        plans["extra_refusal"] = [*calls, _about(_refusals(wish, world)[0], read, others[0])]
        acts = (_about(wish.act, read, other) for other in others)
        extra = next((act for act in acts if not state.fork().call(act.tool or "", act.arguments).isError), None)
        if extra is not None:
            plans["extra_act"] = [*calls, extra]
    number = found.index(wish) + 1
    return {f"{name}_{number}": Plan.one_by_one(mutated, reply) for name, mutated in plans.items()}


def _reply(found: Sequence[Wish], language: str) -> str:
    texts = (
        wording.reply("act", language) if wish.answer is None else wording.reply("lookup", language, answer=wish.answer)
        for wish in found
    )
    return " ".join(dict.fromkeys(texts))


def _refusals(wish: Wish, world: WorldSpec) -> list[GoldCall]:
    """Declines with every reason, the right one first; none for a question."""
    if wish.subject is None:
        return []
    right = [wish.done[0].arguments["reason"]] if wish.refused else []
    reasons = dict.fromkeys([*right, *(policy.reason for policy in world.policies if policy.demands == "refusal")])
    argument, key = wish.subject
    return [GoldCall(world.decline_operation.name, {argument: key, "reason": reason}) for reason in reasons]


def _opposite(wish: Wish, world: WorldSpec) -> tuple[GoldCall, ...]:
    """Everything up to the decision, and then another one."""
    if not wish.asked:
        return wish.calls
    other = wish.wrong if wish.wrong else _refusals(wish, world)[:1]
    return (*wish.finding, *wish.looks, *other)


def _in_one_breath(wish: Wish) -> list[tuple[GoldCall, ...]]:
    """Readings and decision in one message; without the question whether to go on, which takes one of its own."""
    if not wish.readings:
        return [(call,) for call in wish.calls]
    return [*((call,) for call in wish.finding), (*wish.readings, *wish.done)]


def _about(call: GoldCall, read: GoldCall, other: str) -> GoldCall:
    """The same call about another record."""
    key = next(iter(read.arguments.values()))
    return replace(call, arguments={name: other if value == key else value for name, value in call.arguments.items()})
