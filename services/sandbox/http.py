"""Programs run by a sandbox server elsewhere, as on the nodes of a cluster; `services.sandbox.server` is one.

A program leaves nothing behind, so a request that got no answer is sent again: when the server cannot be reached, drops the
connection, or is busy (429, 502, 503, 504). Everything else that is no result is a `SandboxError` at once.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Final

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Limits, Program, Sandbox, SandboxError, SandboxResult
from services.sandbox.paths import check_paths
from services.sandbox.wire import decoded_result, encoded_request

__all__ = ["HttpSandbox", "SandboxUnreachable"]

_CONNECT_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 120.0
"""Beyond a program's wall-clock time: for its turn, and for the way there and back."""
_BUSY: Final = (429, 502, 503, 504)
_LONGEST_WAIT: Final = 30.0


class SandboxUnreachable(SandboxError):
    """No attempt reached a server that had room."""

    def __init__(self, message: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.retry_after = float(retry_after) if retry_after.isdecimal() else 0.0
        """Seconds that the server asks for."""


class HttpSandbox(Sandbox):
    """Programs from any number of threads, `config.slots` at a time, or as many as there are threads where that is 0.

    Raises:
        ValueError: the variable that should hold the token is not set.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self._owner = os.getpid()
        self._client = httpx2.Client(
            base_url=config.url,
            headers=_authorization(config.token_variable),
            follow_redirects=False,  # a redirect could lead anywhere, with the token
            trust_env=False,
            limits=httpx2.Limits(max_connections=config.slots or None),
        )

    def describe(self) -> Mapping[str, str]:
        """What holds at the server, in words, by guarantee.

        Raises:
            SandboxError: it does not tell.
        """
        answer = self._attempt("GET", "/health", b"", _CONNECT_SECONDS, accepted=(200, 503))  # 503: there is no isolation
        try:
            return dict(json.loads(answer.content)["guarantees"])
        except (ValueError, KeyError, TypeError) as error:
            raise SandboxError(f"sandbox at {self.config.url}: no guarantees in its answer") from error

    def run(
        self,
        program: Program,
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        collect: Sequence[str] = (),
    ) -> SandboxResult:
        check_paths(files or {}, collect)
        limits = limits or Limits()
        body = encoded_request(program, files or {}, limits, collect)
        answer = self._sent("POST", "/run", body, limits.wall_seconds + _GRACE_SECONDS)
        try:
            return decoded_result(answer.content)
        except ValueError as error:
            raise SandboxError(f"sandbox at {self.config.url}: its answer is no result: {error}") from error

    def close(self) -> None:
        """Closes the connections; programs that still run end by their own limits."""
        self._client.close()

    def _sent(self, method: str, path: str, body: bytes, seconds: float) -> httpx2.Response:
        if os.getpid() != self._owner:
            raise SandboxError("the sandbox was opened by another process; open one in this process")
        retrying = Retrying(
            retry=retry_if_exception_type(SandboxUnreachable),
            stop=stop_after_attempt(self.config.attempts),
            wait=_wait,
            reraise=True,
        )
        return retrying(self._attempt, method, path, body, seconds)

    def _attempt(self, method: str, path: str, body: bytes, seconds: float, accepted: Sequence[int] = (200,)) -> httpx2.Response:
        where = f"sandbox at {self.config.url}"
        timeout = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS, pool=None)
        try:
            answer = self._client.request(method, path, content=body, timeout=timeout)
        except httpx2.ReadTimeout as error:
            raise SandboxError(f"{where}: no answer within {seconds:g} s") from error
        except httpx2.TransportError as error:
            raise SandboxUnreachable(f"{where}: {type(error).__name__}: {error}") from error
        except RuntimeError as error:
            raise SandboxError(f"{where}: {error}") from error  # the client is closed
        if answer.status_code in accepted:
            return answer
        if answer.status_code in _BUSY:
            message = f"{where}: busy (HTTP {answer.status_code}); raise sandbox.attempts, or start more servers"
            raise SandboxUnreachable(message, answer.headers.get("retry-after", ""))
        if answer.status_code in (401, 403):
            raise SandboxError(f"{where}: the token is refused; sandbox.token_variable names the variable that holds it")
        raise SandboxError(f"{where}: HTTP {answer.status_code}: {answer.text[:500]}")


_backoff = wait_exponential_jitter(initial=0.05, max=_LONGEST_WAIT, jitter=0.1)


def _wait(state: RetryCallState) -> float:
    """Longer each time, and at least what the server asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, SandboxUnreachable) else 0.0
    return max(_backoff(state), min(asked, _LONGEST_WAIT))


def _authorization(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    token = os.environ.get(variable, "")
    if not token:
        raise ValueError(f"sandbox.token_variable: the environment variable {variable} is not set")
    return {"authorization": f"Bearer {token}"}
