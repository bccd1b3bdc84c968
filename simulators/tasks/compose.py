"""Composes tasks: one to three sub-goals, initialised together, done one after the other, asserted on the difference
they leave.

A task is a pure function of (world, index, run seed, split, difficulty, families). Seeds of the two splits are hashes
of different keys, so held-out instances are disjoint from training ones by construction.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from simulators.tasks import wording
from simulators.tasks.conditional import draw_branch, draw_reach
from simulators.tasks.draft import Access, Draft, Speaker, SubGoal, Unsuitable
from simulators.tasks.finding import hits
from simulators.tasks.questions import draw_question
from simulators.tasks.requests import draw_change, draw_confirmation, draw_request
from simulators.tasks.script import Script, arrange
from simulators.users.personas import PersonaMix, draw_persona
from simulators.worlds import WorldSpec, WorldState
from trajectories.canonical import canonical_json
from trajectories.outcomes import StateChange
from trajectories.seeds import derive_rng, derive_seed
from trajectories.tasks import Criterion, Gold, GoldCall, Persona, RecordPatch, Rubric, Split, Task
from trajectories.words import stands_in

__all__ = ["CANDIDATE_STRIDE", "FAMILIES", "Family", "USUAL", "compose"]

Family = Literal["act", "refuse", "search", "ask", "lookup", "related", "branch", "reach", "confirm", "change"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Kinds of sub-goals. `act` and `refuse`: the record is named by its key, and policy allows or forbids the wish.
`search`, `related` and `ask`: as those two, evenly, but the key must be searched, searched by way of what the record
belongs to, or asked for. `lookup`: answer a question about a record. `branch`: one act or another, by what is observed.
`reach`: the steps that lead to a state. `confirm`: an act that the user must confirm, and does or does not. `change`: an
act that the user wants otherwise once it is done."""
USUAL: tuple[Family, ...] = ("act", "refuse", "search", "ask", "lookup")
"""What is drawn from where nothing else is said."""

PLAIN_USERS = PersonaMix()

CANDIDATE_STRIDE = 2**40
"""Indices that differ by a multiple of this are candidates for the same place: they share their side of the allowed/forbidden
balance. Even, so that they share their parity too."""

ATTEMPTS = 200
"""Drafts before giving up. Few worlds need more than three."""


@dataclass(frozen=True, slots=True)
class _Kind:
    family: Family
    access: Access
    granted: bool
    """Of the two sides that a wish may have, which."""

    def draw(self, draft: Draft, rng: random.Random) -> SubGoal:
        match self.family:
            case "lookup":
                return draw_question(draft, self.access, rng)
            case "branch":
                return draw_branch(draft, self.access, self.granted, rng)
            case "reach":
                return draw_reach(draft, self.access, rng)
            case "confirm":
                return draw_confirmation(draft, self.access, self.granted, rng)
            case "change":
                return draw_change(draft, self.access, rng)
        return draw_request(draft, "act" if self.granted else "refuse", self.access, rng)


def compose(
    world: WorldSpec,
    index: int,
    *,
    run_seed: int,
    split: Split,
    difficulty: int,
    families: tuple[str, ...] | None = None,
    follow_ups: float = 0.0,
    personas: PersonaMix = PLAIN_USERS,
    reference: str | None = None,
) -> Task:
    """The task number `index` of this world, not yet certified.

    Of tasks 2n and 2n + 1 each sub-goal of one is to be granted and that of the other declined, in random order, where
    `families` leaves the choice open.

    Args:
        difficulty: number of sub-goals, 1 to 3.
        families: kinds that sub-goals are drawn from; by default ``act`` and ``refuse`` at difficulty 1 and `USUAL` beyond.
        follow_ups: how likely each wish but the first is said only once those before it are done, 0 to 1.
        personas: who the users are.
        reference: what `worlds.load` takes to find the world again, for a world that was loaded from a path.

    Raises:
        ValueError: for an unknown family or difficulty, or when the world has nothing of these kinds.
    """
    chosen = tuple(families) if families is not None else USUAL[:2] if difficulty == 1 else USUAL
    _check(chosen, difficulty)
    keys = (split, world.name, index)
    problem = ""
    for attempt in range(ATTEMPTS):
        seed = derive_seed(run_seed, "task", *keys, *((attempt,) if attempt else ()))
        rng = derive_rng(run_seed, "compose", *keys, difficulty, attempt)
        kinds = _draw_kinds(
            chosen, index, derive_seed(run_seed, "balance", split, world.name, index % CANDIDATE_STRIDE // 2), difficulty, rng
        )
        try:
            task = _compose_once(world, seed, split, kinds, follow_ups, personas, rng)
            return (task if reference is None else replace(task, world=reference)).with_id()
        except Unsuitable as unsuitable:
            problem = str(unsuitable)
    raise ValueError(
        f"world {world.name}: no task of families {', '.join(chosen)} at difficulty {difficulty}: {problem}"
    )


def _check(families: Sequence[str], difficulty: int) -> None:
    if difficulty not in (1, 2, 3):
        raise ValueError(f"difficulty is 1, 2 or 3, not {difficulty}")
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown or not families:
        raise ValueError(f"families are some of {', '.join(FAMILIES)}, not {', '.join(unknown) or 'none'}")
    if difficulty > 1 and set(families) <= {"ask", "lookup"} and difficulty > len(set(families)):
        raise ValueError(
            f"a task has at most one sub-goal of each of ask and lookup: too few families for difficulty {difficulty}"
        )


def _draw_kinds(
    families: Sequence[str], index: int, balance_seed: int, difficulty: int, rng: random.Random
) -> list[_Kind]:
    """The kind of each sub-goal.

    At most one asks the user and at most one is a question, so that words stay unambiguous.
    """
    open_kinds = ["direct" if family in ("act", "refuse") else family for family in families]
    balance = random.Random(balance_seed)
    kinds: list[_Kind] = []
    for _ in range(difficulty):
        kind = rng.choice(sorted(set(open_kinds)))
        granted = (balance.random() < 0.5) ^ bool(index & 1)
        if kind in ("ask", "lookup"):
            open_kinds = [other for other in open_kinds if other != kind]
        if kind == "direct" and len({"act", "refuse"} & set(families)) == 1:
            granted = "act" in families
        access = cast(Access, kind) if kind in ("search", "related", "ask") else "direct"
        special = kind in ("lookup", "branch", "reach", "confirm", "change")
        kinds.append(_Kind(cast(Family, kind) if special else "act" if granted else "refuse", access, granted))
    return kinds


def _compose_once(
    world: WorldSpec,
    seed: int,
    split: Split,
    kinds: Sequence[_Kind],
    follow_ups: float,
    personas: PersonaMix,
    rng: random.Random,
) -> Task:
    persona = _plain_persona(rng) if personas == PLAIN_USERS else draw_persona(personas, rng)
    speaker = Speaker(persona.language, personas.error_prone)
    patches: tuple[RecordPatch, ...] = ()
    goals: list[SubGoal] = []
    for number, kind in enumerate(kinds, start=1):
        taken = frozenset((goal.entity, goal.key) for goal in goals)
        draft = Draft(world, seed, patches, taken, number, speaker)
        goal = kind.draw(draft, rng)
        patches += goal.initialise
        goals.append(goal)
    if sum(fact.kind == "confirmation" for goal in goals for fact in goal.facts) > 1:
        raise Unsuitable("one yes would stand for two confirmations")
    changes = _changes_left(world, seed, patches, goals)
    if _canonical(changes) != _canonical(_changes_left(world, seed, patches, goals[::-1])):
        raise Unsuitable("the order of the sub-goals matters")
    # Drawn only where wishes may come later, so that others are drawn as they were.
    later = [bool(follow_ups) and number > 0 and rng.random() < follow_ups for number in range(len(goals))]
    script = arrange(goals, later, persona, rng)
    if len(set(script.ledger.follow_ups)) < len(script.ledger.follow_ups):
        raise Unsuitable("two follow-ups are in the same words")
    return Task(
        id="", world=world.name, seed=seed, split=split, difficulty=len(goals),
        persona=persona,
        ledger=script.ledger,
        rubric=_rubric(world, goals, script, _heard(world.instantiate(seed, patches), script.calls)),
        gold=Gold(patches, script.calls, changes, script.reply),
        tags=_tags(goals, any(later)),
    )  # fmt: skip


def _plain_persona(rng: random.Random) -> Persona:
    """One of `PLAIN_USERS`, by the draw that the first tasks were made with: their ids stay."""
    style = rng.choice(wording.STYLES)
    return Persona(style, style)


def _changes_left(
    world: WorldSpec, seed: int, patches: tuple[RecordPatch, ...], goals: Sequence[SubGoal]
) -> tuple[StateChange, ...]:
    """What doing the sub-goals in this order changes, and the changes of mind after them.

    Raises:
        Unsuitable: when one of them gets in the way of another.
    """
    state = world.instantiate(seed, patches)
    for goal in goals:
        if not goal.still_right(state):
            raise Unsuitable(f"whether {goal.operation} is right depends on another sub-goal")
        for call in goal.calls:
            if call.tool is None:
                continue
            operation = world.operations[call.tool]
            if operation.kind in ("search", "list") and not _still_finds(state, call, goal):
                raise Unsuitable(f"{call.tool} no longer finds one {operation.entity}, for {goal.entity} {goal.key}")
            if not (operation.kind == "read" and any(fact.slips for fact in goal.facts)):
                _do(state, call)  # a reading of what the user first said wrongly fails, and is meant to
    for goal in goals:
        if goal.change is not None:
            if not goal.change.still_right(state):
                raise Unsuitable(f"whether another {goal.operation} is right depends on another sub-goal")
            _do(state, goal.change.call)
    return state.diff()


def _heard(state: WorldState, calls: Sequence[GoldCall]) -> str:
    """Everything that the gold calls tell, as a person says it."""
    told = [(call.arguments, state.call(call.tool, call.arguments).content) for call in calls if call.tool is not None]
    return wording.spoken(" ".join(f"{' '.join(map(str, arguments.values()))} {content}" for arguments, content in told))


def _still_finds(state: WorldState, call: GoldCall, goal: SubGoal) -> bool:
    found = hits(state, call)
    about_it = state.world.operations[call.tool or ""].entity == goal.entity
    return len(found) == 1 and (found == [goal.key] or not about_it)


def _do(state: WorldState, call: GoldCall) -> None:
    if (result := state.call(call.tool or "", call.arguments)).isError:
        raise Unsuitable(f"{call.tool}: {result.content}")


def _canonical(changes: Sequence[StateChange]) -> str:
    return canonical_json([[item.entity, item.key, item.kind, dict(item.fields)] for item in changes])


def _rubric(world: WorldSpec, goals: Sequence[SubGoal], script: Script, heard: str) -> Rubric:
    changing = tuple(operation.name for operation in world.operations.values() if operation.changes_state)
    criteria = (
        Criterion("state", "state", changing),
        *(_without_echoes(goal.criterion, script, heard) for goal in goals if goal.criterion is not None),
        Criterion("no_other_refusal", "no_refusal", (world.decline_operation.name,)),
    )
    patterns = tuple(pattern for goal in goals for pattern in goal.patterns)
    return Rubric(criteria, patterns, script.checkpoints)


def _without_echoes(criterion: Criterion, script: Script, heard: str) -> Criterion:
    """The criterion without wrong answers that somebody says who only repeats what the user or the oracle says, or tells
    more than was asked of what the tools said.

    Args:
        heard: the oracle's calls, and their results.

    Raises:
        Unsuitable: none is left, so whoever says every answer there is would pass.
    """
    if criterion.kind != "says":
        return criterion
    words = [heard, script.ledger.opening, *script.ledger.follow_ups, script.reply]
    words += [call.say for call in script.calls if call.say]
    answer, *rivals = criterion.expected
    rivals = [text for text in rivals if not stands_in(text.removeprefix("not:"), " ".join(words))]
    if not rivals:
        raise Unsuitable(f"every answer but {answer!r} is said anyway")
    return replace(criterion, expected=(answer, *rivals))


def _tags(goals: Sequence[SubGoal], follow_ups: bool) -> tuple[str, ...]:
    named: set[str] = {goal.verdict for goal in goals} | {goal.access for goal in goals if goal.access != "direct"}
    named |= {tag for goal in goals for tag in goal.tags} | ({"follow_up"} if follow_ups else set())
    return (*sorted(named), *sorted({f"op:{goal.operation}" for goal in goals}))
