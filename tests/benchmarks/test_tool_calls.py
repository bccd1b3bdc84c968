"""The calls that are measured are the mix that is promised, and nothing that one episode changes reaches the next."""

import json

import pytest

from benchmarks.tool_calls import MIX, _plan, _play_chunk, sort_of
from simulators.worlds import names


@pytest.mark.parametrize("world", names())
def test_plans_hold_the_promised_mix_of_calls_that_the_worlds_accept(world: str) -> None:
    chunk = (world, 3, 100, 8)
    base, plan = _plan(chunk)
    calls = [call for episode in plan for call in episode]
    kinds = []
    for tool, arguments in calls:
        operation = base.world.operations[tool]
        kinds.append(sort_of(operation))
        assert set(json.loads(arguments)) <= set(operation.arguments)
        result = base.fork().call(tool, arguments)
        assert not (result.isError and kinds[-1] in ("read", "search", "decline")), (tool, arguments, result.content)
    for kind, share in MIX.items():
        assert kinds.count(kind) / len(kinds) == pytest.approx(share, abs=0.08)
    changed = [call for call, kind in zip(calls, kinds, strict=True) if kind == "change"]
    assert any(not base.fork().call(*call).isError for call in changed)


@pytest.mark.parametrize("world", names())
def test_episodes_of_a_chunk_leave_their_shared_instance_as_it_is(world: str) -> None:
    chunk = (world, 5, 20, 8)
    base, _ = _plan(chunk)
    before = base.digest()
    assert _play_chunk(chunk) == _play_chunk(chunk) < 20 * 8
    assert base.digest() == before
