"""What an engine is: token ids in, token ids and log-probabilities out, and weights that change only by proven updates.

Every completion names the version of the weights that sampled it, and no completion is sampled by two versions: an
update waits for the requests in flight, and later requests wait for the update.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trajectories.trajectory import Sampling

__all__ = ["Completion", "Engine", "EngineError", "UpdateReceipt", "WeightSyncError", "WeightUpdate", "check_grammar"]


class EngineError(RuntimeError):
    """The engine broke or was asked for what it cannot do; never a verdict about the policy."""


class WeightSyncError(RuntimeError):
    """A weight update that is not proven: the engine does not hold what the trainer holds. It stops the run."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One policy turn as sampled."""

    token_ids: tuple[int, ...]
    """The stop token included."""
    log_probs: tuple[float, ...]
    """Natural logarithm of the probability of each token under the distribution that it was drawn from."""
    finish_reason: Literal["stop", "length"]
    policy_version: int


@dataclass(frozen=True, slots=True)
class WeightUpdate:
    """A set of weights that an engine shall take."""

    version: int
    """Greater than every earlier one."""
    path: str
    """A directory with safetensors in the layout of a checkpoint; must stay until the receipt is there."""
    digest: str
    """Of every tensor; see `rl.policy.weights.tensor_digest`."""


@dataclass(frozen=True, slots=True)
class UpdateReceipt:
    """The engine's acknowledgement."""

    version: int
    digest: str
    """As the engine computed it over the tensors that it received."""
    tensors: int
    seconds: float
    """Time to read, check and load."""
    waited_seconds: float = 0.0
    """Time until the requests in flight had ended."""


class Engine(Protocol):
    """An engine for one policy."""

    @property
    def version(self) -> int:
        """Of the weights that the next request will be sampled with."""
        ...

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        """Samples one turn, up to and with the first stop token or `max_tokens` tokens.

        Args:
            grammar: the whole turn fits it (see `rl.policy.dialects.Dialect.tool_call_grammar`), and `log_probs` are those
                of the distribution over what it leaves; given where, and only where, `sampling.grammar` names one.

        Raises:
            EngineError: when the engine is broken, closed, has no room for the prompt, or takes no grammars.
        """
        ...

    async def update_weights(self, update: WeightUpdate) -> UpdateReceipt:
        """Takes other weights between two completions.

        Raises:
            WeightSyncError: when what arrived is not what was sent, or not all of the model was loaded.
        """
        ...

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each sequence of n tokens, the n - 1 log-probabilities of its tokens after the first."""
        ...

    async def close(self) -> None:
        """Ends every process that the engine started. Closing twice is fine."""
        ...


def check_grammar(sampling: Sampling, grammar: str | None) -> None:
    """What masks a turn is named in its sampling, so that law 1 can tell (see `trajectories.trajectory.Sampling`).

    Raises:
        EngineError: for a grammar without a name, or a name without a grammar.
    """
    if (sampling.grammar is None) != (grammar is None):
        given = "one was given" if grammar is not None else "none was given"
        raise EngineError(f"rollout engine: sampling.grammar={sampling.grammar!r} where {given}")
