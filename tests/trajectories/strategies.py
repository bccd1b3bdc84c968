"""Hypothesis strategies for records and for hostile JSON, shared by the tests of this package."""

from typing import Any

from hypothesis import strategies as st

from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import CallRecord, Fault, Outcome, StateChange
from trajectories.rewards import Reward
from trajectories.tasks import (
    AgentSpec,
    Certificate,
    Checkpoint,
    Criterion,
    Fact,
    Gold,
    GoldCall,
    Ledger,
    Persona,
    RecordPatch,
    Rubric,
    Task,
    ToolPattern,
)
from trajectories.trajectory import Provenance, Sampling, Segment, Trajectory, Verdict

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text("abcdefghij_", min_size=1, max_size=8)
seeds = st.integers(0, 2**63 - 1)

integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or abs(x) > 1e-290)
scalars = (
    st.none() | st.booleans() | integers | floats | st.sampled_from([0.3, 0.7, 1 / 3, 1.7976931348623157e308]) | text
)


def json_values(leaves: st.SearchStrategy[Any] = scalars, max_leaves: int = 12) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=4),
        max_leaves=max_leaves,
    )


def json_objects(leaves: st.SearchStrategy[Any] = scalars) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(text, json_values(leaves), max_size=4)


# What a policy may have written: anything that Python's JSON parser lets through.
wild_text = st.text(max_size=20)  # lone surrogates too
wild_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | wild_text
wild_objects = st.dictionaries(wild_text, json_values(wild_scalars), max_size=3)

wide_object = st.integers(1, 10**6).map(
    lambda salt: {
        "type": "object",
        "properties": {
            f"field_{i}": {"type": ["string", "null"], "default": salt % (i + 1) or None} for i in range(200)
        },
    }
)
nested_optionals = st.integers(1, 30).map(lambda depth: _nest(depth))
schemas = json_objects() | wide_object | nested_optionals | st.just({})


def _nest(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"]}
    for level in range(depth):
        schema = {
            "anyOf": [{"type": "null"}, {"type": "object", "properties": {f"level_{level}": schema}, "required": []}]
        }
    return schema


tool_calls = st.builds(ToolCall, id=text, name=text, arguments=text)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=text,
    tool_calls=st.lists(tool_calls, max_size=2).map(tuple),
    tool_call_id=st.none() | text,
    name=st.none() | text,
    reasoning_content=st.none() | text,
)
tools = st.builds(
    ToolSpec,
    name=names,
    description=text,
    inputSchema=schemas,
    title=st.none() | text,
    outputSchema=st.none() | schemas,
    annotations=st.none() | json_objects(),
)

changes = st.builds(
    StateChange,
    entity=names,
    key=wild_text,
    kind=st.sampled_from(["created", "updated", "deleted"]),
    fields=st.dictionaries(names, st.tuples(json_values(), json_values(wild_scalars)), max_size=3),
)
calls = st.builds(
    CallRecord, name=wild_text, arguments=wild_objects | wild_text, is_error=st.booleans(), content=wild_text
)
outcomes = st.builds(
    Outcome,
    ending=st.sampled_from(["completed", "turn_limit", "token_limit", "malformed", "fault"]),
    changes=st.lists(changes, max_size=2).map(tuple),
    calls=st.lists(calls, max_size=2).map(tuple),
    messages=st.lists(messages, max_size=2).map(tuple),
    checkpoints=st.lists(names, max_size=2).map(tuple),
    faults=st.lists(st.builds(Fault, source=st.sampled_from(["tool", "engine"]), message=wild_text), max_size=1).map(
        tuple
    ),
)
any_float = st.floats(allow_nan=False)
components = st.dictionaries(names, any_float, max_size=3)
rewards = st.builds(
    Reward, value=st.floats(allow_nan=False, allow_infinity=False), cause=st.none() | wild_text, components=components
) | st.text(min_size=1).map(Reward.invalid)

samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.integers(-1, 2**31 - 1),
    seed=st.none() | seeds,
    grammar=st.none() | st.just("tool_calls"),
)
token_ids = st.integers(0, 2**31 - 1)
versions = st.none() | st.integers(0, 2**31 - 1)


def _policy_segment(
    pairs: list[tuple[int, float]], sampling: Sampling | None, version: int | None, stale: int | None
) -> Segment:
    ids, log_probs = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return Segment("policy", ids, log_probs, sampling, version, stale)


segments = st.builds(
    Segment, origin=st.sampled_from(["context", "demonstration"]), token_ids=st.lists(token_ids, max_size=5).map(tuple)
) | st.builds(
    _policy_segment, st.lists(st.tuples(token_ids, any_float), max_size=5), st.none() | samplings, versions, versions
)
certificates = st.builds(
    Certificate,
    oracle=floats,
    cheats=st.dictionaries(names, floats, max_size=3),
    certified=st.booleans(),
    reasons=st.lists(text, max_size=2).map(tuple),
)
verdicts = st.builds(
    Verdict,
    judge=text,
    criterion=text,
    verdict=st.sampled_from(["pass", "fail", "not_applicable"]),
    reasons=text,
    evidence=text,
)
provenances = st.builds(
    Provenance,
    world=text,
    world_fingerprint=text,
    tool_fingerprints=st.lists(text, max_size=3).map(tuple),
    certificate=st.none() | certificates,
    run_seed=st.none() | seeds,
    parents=st.lists(text, max_size=2).map(tuple),
    models=st.dictionaries(names, text, max_size=2),
    licence=text,
)
trajectories = st.builds(
    Trajectory,
    id=text,
    task_id=text,
    rollout=st.integers(0, 2**31 - 1),
    branch=st.integers(0, 3),
    seed=seeds,
    segments=st.lists(segments, max_size=3).map(tuple),
    messages=st.lists(messages, max_size=3).map(tuple),
    tools=st.lists(tools, max_size=2).map(tuple),
    outcome=st.none() | outcomes,
    reward=st.none() | rewards,
    verdicts=st.lists(verdicts, max_size=2).map(tuple),
    provenance=provenances,
    metadata=json_objects(),
)

patterns = st.builds(ToolPattern, tool=names, arguments=json_objects())
texts = st.lists(text, max_size=2).map(tuple)
facts = st.builds(
    Fact,
    slot=names,
    value=text,
    keywords=st.lists(names, max_size=2).map(tuple),
    answer=text,
    kind=st.sampled_from(["value", "confirmation"]),
    slips=texts,
)
tame_changes = st.builds(
    StateChange,
    entity=names,
    key=text,
    kind=st.sampled_from(["created", "updated", "deleted"]),
    fields=st.dictionaries(names, st.tuples(json_values(), json_values()), max_size=3),
)
tasks = st.builds(
    Task,
    id=names,
    world=names,
    seed=seeds,
    split=st.sampled_from(["train", "held_out"]),
    difficulty=st.integers(1, 3),
    persona=st.builds(Persona, name=text, style=text, patience=st.integers(0, 3)),
    ledger=st.builds(Ledger, opening=text, facts=st.lists(facts, max_size=2).map(tuple), goal=text, follow_ups=texts),
    rubric=st.builds(
        Rubric,
        criteria=st.lists(
            st.builds(
                Criterion,
                name=names,
                kind=st.sampled_from(["state", "says"]),
                expected=st.lists(text, max_size=2).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        tool_patterns=st.lists(patterns, max_size=2).map(tuple),
        checkpoints=st.lists(
            st.builds(Checkpoint, name=names, pattern=patterns, before=st.lists(patterns, max_size=1).map(tuple))
            | st.builds(Checkpoint, name=names, pattern=st.none(), said=text),
            max_size=2,
        ).map(tuple),
    ),
    gold=st.builds(
        Gold,
        initialise=st.lists(st.builds(RecordPatch, entity=names, key=text, fields=json_objects()), max_size=1).map(
            tuple
        ),
        calls=st.lists(
            st.builds(GoldCall, tool=st.none() | names, arguments=json_objects(), ask=st.none() | names, say=st.none() | text),
            max_size=2,
        ).map(tuple),
        changes=st.lists(tame_changes, max_size=2).map(tuple),
        reply=text,
    ),
    certificate=st.none() | certificates,
    tags=st.lists(text, max_size=2).map(tuple),
    agent=st.none() | st.builds(AgentSpec, name=names, preamble=text, tools=texts),
)
