"""What is proposed, by whom, how often it is asked for."""

from dataclasses import dataclass, field

from services.chat import Limits, OptionalEndpointConfig

__all__ = ["ProposalSettings"]


@dataclass(frozen=True, kw_only=True)
class ProposalSettings:
    """All off: nothing is asked of any model, and everything is procedural."""

    endpoint: OptionalEndpointConfig = field(default_factory=OptionalEndpointConfig)
    """The model that proposes."""
    limits: Limits = field(default_factory=Limits)
    """How often it is asked again."""
    domains: int = 0
    """How many further domains it is asked for, the categories in turn."""
    extend: int = 0
    """How many applications of the operator `extend` it is asked for, each a further field of an entity, spread evenly over the
    domains."""
    reword: int = 0
    """For how many tools it is asked for another description, spread evenly over the domains."""
    file: str | None = None
    """The proposals.jsonl of an earlier run, which is played again without a model; null for none."""
    attempts: int = 3
    """How often it is asked for one proposal before that is dropped."""
    max_tokens: int = 8192
    """Of one answer; a domain's document takes about 2,500."""
    temperature: float = 0.7
    """Of the model."""

    def __post_init__(self) -> None:
        for key in ("domains", "extend", "reword"):
            if getattr(self, key) < 0:
                raise ValueError(f"proposals.{key} is at least 0, not {getattr(self, key)}")
        for key in ("attempts", "max_tokens"):
            if getattr(self, key) < 1:
                raise ValueError(f"proposals.{key} is at least 1, not {getattr(self, key)}")
        if not self.temperature >= 0:
            raise ValueError(f"proposals.temperature is at least 0, not {self.temperature}")
        asks, there = self.domains + self.extend + self.reword > 0, bool(self.endpoint.base_url)
        if self.file is not None and (asks or there):
            raise ValueError("proposals.file is played again as it is; leave out what else is set of proposals, or the file")
        if asks and not there:
            raise ValueError("proposals.endpoint says who proposes; set base_url and model of it, or ask for nothing")
        if there and not asks:
            raise ValueError("proposals.endpoint is asked for nothing; set proposals.domains, extend or reword")
