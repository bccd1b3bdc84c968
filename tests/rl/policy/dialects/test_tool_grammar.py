"""Every turn that the grammar lets through parses and calls declared tools rightly, and what teachers write gets through."""

import json
import random
from functools import cache

import llguidance
import llguidance.hf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from rl.policy import dialects
from rl.policy.dialects.tool_grammar import MOST_CALLS, enforceable, token_set
from rl.policy.tokenizer import train_tokenizer
from simulators import worlds
from simulators.tasks.agents import make_agent, play
from simulators.tasks.compose import compose
from trajectories.messages import Message, ToolCall, ToolSpec

NAMES = sorted(dialects.DIALECTS)
ODD = (
    ToolSpec("find", inputSchema={"type": "object", "properties": {"größe": {"type": "number"}, "a": {"const": 'q"\n'}}}),
    ToolSpec("find_all", inputSchema={"type": "object", "additionalProperties": False}),
    ToolSpec("ping", inputSchema={"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "required": ["n"]}),
)


def tools_of(world):
    return ODD if world == "odd" else worlds.load(world).tool_specs()


@cache
def tokenizer(name):
    corpus = [json.dumps(tool.to_openai()) for world in worlds.names() for tool in tools_of(world)]
    return train_tokenizer(corpus * 2, 600, dialect=name)


@cache
def dialect_of(name):
    return dialects.get(name, tokenizer(name))


@cache
def vocabulary(name):
    return llguidance.hf.from_tokenizer(tokenizer(name), 600)


def matcher(name, grammar):
    assert llguidance.LLMatcher.validate_grammar(grammar) == ""
    return llguidance.LLMatcher(vocabulary(name), grammar)


def accepts(name, grammar, tokens):
    state = matcher(name, grammar)
    return state.try_consume_tokens(list(tokens)) == len(tokens) and state.is_accepting()


def opener(name):
    return dialect_of(name).codec.markup_id({"kimi_k2": "<|tool_calls_section_begin|>", "qwen3": "<tool_call>"}[name])


def wander(name, grammar, seed, text=6, most=6000):
    """A turn of a policy that picks any token that the grammar leaves, and stops its free text after `text` tokens."""
    dialect, state, rng = dialect_of(name), matcher(name, grammar), random.Random(seed)
    mask, turn = allocate_token_bitmask(1, 600), []
    while not state.is_stopped() and len(turn) < most:
        fill_next_token_bitmask(state, mask, 0)
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:600]).tolist()
        markup = [token for token in allowed if token not in dialect.codec.text_ids]
        turn.append(rng.choice(markup if markup and len(turn) >= text else allowed))
        assert state.consume_token(turn[-1])
    return turn


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("world", ["odd", "order_desk", "bank_branch"])
def test_whatever_the_grammar_leaves_parses_and_calls_declared_tools_rightly(name, world):
    dialect, tools, calls = dialect_of(name), tools_of(world), 0
    schemas = {tool.name: validator_for(dict(tool.inputSchema)) for tool in tools}
    for seed in range(25):
        turn = wander(name, dialect.tool_call_grammar(tools, 9), seed)
        parsed = dialect.parse(turn, 9)
        assert parsed.malformed is None and (parsed.calls > 0) == (opener(name) in turn)
        for index, call in enumerate(parsed.message.tool_calls, 9):
            assert call.id == f"functions.{call.name}:{index}"
            assert schemas[call.name].is_valid(call.parsed_arguments()), call
        calls += parsed.calls
    assert calls > 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("world", worlds.names())
def test_what_a_teacher_writes_fits_the_grammar(name, world):
    dialect, specification = dialect_of(name), worlds.load(world)
    for index in range(2):
        task = compose(specification, index, run_seed=3, split="train", difficulty=2)
        messages, tools, _ = play(task, specification, make_agent("oracle", task, specification), 0)
        calls = 0
        for message in (message for message in messages if message.role == "assistant"):
            grammar = dialect.tool_call_grammar(tools, calls)
            assert accepts(name, grammar, dialect.render_turn(message)), message
            calls += len(message.tool_calls)
            if message.tool_calls:
                assert not accepts(name, dialect.tool_call_grammar(tools[:0]), dialect.render_turn(message))


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(max_size=60) | st.sampled_from(["<|tool_call_begin|>functions.x:0", "</tool_call>", "<|im_end|>", ""]))
def test_text_is_free_whatever_it_spells(name, text):
    turn = dialect_of(name).render_turn(Message("assistant", text))
    assert accepts(name, dialect_of(name).tool_call_grammar(ODD, 2), turn)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("tool", "arguments", "fits"),
    [
        ("ping", '{"n":1}', True),
        ("ping", '{"n": null}', True),
        ("ping", "{}", False),
        ("ping", '{"n":"1"}', False),
        ("ping", '{"n":1,"m":2}', False),
        ("ping", '{"n":1', False),
        ("pong", '{"n":1}', False),
        ("find", "{}", True),
        ("find", '{"größe": 1.5, "a": "q\\"\\n"}', True),
        ("find", '{"a": "q\\"\\n","größe":-0.25}', True),
        ("find", '{"größe": 1e999}', False),
        ("find", '{"b": 1}', False),
        ("find_all", "{}", True),
    ],
)
def test_a_call_fits_when_its_tool_is_declared_and_its_schema_takes_the_arguments(name, tool, arguments, fits):
    dialect = dialect_of(name)
    turn = dialect.render_turn(Message("assistant", "Now.", (ToolCall(f"functions.{tool}:4", tool, arguments),)))
    assert accepts(name, dialect.tool_call_grammar(ODD, 4), turn) is fits


def test_the_index_of_a_call_counts_on_and_calls_of_one_turn_have_a_limit():
    dialect = dialect_of("kimi_k2")

    def turn(first, count):
        calls = (ToolCall(f"functions.ping:{first + index}", "ping", '{"n":0}') for index in range(count))
        return dialect.render_turn(Message("assistant", "", tuple(calls)))

    grammar = dialect.tool_call_grammar(ODD, 3)
    assert accepts("kimi_k2", grammar, turn(3, MOST_CALLS))
    assert not accepts("kimi_k2", grammar, turn(3, MOST_CALLS + 1))
    assert not accepts("kimi_k2", grammar, turn(2, 1)) and not accepts("kimi_k2", grammar, turn(0, 1))


def test_qwen3_may_think_first():
    turn = dialect_of("qwen3").render_turn(Message("assistant", "Hi.", reasoning_content="<|im_end|> hm"))
    assert accepts("qwen3", dialect_of("qwen3").tool_call_grammar(ODD), turn)


@pytest.mark.parametrize("keyword", [{"uniqueItems": True}, {"not": {"type": "null"}}, {"format": "unheard-of"}])
@pytest.mark.parametrize("name", NAMES)
def test_a_schema_that_cannot_be_enforced_is_named(name, keyword):
    kind = "array" if "uniqueItems" in keyword else "string"
    schema = {"type": "object", "properties": {"x": {"type": kind, **keyword}}}
    with pytest.raises(ValueError, match="the arguments of tool tag cannot be held to a grammar"):
        dialect_of(name).tool_call_grammar([*ODD, ToolSpec("tag", inputSchema=schema)])


def test_schemas_are_closed_and_bounded_only_where_they_say_nothing_themselves():
    number = {"type": "number"}
    bounded = {"type": "number", "minimum": -(10**15), "maximum": 10**15}
    assert enforceable({"type": "object", "properties": {"properties": number, "const": number}}) == {
        "type": "object",
        "properties": {"properties": bounded, "const": bounded},
        "additionalProperties": False,
    }
    kept = [
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
        {"enum": [{"type": "integer"}, {"properties": {}}]},
        {"type": "integer", "exclusiveMinimum": 0, "maximum": 5},
        {"properties": {"a": True}, "anyOf": [{"properties": {"b": True}}, {"required": ["a"]}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"type": "string"}}}}},
    ]
    for schema in kept:
        assert enforceable(schema) == schema


@given(st.sets(st.integers(0, 300)).filter(bool))
def test_a_token_set_is_exactly_its_ids(ids):
    ranges = [part.split("-") for part in token_set(ids)[2:-2].split(",")]
    assert [token for low, *high in ranges for token in range(int(low), int((high or [low])[0]) + 1)] == sorted(ids)
