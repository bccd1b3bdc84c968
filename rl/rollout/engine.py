"""What an engine is: token ids in, token ids and log-probabilities out, and weights that change only by proven updates.

Every token of a completion names the version of the weights that sampled it. An update finds requests in flight in one of
three ways (`UpdateMode`); in none of them is a token attributed to a version that did not sample it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trajectories.trajectory import Sampling

__all__ = [
    "Completion",
    "DeviceTransfer",
    "Engine",
    "EngineDiedError",
    "EngineError",
    "EngineLostError",
    "FinishReason",
    "Run",
    "UpdateMode",
    "UpdateReceipt",
    "WeightSyncError",
    "WeightUpdate",
    "check_grammar",
]

FinishReason = Literal["stop", "length", "cut"]
"""`cut`: the engine was interrupted before the turn was whole, and the tokens, possibly none, are those sampled so far."""

UpdateMode = Literal["wait", "recompute", "keep"]
"""What becomes of the requests in flight, and so who samples what:

- `wait`: they end first, under the old weights; later requests wait for the update.
- `recompute`: they end at once as `cut`. Whoever goes on with one asks anew with the tokens so far, and the new weights
  compute the key/value cache of all of them.
- `keep`: they stand still while the weights change and go on with the key/value cache that the old weights computed; what
  follows is stamped (`Run.stale_cache_version`).
"""


class EngineError(RuntimeError):
    """The engine broke or was asked for what it cannot do; never a verdict about the policy."""


class EngineDiedError(EngineError):
    """A process of the engine is gone, and with it whatever was asked of it: another engine may be asked the same."""


class EngineLostError(EngineError):
    """The engine died, and nobody starts it anew any more. It stops the run."""


class WeightSyncError(RuntimeError):
    """A weight update that is not proven: the engine does not hold what the trainer holds. It stops the run."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of a completion that one version of the weights sampled."""

    tokens: int
    """At least 1."""
    policy_version: int
    stale_cache_version: int | None = None
    """The oldest version that computed a part of the key/value cache they were sampled on; None where it was all theirs."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One policy turn as sampled."""

    token_ids: tuple[int, ...]
    """The stop token included."""
    log_probs: tuple[float, ...]
    """Natural logarithm of the probability of each token under the distribution that it was drawn from."""
    finish_reason: FinishReason
    policy_version: int
    """That sampled the last token; of a completion without tokens, the engine's when it was cut."""
    runs: tuple[Run, ...] = ()
    """Tokens by version, in order; together all of `token_ids`. Left out, it is one run by `policy_version`."""

    def __post_init__(self) -> None:
        if not self.runs and self.token_ids:
            object.__setattr__(self, "runs", (Run(len(self.token_ids), self.policy_version),))
        if any(run.tokens < 1 for run in self.runs) or sum(run.tokens for run in self.runs) != len(self.token_ids):
            raise ValueError(f"runs of {[run.tokens for run in self.runs]} tokens do not make {len(self.token_ids)}")
        versions = [run.policy_version for run in self.runs]
        if versions and (versions[-1] != self.policy_version or versions != sorted(set(versions))):
            raise ValueError(f"runs by versions {versions} do not end with version {self.policy_version}, or do not grow")


@dataclass(frozen=True, slots=True)
class DeviceTransfer:
    """Weights from a device to a device, by one of vLLM's weight transfer engines."""

    backend: Literal["nccl", "ipc"]
    init: bytes
    """Pickled mapping: how the engine's processes meet the trainer, at the first update; as vLLM's ``init_info``."""
    tensors: bytes
    """Pickled mapping: what travels and, for ``ipc``, where it lies; as vLLM's ``update_info``."""


@dataclass(frozen=True, slots=True)
class WeightUpdate:
    """A set of weights that an engine shall take."""

    version: int
    """Greater than every earlier one."""
    path: str
    """A directory with safetensors in the layout of a checkpoint; must stay until the receipt is there. Empty for an update
    that comes through no files."""
    digest: str
    """Of every tensor of the model, whether it travels or not; see `rl.policy.weights.tensor_digest`."""
    base: int | None = None
    """The version that the engine holds and whose tensors stay wherever none travels; None: all travel."""
    device: DeviceTransfer | None = None
    """How the tensors come where they do not come through files."""


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
    """Time until the requests in flight had ended or stood still."""


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
        """Samples one turn, up to and with the first stop token or `max_tokens` tokens; less where it is interrupted.

        Args:
            grammar: the whole turn fits it (see `rl.policy.dialects.Dialect.tool_call_grammar`), and `log_probs` are those
                of the distribution over what it leaves; given where, and only where, `sampling.grammar` names one.

        Raises:
            EngineError: when the engine is broken, closed, has no room for the prompt, or takes no grammars.
        """
        ...

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        """Takes other weights; `mode` says what becomes of the requests in flight. Updates come one after the other.

        Raises:
            WeightSyncError: when what arrived is not what was sent, or not all of the model was loaded.
        """
        ...

    async def interrupt(self) -> None:
        """Ends every request in flight as `cut`; their completions are with whoever asked soon after.

        A request that is whole by then comes as it is. Later requests are taken as ever.
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
