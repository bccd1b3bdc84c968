"""Which version of the weights sampled which tokens of a request that was in flight while they changed."""

from collections.abc import Sequence

from rl.rollout.engine import Completion, FinishReason, Run

__all__ = ["VersionMarks"]


class VersionMarks:
    """Starts with the version that the request began under."""

    def __init__(self, version: int) -> None:
        self._marks = [Run(0, version)]  # tokens before it, version, oldest version in the key/value cache

    def add(self, tokens: int, version: int) -> None:
        """After the first `tokens` tokens it goes on under `version`, on the cache that it has; after none, from the start."""
        if tokens:
            self._marks.append(Run(tokens, version, self._marks[0].policy_version))
        else:
            self._marks = [Run(0, version)]

    def completion(self, token_ids: Sequence[int], log_probs: Sequence[float], finish_reason: FinishReason) -> Completion:
        """The completion with these tokens, each under the version that sampled it."""
        ends = [mark.tokens for mark in self._marks[1:]] + [len(token_ids)]
        runs = tuple(
            Run(end - mark.tokens, mark.policy_version, mark.stale_cache_version)
            for mark, end in zip(self._marks, ends, strict=True)
            if end > mark.tokens
        )
        version = runs[-1].policy_version if runs else self._marks[-1].policy_version
        return Completion(tuple(token_ids), tuple(log_probs), finish_reason, version, runs)
