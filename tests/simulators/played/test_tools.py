"""Played tools: the model is asked for what fits its schemas, and what does not keep the rules never reaches an agent."""

import copy
import json
from typing import Any

import pytest

from services.chat import ChatError, ChatReply, ChatRequest, ScriptedChatModel
from simulators.mcp import MCPFault
from simulators.played import PlayedConfig, PlayedTools, ToolListError, parse_tools
from simulators.worlds import ToolResult
from tests.simulators.played.notes import OPENING, TOOLS, answer, asked, honest
from trajectories.messages import Message, ToolSpec

GET = ("get_note", {"id": "a"})


class Asked:
    """A script, or a list of replies, that remembers what it was asked."""

    def __init__(self, script: Any) -> None:
        self.requests: list[ChatRequest] = []
        self._script = script

    def __call__(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        return self._script(request) if callable(self._script) else self._script[len(self.requests) - 1]


def session(script: Any = honest, opening: Any = OPENING, tools: Any = TOOLS, **settings: Any) -> tuple[PlayedTools, Asked]:
    heard = Asked(script)
    played = PlayedTools("notes", parse_tools(tools), ScriptedChatModel(heard), opening, config=PlayedConfig(**settings))
    return played, heard


def fault_of(script: Any, call: tuple[str, dict] = GET, **settings: Any) -> tuple[MCPFault, Asked]:
    played, heard = session(script, **settings)
    with pytest.raises(MCPFault) as caught:
        played.call(*call)
    assert played.state() == OPENING  # nothing of an answer that was not taken is kept
    return caught.value, heard


def test_an_honest_model_keeps_the_documents_content_from_call_to_call() -> None:
    opening = copy.deepcopy(OPENING)
    played, heard = session(opening=opening)
    assert played.call("put_note", {"id": "b", "text": "tea"}) == ToolResult('{"count":2}', {"count": 2}, False)
    assert played.call("get_note", '{"id": "b"}').structuredContent == {"text": "tea"}
    assert played.call("drop_note", {"id": "a"}) == ToolResult("dropped a", None, False)
    assert played.call(*GET) == ToolResult('{"error":"no note a"}', None, True)
    assert played.state() == {"notes": {"b": "tea"}} and opening == OPENING
    assert len(heard.requests) == 4


def test_a_request_holds_the_tool_the_arguments_the_state_and_the_last_calls() -> None:
    played, heard = session(recent_calls=2, temperature=0.5, max_tokens=99)
    for id in "xyz":
        played.call("put_note", {"id": id, "text": id})
    played.call(*GET)
    request = heard.requests[-1]
    told = asked(request)
    assert told["tool"] == TOOLS[0] and told["arguments"] == {"id": "a"}
    assert told["state"] == {"notes": {"a": "milk", "x": "x", "y": "y", "z": "z"}}
    assert told["recent_calls"] == [
        {"tool": "put_note", "arguments": {"id": id, "text": id}, "content": json.dumps({"count": n}, separators=(",", ":")),
         "is_error": False}
        for id, n in (("y", 3), ("z", 4))
    ]  # fmt: skip
    assert all(tool["name"] in request.messages[0].content for tool in TOOLS)
    assert (request.temperature, request.max_tokens, request.response_schema is None) == (0.5, 99, False)
    assert len({request.seed for request in heard.requests}) == 4  # a draw of its own for each call


def test_the_same_seed_asks_the_same_and_another_one_draws_anew() -> None:
    asked_by_seed = []
    for seed in (1, 1, 2):
        heard = Asked(honest)
        played = PlayedTools("notes", parse_tools(TOOLS), ScriptedChatModel(heard), OPENING, seed=seed)
        played.call(*GET)
        asked_by_seed.append(heard.requests)
    assert asked_by_seed[0] == asked_by_seed[1] and asked_by_seed[0][0].seed != asked_by_seed[2][0].seed
    assert asked_by_seed[0][0].messages == asked_by_seed[2][0].messages


def test_words_become_an_opening_document_once_and_only_when_it_is_needed() -> None:
    played, heard = session(opening="bread")
    played.call("get_note", {})
    assert not heard.requests
    assert played.call(*GET).structuredContent == {"text": "bread"}
    played.call(*GET)
    assert [sorted(asked(request))[0] for request in heard.requests] == ["setting", "arguments", "arguments"]
    played, heard = session(
        ["[]", '{"state": {}, "more": 1}', '{"state": {"a": "' + "x" * 99 + '"}}'], "bread", max_state_characters=50
    )
    with pytest.raises(MCPFault, match="notes: the opening document: the last of 3 answers .* 107 characters, and 50 at most"):
        played.call(*GET)


NESTED: Any = "x"
for _ in range(100):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, '"id" is a required property'),
        ({"id": 3, "text": ""}, "id: the value is not of type"),
        ({"id": "far too long", "text": ""}, "id: the value is longer than 8 characters"),
        ({"id": "a", "text": "", "as": "root"}, "Additional properties are not allowed"),
        ({"id": "a", "text": "x" * 9_000}, "arguments have 9020 characters; 8000 at most"),
        ({"id": "a", "text": NESTED}, "nested deeper than 64 levels"),
        ("[]", "arguments must be a JSON object"),
        ('{"id": "\\ud800", "text": ""}', "half of a surrogate pair"),
    ],
)
def test_arguments_against_the_schema_never_reach_the_model(arguments: Any, told: str) -> None:
    played, heard = session()
    result = played.call("put_note", arguments)
    assert result.isError and told in json.loads(result.content)["error"] and len(result.content) < 200
    assert not heard.requests and played.state() == OPENING
    assert not played.call(*GET).isError  # the session goes on


HOSTILE = {
    "it is not one JSON object and nothing else": "Sure! Here you go",
    "it is not one JSON object and nothing else: Extra data": answer({}, {"text": "x"}) + " I hope this helps",
    "it is not one JSON object and nothing else: Expecting value": "```json\n" + answer({}, {"text": "x"}) + "\n```",
    "it is not one JSON object and nothing else: nan": '{"state": {}, "result": {"text": NaN}, "is_error": false}',
    "half of a surrogate pair": '{"state": {}, "result": {"text": "\\ud800"}, "is_error": false}',
    "nested too deeply": '{"state": {}, "result": ' + "[" * 100_000,
    "nested deeper than 64": answer({"deep": NESTED}, {"text": "x"}),
    "the value is not of type": "[]",
    "Additional properties are not allowed": '{"state": {}, "result": {"text": "x"}, "is_error": false, "reward": 1}',
    '"is_error" is a required property': '{"state": {}, "result": {"text": "x"}}',
    "is_error: ": '{"state": {}, "result": {"text": "x"}, "is_error": "no"}',
    "state: the value is not of type": '{"state": [], "result": {"text": "x"}, "is_error": false}',
    'result: it is not as the tool\'s outputSchema has it: "text" is a required property': answer({}, {}),
    "result: it is not as the tool's outputSchema has it: text: the value is not of type": answer({}, {"text": 5}),
    "state: get_note is read-only and changes nothing": answer({"notes": {"a": "read"}}, {"text": "milk"}),
    "state: a call that ends in an error changes nothing": answer({"notes": {"a": None}}, "no", True),
    "result: an error is a text": answer({}, {"text": "milk"}, True),
}


@pytest.mark.parametrize("problem", HOSTILE)
def test_an_answer_that_breaks_a_rule_is_asked_for_again_and_then_a_fault(problem: str) -> None:
    bad = HOSTILE[problem]
    fault, heard = fault_of(lambda request: bad)
    assert fault.kind == "protocol" and problem in fault.message
    assert fault.message.startswith("notes: get_note: the last of 3 answers of scripted cannot be used: ")
    assert len(heard.requests) == 3 and len({request.seed for request in heard.requests}) == 3
    last = heard.requests[-1].messages
    assert len(last) == 4 and last[:2] == heard.requests[0].messages
    assert last[2] == Message("assistant", bad[:20_000]) and problem in last[3].content
    played, heard = session([bad, answer({}, {"text": "milk"})])
    assert played.call(*GET).structuredContent == {"text": "milk"} and len(heard.requests) == 2


def test_a_document_that_grows_without_bound_breaks_the_session() -> None:
    def growing(request: ChatRequest) -> str:
        state = asked(request)["state"]
        return answer({f"n{len(state)}": "x" * 50}, {"count": len(state)})

    played, heard = session(growing, max_state_characters=300)
    put = ("put_note", {"id": "a", "text": "x"})
    with pytest.raises(MCPFault, match=r"put_note: .* 300 at most are allowed \(max_state_characters\)") as caught:
        for _ in range(20):
            played.call(*put)
    assert len(json.dumps(played.state(), separators=(",", ":"))) <= 300 and len(played.state()) == 5
    asked_before = len(heard.requests)
    with pytest.raises(MCPFault) as again:
        played.call(*GET)
    assert again.value is caught.value and len(heard.requests) == asked_before  # a session ends with its first fault


def test_a_read_only_tool_may_write_what_is_there_already() -> None:
    played, _ = session([answer({"notes": {"a": "milk"}, "b": None}, {"text": "milk"})])
    assert played.call(*GET).structuredContent == {"text": "milk"} and played.state() == OPENING


@pytest.mark.parametrize(
    ("error", "kind"),
    [("unreachable", "unreachable"), ("timeout", "timeout"), ("overloaded", "unreachable"), ("failed", "died"),
     ("refused", "protocol"), ("malformed", "protocol"), ("declined", "protocol"), ("unscripted", "unrecorded")],
)  # fmt: skip
def test_a_model_that_gives_no_reply_is_a_fault_at_once(error: Any, kind: str) -> None:
    fault, heard = fault_of(lambda request: ChatError(error, "small at home: it broke"))
    assert fault.kind == kind and fault.message == f"notes: get_note: {error}: small at home: it broke"
    assert len(heard.requests) == 1 and fault.as_fault().source == "tool"


def test_an_answer_cut_off_at_max_tokens_says_which_setting_to_raise() -> None:
    fault, _ = fault_of(lambda request: ChatReply(Message("assistant", '{"state"'), "length"), max_tokens=7)
    assert fault.kind == "protocol" and "max_tokens=7; raise it" in fault.message


def test_a_tool_without_output_schema_may_say_anything_and_long_text_is_cut() -> None:
    answers = ["milk", {"b": 2.0, "a": 1}, [1, 2], None, "x" * 60]
    played, _ = session([answer({}, result) for result in answers], max_characters=50)
    results = [played.call("drop_note", {"id": "a"}) for _ in answers]
    assert [result.content for result in results] == [
        "milk", '{"b":2,"a":1}', "[1,2]", "", "x" * 50 + "\n[cut: 10 more characters]"
    ]  # fmt: skip
    assert [result.structuredContent for result in results] == [None, {"b": 2, "a": 1}, {"result": [1, 2]}, None, None]


def test_what_a_caller_does_to_a_result_or_to_the_state_it_was_shown_changes_nothing() -> None:
    def echo(request: ChatRequest) -> str:
        notes = asked(request)["state"]["notes"]
        return answer({}, {"text": json.dumps(notes), "notes": notes})

    played, _ = session(echo)
    result = played.call(*GET)
    result.structuredContent["notes"]["a"] = "poison"  # type: ignore[index]
    played.state()["notes"]["a"] = "poison"
    assert played.call(*GET).content == result.content and played.state() == OPENING


def test_an_opening_document_that_cannot_be_used_is_the_callers_mistake() -> None:
    for opening, message in [
        ({"a": "x" * 100}, "the opening document cannot be used: state: the document would have 108 characters"),
        ({"a": float("nan")}, "nan is not a JSON number"),
        ({"a": {1: 2}}, "JSON object keys are strings"),
        ({"a": {1, 2}}, "set is not a JSON value"),
        ({"a": "\ud800"}, "surrogates not allowed"),
    ]:
        with pytest.raises(ValueError, match=message):
            session(opening=opening, max_state_characters=50)
    with pytest.raises(ToolListError, match="notes: tool t: inputSchema.type: must be object"):
        PlayedTools("notes", [ToolSpec("t", inputSchema={})], ScriptedChatModel([]), {})
    for setting in ({"attempts": 0}, {"max_state_characters": 0}, {"temperature": -1.0}, {"recent_calls": -1}):
        with pytest.raises(ValueError, match=r"played\."):
            PlayedConfig(**setting)


def test_a_closed_session_answers_no_more_and_leaves_the_model_to_others() -> None:
    model = ScriptedChatModel(honest)
    with PlayedTools("notes", parse_tools(TOOLS), model, OPENING) as played:
        played.call(*GET)
    with pytest.raises(RuntimeError, match="closed"):
        played.call(*GET)
    assert PlayedTools("notes", parse_tools(TOOLS), model, OPENING).call(*GET).structuredContent == {"text": "milk"}
