"""A certified task for each grown tool: the user names records as people do, the agent must find them, and then the tool
does what was asked, or tells what was asked for.

Nothing is reached by one blind call: every record is named by what a search knows of it, never by its key; what a tool
tells must be said, and nothing that it did not tell. Certified as every task is: the oracle passes, every cheat fails.
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from simulators.evolution.probing import tries
from simulators.tasks import wording
from simulators.tasks.agents import play
from simulators.tasks.blind import blind_plans
from simulators.tasks.certify import certify, of_texts
from simulators.tasks.cheats import DropArgumentsAgent, EchoAgent, NullAgent
from simulators.tasks.compose import compose
from simulators.tasks.confirming import confirming
from simulators.tasks.draft import Unsuitable
from simulators.tasks.finding import name_subject
from simulators.tasks.oracle import Agent, OracleAgent, Plan, PlannedAgent
from simulators.worlds import OperationSpec, WorldSpec, WorldState
from simulators.worlds.expressions import FieldOf
from trajectories.canonical import canonical_json
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.tasks import (
    Certificate,
    Checkpoint,
    Criterion,
    Fact,
    Gold,
    GoldCall,
    Ledger,
    Persona,
    Rubric,
    Split,
    Task,
    ToolPattern,
)

__all__ = ["errand"]

Verify = Callable[[Task, Outcome], Reward]

INSTANCES: Final = 40
TRIES: Final = 12
"""On each instance."""
RIVALS: Final = 8
"""Wrong answers that must not be said beside the right one."""


def errand(world: WorldSpec, tool: str, *, run_seed: int, split: Split, verify: Verify) -> Task | None:
    """A certified task whose gold calls `tool`, or None where no draw makes one: a function of its arguments."""
    operation = world.operations[tool]
    if operation.kind == "decline":
        return _refusal(world, run_seed, split, verify)
    for number in range(INSTANCES):
        rng = derive_rng(run_seed, "errand", split, world.name, tool, number)
        seed = rng.getrandbits(48)
        state = world.instantiate(seed)
        for arguments in tries(state, operation, rng, TRIES):
            try:
                task = _drawn(world, operation, arguments, seed, split, rng)
            except Unsuitable:
                continue
            certified = _certified(task, world, operation, verify)
            if certified.certificate is not None and certified.certificate.certified:
                return certified.with_id()
    return None


def _refusal(world: WorldSpec, run_seed: int, split: Split, verify: Verify) -> Task | None:
    """A request that a rule forbids: tasks of that kind exist, and their cheats with them."""
    for index in range(INSTANCES):
        with contextlib.suppress(ValueError):
            task = compose(world, index, run_seed=run_seed, split=split, difficulty=1, families=("refuse",))
            task = certify(task, world, verify)
            if task.certificate is not None and task.certificate.certified:
                return task
    return None


def _drawn(
    world: WorldSpec, operation: OperationSpec, arguments: dict[str, Any], seed: int, split: Split, rng: random.Random
) -> Task:
    state = world.instantiate(seed)
    named, finding, borrowed = _borrowed(state, operation, arguments, rng)
    arguments = arguments | borrowed
    result = state.fork().call(operation.name, arguments)
    after = state.fork()
    after.call(operation.name, arguments)
    if result.isError or bool(after.diff()) != operation.changes_state:
        raise Unsuitable(result.content)
    _require_allowed(state, operation, arguments)
    by_name, searches = _named(state, operation, arguments, rng)
    named, finding = named | by_name, (*finding, *searches)
    words = _words(operation, named, arguments)
    criteria = [Criterion("state", "state", tuple(name for name, item in world.operations.items() if item.changes_state))]
    criteria.append(Criterion("no_other_refusal", "no_refusal", (world.decline_operation.name,)))
    reply = wording.reply("act")
    patterns: tuple[ToolPattern, ...] = ()
    if not operation.changes_state:
        patterns = (ToolPattern(operation.name, arguments),)
        asked, answer, rivals = _question(state, operation, arguments, rng)
        criteria.append(Criterion("says_1", "says", (wording.spoken(answer), *(f"not:{rival}" for rival in rivals))))
        reply, words = wording.reply("lookup", answer=answer), f"{words} and tell me the {asked}"
    facts, asking, checkpoints = _confirmation(state, operation, arguments, words, rng)
    checkpoints += _lookings(world, operation, finding, arguments, borrowed)
    calls = (*finding, *asking, GoldCall(operation.name, arguments))
    return Task(
        id="", world=world.name, seed=seed, split=split, difficulty=min(3, len(calls)), persona=Persona(),
        ledger=Ledger(f"Please {words}.", facts, words),
        rubric=Rubric(tuple(criteria), patterns, checkpoints),
        gold=Gold((), calls, after.diff(), reply),
        tags=("errand", f"op:{operation.name}", *(f"borrows:{name}" for name in borrowed)),
    )  # fmt: skip


def _require_allowed(state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any]) -> None:
    """What policy forbids is never the right thing to do.

    Raises:
        Unsuitable: a policy forbids the call.
    """
    if operation.subject_argument is None:
        return
    subject = arguments[operation.subject_argument]
    for key in subject if isinstance(subject, list) else [subject]:
        rules = state.world.policies_on(operation.name)
        if any(rule.demands == "refusal" and rule.applies(state, key, arguments) for rule in rules):
            raise Unsuitable("policy forbids it")


def _named(
    state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any], rng: random.Random
) -> tuple[dict[str, str], tuple[GoldCall, ...]]:
    """How the user names each record, and the searches that find it."""
    named: dict[str, str] = {}
    finding: list[GoldCall] = []
    for name, argument in operation.arguments.items():
        if argument.kind not in ("key", "keys") or name not in arguments:
            continue
        key = arguments[name][0] if argument.kind == "keys" else arguments[name]
        text, calls, _ = name_subject(state, "search", argument.entity, key, name, rng)
        named[name] = text
        finding += [call for call in calls if call not in finding and call.tool != operation.name]
    return named, tuple(finding)


def _lookings(
    world: WorldSpec,
    operation: OperationSpec,
    finding: tuple[GoldCall, ...],
    arguments: Mapping[str, Any],
    borrowed: Mapping[str, Any],
) -> tuple[Checkpoint, ...]:
    """A yes or no that is borrowed is guessed too easily: it must have been looked up, by the first call that shows it."""
    before = (ToolPattern(operation.name, arguments),)
    found = []
    for name, value in borrowed.items():
        shown = FieldOf(operation.entity, operation.arguments[name].field)
        calls = (call for call in finding if shown in world.operations[call.tool or ""].returns.values())
        if isinstance(value, bool) and (call := next(calls, None)) is not None:
            found.append(Checkpoint(f"look_{name}", ToolPattern(call.tool or "", call.arguments), before))
    return tuple(found)


def _confirmation(
    state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any], words: str, rng: random.Random
) -> tuple[tuple[Fact, ...], tuple[GoldCall, ...], tuple[Checkpoint, ...]]:
    """What it takes to have the call confirmed; nothing where no rule wants that."""
    rules = [rule for rule in state.world.policies_on(operation.name) if rule.demands == "confirmation"]
    if not any(rule.applies(state, arguments[operation.subject_argument or ""], arguments) for rule in rules):
        return (), (), ()
    parts = confirming(1, words, True, (ToolPattern(operation.name, arguments),), rng)
    return (parts.fact,), (parts.question,), (parts.checkpoint,)


def _borrowed(
    state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any], rng: random.Random
) -> tuple[dict[str, str], tuple[GoldCall, ...], dict[str, Any]]:
    """For a change that is about no record that is there: one of its values is not told but that of such a record, so that
    it must be looked up. How it is called, the calls that find it, and the value; nothing for other tools.

    Raises:
        Unsuitable: no value can be had that way.
    """
    if not operation.changes_state or any(item.kind in ("key", "keys") for item in operation.arguments.values()):
        return {}, (), {}
    world, entity = state.world, operation.entity
    read = next((item for item in world.operations_of(entity, "read") if item.subject_argument is not None), None)
    fields = world.entities[entity].fields
    options = [name for name, item in operation.arguments.items() if item.kind == "value" and not fields[item.field].unique]
    if read is None or read.subject_argument is None or not options:
        raise Unsuitable("nothing to look up")
    name, key = rng.choice(options), rng.choice(list(state.keys(entity)))
    value = (state.find(entity, key) or {})[operation.arguments[name].field]
    if value is None:
        raise Unsuitable("nothing is there")
    text, searches, _ = name_subject(state, "search", entity, key, name, rng)
    calls = (*searches, GoldCall(read.name, {read.subject_argument: key}))
    return {name: f"{wording.spoken(name)} as that of {text}"}, calls, {name: value}


def _words(operation: OperationSpec, named: Mapping[str, str], arguments: Mapping[str, Any]) -> str:
    parts = [named.get(name) or f"{wording.spoken(name)} {wording.spoken_value(value)}" for name, value in arguments.items()]
    return f"{wording.spoken(operation.name)}{': ' if parts else ''}{', '.join(parts)}"


def _question(
    state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any], rng: random.Random
) -> tuple[str, str, list[str]]:
    """What is asked, the answer, and what must not be said.

    Raises:
        Unsuitable: the answer would be said anyway, or stands in the question.
    """
    result = state.call(operation.name, arguments).structuredContent or {}
    rows = result.get("found", [result]) if operation.kind == "search" else [result]
    shown = {name: value for name, value in (rows[0] if rows else {}).items() if isinstance(value, str | int)}
    shown = {name: value for name, value in shown.items() if not isinstance(value, bool)}
    if operation.kind == "list":
        shown = {"total": result["total"]}
    if len(rows) != 1 or not shown:
        raise Unsuitable("nothing to ask for")
    name = rng.choice(sorted(shown))
    answer = str(shown[name])
    if wording.said_anyway(answer) or any(answer == str(value) for value in arguments.values()):
        raise Unsuitable(f"{answer!r} is said whatever the answer is")
    field = state.world.entities[operation.entity].fields.get(name)
    records = state.records(operation.entity)
    if field is not None:
        pool = [*field.values, *(fields[name] for fields in records.values())]
    elif name == f"{operation.entity}_id":
        pool = [*records]
    else:  # a figure over many records: what single ones hold is of its kind
        pool = [value for fields in records.values() for value in fields.values() if _alike(value, shown[name])]
    # Numbers beside the right one come first: they are what somebody says who counts on.
    near = [number for step in (-1, 1, 2, -2) if (number := int(answer) + step) >= 0] if answer.isdigit() else []
    found = dict.fromkeys(wording.spoken(value) for value in (*near, *pool) if value is not None)
    wrong = [text for text in found if text not in wording.spoken(answer) and wording.spoken(answer) not in text]
    if not wrong:
        raise Unsuitable("no wrong answer to tell apart")
    return wording.spoken(name), answer, wrong[:RIVALS]


def _alike(value: Any, other: Any) -> bool:
    return type(value) is type(other) and (not isinstance(value, str) or len(value) == len(other))


def _certified(task: Task, world: WorldSpec, operation: OperationSpec, verify: Verify) -> Task:
    def played(agent: Agent) -> Outcome:
        return play(task, world, agent, task.seed, max_turns=12)[2]

    messages, tools, best = play(task, world, OracleAgent(task), task.seed, max_turns=12)
    oracle = verify(task, best)
    reasons = [] if oracle.value == 1.0 else [f"oracle: {oracle.cause or oracle.value}"]
    reasons += of_texts(task, world, messages, tools)
    told = "\n".join(message.content for message in messages[:2])
    blind = [(name, PlannedAgent(plan)) for name, plan in blind_plans(task, world, told)]
    cheats: dict[str, float] = {}
    for name, agent in (*blind, *_cheats(task, world, operation)):
        outcome = played(agent)
        if name in ("wrong_record", "twice") and _seen(outcome) == _seen(best):
            continue
        reward = verify(task, outcome)
        cheats[name] = reward.value if reward.value is not None else 1.0
        if reward.value != 0.0:
            reasons.append(f"{name}: {reward.cause or reward.value}")
    return replace(task, certificate=Certificate(oracle.value or 0.0, cheats, not reasons, tuple(reasons)))


def _cheats(task: Task, world: WorldSpec, operation: OperationSpec) -> Iterator[tuple[str, Agent]]:
    calls, reply = task.gold.calls, task.gold.reply
    last = calls[-1]
    yield "null", NullAgent()
    yield "echo", EchoAgent()
    if any(call.arguments for call in calls):
        yield "drop_arguments", DropArgumentsAgent(task)
    state = world.instantiate(task.seed)
    decline = world.decline_operation
    case = next(iter(state.keys(decline.entity)))
    refusal = GoldCall(decline.name, {
        name: case if argument.kind == "key" else argument.schema["enum"][-1] for name, argument in decline.arguments.items()
    })  # fmt: skip
    yield "always_refuse", PlannedAgent(Plan.one_by_one((refusal,), wording.reply("refuse")))
    says = next((item.expected for item in task.rubric.criteria if item.kind == "says"), ())
    wrong = [text.removeprefix("not:") for text in says if text.startswith("not:")]
    # Without looking: what was asked, on records that come first, and an answer that could not be known.
    borrows = tuple(tag.removeprefix("borrows:") for tag in task.tags if tag.startswith("borrows:"))
    blind = _elsewhere(state, operation, last, borrows, first=True)
    if len(calls) > 1 and blind is not None:
        yield "always_act", PlannedAgent(Plan.one_by_one((blind,), reply if not says else f"It is {wrong[0]}."))
    if any(call.ask is not None for call in calls):
        yield "no_confirmation", PlannedAgent(Plan.one_by_one([call for call in calls if call.ask is None], reply))
    yield "missing", PlannedAgent(Plan.one_by_one(calls[:-1], f"It is {wrong[0]}." if says else reply))
    if says:
        yield "spray", PlannedAgent(Plan.one_by_one(calls, f"{reply} {' '.join(_guesses(state, operation))}"))
    elif operation.changes_state:
        yield "spray", PlannedAgent(Plan.one_by_one((*calls, refusal), reply))
        yield "twice", PlannedAgent(Plan.one_by_one((*calls, last), reply))
    other = _elsewhere(state, operation, last, borrows, first=False)
    if other is not None:
        yield "wrong_record", PlannedAgent(Plan.one_by_one((*calls[:-1], other), reply if not says else f"It is {wrong[0]}."))


def _guesses(state: WorldState, operation: OperationSpec) -> list[str]:
    """What somebody says who lists everything that an answer could be: small numbers, and all that the records hold."""
    held = (value for fields in state.records(operation.entity).values() for value in fields.values())
    return [str(number) for number in range(100)] + [wording.spoken(value) for value in held] + [*state.keys(operation.entity)]


def _other_value(
    state: WorldState, operation: OperationSpec, call: GoldCall, borrows: tuple[str, ...]
) -> dict[str, Any]:
    """What somebody writes who did not look: what another record holds."""
    changed: dict[str, Any] = {}
    for name in borrows:
        field = operation.arguments[name].field
        values = (fields[field] for fields in state.records(operation.entity).values())
        others = [value for value in values if value is not None and value != call.arguments[name]]
        changed |= {name: others[0]} if others else {}
    return changed


def _elsewhere(
    state: WorldState, operation: OperationSpec, call: GoldCall, borrows: tuple[str, ...], *, first: bool
) -> GoldCall | None:
    """The same call about other records; None for a call that is about none."""
    changed = _other_value(state, operation, call, borrows)
    for name, argument in operation.arguments.items():
        if argument.kind in ("key", "keys") and name in call.arguments:
            keys = list(state.keys(argument.entity))
            own = call.arguments[name][0] if argument.kind == "keys" else call.arguments[name]
            others = [key for key in keys if key != own]
            key = (others or keys)[0 if first else -1]
            changed[name] = [key] if argument.kind == "keys" else key
    return GoldCall(call.tool, {**call.arguments, **changed}) if changed else None


def _seen(outcome: Outcome) -> str:
    changes = [[item.entity, item.key, item.kind, dict(item.fields)] for item in outcome.changes]
    calls = [[call.name, call.arguments] for call in outcome.calls if not call.is_error]
    return canonical_json([outcome.ending, changes, calls])
