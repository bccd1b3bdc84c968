"""How the formats say what can be said in several ways."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FormatSettings", "NemoGymSettings", "OpenAISettings", "PreferenceSettings", "SkyRLSettings", "VerlSettings"]


@dataclass(frozen=True, kw_only=True)
class PreferenceSettings:
    prompt: Literal["opening", "shared"] = "opening"
    """opening: what stands before the first assistant turn. shared: everything before the first assistant turn that differs,
    so that chosen and rejected begin with the step that told them apart."""
    pairs: int = 4
    """Pairs of one task at most; the nearest misses come first."""
    rollouts: int = 64
    """Dialogues of one task that are looked at."""

    def __post_init__(self) -> None:
        for key in ("pairs", "rollouts"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")


@dataclass(frozen=True, kw_only=True)
class OpenAISettings:
    weights: Literal["all", "no_errors"] = "all"
    """all: every assistant message is learnt. no_errors: weight 0 for those with a call that was answered by an error."""


@dataclass(frozen=True, kw_only=True)
class VerlSettings:
    agent_name: str = "tool_agent"
    """The agent loop that plays the row."""
    interaction: str | None = None
    """Name of the interaction that plays the user; null: no extra_info.interaction_kwargs."""


@dataclass(frozen=True, kw_only=True)
class SkyRLSettings:
    env_class: str = "orrery"
    """The environment class that plays the row, as it is registered."""


@dataclass(frozen=True, kw_only=True)
class NemoGymSettings:
    agent: str | None = None
    """Name of the agent server for agent_ref; null: left to NeMo Gym's data preparation."""


@dataclass(frozen=True, kw_only=True)
class FormatSettings:
    arguments: Literal["refuse", "keep"] = "refuse"
    """Text of tool-call arguments that is not exactly one JSON object: refuse the row, or keep the text as it is."""
    reasoning: Literal["refuse", "leave_out"] = "refuse"
    """reasoning_content in a format that has no place for it: refuse the row, or leave the reasoning out."""
    data_source: str = "orrery"
    """Prefix of data_source (verl, skyrl); the name of the world follows it."""
    preference: PreferenceSettings = field(default_factory=PreferenceSettings)
    openai: OpenAISettings = field(default_factory=OpenAISettings)
    verl: VerlSettings = field(default_factory=VerlSettings)
    skyrl: SkyRLSettings = field(default_factory=SkyRLSettings)
    nemo_gym: NemoGymSettings = field(default_factory=NemoGymSettings)
