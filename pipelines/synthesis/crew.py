"""Who takes part in a synthesis: the policy that plays, the voice of the users, the judge, the benchmarks to keep away from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.errors import UserError
from pipelines.models import RoleModel, check_model, open_model
from pipelines.synthesis.rows import Crew
from pipelines.voices import open_voice
from rewards.judge import Judge, JudgeConfig, scripted_judge
from rewards.verifiers.faithfulness import JudgedFaithfulness, JudgedFaithfulnessConfig
from simulators.stochastic import ToolTroubles
from simulators.synthesis import ScriptedPolicy
from simulators.tasks.chat_agent import ChatPolicy
from trajectories.decontamination import Decontaminator, read_benchmark

if TYPE_CHECKING:
    from pipelines.engine_policy import EnginePolicySettings
    from pipelines.synthesize import Synthesize

__all__ = ["Band", "ChatPlayer", "EnginePlayer", "Judging", "Player", "check_crew", "check_records", "open_crew"]


@dataclass(frozen=True, kw_only=True)
class ChatPlayer:
    """A policy behind an OpenAI-compatible endpoint."""

    model: RoleModel = field(default_factory=RoleModel)
    """Which."""
    turns: ChatPolicy = field(default_factory=ChatPolicy)
    """How it is asked."""


@dataclass(frozen=True, kw_only=True)
class EnginePlayer:
    """A policy of ours, served by vLLM; the keys are those of `pipelines.engine_policy`, which brings torch along."""

    path: str | None = None
    """The model directory."""
    dialect: str = "kimi_k2"
    """Chat format; a directory that was trained here has the one it learnt."""
    tools_format: Literal["json", "typescript", "none"] = "json"
    """How tools are declared to it."""
    temperature: float = 1.0
    """0 takes the likeliest token."""
    tool_grammar: bool = True
    """Whether calls can only name declared tools, with arguments that their schemas take; such turns are no data for RL."""
    file: str | None = None
    """The ``completions.sqlite`` of an earlier run, replayed without an engine; null for none."""
    max_turns: int = 20
    """Policy turns of one dialogue."""
    max_turn_tokens: int = 512
    """Tokens of one turn."""
    max_tokens: int = 4096
    """Tokens of one dialogue, context included."""
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    """Of the engine's weights and activations."""
    kv_cache_gb: float = 1.0
    """Memory for the key/value cache, in GiB."""
    tensor_parallel_size: int = 1
    """Devices that share the model."""
    in_flight: int = 96
    """Dialogues that run together."""

    def settings(self, troubles: ToolTroubles) -> "EnginePolicySettings":
        """As `open_engine_policy` takes them.

        Args:
            troubles: how often tools misbehave.

        Raises:
            ValueError: naming the key.
        """
        from pipelines.engine_policy import EnginePolicySettings
        from pipelines.rollouts import RolloutSettings
        from rl.policy.source import PolicyConfig
        from rl.rollout.agent_loop import RolloutLimits
        from rl.rollout.engine_config import EngineConfig
        from simulators.pool import PoolConfig

        engine = EngineConfig(
            model="",
            dtype=self.dtype,
            max_model_len=self.max_tokens,
            kv_cache_gb=self.kv_cache_gb,
            tensor_parallel_size=self.tensor_parallel_size,
        )
        limits = RolloutLimits(max_turns=self.max_turns, max_turn_tokens=self.max_turn_tokens, max_tokens=self.max_tokens)
        return EnginePolicySettings(
            policy=PolicyConfig(path=self.path, dialect=self.dialect, tools_format=self.tools_format),
            temperature=self.temperature,
            tool_grammar=self.tool_grammar,
            file=self.file,
            rollouts=RolloutSettings(engine=engine, pool=PoolConfig(troubles=troubles), limits=limits, in_flight=self.in_flight),
        )


@dataclass(frozen=True, kw_only=True)
class Player(ScriptedPolicy):
    """Who demonstrates."""

    kind: Literal["oracle", "teacher", "chat", "engine"] = "oracle"  # type: ignore[assignment]
    """oracle: always right; teacher: right about each sub-goal with probability `competence`; chat: the model behind
    `chat.model`; engine: vLLM with the model directory `engine.path`."""
    chat: ChatPlayer = field(default_factory=ChatPlayer)
    """For kind chat."""
    engine: EnginePlayer = field(default_factory=EnginePlayer)
    """For kind engine."""


@dataclass(frozen=True, kw_only=True)
class Judging:
    """A model that judges dialogues which the programs let pass."""

    model: RoleModel = field(default_factory=RoleModel)
    """Which; none while it has no endpoint."""
    scripted: bool = False
    """Simple checks in the place of a model: what a run without one can be tried with."""
    rubric: JudgeConfig = field(default_factory=JudgeConfig)
    """What it looks at."""
    faithful: bool = False
    """Whether the model also checks the last reply, sentence by sentence, against what the user and the tools said."""
    faithfulness: JudgedFaithfulnessConfig = field(default_factory=JudgedFaithfulnessConfig)
    """How it is asked about that."""

    def __post_init__(self) -> None:
        if self.scripted and (self.model.endpoint.base_url or self.model.file):
            raise ValueError("scripted: stands in the place of a model; leave out judge.model, or judge.scripted")
        if self.faithful and self.scripted:
            raise ValueError("faithful: takes a model, which judge.scripted stands in the place of; leave out one of the two")


@dataclass(frozen=True, kw_only=True)
class Band:
    """Tasks whose pass rate over the `samples` dialogues lies outside lose all their rows."""

    least: float = 0.0
    """Below this share of passes a task is ``too_hard``."""
    most: float = 1.0
    """Above this share of passes it is ``too_easy``."""

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            raise ValueError(f"band.least, band.most: 0 <= least <= most <= 1, not {self.least} and {self.most}")


def open_crew(config: "Synthesize", directory: Path) -> Crew:
    """Everybody, with the records of what models say under `directory`."""
    policy = open_model("policy", config.policy.chat.model, directory) if config.policy.kind == "chat" else None
    told = config.judge
    judge = scripted_judge() if told.scripted else open_model("judge", told.model, directory)
    return Crew(
        voice=open_voice(config.voice, directory),
        policy=policy,
        judge=Judge(judge, told.rubric) if judge is not None and told.rubric.criteria else None,
        faithfulness=JudgedFaithfulness(judge, told.faithfulness) if judge is not None and told.faithful else None,
        decontaminator=_decontaminator(config),
    )


def check_crew(config: "Synthesize") -> None:
    """Endpoints have their keys, benchmark files can be read, and nobody is named who would not be asked.

    Raises:
        UserError: otherwise, naming the key.
    """
    for role, model in (("policy.chat", config.policy.chat.model), ("judge", config.judge.model)):
        check_model(model, f"{role}.model")
    chat = config.policy.chat.model
    if config.policy.kind == "chat" and not _is_named(chat):
        raise UserError("policy.chat.model.endpoint.base_url: says where the model is; policy.kind=chat needs it")
    if config.policy.kind != "chat" and _is_named(chat):
        raise UserError(f"policy.chat.model: is not asked with policy.kind={config.policy.kind}; set policy.kind=chat")
    if config.policy.kind == "engine":
        _check_engine(config)
    elif config.policy.engine.path is not None:
        raise UserError(f"policy.engine.path: does not play with policy.kind={config.policy.kind}; set policy.kind=engine")
    judged = config.judge.rubric.criteria or config.judge.faithful
    if (config.judge.scripted or _is_named(config.judge.model)) and not judged:
        raise UserError("judge.rubric.criteria: the rubric is empty; name a criterion, or choose a rubric of conf/judge")
    if config.judge.faithful and not _is_named(config.judge.model):
        raise UserError("judge.faithful: there is no model to ask; say with judge.model.endpoint.base_url where it is")
    _decontaminator(config)


def check_records(config: "Synthesize", directory: Path) -> None:
    """What models said in earlier processes of the run in `directory` can be read and added to.

    Raises:
        UserError, StoreError: otherwise, by file.
    """
    try:
        for role, model in (("policy", config.policy.chat.model), ("voice", config.voice), ("judge", config.judge.model)):
            open_model(role, model, directory)
    except ValueError as error:
        raise UserError(str(error)) from error


def _is_named(model: RoleModel) -> bool:
    return bool(model.endpoint.base_url or model.file)


def _check_engine(config: "Synthesize") -> None:
    player = config.policy.engine
    if player.path is None:
        raise UserError("policy.engine.path: names the model directory; policy.kind=engine needs it")
    if _is_named(config.voice):
        raise UserError("voice: users whom an engine's policy talks to speak by the grammar; leave out voice")
    if player.file is not None and not Path(player.file).is_file():
        raise UserError(f"policy.engine.file: {player.file}: there is no recording")

    from rl.policy.source import read_dialect  # brings torch

    try:
        read_dialect(player.settings(config.troubles).policy)
    except ValueError as error:
        raise UserError(f"policy.engine: {error}") from error
    if not any(Path(player.path).glob("*.safetensors")):
        raise UserError(f"policy.engine.path: {player.path} holds no .safetensors file; give a model directory")


def _decontaminator(config: "Synthesize") -> Decontaminator | None:
    if not config.benchmarks:
        return None
    return Decontaminator([read_benchmark(path) for path in config.benchmarks], config.decontamination)
