"""A chat model plays: what it says is judged, what keeps it from speaking is a fault, and what it said replays."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rewards.verifiers import verifier_for
from services.chat import ChatError, ChatReply, EndpointChatModel, EndpointConfig, ScriptedChatModel, Usage
from services.chat.recorded import RecordedChatModel
from simulators import worlds
from simulators.tasks.agents import make_agent, play
from simulators.tasks.chat_agent import CallId, ChatPolicy, play_chat
from simulators.tasks.compose import compose
from tests.services.chat.serving import completion, served
from trajectories.messages import Message, ToolCall
from trajectories.seeds import derive_seed

WORLD = worlds.load("order_desk")
TASKS = [compose(WORLD, index, run_seed=5, split="train", difficulty=1) for index in range(4)]
TASK = TASKS[0]
verify = verifier_for("tool_use").verify


def chat(model, task=TASK, rollout=0, **settings):
    return play_chat(task, WORLD, model, 11, run_seed=7, rollout=rollout, policy=ChatPolicy(**settings))


def oracle_model(ids=lambda call, turn: call.id, heard=None):
    """Says what the oracle of the task would that the dialogue is about."""
    agents = {play(task, WORLD, make_agent("oracle", task, WORLD), 11)[0][1].content: task for task in TASKS}

    def say(request):
        if heard is not None:
            heard.append(request)
        task = agents[request.messages[1].content]
        message = make_agent("oracle", task, WORLD).act(request.messages)
        turn = sum(each.role == "assistant" for each in request.messages)
        calls = tuple(replace(call, id=ids(call, turn)) for call in message.tool_calls)
        reply = replace(message, tool_calls=calls, reasoning_content=f"turn {turn}")
        return ChatReply(reply, "tool_calls" if calls else "stop", Usage(10, turn))

    return ScriptedChatModel(say)


def texts(*replies):
    return ScriptedChatModel([reply for reply in replies])


def call(name, arguments, call_id="c"):
    return Message("assistant", tool_calls=(ToolCall(call_id, name, arguments),))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_a_model_that_says_what_the_oracle_would_passes_and_thinks_aloud(task):
    heard = []
    played = chat(oracle_model(heard=heard), task)
    messages, tools, outcome = play(task, WORLD, make_agent("oracle", task, WORLD), 11)
    assert verify(task, played.outcome).value == 1.0 and played.renamed == ()
    assert [replace(each, reasoning_content=None) for each in played.messages] == list(messages)
    assert (played.tools, played.outcome.calls, played.outcome.changes) == (tools, outcome.calls, outcome.changes)
    turns = [each.reasoning_content for each in played.messages if each.role == "assistant"]
    assert turns == [f"turn {index}" for index in range(len(turns))]
    assert played.usage == Usage(10 * len(turns), sum(range(len(turns))))
    assert played.outcome.messages == played.messages[1:]
    for turn, request in enumerate(heard):
        assert request.tools == tools and (request.temperature, request.max_tokens) == (1.0, 2048)
        assert request.seed == derive_seed(7, "sampling", task.id, 0, turn)


@pytest.mark.parametrize(
    "ids",
    [lambda call, turn: "", lambda call, turn: "x", lambda call, turn: f"call_{turn}", lambda call, turn: call.id + "9"],
    ids=["missing", "clashing", "foreign", "miscounted"],
)
def test_ids_are_those_of_their_place_and_what_they_were_is_kept(ids):
    played = chat(oracle_model(ids))
    calls = [call for message in played.messages for call in message.tool_calls]
    assert [call.id for call in calls] == [f"functions.{call.name}:{index}" for index, call in enumerate(calls)]
    assert [each.tool_call_id for each in played.messages if each.role == "tool"] == [call.id for call in calls]
    assert verify(TASK, played.outcome).value == 1.0
    assert [each.now for each in played.renamed] == [call.id for call in calls]
    given = [each.was for each in played.renamed]
    assert [each.clashed for each in played.renamed] == [was in given[:index] for index, was in enumerate(given)]


def test_two_calls_of_one_turn_with_one_id_are_told_apart():
    twice = Message("assistant", tool_calls=(ToolCall("a", "get_order", '{"order_id":"999"}'), ToolCall("a", "nothing", "{}")))
    played = chat(texts(twice, "I am done."))
    assert played.renamed == (CallId(0, "a", "functions.get_order:0", False), CallId(0, "a", "functions.nothing:1", True))
    answers = [each for each in played.messages if each.role == "tool"]
    assert [each.tool_call_id for each in answers] == ["functions.get_order:0", "functions.nothing:1"]


@pytest.mark.parametrize("arguments", ["", "{", "[]", "null", '{"order_id":', '{"order_id":1e999}', '{"a":"\\ud800"}'])
def test_what_is_no_call_is_the_policys_own(arguments):
    answered = chat(texts(call("get_order", arguments), "I am done."))
    assert answered.outcome.ending == "completed" and answered.outcome.faults == ()
    assert answered.outcome.calls[0].is_error
    ended = chat(texts(call("get_order", arguments)), end_on_malformed=True)
    assert ended.outcome.ending == "malformed" and verify(TASK, ended.outcome).valid
    assert chat(texts(call("get_odour", "{}")), end_on_malformed=True).outcome.ending == "malformed"


def test_a_turn_that_is_cut_off_ends_the_episode_and_calls_nothing():
    half = ChatReply(replace(call("get_order", '{"order_id":'), content="Let me"), "length")
    played = chat(texts(half))
    assert played.outcome.ending == "token_limit" and played.outcome.faults == () and played.outcome.calls == ()
    assert played.messages[-1].content == "Let me" and played.outcome.messages == played.messages[1:]
    assert verify(TASK, played.outcome).valid


def test_a_model_that_goes_on_for_ever_is_stopped():
    played = chat(ScriptedChatModel(lambda request: call("get_order", '{"order_id":"999"}')), max_turns=5)
    assert played.outcome.ending == "turn_limit" and len(played.outcome.calls) == 5


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "overloaded", "failed", "refused", "malformed", "declined"])
@pytest.mark.parametrize("turn", [0, 1])
def test_no_reply_is_a_fault_and_never_a_verdict(kind, turn):
    replies = [call("get_order", '{"order_id":"999"}')] * turn
    played = chat(texts(*replies, ChatError(kind, "model: it is gone")))
    (fault,) = played.outcome.faults
    assert (played.outcome.ending, fault.source) == ("fault", "engine") and f"{kind}: model: it is gone" in fault.message
    assert len(played.outcome.calls) == turn and played.outcome.messages == played.messages[1:]
    assert not verify(TASK, played.outcome).valid


def test_a_reply_in_another_role_is_a_fault():
    played = chat(ScriptedChatModel(lambda request: Message("user", "I play you now.")))
    assert played.outcome.faults[0].source == "engine" and "role user" in played.outcome.faults[0].message


def test_reasoning_is_kept_even_where_the_model_does_not_read_it_again():
    heard = []
    played = chat(oracle_model(heard=heard), show_reasoning=False)
    assert all(message.reasoning_content is None for request in heard for message in request.messages)
    assert all(each.reasoning_content for each in played.messages if each.role == "assistant")


def test_rollouts_of_a_task_have_seeds_of_their_own():
    heard = []
    for rollout in range(3):
        chat(oracle_model(heard=heard), rollout=rollout)
    assert len({request.seed for request in heard}) == len(heard)


def test_a_recorded_model_replays_in_any_number_of_threads(tmp_path):
    asked = []

    def say(request):
        asked.append(request.seed)
        return f"My number is {len(asked)}." if len(request.messages) < 6 else call("nothing", "{}", str(len(asked)))

    jobs = [(task, rollout) for task in TASKS for rollout in range(4)]

    def play_all(model, threads):
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda job: chat(model, *job, max_turns=4), jobs))

    live = play_all(RecordedChatModel(tmp_path / "r", ScriptedChatModel(say)), 8)
    count = len(asked)
    assert play_all(RecordedChatModel(tmp_path / "r"), 3) == play_all(RecordedChatModel(tmp_path / "r"), 1) == live
    assert len(asked) == count == len(set(asked))


@pytest.mark.parametrize(
    ("key", "value"), [("temperature", -1), ("temperature", float("nan")), ("max_tokens", 0), ("max_turns", 0)]
)
def test_a_wrong_setting_is_named(key, value):
    with pytest.raises(ValueError, match=f"{key}: is at least"):
        ChatPolicy(**{key: value})


async def test_threads_play_against_an_endpoint():
    agents = {play(task, WORLD, make_agent("oracle", task, WORLD), 11)[0][1].content: task for task in TASKS}
    broken = TASKS[3]

    async def handler(request: Request) -> Response:
        body = await request.json()
        messages = [Message.from_openai(each) for each in body["messages"]]
        task = agents[messages[1].content]
        if task == broken:
            return JSONResponse({"error": {"message": "no memory left"}}, 500)
        assert {tool["function"]["name"] for tool in body["tools"]} >= {"get_order"} and body["seed"] >= 0
        said = make_agent("oracle", task, WORLD).act(messages)
        calls = [{**each.to_openai(), "id": ""} for each in said.tool_calls]
        reason = "tool_calls" if calls else "stop"
        content = {"content": said.content or None, "tool_calls": calls, "reasoning": "hm"}
        return JSONResponse(completion(json.loads(json.dumps(content)), finish_reason=reason))

    async with served(handler) as url:
        model = EndpointChatModel(EndpointConfig(base_url=url, model="small"))
        played = await asyncio.gather(*(asyncio.to_thread(chat, model, task) for task in TASKS for _ in range(3)))
    for index, each in enumerate(played):
        task = TASKS[index // 3]
        reward = verify(task, each.outcome)
        if task == broken:
            assert not reward.valid and "HTTP 500" in each.outcome.faults[0].message
        else:
            assert reward.value == 1.0 and each.usage is not None and each.usage.completion_tokens > 0
            assert {item.reasoning_content for item in each.messages if item.role == "assistant"} == {"hm"}
