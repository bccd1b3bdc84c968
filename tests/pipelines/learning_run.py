"""A whole training run in this process: a real trainer on a nano model, real worlds, the real loop, and a scripted engine.

What the policy says hangs on who asks (task, rollout, turn), not on the weights, so a run is a function of its settings and of
the order in which it learns. `python -m tests.pipelines.learning_run <directory> <schedule>` is such a run as a process.
"""

import asyncio
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from pipelines.learning.loop import iterate
from pipelines.learning.recipe import RecipeSettings
from pipelines.learning.schedule import ScheduleSettings
from pipelines.learning.settings import LearningSettings
from pipelines.progress import Progress
from pipelines.rollouts import Rollouts, RolloutSettings
from pipelines.run_directory import RunDirectory
from rewards.composition import CompositeReward
from rl.policy import dialects
from rl.policy.dialects import Dialect
from rl.policy.presets import build_model, save
from rl.policy.source import PolicyConfig
from rl.policy.tokenizer import train_tokenizer
from rl.policy.weights import tensor_digest
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.engine import WeightUpdate
from rl.rollout.proof import build_probe
from rl.rollout.scripted_engine import Respond, ScriptedEngine
from rl.rollout.supervised_engine import SupervisedEngine
from rl.training.muonclip import OptimizerConfig
from rl.training.packing import TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts as Batch
from rl.training.trainer_config import TrainerConfig
from simulators import worlds
from simulators.tasks.compose import compose
from tests.rl.rollout.episodes import LocalEpisodes, oracle_dialogue
from trajectories.messages import Message
from trajectories.seeds import derive_rng
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

SEED, STEPS, TASKS = 3, 4, 16
TRAINER = TrainerConfig(
    optimizer=OptimizerConfig(muon_lr=1e-2, adam_lr=1e-3),
    gradient_steps=1,
    max_log_prob_difference=1e9,  # the engine is no model
    mean_log_prob_difference=1e9,
)
SCHEDULES: dict[str, dict[str, Any]] = {
    "sync": {},
    "parts": {"iteration_tokens": 40, "max_staleness": 2},
    "one_step_off": {"mode": "one_step_off"},
    "async": {"mode": "async", "update": "keep"},
    "overtaking": {"mode": "async", "order": "completion", "max_staleness": 3, "update": "recompute"},
}
RECIPE = RecipeSettings(final_temperature=0.7, optimizer_reset_every=2, drop_groups=("all_fail",))
MLA = ("q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")


def settings(schedule: str, **changes: Any) -> LearningSettings:
    given: dict[str, Any] = {
        "steps": STEPS,
        "prompts_per_step": 2,
        "group_size": 2,
        "trainer": TRAINER,
        "schedule": ScheduleSettings(**SCHEDULES[schedule]),
        "checkpoint_every": 2,
        "recipe": RECIPE if schedule == "overtaking" else RecipeSettings(),
    }
    return LearningSettings(**(given | changes))


def make_policy(directory: Path) -> PolicyConfig:
    """A nano policy with random weights."""
    sizes = dict.fromkeys(MLA, 16) | {"num_hidden_layers": 2, "hidden_size": 32}
    save(build_model("nano_k2", words(), seed=0, **sizes), words(), directory)
    return PolicyConfig(path=str(directory), tools_format="none")


@cache
def words() -> PreTrainedTokenizerBase:
    """A tokenizer that has seen the tasks' words."""
    dialogues = [oracle_dialogue(some_task(number)) for number in range(TASKS)]
    texts = [
        text for each in dialogues for said in each for text in (said.content, *(call.arguments for call in said.tool_calls))
    ]
    return train_tokenizer(texts, 512)


@cache
def chat() -> Dialect:
    return dialects.get("kimi_k2", words(), "none")


class LocalTrainer:
    """`TrainerGroup` of one rank in this process."""

    def __init__(self, config: TrainerConfig, model: str) -> None:
        self.trainer = Trainer(config, model)
        self.parameters = sum(parameter.numel() for parameter in self.trainer.model.parameters())

    async def train_batch(
        self, rollouts: Batch, progress: float | None = None, demonstrations: Sequence[TokenRow] = ()
    ) -> dict[str, float]:
        return await asyncio.to_thread(self.trainer.train_batch, rollouts, progress, demonstrations)

    async def reset_optimizer(self) -> None:
        self.trainer.reset_optimizer()

    async def export_weights(self) -> Any:
        digest = tensor_digest(self.trainer.model.state_dict().items())
        return SimpleNamespace(update=WeightUpdate(self.trainer.version, "", digest), bytes=0)

    async def probe(self, seed: int) -> Any:
        return build_probe(self.trainer.model, self.trainer.model.config.vocab_size, seed, most=4)

    async def save_checkpoint(self, directory: str) -> None:
        self.trainer.save_checkpoint(directory)

    async def load_checkpoint(self, directory: str) -> None:
        self.trainer.load_checkpoint(directory)


class LocalTasks:
    """`TaskFeed` without Ray."""

    def __init__(self, size: int) -> None:
        self._size = size

    def batch(self, step: int) -> list[Task]:
        return [some_task((step - 1) * self._size + place) for place in range(self._size)]

    def observe(self, step: int, numbers: Sequence[int], trajectories: Sequence[Trajectory]) -> None:
        assert len(trajectories) == 2 * len(numbers)
        assert all(each.task_id == some_task(numbers[place // 2]).id for place, each in enumerate(trajectories))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


@cache
def some_task(number: int) -> Task:
    return compose(worlds.load("order_desk"), number, run_seed=5, split="train", difficulty=1)


@cache
def oracle_turns(number: int) -> list[list[int]]:
    return [chat().render_turn(message) for message in oracle_dialogue(some_task(number)) if message.role == "assistant"]


def speak(prompt: list[int], sampling: object, request_id: str) -> tuple[list[int], list[float]]:
    """What the oracle would say, or a refusal; the rest of it where a part stands in the prompt already."""
    slot, place = request_id.rsplit("/", 1)
    turn, _, part = place.partition(".")
    said = oracle_turns(next(number for number in range(TASKS) if some_task(number).id in slot))[int(turn)]
    if derive_rng(SEED, "refusal", slot, turn).random() < 0.2:
        said = chat().render_turn(Message("assistant", "I would rather not."))
    there = max(count for count in range(len(said)) if prompt[len(prompt) - count :] == said[:count]) if part else 0
    return said[there:], [-0.5 - index % 3 for index in range(there, len(said))]


def seconds(request_id: str, tokens: int) -> float:
    """Some episodes take ten times as long as others."""
    slow = derive_rng(SEED, "slow", request_id.rsplit("/", 1)[0]).random() < 0.2
    return (3e-3 if slow else 3e-4) * tokens


Watch = Callable[[str], None]
"""Is told of everything that happens: what is about to be done, and what has been done."""


class Watched:
    """Any object, whose asynchronous methods are told of before and after."""

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner, self._watch = inner, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def told(*arguments: Any, **named: Any) -> Any:
            self._watch(f"before {name}")
            try:
                return await found(*arguments, **named)
            finally:
                self._watch(f"after {name}")

        return told


def open_world(engine: Any, pool: Any) -> Rollouts:
    """An engine that is not supervised never dies."""

    async def start() -> Any:
        return engine

    limits = RolloutLimits(max_turns=8, max_turn_tokens=400, max_tokens=1024)
    supervised = engine if isinstance(engine, SupervisedEngine) else SupervisedEngine(start)
    return Rollouts(RolloutSettings(limits=limits, in_flight=5), supervised, pool, chat())


def train(learning: LearningSettings, policy: PolicyConfig, directory: Path, **world: Any) -> dict[str, Any]:
    """`orrery train`, but for processes; its summary. See `_train` for the keywords."""
    return asyncio.run(_train(learning, policy, directory, **world))


async def _train(
    learning: LearningSettings,
    policy: PolicyConfig,
    directory: Path,
    *,
    watch: Watch = lambda event: None,
    respond: Respond = speak,
    pool: Any = None,
    supervise: Callable[[Callable[[list[int]], list[float]]], SupervisedEngine] | None = None,
    is_true: Callable[[int], bool] = lambda version: True,
    resume: bool = False,
) -> dict[str, Any]:
    """
    Args:
        supervise: makes an engine that may die, in place of the one that does not, of the function that scores a probe.
        is_true: whether the engine computes what the trainer computes, by version of the weights.
    """
    assert policy.path is not None
    trainer = LocalTrainer(learning.trainer, policy.path)

    def score(tokens: list[int]) -> list[float]:
        right = trainer.trainer.log_probs([tokens])[0]
        return right if is_true(engine.version) else [value - 0.1 for value in right]

    engine: Any = ScriptedEngine(respond, score, seconds) if supervise is None else supervise(score)
    watched = engine if isinstance(engine, SupervisedEngine) else Watched(engine, watch)
    rollouts = open_world(watched, Watched(pool or LocalEpisodes(), watch))
    with RunDirectory.open("train", {}, out=directory, resume="auto" if resume else "never") as run:
        return await iterate(
            learning,
            policy,
            Watched(trainer, watch),  # type: ignore[arg-type]
            LocalTasks(learning.prompts_per_step),  # type: ignore[arg-type]
            CompositeReward(),  # type: ignore[arg-type]
            rollouts,
            run,
            Progress(stream=io.StringIO()),
            seed=SEED,
        )


def weights(directory: Path) -> str:
    """SHA-256 of the policy's file."""
    return hashlib.sha256((directory / "policy" / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, schedule = Path(sys.argv[1]), sys.argv[2]
    print(
        json.dumps(
            train(settings(schedule), PolicyConfig(path=str(place / "start"), tools_format="none"), place / "run", resume=True)
        )
    )
