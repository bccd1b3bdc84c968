"""A policy that writes garbage, held to a grammar on the real engine: every call that it opens is a call, and it is marked.

Without the grammar hardly one is; and those without a grammar are sampled as if there were none.
"""

import asyncio
import json
from functools import partial

import llguidance
import llguidance.hf
import numpy as np
import pytest
import pytest_asyncio
import torch
from jsonschema_rs import validator_for
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from pipelines.engine_policy import EnginePolicySettings, open_engine_policy
from pipelines.progress import Progress
from pipelines.rollouts import RolloutSettings
from rl.policy import dialects
from rl.policy.presets import build_model
from rl.policy.source import PolicyConfig, save_policy
from rl.policy.tokenizer import train_tokenizer
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.engine import EngineError
from rl.rollout.engine_config import EngineConfig
from rl.rollout.vllm_engine import VLLMEngine
from simulators import worlds
from simulators.pool import PoolConfig
from simulators.tasks.compose import compose
from trajectories.messages import Message, ToolSpec
from trajectories.trajectory import Sampling

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

WORLD = worlds.load("order_desk")
TOOLS = WORLD.tool_specs()
SCHEMAS = {tool.name: validator_for(dict(tool.inputSchema)) for tool in TOOLS}
VOCABULARY = 512
TURNS = 240


class Garbage:
    """One nano policy with random weights for each dialect's tokenizer, and what it reads."""

    def __init__(self, name, directory):
        corpus = [json.dumps(tool.to_openai()) for tool in TOOLS] * 2
        self.tokenizer = train_tokenizer(corpus, VOCABULARY, dialect=name)
        self.dialect = dialects.get(name, self.tokenizer, "none")
        self.model = build_model("nano_k2", self.tokenizer, seed=0).eval()
        self.directory = directory / name
        save_policy(PolicyConfig(dialect=name, tools_format="none"), self.directory, self.model, self.tokenizer)
        self.prompt = self.dialect.prefix([Message("system", "Help."), Message("user", "Cancel order 123.")], TOOLS)
        marker = {"kimi_k2": "<|tool_calls_section_begin|>", "qwen3": "<tool_call>"}[name]
        self.opener = self.dialect.codec.markup_id(marker)

    def grammar(self, text=None):
        """`text` bounds the free text, so that a policy which knows no end soon comes to its calls."""
        grammar = self.dialect.tool_call_grammar(TOOLS, 5)
        return grammar if text is None else grammar.replace("]>*", f"]>{{0,{text}}}")

    def sample(self, engine, count, grammar=None, name="free", most=600, prompt=None):
        sampling = partial(Sampling, grammar=None if grammar is None else "tool_calls")
        return asyncio.gather(
            *(
                engine.generate(
                    prompt or self.prompt,
                    sampling(seed=index),
                    max_tokens=most,
                    stop_token_ids=self.dialect.stop_token_ids,
                    request_id=f"{name}-{index}",
                    grammar=grammar,
                )
                for index in range(count)
            )
        )


@pytest.fixture(scope="module", params=["kimi_k2", "qwen3"])
def garbage(request, memory_directory):
    return Garbage(request.param, memory_directory)


def engine_config(garbage, **settings):
    return EngineConfig(model=str(garbage.directory), max_model_len=1024, max_num_seqs=48, kv_cache_gb=0.5, threads=1, **settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(garbage):
    engine = VLLMEngine(engine_config(garbage, grammars=True))
    await engine.start()
    yield engine
    await engine.close()


def calls_of(garbage, completions):
    """(turns that opened a call, calls that parse, those whose tool and arguments are right)."""
    opened = parsed = right = 0
    for completion in completions:
        opened += garbage.opener in completion.token_ids
        for call in garbage.dialect.parse(completion.token_ids, 5).message.tool_calls:
            parsed += 1
            try:
                right += call.name in SCHEMAS and SCHEMAS[call.name].is_valid(call.parsed_arguments())
            except ValueError:
                continue
    return opened, parsed, right


async def test_every_call_that_is_opened_under_the_grammar_is_right(engine, garbage):
    turns = await garbage.sample(engine, TURNS, garbage.grammar(text=8), "held")
    assert {turn.finish_reason for turn in turns} == {"stop"}
    assert all(garbage.dialect.parse(turn.token_ids, 5).malformed is None for turn in turns)
    opened, parsed, right = calls_of(garbage, turns)
    assert TURNS / 5 < opened <= parsed == right


async def test_without_the_grammar_hardly_any_is(engine, garbage):
    primed = [*garbage.prompt, garbage.opener]
    turns = await garbage.sample(engine, TURNS, most=60, prompt=primed)
    read = [garbage.dialect.parse([garbage.opener, *turn.token_ids], 5).message.tool_calls for turn in turns]
    assert sum(bool(calls) for calls in read) <= TURNS / 50


async def test_log_probabilities_are_those_of_what_the_grammar_leaves(engine, garbage):
    grammar, vocabulary = garbage.grammar(text=8), llguidance.hf.from_tokenizer(garbage.tokenizer, VOCABULARY)
    for turn in await garbage.sample(engine, 6, grammar, "masked"):
        with torch.no_grad():
            ids = torch.tensor([[*garbage.prompt, *turn.token_ids]])
            logits = garbage.model(input_ids=ids).logits[0, len(garbage.prompt) - 1 : -1]
        matcher, mask = llguidance.LLMatcher(vocabulary, grammar), allocate_token_bitmask(1, VOCABULARY)
        for scores, token, log_prob in zip(logits, turn.token_ids, turn.log_probs, strict=True):
            fill_next_token_bitmask(matcher, mask, 0)
            left = np.unpackbits(mask.view(np.uint8), bitorder="little")[: len(scores)].astype(bool)
            theirs = scores.masked_fill(~torch.from_numpy(left), -torch.inf).log_softmax(-1)[token].item()
            assert log_prob == pytest.approx(theirs, abs=1e-3)
            assert matcher.consume_token(token)
        assert matcher.is_stopped()


@pytest.mark.parametrize("garbage", ["kimi_k2"], indirect=True)
async def test_turns_without_a_grammar_are_sampled_as_on_an_engine_that_knows_none(engine, garbage):
    beside = asyncio.ensure_future(garbage.sample(engine, 24, garbage.grammar(), "beside", most=40))
    mixed = await garbage.sample(engine, 24, name="mixed", most=40)
    await beside
    plain = VLLMEngine(engine_config(garbage))
    try:
        await plain.start()
        alone = await garbage.sample(plain, 24, name="alone", most=40)
    finally:
        await plain.close()
    assert [turn.token_ids for turn in mixed] == [turn.token_ids for turn in alone]
    for ours, theirs in zip(mixed, alone, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-4)


async def test_a_grammar_that_is_none_fails_its_own_request_alone(engine, garbage):
    with pytest.raises(EngineError, match="broken-0 failed"):
        await garbage.sample(engine, 1, "start: <[", "broken")
    with pytest.raises(ValueError, match="tool tag cannot be held to a grammar"):
        garbage.dialect.tool_call_grammar([ToolSpec("tag", inputSchema={"not": {}})])
    assert len(await garbage.sample(engine, 2, garbage.grammar(), "after", most=8)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("garbage", ["qwen3"], indirect=True)
async def test_episodes_are_marked_recorded_and_replayed(garbage, ray_cluster, tmp_path):
    tasks = [compose(WORLD, index, run_seed=5, split="train", difficulty=1) for index in range(3)]
    rollouts = RolloutSettings(
        engine=EngineConfig(model="", max_model_len=1024, max_num_seqs=16, kv_cache_gb=0.25, threads=1),
        pool=PoolConfig(),
        limits=RolloutLimits(max_turns=4, max_turn_tokens=100, max_tokens=800),
    )
    source = PolicyConfig(path=str(garbage.directory), dialect=garbage.dialect.name, tools_format="none")
    settings = EnginePolicySettings(policy=source, rollouts=rollouts)
    async with open_engine_policy(settings, tmp_path, Progress()) as policy:
        live = await policy.play(tasks, 4, 7)
    again = EnginePolicySettings(policy=source, rollouts=rollouts, file=str(tmp_path / "completions.sqlite"))
    async with open_engine_policy(again, tmp_path, Progress()) as policy:
        assert await policy.play(tasks, 4, 7) == live
    for trajectory in live:
        assert trajectory.outcome.faults == () and trajectory.outcome.ending in ("token_limit", "turn_limit", "completed")
        turns = [segment for segment in trajectory.segments if segment.origin == "policy"]
        assert turns and all(segment.sampling.renormalises for segment in turns)
        for message in trajectory.messages:
            assert all(SCHEMAS[call.name].is_valid(call.parsed_arguments()) for call in message.tool_calls)
