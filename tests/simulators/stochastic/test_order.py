"""The same episodes, whoever plays them beside which others, in whatever order, and after being played again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.environment import Environment
from simulators.pool.host import EnvironmentHost, Finish, Reset, Step
from simulators.stochastic import ToolTroubles
from simulators.tasks import compose, make_agent, play
from simulators.worlds import load, names

TROUBLES = ToolTroubles.uniform(
    timeout=0.15, timeout_after_commit=0.2, rate_limit=0.1, transient=0.1, malformed=0.1, slow=0.1, stale=0.15,
    partial=0.2, permanent=0.3,
)  # fmt: skip
TURNS = 60
TASKS = [
    compose(load(world), index, run_seed=6, split="train", difficulty=1 + index)
    for world in names()[:2]
    for index in range(2)
]


def expected(task, seed):
    agent = make_agent("patient", task, load(task.world))
    return play(task, load(task.world), agent, seed, max_turns=TURNS, troubles=TROUBLES)


EXPECTED = {f"slot {n}": expected(task, n) for n, task in enumerate(TASKS)}


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(EXPECTED)), max_size=60))
def test_interleaved_episodes_in_one_host_are_those_played_alone(order: list[str]):
    host = EnvironmentHost(TURNS, False, TROUBLES)
    host.run([Reset(f"slot {n}", task, n) for n, task in enumerate(TASKS)])
    left = {
        slot: [message for message in dialogue if message.role == "assistant"]
        for slot, (dialogue, _, _) in EXPECTED.items()
    }
    for slot in [*order, *(slot for slot in left for _ in range(TURNS))]:
        if left[slot]:
            host.run([Step(slot, left[slot].pop(0))])
    assert host.run([Finish(slot) for slot in EXPECTED]) == [outcome for _, _, outcome in EXPECTED.values()]


def test_an_environment_that_played_other_episodes_before_gives_the_same():
    world, task = load(TASKS[0].world), TASKS[0]
    environment = Environment(world, max_turns=TURNS, troubles=TROUBLES)
    for seed in (5, 0):
        environment.reset(task, seed)
        for message in expected(task, seed)[0]:
            if message.role == "assistant":
                environment.step(message)
        assert environment.outcome() == expected(task, seed)[2]


def test_another_seed_means_other_troubles():
    def troubles(seed):
        return [call.trouble for call in expected(TASKS[1], seed)[2].calls]

    assert len({tuple(map(str, troubles(seed))) for seed in range(8)}) > 4
