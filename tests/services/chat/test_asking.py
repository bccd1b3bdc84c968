"""What cannot be used is asked for again with the reason, so often and no oftener."""

import json
import pickle
from typing import Any

import pytest

from services.chat import ChatError, ChatReply, ChatRequest, NoUsableAnswer, ScriptedChatModel, UnusableAnswer, ask_until
from trajectories.messages import Message

DIALOGUE = (Message("system", "Say a number."), Message("user", "Which?"))


def number(reply: ChatReply) -> int:
    if not reply.message.content.isdigit():
        raise UnusableAnswer(f"{reply.message.content!r} is no number")
    return int(reply.message.content)


async def asked(replies: list[Any], attempts: int = 3, **settings: Any) -> tuple[int | None, list[ChatRequest], str]:
    """What came of it, what the model was asked, and why nothing came of it."""
    requests: list[ChatRequest] = []

    def script(request: ChatRequest) -> Any:
        requests.append(request)
        json.dumps([message.content for message in request.messages], ensure_ascii=False).encode()  # a wire can carry it
        return replies[len(requests) - 1]

    try:
        value = await ask_until(
            ScriptedChatModel(script), DIALOGUE, number, attempts=attempts, seed=lambda attempt: 10 + attempt, **settings
        )
    except NoUsableAnswer as error:
        return None, requests, str(error)
    return value, requests, ""


async def test_the_first_answer_that_can_be_used_ends_the_asking():
    value, requests, _ = await asked(["x", "7", "8"], temperature=0.5, max_tokens=9)
    assert value == 7 and [request.seed for request in requests] == [10, 11]
    assert requests[0].messages == DIALOGUE and {(request.temperature, request.max_tokens) for request in requests} == {(0.5, 9)}


async def test_the_model_is_shown_its_last_answer_with_the_reason_and_no_earlier_one():
    value, requests, problem = await asked(["x", "\ud800" + "y" * 50_000, "z"])
    assert value is None and problem == "the last of 3 answers of scripted cannot be used: 'z' is no number"
    for request, shown in zip(requests[1:], ("x", "?" + "y" * 19_999), strict=True):
        assert request.messages[:2] == DIALOGUE and request.messages[2] == Message("assistant", shown)
        assert len(request.messages) == 4 and "cannot be used: " in request.messages[3].content


async def test_the_last_attempt_may_ask_something_else():
    value, requests, _ = await asked(["x", "y", "1"], last=[Message("user", "Only a number.")])
    assert value == 1 and requests[-1].messages == (Message("user", "Only a number."),)


async def test_an_error_ends_the_asking_unless_it_counts_as_an_answer():
    declined, gone = ChatError("declined", "filter"), ChatError("unreachable", "gone")
    with pytest.raises(ChatError, match="filter"):
        await asked([declined, "1"])
    value, requests, _ = await asked([declined, "1"], spoilt=("declined",))
    assert value == 1 and requests[1].messages[2].content == "(nothing)"
    assert (await asked([declined], 1, spoilt=("declined",)))[2] == (
        "the one answer of scripted cannot be used: there is none: declined: filter"
    )
    with pytest.raises(ChatError, match="gone"):
        await asked([declined, gone, "1"], spoilt=("declined",))


async def test_json_that_is_cut_off_never_reaches_the_reader():
    cut = ChatReply(Message("assistant", "12"), "length")
    value, _, problem = await asked([cut, cut, cut], response_schema={"type": "integer"}, max_tokens=2, spoilt=("truncated",))
    assert value is None and "max_tokens=2" in problem


def test_the_end_of_all_attempts_survives_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(NoUsableAnswer("m", 3, "bad")))
    assert (error.model, error.attempts, error.problem) == ("m", 3, "bad") and "3 answers of m" in str(error)
