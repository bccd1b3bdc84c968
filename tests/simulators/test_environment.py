"""An episode is a function of task, seed and what the agent says; nothing that an agent says breaks it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import worlds
from simulators.environment import Environment
from simulators.mcp import MCPToolSource, MCPWorld
from simulators.stochastic import ToolTroubles
from simulators.tasks import OracleAgent, compose, make_agent, play
from simulators.worlds import ToolResult, parse
from simulators.worlds.loading import LIBRARY
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import Fault
from trajectories.tasks import AgentSpec, Gold, Ledger, Persona, Rubric, Task

WORLD = worlds.load("order_desk")
TASK = compose(WORLD, 0, run_seed=1, split="train", difficulty=1)
DEEP = compose(WORLD, 1, run_seed=1, split="train", difficulty=3)


def call(name: str, text: str, identity: str = "functions.x:0") -> Message:
    return Message("assistant", tool_calls=(ToolCall(identity, name, text),))


def test_an_episode_begins_with_the_worlds_instructions_and_the_users_opening():
    observation = Environment(WORLD).reset(TASK, 7)
    assert observation.messages == (Message("system", WORLD.instructions), Message("user", TASK.ledger.opening))
    assert observation.tools == WORLD.tool_specs()


def test_every_call_is_answered_in_order_with_its_id_and_name():
    environment = Environment(WORLD)
    environment.reset(TASK, 0)
    made = tuple(
        ToolCall(f"functions.{name}:{n}", name, "{}") for n, name in enumerate(["find_order", "nothing", "get_order"])
    )
    result = environment.step(Message("assistant", tool_calls=made))
    assert [(m.role, m.tool_call_id, m.name) for m in result.messages] == [("tool", c.id, c.name) for c in made]
    assert not result.terminated and not result.truncated and result.info == {"turn": 1, "ending": None}


def test_a_message_without_calls_goes_to_the_user_who_may_leave():
    environment = Environment(WORLD)
    environment.reset(TASK, 0)
    result = environment.step(Message("assistant", "Done."))
    assert result.terminated and not result.truncated and result.messages == ()
    assert environment.outcome().ending == "completed"
    with pytest.raises(RuntimeError, match="over"):
        environment.step(Message("assistant", "Hello?"))


def test_the_turn_limit_cuts_off_and_is_no_proper_end():
    environment = Environment(WORLD, max_turns=3)
    environment.reset(TASK, 0)
    results = [environment.step(call("nothing", "{}")) for _ in range(3)]
    assert [result.truncated for result in results] == [False, False, True]
    assert not results[-1].terminated and environment.outcome().ending == "turn_limit"


def test_a_dialogue_that_ends_in_its_last_turn_is_complete():
    environment = Environment(WORLD, max_turns=1)
    environment.reset(TASK, 0)
    result = environment.step(Message("assistant", "Done."))
    assert result.terminated and not result.truncated


@pytest.mark.parametrize(
    ("name", "text"), [("get_order", "{"), ("get_order", "[]"), ("get_order", "NaN"), ("no_such_tool", "{}")]
)
def test_a_malformed_call_is_answered_or_ends_the_episode_as_set(name: str, text: str):
    for ends in (False, True):
        environment = Environment(WORLD, end_on_malformed=ends)
        environment.reset(TASK, 0)
        result = environment.step(call(name, text))
        assert len(result.messages) == 1 and result.terminated is ends
        outcome = environment.outcome()
        assert outcome.calls[0].is_error and outcome.changes == ()
        assert (outcome.ending == "malformed") is ends and outcome.faults == ()


def test_arguments_that_break_the_schema_are_a_tool_error_and_not_malformed():
    environment = Environment(WORLD, end_on_malformed=True)
    environment.reset(TASK, 0)
    assert not environment.step(call("get_order", '{"order_id": 1}')).terminated


def test_calls_after_the_one_that_ended_the_episode_are_not_made():
    environment = Environment(WORLD, end_on_malformed=True)
    environment.reset(TASK, 0)
    gold = TASK.gold.calls[0]
    later = ToolCall("b", str(gold.tool), canonical_json(dict(gold.arguments)))
    result = environment.step(Message("assistant", tool_calls=(ToolCall("a", "get_order", "{"), later)))
    assert len(result.messages) == 1 and len(environment.outcome().calls) == 1


def test_abort_ends_from_outside_and_keeps_the_turn_that_was_cut_off():
    environment = Environment(WORLD)
    environment.reset(TASK, 0)
    cut = call("get_order", '{"ord')
    environment.abort("token_limit", message=cut)
    outcome = environment.outcome()
    assert outcome.ending == "token_limit" and outcome.messages[-1] == cut and outcome.calls == ()
    environment.reset(TASK, 0)
    environment.abort("fault", Fault("engine", "gone"))
    assert environment.outcome().faults == (Fault("engine", "gone"),)


def test_a_world_that_breaks_is_a_fault_and_not_the_policys_failure(monkeypatch):
    environment = Environment(WORLD)
    environment.reset(TASK, 0)

    def broken(tool, arguments):
        raise RuntimeError("disk on fire")

    class Broken:
        call = staticmethod(broken)
        diff = staticmethod(tuple)

    monkeypatch.setattr(environment, "_state", Broken)
    assert environment.step(call("get_order", "{}")).terminated
    outcome = environment.outcome()
    assert (
        outcome.ending == "fault" and outcome.faults[0].source == "tool" and "disk on fire" in outcome.faults[0].message
    )


def test_mistakes_of_the_caller_are_errors():
    with pytest.raises(ValueError, match="max_turns"):
        Environment(WORLD, max_turns=0)
    with pytest.raises(RuntimeError, match="reset"):
        Environment(WORLD).step(Message("assistant", ""))
    with pytest.raises(RuntimeError, match="reset"):
        Environment(WORLD).outcome()
    with pytest.raises(ValueError, match="travel"):
        Environment(worlds.load("travel")).reset(TASK, 0)
    environment = Environment(WORLD)
    environment.reset(TASK, 0)
    with pytest.raises(ValueError, match="user"):
        environment.step(Message("user", "Hi."))


def test_a_reset_forgets_the_episode_before():
    environment = Environment(WORLD, max_turns=24)
    outcomes = []
    for _ in range(2):
        messages = list(environment.reset(DEEP, 3).messages)
        agent = OracleAgent(DEEP)
        while True:
            message = agent.act(messages)
            result = environment.step(message)
            messages += [message, *result.messages]
            if result.terminated or result.truncated:
                break
        outcomes.append(environment.outcome())
    assert outcomes[0] == outcomes[1] == play(DEEP, WORLD, make_agent("oracle", DEEP, WORLD), 3, max_turns=24)[2]


def test_reached_checkpoints_are_reported_in_the_outcome():
    assert len(play(DEEP, WORLD, OracleAgent(DEEP), 0)[2].checkpoints) == 3
    assert play(DEEP, WORLD, make_agent("always_act", DEEP, WORLD), 0)[2].checkpoints == ()


tool_calls = st.builds(
    ToolCall,
    id=st.text(max_size=5),
    name=st.one_of(st.text(max_size=8), st.sampled_from(sorted(WORLD.operations))),
    arguments=st.one_of(
        st.text(max_size=20), st.sampled_from(["{}", '{"order_id":"123"}', "[[[", '{"order_id":', "1e999"])
    ),
)
messages = st.builds(
    Message,
    role=st.just("assistant"),
    content=st.text(max_size=20),
    tool_calls=st.lists(tool_calls, max_size=3).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(messages, min_size=1, max_size=6), st.booleans())
def test_nothing_that_a_policy_writes_raises_and_replaying_it_gives_the_same_outcome(said: list[Message], ends: bool):
    outcomes = []
    for _ in range(2):
        environment = Environment(WORLD, max_turns=4, end_on_malformed=ends)
        environment.reset(TASK, 0)
        for message in said:
            result = environment.step(message)
            if result.terminated or result.truncated:
                break
        outcomes.append(environment.outcome())
    assert outcomes[0] == outcomes[1] and outcomes[0].faults == ()


def test_a_world_loaded_from_a_path_is_played_under_that_path_and_no_other_world_is(tmp_path):
    own, other = tmp_path / "own.yaml", tmp_path / "other.yaml"
    own.write_bytes((LIBRARY / "order_desk.yaml").read_bytes())
    other.write_bytes((LIBRARY / "travel.yaml").read_bytes())
    assert Environment(WORLD).reset(replace(TASK, world=str(own)), 0).tools
    with pytest.raises(ValueError, match=r"other\.yaml.*plays 'order_desk'"):
        Environment(WORLD).reset(replace(TASK, world=str(other)), 0)
    with pytest.raises(ValueError, match="absent"):
        Environment(WORLD).reset(replace(TASK, world=str(tmp_path / "absent.yaml")), 0)


def with_agent(task: Task, *tools: str, preamble: str = "") -> Task:
    """Under the id of `task`, so that the user speaks as before."""
    return replace(task, agent=AgentSpec("clerk", preamble, tools))


def test_an_agent_has_its_own_tools_in_its_order_and_its_preamble_before_the_instructions():
    task = with_agent(TASK, "get_order", "decline_request", "cancel_order", preamble="You are a clerk.")
    observation = Environment(WORLD).reset(task, 7)
    specs = {tool.name: tool for tool in WORLD.tool_specs()}
    assert observation.tools == tuple(specs[name] for name in task.agent.tools)
    assert observation.messages[0] == Message("system", f"You are a clerk.\n\n{WORLD.instructions}")
    bare = Environment(WORLD).reset(with_agent(TASK, "find_order"), 7)
    assert bare.messages[0].content == WORLD.instructions and [tool.name for tool in bare.tools] == ["find_order"]
    assert Environment(WORLD).reset(with_agent(TASK), 7).tools == ()


@pytest.mark.parametrize("troubles", [None, ToolTroubles.uniform(timeout_after_commit=0.3, stale=0.4, permanent=0.5)])
def test_an_agent_with_every_tool_and_no_preamble_plays_as_no_agent_does(troubles: ToolTroubles | None):
    for task in (TASK, DEEP):
        for kind in ("patient", "always_act", "spray"):
            plain = play(task, WORLD, make_agent(kind, task, WORLD), 5, max_turns=40, troubles=troubles)
            task = with_agent(task, *WORLD.operations)
            assert play(task, WORLD, make_agent(kind, task, WORLD), 5, max_turns=40, troubles=troubles) == plain


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        (("get_order", "fly", "swim"), "agent clerk: world order_desk lacks fly, swim"),
        (("get_order", "find_order", "get_order"), "agent clerk: stand twice: get_order"),
    ],
)
def test_an_agent_with_tools_that_are_not_there_or_twice_is_refused_by_name(tools: tuple[str, ...], message: str):
    with pytest.raises(ValueError, match=message):
        Environment(WORLD).reset(with_agent(TASK, *tools), 0)


GOVERNED = {"cancel_order", "change_count", "decline_request"}  # without these it would be no world


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.sampled_from(sorted(set(WORLD.operations) - GOVERNED))),
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from([*WORLD.operations, "get_orders", "place_an_order", "cancel"]), st.text(max_size=50)),
            st.sampled_from(["{}", '{"order_id":"204"}', '{"name":"Ben"}', '{"item":"mug"}', "[", "\x00"]),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_a_tool_that_the_agent_has_not_is_one_that_does_not_exist(more: set[str], calls: list[tuple[str, str]], ends: bool):
    names = tuple(sorted(GOVERNED | more))
    small = parse({**WORLD.source, "operations": {name: WORLD.source["operations"][name] for name in names}})
    outcomes = []
    for world, task in ((WORLD, with_agent(TASK, *names)), (small, TASK)):
        environment = Environment(world, end_on_malformed=ends)
        environment.reset(task, 0)
        environment.step(Message("assistant", tool_calls=tuple(ToolCall(f"c{n}", *pair) for n, pair in enumerate(calls))))
        outcomes.append(environment.outcome())
    assert outcomes[0] == outcomes[1] and outcomes[0].faults == ()


def test_a_hidden_tool_changes_nothing_where_it_would_have_without_the_agent():
    order = next(iter(WORLD.instantiate(TASK.seed, TASK.gold.initialise).records("order")))
    act = call("cancel_order", canonical_json({"order_id": order}))
    for task, changed in ((TASK, True), (with_agent(TASK, "get_order", "decline_request"), False)):
        environment = Environment(WORLD)
        environment.reset(task, 0)
        answer = environment.step(act).messages[0]
        outcome = environment.outcome()
        assert bool(outcome.changes) is changed and outcome.calls[0].is_error is not changed
    assert answer.content == '{"error":"no tool cancel_order; did you mean get_order?"}', "what is hidden is not suggested"


def test_a_reply_is_lost_only_where_the_agents_own_tools_can_tell_what_became_of_the_call():
    travel, troubles = worlds.load("travel"), ToolTroubles.uniform(timeout_after_commit=1.0)
    task = compose(travel, 0, run_seed=1, split="train", difficulty=1)
    bookings = travel.instantiate(task.seed, task.gold.initialise).records("booking")
    key = next(key for key, fields in bookings.items() if fields["bags"] < 3)
    for tools, done in ((("add_bag", "get_booking"), True), (("add_bag", "find_flight"), False)):
        environment = Environment(travel, troubles=troubles)
        environment.reset(with_agent(task, *tools), 0)
        environment.step(call("add_bag", canonical_json({"booking_id": key})))
        assert bool(environment.outcome().changes) is done
        hidden = environment.step(call("move_booking", "{}")).messages[0]
        assert hidden.content.startswith('{"error":"no tool move_booking'), "no trouble strikes what is not there"


class Counter(MCPToolSource):
    """Tools that come over MCP, without a server."""

    def __init__(self) -> None:
        self._by_name = {name: ToolSpec(name, "", {"type": "object"}) for name in ("count", "reset", "stop")}

    def _answer(self, tool: str, arguments: dict) -> ToolResult:
        return ToolResult(f"{tool} done", None, False)

    def close(self) -> None:
        pass


def test_tools_that_come_over_mcp_can_be_hidden_too():
    world = MCPWorld("counter", Counter)
    task = Task("t", "counter", 0, "train", 1, Persona(), Ledger("Please count."), Rubric(), Gold())
    environment = Environment(world)
    observation = environment.reset(with_agent(task, "stop", "count", preamble="Count."), 0)
    assert [tool.name for tool in observation.tools] == ["stop", "count"]
    assert observation.messages[0].content == "Count.", "the world has no instructions, and then no blank line either"
    answers = [environment.step(call(name, "{}")).messages[0].content for name in ("count", "reset", "resets")]
    assert answers == ["count done", '{"error":"no tool reset"}', '{"error":"no tool resets"}']
    with pytest.raises(ValueError, match="world counter lacks fly"):
        environment.reset(with_agent(task, "fly"), 0)
