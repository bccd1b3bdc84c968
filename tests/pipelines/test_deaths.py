"""Which rank of the trainer died is asked of the ranks, whatever the error that came of it looks like."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest
import ray

from pipelines.learning.deaths import TrainerDiedError, naming_dead_ranks
from rl.training.trainer_group import TrainerGroup


def trainer(*ranks):
    """Of ranks that live, are dead, or wait in a collective."""

    async def answer(state):
        if state == "dead":
            raise ray.exceptions.RayActorError
        if state == "waits":
            await asyncio.sleep(60)

    actors = [SimpleNamespace(__ray_ready__=SimpleNamespace(remote=lambda state=state: answer(state))) for state in ranks]
    group = TrainerGroup(actors, parameters=0)
    group.dead_ranks = partial(group.dead_ranks, patience=0.05)
    return group


@pytest.mark.parametrize(
    ("ranks", "told"),
    [
        (["dead"], "trainer: rank 0 of 1 died"),
        (["waits", "dead", "lives"], "trainer: rank 1 of 3 died.*resume=auto"),
        (["dead", "lives", "dead"], "trainer: rank 0 and 2 of 3 died"),
    ],
)
async def test_an_error_that_came_of_a_death_names_the_dead(ranks, told):
    cause = RuntimeError("gloo: connection closed by peer")
    with pytest.raises(TrainerDiedError, match=told) as found:
        async with naming_dead_ranks(trainer(*ranks)):
            raise cause
    assert found.value.__cause__ is cause


@pytest.mark.parametrize("ranks", [["lives", "lives"], ["lives", "waits"]])
async def test_any_other_error_stays_what_it_is(ranks):
    with pytest.raises(FloatingPointError, match="not finite"):
        async with naming_dead_ranks(trainer(*ranks)):
            raise FloatingPointError("a gradient is not finite")
    async with naming_dead_ranks(trainer("dead")):
        pass
