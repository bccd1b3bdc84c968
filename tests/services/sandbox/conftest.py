"""One open local sandbox for all tests of a file; where this machine can isolate nothing, it refuses, which is asserted."""

from collections.abc import Callable, Iterator

import pytest

from services.sandbox import Ending, SandboxConfig, SandboxResult
from services.sandbox.local import LocalSandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(SandboxConfig(slots=2)) as opened:
        yield opened


@pytest.fixture
def ended(sandbox: LocalSandbox) -> Callable[..., bool]:
    """Asserts the ending; whether there is anything more to assert, as there is not after a refusal."""

    def check(result: SandboxResult, *endings: Ending) -> bool:
        if sandbox.refusal:
            assert result.ending == "refused" and result.reason == sandbox.refusal and not result.stdout
            return False
        assert result.ending in endings, result
        return True

    return check
