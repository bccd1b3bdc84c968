"""What the engine sampled stays as sampled, what breaks is a fault, and seeds hang on what they are for."""

from dataclasses import replace

import pytest

from rewards.verifiers import verifier_for
from rl.rollout.agent_loop import RolloutLimits, check_sampling, rollout
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import EngineError, WeightSyncError
from rl.rollout.scripted_engine import ScriptedEngine
from simulators.pool import SlotFault
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, some_tasks, text_engine
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Fault
from trajectories.trajectory import Sampling

LIMITS = RolloutLimits(max_turns=8, max_turn_tokens=200, max_tokens=2000)


def call(name, arguments, index=0):
    return Message("assistant", tool_calls=(ToolCall(f"functions.{name}:{index}", name, arguments),))


async def play(engine, task=None, limits=LIMITS, pool=None, **options):
    pool = pool or LocalEpisodes()
    trajectory = await rollout(task or some_tasks()[0], 7, engine, pool, kimi(), Sampling(), limits, **options)
    assert pool.running == {}, "every slot is freed"
    return trajectory


async def test_an_oracle_in_tokens_passes_and_its_tokens_are_one_whole_rendering():
    tasks = some_tasks()
    engine = oracle_engine(tasks, kimi())
    for trajectory, task in zip(
        await rollout_batch(tasks, 1, 7, engine, LocalEpisodes(), kimi(), Sampling(), LIMITS), tasks, strict=True
    ):
        assert verifier_for("tool_use").verify(task, trajectory.outcome).value == 1.0
        tokens, mask = kimi().render(trajectory.messages, trajectory.tools)
        assert trajectory.token_ids == list(tokens)[: len(trajectory.token_ids)]
        assert trajectory.loss_mask == [bool(value) for value in mask][: len(trajectory.token_ids)]
        assert trajectory.outcome.messages == trajectory.messages[1:]
        assert trajectory.task_id == task.id and trajectory.provenance.world == task.world


async def test_segments_keep_what_the_engine_returned():
    task = some_tasks()[0]
    trajectory = await play(oracle_engine([task], kimi()), task)
    policy = [segment for segment in trajectory.segments if segment.origin == "policy"]
    assert [segment.origin for segment in trajectory.segments] == ["context", "policy"] * len(policy)
    for turn, segment in enumerate(policy):
        assert segment.log_probs == (-turn - 0.5,) * len(segment.token_ids)
        assert segment.token_ids[-1] in kimi().stop_token_ids
        assert segment.policy_version == 0
    assert len({segment.sampling.seed for segment in policy}) == len(policy)


async def test_call_ids_are_counted_over_the_dialogue():
    trajectory = await play(text_engine(kimi(), call("nothing", "{}"), call("nothing", "{}", 1), Message("assistant")))
    calls = [call.id for message in trajectory.messages for call in message.tool_calls]
    assert calls == ["functions.nothing:0", "functions.nothing:1"]
    assert trajectory.outcome.calls[0].is_error


@pytest.mark.parametrize("arguments", ["", "{", "[]", "null", '{"order_id":'])
async def test_arguments_that_are_not_json_get_a_tool_error(arguments):
    trajectory = await play(text_engine(kimi(), call("get_order", arguments), Message("assistant", "I am done.")))
    assert trajectory.outcome.ending == "completed"
    assert trajectory.outcome.calls[0].is_error and trajectory.outcome.changes == ()


async def test_broken_markup_ends_the_episode():
    begin = kimi().render_turn(call("get_order", "{}"))[0]
    stop = kimi().stop_token_ids[0]
    trajectory = await play(text_engine(kimi(), [begin, stop]))
    assert trajectory.outcome.ending == "malformed" and trajectory.outcome.faults == ()
    assert trajectory.token_ids[-2:] == [begin, stop]
    assert trajectory.outcome.messages == trajectory.messages[1:]


@pytest.mark.parametrize(
    ("limits", "ending"),
    [
        (replace(LIMITS, max_turn_tokens=3), "token_limit"),
        (replace(LIMITS, max_turns=1), "turn_limit"),
    ],
    ids=["turn", "turns"],
)
async def test_limits_end_the_episode(limits, ending):
    trajectory = await play(oracle_engine(some_tasks(), kimi()), limits=limits)
    assert trajectory.outcome.ending == ending and trajectory.outcome.faults == ()
    assert trajectory.num_policy_tokens <= limits.max_turn_tokens * limits.max_turns


async def test_a_first_prompt_that_leaves_no_room_is_no_fault_of_the_policy():
    trajectory = await play(oracle_engine(some_tasks(), kimi()), limits=replace(LIMITS, max_tokens=1))
    assert trajectory.outcome.ending == "fault" and trajectory.num_policy_tokens == 0
    (fault,) = trajectory.outcome.faults
    assert fault.source == "infrastructure" and "leaves none of max_tokens" in fault.message


async def test_the_whole_trajectory_stays_within_its_tokens():
    whole = await play(oracle_engine(some_tasks(), kimi()))
    first_turn = sum(len(segment.token_ids) for segment in whole.segments[:2])
    for most in range(first_turn - 2, first_turn + 3):
        cut = await play(oracle_engine(some_tasks(), kimi()), limits=replace(LIMITS, max_tokens=most))
        assert cut.outcome.ending == "token_limit"
        policy = [segment for segment in cut.segments if segment.origin == "policy"]
        assert cut.token_ids == whole.token_ids[: len(cut.token_ids)] and len(policy) == 1


def failing(error):
    def respond(prompt, sampling, request_id):
        raise error

    return ScriptedEngine(respond)


async def test_an_engine_that_breaks_is_a_fault_not_a_failure():
    trajectory = await play(failing(EngineError("rollout engine: its actor died")))
    assert trajectory.outcome.ending == "fault"
    assert trajectory.outcome.faults == (Fault("engine", "rollout engine: its actor died"),)
    assert not verifier_for("tool_use").verify(some_tasks()[0], trajectory.outcome).valid


async def test_an_unexpected_error_is_a_fault_with_its_name():
    trajectory = await play(failing(KeyError("x")))
    assert trajectory.outcome.faults == (Fault("infrastructure", "KeyError: 'x'"),)


async def test_a_lost_environment_is_a_fault():
    class Lossy(LocalEpisodes):
        async def step(self, slot, message):
            self.running.pop(slot)
            raise SlotFault(slot, Fault("infrastructure", "three deaths"))

    trajectory = await play(oracle_engine(some_tasks(), kimi()), pool=Lossy())
    assert trajectory.outcome.ending == "fault"
    assert trajectory.outcome.faults == (Fault("infrastructure", "three deaths"),)
    assert len(trajectory.segments) == 2


async def test_an_unproven_update_stops_everything():
    with pytest.raises(WeightSyncError):
        await rollout(
            some_tasks()[0], 7, failing(WeightSyncError("weight sync")), LocalEpisodes(), kimi(), Sampling(), LIMITS
        )


@pytest.mark.parametrize(
    "sampling", [Sampling(top_p=0.9), Sampling(top_k=20), Sampling(temperature=0.0)], ids=["top_p", "top_k", "greedy"]
)
async def test_sampling_that_the_trainer_cannot_reproduce_is_refused(sampling):
    with pytest.raises(ValueError, match="sampling for training"):
        check_sampling(sampling)
    arguments = (7, oracle_engine(some_tasks(), kimi()), LocalEpisodes(), kimi(), sampling, LIMITS)
    with pytest.raises(ValueError, match="sampling for training"):
        await rollout(some_tasks()[0], *arguments)
    assert (await rollout(some_tasks()[0], *arguments, for_training=False)).outcome.ending == "completed"


async def test_a_budget_of_a_domain_ends_its_episodes_where_it_is_spent():
    whole = await play(oracle_engine(some_tasks(), kimi()))
    for budget in (1, 5, whole.num_policy_tokens - 1):
        cut = await play(oracle_engine(some_tasks(), kimi()), limits=replace(LIMITS, budgets={"tool_use": budget}))
        assert cut.outcome.ending == "token_limit" and cut.num_policy_tokens == budget
        assert cut.token_ids == whole.token_ids[: len(cut.token_ids)]
    enough = {"tool_use": whole.num_policy_tokens, "maths": 1}
    assert (await play(oracle_engine(some_tasks(), kimi()), limits=replace(LIMITS, budgets=enough))).token_ids == whole.token_ids
    with pytest.raises(ValueError, match=r"limits.budgets.maths is at least 1, not 0"):
        RolloutLimits(budgets={"maths": 0})


@pytest.mark.parametrize("key", ["max_turns", "max_turn_tokens", "max_tokens"])
def test_a_limit_below_one_is_named(key):
    with pytest.raises(ValueError, match=f"limits.{key}"):
        RolloutLimits(**{key: 0})


async def test_a_grammar_follows_the_tools_and_the_calls_and_marks_every_turn():
    heard = []

    class Held(ScriptedEngine):
        async def generate(self, *arguments, grammar=None, **options):
            heard.append(grammar)
            return await super().generate(*arguments, grammar=grammar, **options)

    task = some_tasks()[0]
    held = Sampling(grammar="tool_calls")
    engine = Held(oracle_engine([task], kimi())._respond)
    trajectory = await rollout(task, 7, engine, LocalEpisodes(), kimi(), held, LIMITS, for_training=False)
    counts = [0]
    for message in trajectory.messages:
        if message.role == "assistant":
            counts.append(counts[-1] + len(message.tool_calls))
    assert heard == [kimi().tool_call_grammar(trajectory.tools, count) for count in counts[:-1]] and len(set(heard)) > 1
    policy = [segment for segment in trajectory.segments if segment.origin == "policy"]
    assert all(segment.sampling.grammar == "tool_calls" and segment.sampling.renormalises for segment in policy)
    heard.clear()
    free = await rollout(task, 7, engine, LocalEpisodes(), kimi(), Sampling(), LIMITS)
    assert set(heard) == {None} and free.messages == trajectory.messages


async def test_a_grammar_that_nobody_knows_is_refused():
    arguments = (7, oracle_engine(some_tasks(), kimi()), LocalEpisodes(), kimi(), Sampling(grammar="sonnets"), LIMITS)
    with pytest.raises(ValueError, match=r"sampling.grammar is 'tool_calls' or None, not 'sonnets'"):
        await rollout(some_tasks()[0], *arguments, for_training=False)


def test_a_turn_that_was_held_to_a_grammar_is_no_data_for_training():
    with pytest.raises(ValueError, match="grammar is None, not 'tool_calls'.*supervised training"):
        check_sampling(Sampling(grammar="tool_calls"))
