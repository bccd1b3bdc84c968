"""One reward from a verdict and what the settings add to it: every part of it is visible as a component.

A verdict is computed once, by the verifier of the task's own domain. A fault stays a fault: an invalid verdict passes through
untouched. What becomes of a valid one, in this order:

1. *earned*: ``domain weight * (pass_weight * pass + sum of weight * component)``, products among the components;
2. *gates*: where the component of one is not 1, nothing is earned;
3. *penalties* are taken off: malformed end, length, budget, repetition;
4. the *length reward* of the group is added;
5. *vetoes*: where the component of one is not 1, its value is the reward, and nothing else counts; the least of several;
6. *clip*: the reward is brought between two bounds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rewards.config import CRITERION, PASS, PRODUCT, RewardConfig
from rewards.lengths import excess, is_over_budget, length_rewards
from rewards.repetition import repetition
from rewards.verifiers import Verifier, verifier_for
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["CompositeReward", "RewardConfig", "answers_of", "verdict_of"]


def verdict_of(task: Task, outcome: Outcome, find: Callable[[str], Verifier] = verifier_for) -> Reward:
    """What the verifier of the task's domain says; invalid where it breaks, because nothing invents a 0.

    Raises:
        ValueError: there is no verifier of this domain.
    """
    verifier = find(task.domain)
    try:
        return verifier.verify(task, outcome)
    except Exception as error:  # a mistake of ours, whatever the policy said
        return Reward.invalid(f"verifier: {task.domain}: {type(error).__name__}: {error}".removesuffix(": ")[:500])


def answers_of(tasks: Sequence[Task], trajectories: Sequence[Trajectory]) -> list[tuple[Task, Outcome]]:
    """What is to be judged: as many trajectories of each task, those of the first task, then those of the second, ...

    Raises:
        ValueError: a trajectory has no outcome, or they are not as many for each task.
    """
    if len(trajectories) % max(1, len(tasks)) or (trajectories and not tasks):
        raise ValueError(f"rewards: {len(trajectories)} trajectories are not as many for each of {len(tasks)} tasks")
    size = len(trajectories) // max(1, len(tasks))
    answers = []
    for at, trajectory in enumerate(trajectories):
        if trajectory.outcome is None:
            raise ValueError(f"rewards: trajectory {trajectory.id!r} has no outcome to judge")
        answers.append((tasks[at // size], trajectory.outcome))
    return answers


class CompositeReward:
    """Composes rewards as the settings say.

    Components: ``pass`` (the verdict, 0 or 1); what was taken off, at most 0, each only where its weight is above 0 and, but for
    ``malformed``, only where there are tokens: ``malformed``, ``length``, ``budget``, ``repetition``; what the group gave:
    ``length_reward``; ``product/<name>``; ``gate/<component>`` and ``veto/<component>``, 1 where it let the answer through; and
    every criterion of the verifier as ``criterion/<name>``.

    Args:
        find: gives the verifier of a domain.
    """

    def __init__(self, config: RewardConfig | None = None, find: Callable[[str], Verifier] = verifier_for) -> None:
        self.config, self._find = config or RewardConfig(), find

    def score(self, task: Task, outcome: Outcome, trajectory: Trajectory | None = None) -> Reward:
        """The reward of `outcome`, alone: without the length reward, which is of a group.

        Args:
            trajectory: needed where a setting counts tokens, because only it has them.

        Raises:
            ValueError: tokens count and there is no trajectory.
        """
        return self.compose(task, outcome, trajectory, verdict_of(task, outcome, self._find))

    def score_groups(self, tasks: Sequence[Task], trajectories: Sequence[Trajectory], *, step: int | None = None) -> list[Reward]:
        """The rewards of `trajectories`, in order; see `answers_of` for whose they are.

        Args:
            step: of learning, from 1, for the length reward's warm-up; None where nothing is learnt, as after it.
        """
        verdicts = [verdict_of(task, outcome, self._find) for task, outcome in answers_of(tasks, trajectories)]
        return self.compose_groups(tasks, trajectories, verdicts, step=step)

    def compose(self, task: Task, outcome: Outcome, trajectory: Trajectory | None, verdict: Reward) -> Reward:
        """`score` of a verdict that is known."""
        parts = self._parts(task, outcome, trajectory, verdict)
        return verdict if parts is None else self._reward(parts)

    def compose_groups(
        self, tasks: Sequence[Task], trajectories: Sequence[Trajectory], verdicts: Sequence[Reward], *, step: int | None = None
    ) -> list[Reward]:
        """`score_groups` of verdicts that are known."""
        answers = answers_of(tasks, trajectories)
        every = [
            self._parts(task, outcome, trajectory, verdict)
            for (task, outcome), trajectory, verdict in zip(answers, trajectories, verdicts, strict=True)
        ]
        size = len(answers) // len(tasks) if tasks else 1
        groups = (every[start : start + size] for start in range(0, len(every), size))
        shares = [share for group in groups for share in self._length_rewards(group, step)]
        return [
            verdict if parts is None else self._reward(parts, share)
            for verdict, parts, share in zip(verdicts, every, shares, strict=True)
        ]

    def _parts(self, task: Task, outcome: Outcome, trajectory: Trajectory | None, verdict: Reward) -> "_Parts | None":
        """None for a verdict that is none."""
        if verdict.value is None:
            return None
        config, components = self.config, {PASS: verdict.value}
        if trajectory is None and config.needs_tokens is not None:
            raise ValueError(
                f"rewards.{config.needs_tokens} counts tokens: score(task, outcome, trajectory) needs the trajectory"
            )
        tokenised = trajectory if trajectory is not None and trajectory.segments else None  # else it has no length to speak of
        penalties = self._penalties(task, outcome, tokenised)
        criteria = {CRITERION + name: value for name, value in verdict.components.items()}
        said = components | criteria
        products = {PRODUCT + name: math.prod(said.get(part, 0.0) for part in parts) for name, parts in config.products.items()}
        said |= products
        earned = config.pass_weight * verdict.value + sum(weight * said.get(name, 0.0) for name, weight in config.weights.items())
        gates = {name: float(said[name] == 1) for name in config.gates if name in said}
        vetoes = {name: float(said[name] == 1) for name in config.vetoes if name in said}
        components |= penalties | products
        components |= {f"gate/{name}": value for name, value in gates.items()}
        components |= {f"veto/{name}": value for name, value in vetoes.items()}
        return _Parts(
            verdict,
            components | criteria,
            earned=config.weight_of(task.domain) * earned if all(gates.values()) else 0.0,
            penalties=sum(penalties.values()),
            veto=min((config.vetoes[name] for name, value in vetoes.items() if not value), default=None),
            is_correct=verdict.value == 1 and all(gates.values()) and all(vetoes.values()),
            length=tokenised.num_policy_tokens if tokenised is not None else None,
        )

    def _penalties(self, task: Task, outcome: Outcome, trajectory: Trajectory | None) -> dict[str, float]:
        """What is taken off, by component."""
        config, taken = self.config, {}
        if config.malformed_penalty > 0:
            taken["malformed"] = config.malformed_penalty * (outcome.ending == "malformed")
        if trajectory is not None:
            tokens, budget = trajectory.num_policy_tokens, config.budget_of(task.domain)
            if config.length_penalty > 0:
                taken["length"] = config.length_penalty * excess(tokens, budget)
            if config.budget_penalty > 0:
                taken["budget"] = config.budget_penalty * is_over_budget(tokens, budget, outcome)
            if config.repetition_penalty > 0:
                taken["repetition"] = config.repetition_penalty * repetition(trajectory, config.repetition_ngram)
        return {name: 0.0 - value for name, value in taken.items()}

    def _length_rewards(self, group: Sequence["_Parts | None"], step: int | None) -> list[float | None]:
        config = self.config
        if config.length_reward == 0 or (step is not None and step <= config.length_warmup_steps):
            return [None] * len(group)
        lengths = [parts.length if parts is not None else None for parts in group]
        shares = length_rewards(lengths, [parts is not None and parts.is_correct for parts in group])
        return [config.length_reward * share if share is not None else None for share in shares]

    def _reward(self, parts: "_Parts", length_reward: float | None = None) -> Reward:
        components = dict(parts.components)
        if length_reward is not None:
            components["length_reward"] = length_reward
        value = parts.veto if parts.veto is not None else parts.earned + parts.penalties + (length_reward or 0.0)
        if self.config.clip is not None:
            value = min(max(value, self.config.clip[0]), self.config.clip[1])
        return replace(parts.verdict, value=value, components=components)


@dataclass(frozen=True, slots=True)
class _Parts:
    """One valid verdict, on its way to a reward."""

    verdict: Reward
    components: Mapping[str, float]
    earned: float
    """Gates considered."""
    penalties: float
    """At most 0."""
    veto: float | None
    is_correct: bool
    """A pass that no gate or veto stops."""
    length: int | None
    """Policy tokens; None where nobody tokenised the dialogue."""
