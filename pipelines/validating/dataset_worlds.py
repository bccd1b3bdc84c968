"""What a data set says of worlds, held against the worlds themselves: fingerprints, tools, and everything executed again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import cast

from simulators.playable import Playable, open_world
from simulators.tasks.agents import play
from simulators.tasks.certify import MAX_TURNS, certify
from simulators.tasks.domains.certify import certify_drafted
from simulators.tasks.oracle import OracleAgent
from simulators.toolbox import given_world
from simulators.worlds import WorldSpec, WorldSpecError
from trajectories.checking.outcome import same_changes
from trajectories.messages import ToolSpec
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["can_be_executed", "dialogue_executed", "gold_executed", "origin_problems"]


def origin_problems(trajectory: Trajectory, task: Task) -> Iterator[str]:
    """Where a row's world, tools, prompt or certificate are not those of its task."""
    about = trajectory.provenance
    if about.world != task.world:
        yield f"is of world {about.world!r}, its task of {task.world!r}"
    if about.certificate != task.certificate:
        yield "its certificate is not that of its task"
    world = _loaded(task)
    known = {} if isinstance(world, str) else _fingerprints(world)
    seen = ((known.get(tool.name), tool) for tool in trajectory.tools)
    if about.tool_fingerprints != tuple(mark[1] if mark and mark[0] == tool else tool.fingerprint() for mark, tool in seen):
        yield "the fingerprints of its tools are not those of its tools"
    if isinstance(world, str):
        yield world
        return
    if about.world_fingerprint != (now := world.fingerprint()):
        yield f"world {task.world} has the fingerprint {now[:16]}..., the row says {about.world_fingerprint[:16]}..."
    try:
        given = given_world(world, task)
        tools, instructions = given.tool_specs(), given.instructions
    except ValueError as error:
        yield f"its agent cannot be equipped: {error}"
        return
    if trajectory.tools != tools:
        yield "its tools are not those of its world and agent, or not as these describe them"
    if trajectory.messages and trajectory.messages[0].content != instructions:
        yield "its system prompt is not that of its world and agent"


def can_be_executed(outcome: Outcome) -> bool:
    """Whether a dialogue's calls are all there is to it: nothing broke, no tool misbehaved, no call was left out."""
    return not outcome.faults and not any(call.trouble or call.content.startswith("refused: ") for call in outcome.calls)


def dialogue_executed(outcome: Outcome, task: Task) -> Iterator[str]:
    """The dialogue's own calls, on a fresh instance, must have the same results and leave the same changes; a world that
    cannot be loaded is `origin_problems`'s to tell."""
    world = _loaded(task)
    if isinstance(world, str):
        return
    try:
        state = given_world(world, task).instantiate(task.seed, task.gold.initialise)
        for number, call in enumerate(outcome.calls):
            result = state.call(call.name, call.arguments)
            if (result.content, result.isError) != (call.content, call.is_error):
                yield f"call {number} ({call.name}), executed again, has the result {result.content!r:.80}"
                return
        if not same_changes(outcome.changes, state.diff()):
            yield "its calls, executed again, leave other changes than the outcome has"
    except Exception as error:  # a task or an outcome of impossible shape
        yield f"its calls cannot be executed again: {type(error).__name__}: {error}"


def gold_executed(task: Task, verify: Callable[[Task, Outcome], Reward], *, recertify: bool) -> Iterator[str]:
    """The oracle must pass and leave exactly the changes of the gold.

    Args:
        recertify: the cheats play too, and certification must end as it did.
    """
    world = _loaded(task)
    if isinstance(world, str):
        yield world
        return
    try:
        outcome = play(task, world, OracleAgent(task), task.seed, max_turns=MAX_TURNS)[2]
        reward = verify(task, outcome)
        if reward.value != 1.0:
            yield f"the oracle does not pass: {reward.cause}"
        if not same_changes(task.gold.changes, outcome.changes):
            yield "the oracle leaves other changes than the gold has"
        if recertify:
            yield from _certified_again(task, world, verify)
    except Exception as error:  # a task of impossible shape
        yield f"it cannot be played: {type(error).__name__}: {error}"


def _certified_again(task: Task, world: Playable, verify: Callable[[Task, Outcome], Reward]) -> Iterator[str]:
    if task.domain == "tool_use":
        again, stored = certify(task, cast(WorldSpec, world), verify).certificate, task.certificate
    else:  # a draft's own cheats are not in its row; the common ones are known
        again, stored = certify_drafted(task, world, {}, verify).certificate, task.certificate
        if again is not None and stored is not None:
            stored = replace(stored, cheats={name: value for name, value in stored.cheats.items() if name in again.cheats})
    if again != stored:
        yield f"certified again it has another certificate: {again}"


@lru_cache(maxsize=64)
def _fingerprints(world: Playable) -> dict[str, tuple[ToolSpec, str]]:
    """By name: the tools as the world describes them, which nearly all rows have, and their fingerprints."""
    return {tool.name: (tool, tool.fingerprint()) for tool in world.tool_specs()}


def _loaded(task: Task) -> Playable | str:
    try:
        return open_world(task.world)
    except (WorldSpecError, ValueError, TypeError, OSError) as error:
        return f"its world cannot be loaded: {error}"
