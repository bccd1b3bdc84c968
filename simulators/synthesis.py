"""One synthesised row: a certified task, played by a scripted policy, judged. A pure function of its number and rollout.

The verifier is handed in, as everywhere in this package. Who computes which number, and when, changes nothing.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

from services.chat import ChatModel
from simulators.playable import open_world
from simulators.provenance import provenance_of
from simulators.stochastic import ToolTroubles
from simulators.tasks.agents import make_agent, play
from simulators.tasks.chat_agent import ChatPolicy, play_chat
from simulators.tasks.difficulty import count_difficulty
from simulators.tasks.oracle import OracleAgent, PlannedAgent
from simulators.tasks.patient import PatientAgent, most_turns
from simulators.tasks.stream import TaskStream
from simulators.tasks.teacher import ErrorMix
from simulators.users import AnyVoice
from simulators.worlds import WorldSpec
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_seed
from trajectories.tasks import Split, Task
from trajectories.trajectory import Trajectory

__all__ = ["ScriptedPolicy", "about", "converse", "demonstrate", "synthesize"]

Verify = Callable[[Task, Outcome], Reward]


@dataclass(frozen=True)
class ScriptedPolicy:
    """Who demonstrates: the oracle, or a teacher that errs."""

    kind: Literal["oracle", "teacher"] = "oracle"
    """The oracle is always right; a teacher is right about each sub-goal with probability `competence`."""
    competence: float = 1.0
    """Of a teacher, 0 to 1."""
    errors: ErrorMix = field(default_factory=ErrorMix)
    """How a teacher errs."""

    def __post_init__(self) -> None:
        if not 0 <= self.competence <= 1:
            raise ValueError(f"competence: is from 0 to 1, not {self.competence}")


def synthesize(
    number: int,
    stream: TaskStream,
    policy: ScriptedPolicy,
    *,
    run_seed: int,
    split: Split,
    verify: Verify,
    rollout: int = 0,
    troubles: ToolTroubles | None = None,
    voice: AnyVoice | None = None,
) -> tuple[Task, Trajectory]:
    """The task of this number and the judged dialogue of the scripted policy on it (messages; no tokens yet)."""
    task = stream.task(number, run_seed=run_seed, split=split, verify=verify)
    trajectory = demonstrate(task, policy, run_seed=run_seed, rollout=rollout, troubles=troubles, voice=voice)
    assert trajectory.outcome is not None
    return task, replace(
        trajectory, reward=verify(task, trajectory.outcome), metadata={"number": number, **trajectory.metadata}
    )


def demonstrate(
    task: Task,
    policy: ScriptedPolicy,
    *,
    run_seed: int,
    rollout: int = 0,
    troubles: ToolTroubles | None = None,
    voice: AnyVoice | None = None,
) -> Trajectory:
    """The dialogue of the scripted policy on `task`, not judged yet.

    Args:
        rollout: which try at the task; a teacher errs otherwise each time.
        troubles: how often tools misbehave; the policy then keeps its plan as a `PatientAgent` does.
        voice: who puts what the user says into words; None for the built-in grammar.
    """
    world, planned = open_world(task.world), _planned(task, policy, run_seed, rollout)
    seed = derive_seed(run_seed, "episode", task.id, rollout)
    if isinstance(world, WorldSpec) and troubles is not None and troubles.active and task.domain == "tool_use":
        patient = PatientAgent(task, world, planned.plan)
        turns = most_turns(task, world, troubles) + len(planned.plan.turns)
        messages, tools, outcome = play(task, world, patient, seed, max_turns=turns, troubles=troubles, voice=voice)
    else:
        turns = max(12, len(planned.plan.turns) + 1)
        messages, tools, outcome = play(task, world, planned, seed, max_turns=turns, voice=voice)
    return Trajectory(
        id=f"{task.id}-{rollout}",
        task_id=task.id,
        rollout=rollout,
        seed=seed,
        messages=messages,
        tools=tools,
        outcome=outcome,
        provenance=provenance_of(task, tools, run_seed=run_seed),
        metadata=about(task, outcome)
        | {
            "policy": policy.kind,
            "competence": policy.competence if policy.kind == "teacher" else 1.0,
            "errors": list(getattr(planned, "errors", ())),
        },
    )


def _planned(task: Task, policy: ScriptedPolicy, run_seed: int, rollout: int) -> PlannedAgent:
    if task.domain != "tool_use":
        if policy.kind != "oracle":
            raise ValueError(f"policy.kind: a {policy.kind} plays the tasks of tool_use alone, not those of {task.domain}")
        return OracleAgent(task)
    planned = make_agent(
        policy.kind,
        task,
        cast(WorldSpec, open_world(task.world)),
        run_seed=run_seed,
        rollout=rollout,
        competence=policy.competence,
        errors=policy.errors,
    )
    assert isinstance(planned, PlannedAgent)
    return planned


def converse(
    task: Task,
    model: ChatModel,
    policy: ChatPolicy,
    *,
    run_seed: int,
    rollout: int = 0,
    troubles: ToolTroubles | None = None,
    voice: AnyVoice | None = None,
) -> Trajectory:
    """As `demonstrate`, of a policy behind a chat model; blocks until the dialogue is over."""
    seed = derive_seed(run_seed, "episode", task.id, rollout)
    world = open_world(task.world)
    played = play_chat(
        task, world, model, seed, run_seed=run_seed, rollout=rollout, policy=policy, troubles=troubles, voice=voice
    )
    return Trajectory(
        id=f"{task.id}-{rollout}",
        task_id=task.id,
        rollout=rollout,
        seed=seed,
        messages=played.messages,
        tools=played.tools,
        outcome=played.outcome,
        provenance=provenance_of(task, played.tools, run_seed=run_seed, models={"policy": model.name}),
        metadata=about(task, played.outcome)
        | {
            "policy": "chat",
            "temperature": policy.temperature,
            "renamed_calls": [asdict(call) for call in played.renamed],
            "usage": None if played.usage is None else asdict(played.usage),
        },
    )


def about(task: Task, outcome: Outcome) -> dict[str, Any]:
    """What a row says of its task and of what befell it, beside its provenance."""
    world = open_world(task.world)
    composed = isinstance(world, WorldSpec) and task.domain == "tool_use"
    counts = asdict(count_difficulty(task, cast(WorldSpec, world))) if composed else {"calls": len(task.gold.calls)}
    return {
        "difficulty": task.difficulty,
        "counted": {**counts, "faults": sum(call.trouble is not None for call in outcome.calls)},
        "domain": task.domain,
        "split": task.split,
        "tags": list(task.tags),
        "persona": task.persona.name,
        "language": task.persona.language,
    }
