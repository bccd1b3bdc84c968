"""Arguments become objects exactly or not at all."""

import json

import pytest
from hypothesis import given

from tests.trajectories import strategies
from tests.trajectories.formats.cases import answer, call, dialogue, group
from tests.trajectories.test_json_text import _same
from trajectories.formats import FORMATS, FormatSettings, UnsayableError
from trajectories.formats.arguments import exact_object
from trajectories.json_text import json_text
from trajectories.messages import Message

KEEP = FormatSettings(arguments="keep")


@given(strategies.json_objects())
def test_the_text_of_an_object_becomes_that_object(value):
    assert _same(exact_object(json_text(value)), value)
    assert _same(exact_object(f" {json.dumps(value, indent=1)}\n"), value)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", '"{}"', "25", "{'a': 1}", '{"a": 1,}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}', '{"a": 18446744073709551616}', '{"a": 1e400}', '{"a": 1} x', "[" * 100_000,
    ],
)  # fmt: skip
def test_text_that_is_not_exactly_one_object_is_refused_by_name_or_kept_as_it_is(text):
    row = dialogue(Message("user", "Do it."), call(text), answer("no"), Message("assistant", "Sorry."))
    for name in ("trl_sft", "openai"):
        with pytest.raises(UnsayableError, match="the arguments of functions.get_order:0 are .*details.arguments=keep"):
            FORMATS[name].make(group(row), FormatSettings())
        (made,) = FORMATS[name].make(group(row), KEEP).rows
        message = next(item for item in made["messages"] if isinstance(item, dict) and "tool_calls" in item)
        assert message["tool_calls"][0]["function"]["arguments"] == text


def test_trl_gets_objects_and_openai_the_policys_own_text():
    spelled = '{ "order_id" : "204", "count": 2.50, "note": "a\\/b" }'
    row = dialogue(Message("user", "Do it."), call(spelled), answer("done"), Message("assistant", "Done."))
    (trl,) = FORMATS["trl_sft"].make(group(row), FormatSettings()).rows
    (openai,) = FORMATS["openai"].make(group(row), FormatSettings()).rows
    assert trl["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"order_id": "204", "count": 2.5, "note": "a/b"}
    assert openai["messages"][1]["tool_calls"][0]["function"]["arguments"] == spelled
