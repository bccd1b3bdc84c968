"""The sub-goal to do what a user asks, or to decline it when the world's policy forbids it.

Every draw that shapes what the agent reads beforehand is the same whether the wish may be granted or not, and only
records that could be on both sides of the policy are chosen: balance hides in the records' fields and nowhere else.
Where a rule wants a confirmation, the user says yes or no to it with even chances.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulators.tasks import wording
from simulators.tasks.confirming import confirming
from simulators.tasks.draft import Access, Draft, FollowUp, SubGoal, Unsuitable, Verdict
from simulators.tasks.finding import name_subject
from simulators.tasks.governed import GovernedOperation, draw_argument, governed_operations, policy_field_values
from simulators.worlds import OperationSpec, WorldState
from trajectories.seeds import derive_rng
from trajectories.tasks import Checkpoint, Criterion, GoldCall, RecordPatch, ToolPattern

__all__ = ["draw_arguments", "draw_change", "draw_confirmation", "draw_request", "would_do"]

DRAWS = 12
"""Of a record and arguments for one operation, before another operation is tried."""



@dataclass(frozen=True, slots=True)
class _Drawn:
    goal: SubGoal
    arguments: Mapping[str, Any]
    """Of what is asked for."""
    named: str
    """What the user calls the record."""


Side = tuple[tuple[RecordPatch, ...], str | None]
"""How the world is prepared, and the reason to decline then."""


def draw_request(draft: Draft, verdict: Verdict, access: Access, rng: random.Random) -> SubGoal:
    """A wish that is to be granted (`act`; or left alone, where the user does not confirm it) or declined (`refuse`).

    Raises:
        Unsuitable: when the drawn record cannot be used; drawing again may help.
    """
    # What is only to be confirmed is never declined: it would tell the verdict (`draw_confirmation` asks for it).
    two_sided = [governed for governed in governed_operations(draft.world) if governed.policies]
    if not two_sided:
        raise Unsuitable("no rule forbids anything")
    return _drawn(draft, rng.choice(two_sided), verdict, access, rng).goal


def draw_confirmation(draft: Draft, access: Access, yes: bool, rng: random.Random) -> SubGoal:
    """A wish that a rule wants to be confirmed, and that policy allows.

    Args:
        yes: what the user says when asked.

    Raises:
        Unsuitable: as `draw_request`.
    """
    confirmed = [governed for governed in governed_operations(draft.world) if governed.confirmations]
    if not confirmed:
        raise Unsuitable("no rule wants a confirmation")
    goal = _drawn(draft, rng.choice(confirmed), "act", access, rng, yes).goal
    if "confirm" not in goal.tags:
        raise Unsuitable("no rule wants this to be confirmed")
    return goal


def draw_change(draft: Draft, access: Access, rng: random.Random) -> SubGoal:
    """A wish that is fulfilled, and then the user wants it otherwise: the same act with other values, which leaves what it
    would have left alone.

    Raises:
        Unsuitable: as `draw_request`.
    """
    governing = governed_operations(draft.world)
    variable = [item for item in governing if item.policies and len(item.operation.arguments) > 1]
    if not variable:
        raise Unsuitable("no act has a value to change one's mind about")
    governed = rng.choice(variable)
    drawn = _drawn(draft, governed, "act", access, rng)
    goal = drawn.goal
    if goal.tags:
        raise Unsuitable("the user is asked to confirm it")
    fresh = draft.state(*goal.initialise)
    state = fresh.fork()
    state.call(governed.operation.name, drawn.arguments)
    done = state.digest()
    for _ in range(DRAWS):
        other = draw_arguments(draft, governed.operation, governed.subject, goal.key, rng)
        after, alone = state.fork(), fresh.fork()
        alone.call(governed.operation.name, other)
        free = governed.is_free(state, goal.key, other)
        if free and not after.call(governed.operation.name, other).isError and alone.digest() == after.digest() != done:
            break
    else:
        raise Unsuitable(f"no other {governed.operation.name} takes the place of the first")
    phrase = wording.request(draft.world, governed.operation, governed.subject, drawn.named, other, rng, draft.speaker.language)
    before = (
        ToolPattern(governed.operation.name, other),
        ToolPattern(governed.decline.name, {governed.decline_subject: goal.key}),
    )
    change = FollowUp(
        wording.change_of_mind(phrase, rng, draft.speaker.language),
        GoldCall(governed.operation.name, other),
        before,
        lambda state: governed.is_free(state, goal.key, other),
    )
    return replace(goal, change=change, tags=("change",))


def _drawn(
    draft: Draft,
    governed: GovernedOperation,
    verdict: Verdict,
    access: Access,
    rng: random.Random,
    yes: bool | None = None,
) -> _Drawn:
    """Args: yes: the user's word where a rule wants one; None to draw it."""
    key, arguments, sides = _draw_sides(draft, governed, verdict, rng)
    patches, reason = sides[verdict]
    state = draft.state(*patches)
    read, language = GoldCall(governed.read.name, {governed.read_subject: key}), draft.speaker.language
    named, finding, facts = name_subject(
        state, access, governed.entity, key, governed.subject, rng, draft.speaker, read
    )
    looks = (read, *governed.looks(state, key, arguments))
    asked = GoldCall(governed.operation.name, arguments)
    declined = GoldCall(governed.decline.name, {governed.decline_subject: key, "reason": reason})
    right = asked if reason is None else declined
    too_early = (
        ToolPattern(governed.operation.name, arguments),
        ToolPattern(governed.operation.name, {governed.subject: key}),
        ToolPattern(governed.decline.name, {governed.decline_subject: key}),
    )

    def still_right(state: WorldState) -> bool:
        if state.find(governed.entity, key) is None or governed.wants_confirmation(state, key, arguments) != wanted:
            return False
        try:
            return governed.reason_against(state, key, arguments) == reason
        except LookupError:
            return False

    wanted = governed.wants_confirmation(state, key, arguments)
    goal = SubGoal(
        verdict, access, governed.entity, key, governed.operation.name,
        request=wording.request(draft.world, governed.operation, governed.subject, named, arguments, rng, language),
        calls=(*finding, *looks, right),
        criterion=None if reason is None else Criterion(f"refusal_{draft.number}", "refusal", (key, reason)),
        checkpoints=tuple(
            Checkpoint(f"{name}_{draft.number}", ToolPattern(look.tool or "", look.arguments), too_early)
            for name, look in zip(("read", *(f"look{n}" for n in range(1, len(looks)))), looks, strict=True)
        ),
        reply=wording.reply(verdict, language),
        patterns=tuple(ToolPattern(call.tool or "", call.arguments) for call in (*looks, right)),
        initialise=patches, facts=facts, still_right=still_right,
    )  # fmt: skip
    if reason is None and wanted:
        goal = _confirmed(draft, goal, governed, arguments, yes)
    return _Drawn(goal, arguments, named)


def _confirmed(
    draft: Draft, goal: SubGoal, governed: GovernedOperation, arguments: Mapping[str, Any], yes: bool | None
) -> SubGoal:
    """The same wish where a rule wants the user to confirm it; half of the users think better of it."""
    # Drawn apart, so that the opening does not depend on whether there is something to confirm.
    rng = derive_rng(draft.seed, "confirmation", draft.number)
    drawn, language = rng.random() < 0.5, draft.speaker.language
    yes = drawn if yes is None else yes
    named = wording.subject("direct", governed.entity, rng, language=language, key=goal.key)
    phrase = wording.request(draft.world, governed.operation, governed.subject, named, arguments, rng, language=language)
    parts = confirming(draft.number, phrase, yes, goal.checkpoints[0].before, rng, language)
    return replace(
        goal,
        verdict="act" if yes else "keep",
        calls=(*goal.calls[:-1], parts.question, *(goal.calls[-1:] if yes else ())),
        checkpoints=(*goal.checkpoints, parts.checkpoint),
        patterns=goal.patterns if yes else goal.patterns[:-1],
        reply=goal.reply if yes else wording.reply("keep", language=language),
        facts=(*goal.facts, parts.fact),
        tags=("confirm",),
    )


def _draw_sides(
    draft: Draft, governed: GovernedOperation, verdict: Verdict, rng: random.Random
) -> tuple[str, dict[str, Any], dict[str, Side]]:
    """A record, arguments, and both sides of them; drawn anew a few times, so that picky operations are not rare.

    Where no field decides (a rule that only limits an argument, or only wants a confirmation), the wanted side is enough.
    """
    for _ in range(DRAWS):
        key = draft.draw_key(governed.entity, rng)
        arguments = draw_arguments(draft, governed.operation, governed.subject, key, rng)
        sides = _sides(draft, governed, key, arguments, rng)
        if len(sides) == 2 or (verdict in sides and not governed.looks_at_fields):
            return key, arguments, sides
    raise Unsuitable(f"{governed.operation.name} of {governed.entity} {key} has only one side")


def draw_arguments(
    draft: Draft, operation: OperationSpec, subject: str, key: str, rng: random.Random
) -> dict[str, Any]:
    """Arguments of a call about the record `key`, which the argument `subject` names.

    Raises:
        Unsuitable: nothing says what one of them might be.
    """
    keys = {entity: draft.free_keys(entity) for entity in draft.world.entities}
    others = (item for item in operation.arguments.values() if item.name != subject)
    try:
        return {subject: key} | {item.name: draw_argument(draft.world, item, keys, rng) for item in others}
    except LookupError as error:
        raise Unsuitable(str(error)) from error


def _sides(
    draft: Draft, governed: GovernedOperation, key: str, arguments: Mapping[str, Any], rng: random.Random
) -> dict[str, Side]:
    """For `act` and `refuse`, how to prepare the world and the reason to decline; the tool does the act for both."""
    sides: dict[str, Side] = {}
    for patches in policy_field_values(draft.state(), governed, key, rng):
        state = draft.state(*patches)
        try:
            reason = governed.reason_against(state, key, arguments)
        except LookupError:
            continue
        side = "act" if reason is None else "refuse"
        if side not in sides and would_do(state, governed.operation, arguments):
            sides[side] = (patches, reason)
        if len(sides) == 2:
            break
    return sides


def would_do(state: WorldState, operation: OperationSpec, arguments: Mapping[str, Any]) -> bool:
    """Whether the tool would do it, and it would make a difference; `state` is changed."""
    return not state.call(operation.name, arguments).isError and bool(state.diff())
