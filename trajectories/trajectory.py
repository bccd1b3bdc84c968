"""A token-exact trajectory: the policy's context, segment by segment, exactly as it was read and written.

The token ids of a trajectory are the concatenation of its segments. What the engine sampled is kept as sampled; what was
appended (system prompt, user turns, tool results, generation prompts) was rendered once. Nothing is ever re-tokenised.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Certificate

__all__ = ["SCHEMA_VERSION", "Provenance", "Sampling", "Segment", "Trajectory", "Verdict"]

SCHEMA_VERSION: Final = 2
"""Of a trajectory's columns; see docs/trajectories.md for what each version had."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a segment was drawn. RL wants the full distribution: top_p 1, top_k -1, no grammar (law 1)."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    seed: int | None = None
    grammar: str | None = None
    """What masked the tokens, e.g. ``tool_calls``: only calls that fit the declared schemas; None where nothing did."""

    @property
    def renormalises(self) -> bool:
        """Whether the behaviour probabilities are over a kept set instead of the full vocabulary."""
        return self.top_p < 1.0 or self.top_k > 0 or self.grammar is not None


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens with one origin."""

    origin: Literal["context", "policy", "demonstration"]
    """`policy`: sampled by the policy, in the loss. `demonstration`: a turn of somebody else, rendered once; in the loss of
    supervised training, and without behaviour log-probabilities. `context`: appended by the environment or the chat format."""
    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...] | None = None
    """Behaviour log-probability of each sampled token, natural logarithm; only for `policy`."""
    sampling: Sampling | None = None
    policy_version: int | None = None
    """The version of the weights that sampled it."""
    stale_cache_version: int | None = None
    """The oldest version of the weights in the key/value cache, where an update happened in flight."""

    def __post_init__(self) -> None:
        if self.origin == "policy" and (self.log_probs is None or len(self.log_probs) != len(self.token_ids)):
            raise ValueError("a policy segment has one log-probability per token")
        if self.origin != "policy" and self.log_probs is not None:
            raise ValueError(f"a {self.origin} segment has no log-probabilities")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge says of one criterion."""

    judge: str
    """``rubric`` for the program that checks the task's rubric, ``rules`` for rule filters, ``scripted`` for the judge that needs
    no model, else the judge model's name."""
    criterion: str
    verdict: Literal["pass", "fail", "not_applicable"]
    reasons: str = ""
    """Of a judge model: what it wrote before its verdict."""
    evidence: str = ""
    """Words of the dialogue that the verdict rests on."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a trajectory comes from; empty where nobody said."""

    world: str = ""
    """Name or path of the world, as its task has it."""
    world_fingerprint: str = ""
    """Digest of the world's whole specification."""
    tool_fingerprints: tuple[str, ...] = ()
    """Of each tool in `Trajectory.tools`: digest of everything that a caller can see of it."""
    certificate: Certificate | None = None
    """The task's: the rewards of its oracle and of every cheat (law 4)."""
    run_seed: int | None = None
    """What task, user and policy seeds were derived from."""
    parents: tuple[str, ...] = ()
    """Ids of the rows that this one was made from, by judging anew, rewriting or rendering."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Role (``policy``, ``user``, ``judge``, ...) to the model's name; roles that programs played are left out."""
    licence: str = ""
    """SPDX identifier of the licence that the rows are under."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One dialogue (or one branch of it) of one policy on one task."""

    id: str
    task_id: str
    rollout: int = 0
    """Index of this rollout among those of the same task."""
    branch: int = 0
    """Index of the branch; a template that drops earlier reasoning starts a new one."""
    seed: int = 0
    segments: tuple[Segment, ...] = ()
    messages: tuple[Message, ...] = ()
    """The dialogue, system prompt included."""
    tools: tuple[ToolSpec, ...] = ()
    outcome: Outcome | None = None
    reward: Reward | None = None
    verdicts: tuple[Verdict, ...] = ()
    """What the reward rests on, and what else was judged; none where nobody has judged yet."""
    provenance: Provenance = field(default_factory=Provenance)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON values only: difficulty, split, tags, persona and the like."""

    @property
    def token_ids(self) -> list[int]:
        return [token for segment in self.segments for token in segment.token_ids]

    @property
    def loss_mask(self) -> list[bool]:
        """True where the policy, or a demonstrator, wrote the token."""
        return [segment.origin != "context" for segment in self.segments for _ in segment.token_ids]

    @property
    def behaviour_log_probs(self) -> list[float]:
        """Per token; 0.0 where the policy did not sample it."""
        return [
            value
            for segment in self.segments
            for value in (segment.log_probs if segment.log_probs is not None else (0.0,) * len(segment.token_ids))
        ]

    @property
    def temperatures(self) -> list[float]:
        """Per token, the temperature it was sampled at; 1.0 where the loss mask is False."""
        return [
            segment.sampling.temperature if segment.sampling is not None else 1.0
            for segment in self.segments
            for _ in segment.token_ids
        ]

    @property
    def num_policy_tokens(self) -> int:
        return sum(len(segment.token_ids) for segment in self.segments if segment.origin == "policy")
