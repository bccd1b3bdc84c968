"""The three proofs of the engine: it agrees with the trainer fresh, after updates, and with an engine that starts anew;
and updates in flight: every token is attributed to the version that sampled it, on the cache that it was sampled on.

Each of vLLM's two CPU bugs, planted back, must stop the run with an error that says weight sync.
"""

import asyncio
import copy
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import pytest_asyncio
import ray
import torch
from safetensors.torch import load_file, save_file

from rl.policy.presets import build_model
from rl.policy.weights import disk_state, export_weights, read_weights, tensor_digest
from rl.rollout.engine import Completion, EngineError, Run, WeightSyncError, WeightUpdate
from rl.rollout.engine_config import EngineConfig
from rl.rollout.proof import build_probe, prove
from rl.rollout.remote_engine import RemoteVLLMEngine
from rl.rollout.vllm_engine import VLLMEngine
from rl.training.weight_sync import FileExporter, WeightSyncConfig
from tests.integration.conftest import VOCABULARY
from trajectories.trajectory import Sampling

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PROMPTS = [[5 + index, *range(20, 60)] for index in range(6)]
MOST = 120
TEMPERATURES = [1.0, 0.7, 1.3, 1.0, 0.7, 1.3]


def engine_config(directory, **settings):
    return EngineConfig(model=str(directory), max_model_len=256, max_num_seqs=16, kv_cache_gb=0.25, threads=1, **settings)


@pytest.fixture(scope="module")
def trainer():
    return build_model("nano_k2", VOCABULARY, seed=0).eval()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(nano_directory):
    engine = VLLMEngine(engine_config(nano_directory))
    await engine.start()
    yield engine
    await engine.close()


def move(model, seed):
    """Changes every parameter and the routers' correction biases, as an update would, only more."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.add_(torch.randn(buffer.shape, generator=generator) * 0.01)


async def send(engine, model, directory, version, mode="wait"):
    digest, _ = export_weights(model, directory)
    return await engine.update_weights(WeightUpdate(version, str(directory), digest), mode)


async def sample(engine, name="sample"):
    """Six turns, sampled together, of which the longest meets others that prefill while it decodes."""
    return await asyncio.gather(
        *(
            engine.generate(
                prompt,
                Sampling(temperature=temperature, seed=index),
                max_tokens=24 + 8 * index,
                stop_token_ids=[3],
                request_id=f"{name}-{index}",
            )
            for index, (prompt, temperature) in enumerate(zip(PROMPTS, TEMPERATURES, strict=True))
        )
    )


def differences(model, completions):
    """|log p(engine) - log p(trainer)| of every sampled token; the trainer divides logits by the temperature."""
    found = []
    for prompt, temperature, completion in zip(PROMPTS, TEMPERATURES, completions, strict=True):
        ids = torch.tensor([[*prompt, *completion.token_ids]])
        with torch.no_grad():
            scores = (model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1)
        ours = scores.gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        found.append((ours - torch.tensor(completion.log_probs)).abs())
    return torch.cat(found)


def start_one(engine, name, index, prompt=(), most=MOST, seed=0):
    return asyncio.create_task(
        engine.generate(
            [*PROMPTS[index], *prompt],
            Sampling(temperature=TEMPERATURES[index], seed=seed),
            max_tokens=most,
            stop_token_ids=[],
            request_id=f"{name}-{index}",
        )
    )


def start(engine, name):
    """Long turns of all prompts, on their way."""
    return [start_one(engine, name, index) for index in range(len(PROMPTS))]


def go_on(engine, index, part):
    return start_one(engine, "rest", index, part.token_ids, MOST - len(part.token_ids), seed=1)


def join(part, rest):
    return Completion(part.token_ids + rest.token_ids, part.log_probs + rest.log_probs, "length", rest.policy_version)


async def until(engine, tokens):
    """Until every running turn has as many tokens."""
    while True:
        states = list(engine._llm.output_processor.request_states.values())[: len(PROMPTS)]
        if len(states) == len(PROMPTS) and min(state.detokenizer.num_output_tokens() for state in states) >= tokens:
            return
        await asyncio.sleep(0.002)


def scored(model, cache, index, tokens, begin):
    """Log-probabilities of ``tokens[begin:]`` after `cache`, which holds all before the last token ahead of them."""
    ids = torch.tensor([[*PROMPTS[index], *tokens]])
    behind = 0 if cache is None else cache.get_seq_length()
    with torch.no_grad():
        answer = model(input_ids=ids[:, behind:-1], past_key_values=cache, use_cache=True)
    scores = (answer.logits[0, len(PROMPTS[index]) + begin - 1 - behind :] / TEMPERATURES[index]).log_softmax(-1)
    return scores.gather(-1, torch.tensor(tokens[begin:])[:, None])[:, 0], answer.past_key_values


def with_plain_attention(model):
    """A copy whose attention takes many tokens after a cache."""
    other = copy.deepcopy(model)
    other.set_attn_implementation("eager")
    return other


def expected(model, index, tokens):
    return scored(model, None, index, tokens, 0)[0]


def assert_near(ours, theirs):
    gaps = (ours - torch.tensor(theirs)).abs()
    assert gaps.max() <= 1e-3 and gaps.mean() <= 1e-5


def assert_far(ours, theirs):
    assert (ours - torch.tensor(theirs)).abs().max() > 1e-2


async def agree(engine, model, seed):
    probe = build_probe(model, VOCABULARY, seed)
    assert probe.coverage == 1.0
    proof = await prove(engine, probe.log_probs, probe)
    sampled = differences(model, await sample(engine))
    assert max(proof.max_difference, sampled.max().item()) <= 1e-3
    assert max(proof.mean_difference, sampled.mean().item()) <= 1e-5


async def test_a_fresh_engine_agrees_with_the_trainer(engine, trainer, nano_directory):
    assert engine.start_digest == tensor_digest(read_weights(nano_directory))
    await agree(engine, trainer, seed=1)


async def test_a_seed_decides_the_sample_whatever_runs_beside_it(engine):
    together = await sample(engine)
    alone = await engine.generate(
        PROMPTS[2], Sampling(temperature=1.3, seed=2), max_tokens=40, stop_token_ids=[3], request_id="alone"
    )
    assert alone.token_ids == together[2].token_ids


async def test_a_turn_ends_with_its_stop_token_or_at_its_limit(engine):
    for completion in await sample(engine):
        stops = [index for index, token in enumerate(completion.token_ids) if token == 3]
        assert stops == ([len(completion.token_ids) - 1] if completion.finish_reason == "stop" else [])
    first = (await sample(engine))[0].token_ids
    stopped = await engine.generate(
        PROMPTS[0], Sampling(seed=0), max_tokens=24, stop_token_ids=[first[4]], request_id="stopped"
    )
    assert stopped.token_ids == first[: first.index(first[4]) + 1] and stopped.finish_reason == "stop"


async def test_a_prompt_without_room_is_an_error_that_names_the_setting(engine):
    with pytest.raises(EngineError, match=r"engine\.max_model_len \(256\)"):
        await engine.generate([1] * 256, Sampling(), max_tokens=1, stop_token_ids=[], request_id="long")
    cut = await engine.generate([1] * 250, Sampling(), max_tokens=99, stop_token_ids=[], request_id="cut")
    assert len(cut.token_ids) == 6 and cut.finish_reason == "length"


async def test_updated_engine_and_trainer_agree(engine, trainer, memory_directory):
    before = await engine.resident_digest()
    assert await engine.resident_digest() == before, "an engine that is left alone does not change"
    for version in (1, 2):
        move(trainer, version)
        receipt = await send(engine, trainer, memory_directory / "update", version)
        assert (receipt.version, engine.version) == (version, version)
        await agree(engine, trainer, seed=version)
    assert {completion.policy_version for completion in await sample(engine)} == {2}
    assert await engine.resident_digest() != before
    with pytest.raises(WeightSyncError, match="version 2 does not follow version 2"):
        await send(engine, trainer, memory_directory / "update", 2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fresh(trainer, nano_directory, memory_directory, ray_cluster):
    """An engine in an actor, started with the weights that the trainer has when this is first asked for."""
    directory = memory_directory / "second"
    directory.mkdir()
    (directory / "config.json").write_text((nano_directory / "config.json").read_text())
    export_weights(trainer, directory)
    fresh = RemoteVLLMEngine(engine_config(directory))
    await fresh.start()
    yield fresh
    await fresh.close()


async def test_updated_engine_fresh_engine_and_trainer_agree(engine, trainer, fresh):
    await agree(fresh, trainer, seed=3)
    assert await fresh.resident_digest() == await engine.resident_digest()
    ours, theirs = await sample(engine), await sample(fresh)
    assert [item.token_ids for item in ours] == [item.token_ids for item in theirs]
    with pytest.raises(EngineError, match=r"engine\.max_model_len"):
        await fresh.generate([1] * 256, Sampling(), max_tokens=1, stop_token_ids=[], request_id="long")
    with pytest.raises(WeightSyncError, match="version 0 does not follow version 0"):
        await fresh.update_weights(WeightUpdate(0, "nowhere", "0" * 64))


async def test_an_interrupted_turn_goes_on_where_it_was(trainer, fresh):
    turns = start(fresh, "interrupted")
    await asyncio.sleep(0.3)
    turns[0].cancel()
    await fresh.interrupt()
    with pytest.raises(asyncio.CancelledError):
        await turns[0]
    parts = [None, *await asyncio.gather(*turns[1:])]
    assert {part.finish_reason for part in parts[1:]} == {"cut"}
    assert all(len(part.token_ids) < MOST for part in parts[1:])
    rest = await asyncio.gather(*(go_on(fresh, index, parts[index]) for index in range(1, len(PROMPTS))))
    for index, completion in enumerate(rest, start=1):
        whole = join(parts[index], completion)
        assert_near(expected(trainer, index, whole.token_ids), whole.log_probs)
    await fresh.interrupt()  # with nothing in flight


async def test_an_engine_that_dies_fails_the_update_and_the_turns_in_flight(trainer, fresh, memory_directory):
    _, process = await fresh.process_ids()
    turns = start(fresh, "doomed")
    await asyncio.sleep(0.3)
    update = asyncio.create_task(send(fresh, trainer, memory_directory / "update", 1, "keep"))
    await asyncio.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    for doomed in (update, *turns):
        with pytest.raises((EngineError, WeightSyncError)):
            await asyncio.wait_for(doomed, 30)
    turns = start(fresh, "later")
    ray.kill(fresh._actor)
    for doomed in turns:
        with pytest.raises(EngineError, match="rollout engine: (no requests are taken|its actor died)"):
            await doomed
    with pytest.raises(EngineError, match="its actor died"):
        await send(fresh, trainer, memory_directory / "update", 2)
    await fresh.close()
    with pytest.raises(EngineError, match="after close"):
        await sample(fresh)


async def test_an_update_waits_for_running_turns(engine, trainer, memory_directory):
    turns = asyncio.create_task(sample(engine, "old"))
    await asyncio.sleep(0.02)
    update = asyncio.create_task(send(engine, trainer, memory_directory / "update", 3))
    await asyncio.sleep(0)
    later = asyncio.create_task(sample(engine, "new"))
    receipt = await update
    assert {item.policy_version for item in await turns} == {2}
    assert {item.policy_version for item in await later} == {3}
    assert receipt.waited_seconds > 0


async def test_turns_that_an_update_cuts_are_the_older_versions_and_go_on_as_the_newer_ones(
    engine, trainer, memory_directory
):
    older = copy.deepcopy(trainer)
    turns = start(engine, "recompute")
    await until(engine, 8)
    move(trainer, 4)
    await send(engine, trainer, memory_directory / "update", 4, "recompute")
    parts = await asyncio.gather(*turns)
    assert {(part.finish_reason, part.policy_version) for part in parts} == {("cut", 3)}
    rest = await asyncio.gather(*(go_on(engine, index, part) for index, part in enumerate(parts)))
    for index, (part, completion) in enumerate(zip(parts, rest, strict=True)):
        assert part.runs == (Run(len(part.token_ids), 3),) and len(part.token_ids) >= 8
        assert completion.runs == (Run(len(completion.token_ids), 4),)
        assert_near(expected(older, index, part.token_ids), part.log_probs)
        assert_far(expected(trainer, index, part.token_ids), part.log_probs)
        ours = expected(trainer, index, part.token_ids + completion.token_ids)[len(part.token_ids) :]
        assert_near(ours, completion.log_probs)


async def test_turns_that_are_kept_go_on_under_the_newer_weights_on_the_older_cache(engine, trainer, memory_directory):
    models = {4: with_plain_attention(trainer)}
    turns = start(engine, "keep")
    waiting = [start_one(engine, "waiting", index % len(PROMPTS)) for index in range(16)]  # more than max_num_seqs
    for version in (5, 6):
        await until(engine, 8 if version == 5 else 40)
        move(trainer, version)
        models[version] = with_plain_attention(trainer)
        await send(engine, trainer, memory_directory / "update", version, "keep")
    assert engine.version == 6
    completions = await asyncio.gather(*turns)
    for index, completion in enumerate(completions):
        assert completion.finish_reason == "length" and len(completion.token_ids) == MOST
        stamps = [(run.policy_version, run.stale_cache_version) for run in completion.runs]
        assert stamps == [(4, None), (5, 4), (6, 4)]
        begin, cache = 0, None
        for run in completion.runs:
            upto, theirs = begin + run.tokens, completion.log_probs[begin : begin + run.tokens]
            tokens = completion.token_ids[:upto]
            ours, cache = scored(models[run.policy_version], cache, index, tokens, begin)
            assert_near(ours, theirs)
            if begin and not index:  # neither version by itself explains them
                for version in (run.policy_version, run.policy_version - 1):
                    assert_far(expected(models[version], index, tokens)[begin:], theirs)
            begin = upto
    later = await asyncio.gather(*waiting)
    assert all(sum(run.tokens for run in each.runs) == MOST and each.policy_version == 6 for each in later)
    late = later[-1]  # begun when a place was free, under version 6
    assert late.runs == (Run(MOST, 6),)
    assert_near(expected(trainer, (len(later) - 1) % len(PROMPTS), late.token_ids), late.log_probs)
    await agree(engine, trainer, seed=6)


async def test_what_did_not_travel_stays_and_what_did_is_loaded(engine, trainer, memory_directory):
    config = WeightSyncConfig(backend="disk", directory=str(memory_directory / "shared"), changed_only=True, bucket_mb=0.5)
    exporter = FileExporter(config)
    layers = trainer.model.layers
    changes = {7: [], 8: [layers[1].self_attn.o_proj.weight], 9: [layers[2].mlp.experts.down_proj], 10: []}
    received = {}
    for version, tensors in changes.items():
        with torch.no_grad():
            for tensor in tensors:
                tensor.mul_(1.5)
        receipt = await engine.update_weights(exporter.export(trainer, version).update)
        received[version] = receipt.tensors
        assert receipt.digest == tensor_digest(disk_state(trainer).items())
        await agree(engine, trainer, seed=version)
    attention, experts = (
        [name for name in disk_state(trainer) if name.startswith(f"model.layers.{part}.")] for part in ("1.self_attn", "2.mlp")
    )
    assert received == {7: len(disk_state(trainer)), 8: len(attention), 9: len(experts), 10: 0}
    exporter.close()


async def test_weights_that_are_not_whole_are_refused_and_nothing_is_sampled_after(engine, trainer, memory_directory):
    directory = memory_directory / "partial"
    export_weights(trainer, directory)
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.gate.e_score_correction_bias"]
    save_file(tensors, directory / "model.safetensors")
    turns = start(engine, "lost")
    await until(engine, 8)
    with pytest.raises(
        WeightSyncError, match=r"weight sync: version 19: tensors are missing \(.*e_score_correction_bias"
    ):
        await engine.update_weights(WeightUpdate(19, str(directory), tensor_digest(tensors.items())), "keep")
    for turn in turns:
        with pytest.raises(EngineError, match="weight sync: version 19"):
            await turn
    with pytest.raises(EngineError, match="weight sync: version 19"):
        await sample(engine)


async def test_close_ends_every_process(engine):
    processes = engine.process_ids
    assert processes and all(running(process) for process in processes)
    await engine.close()
    await engine.close()
    assert not any(running(process) for process in processes)
    with pytest.raises(EngineError, match="closed"):
        await sample(engine)


async def test_the_rotary_bug_stops_the_run(nano_directory):
    model = build_model("nano_k2", VOCABULARY, seed=0).eval()
    engine = VLLMEngine(engine_config(nano_directory, plant_bug="rotary"))
    try:
        await engine.start()
        probe = build_probe(model, VOCABULARY, seed=1)
        with pytest.raises(WeightSyncError, match=r"weight sync: version 0 .* log-probabilities differ by up to"):
            await prove(engine, probe.log_probs, probe)
    finally:
        await engine.close()


async def test_the_experts_bug_stops_the_run_at_the_first_update(nano_directory, memory_directory):
    model = build_model("nano_k2", VOCABULARY, seed=0).eval()
    engine = VLLMEngine(engine_config(nano_directory, plant_bug="experts"))
    try:
        await engine.start()
        probe = build_probe(model, VOCABULARY, seed=1)
        await prove(engine, probe.log_probs, probe)
        move(model, 1)
        await send(engine, model, memory_directory / "update", 1)
        probe = build_probe(model, VOCABULARY, seed=1)
        with pytest.raises(WeightSyncError, match=r"weight sync: version 1 .* log-probabilities differ by up to"):
            await prove(engine, probe.log_probs, probe)
        update = asyncio.create_task(send(engine, model, memory_directory / "update", 2))
        await asyncio.sleep(0.01)
        update.cancel()
        with pytest.raises(asyncio.CancelledError):
            await update
        with pytest.raises(EngineError, match="weight sync: version 2: it was cancelled half-way"):
            await sample(engine)
    finally:
        await engine.close()


DRIVER = """
import asyncio, json, sys, time, ray
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine

async def main():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    engine = RemoteVLLMEngine(EngineConfig(**json.loads(sys.argv[1])))
    await engine.start()
    print("PROCESSES", json.dumps(await engine.process_ids()), flush=True)
    time.sleep(600)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_killed_driver_leaves_no_process_behind(nano_directory):
    settings = json.dumps(dataclasses.asdict(engine_config(nano_directory)))
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, settings], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = next(line for line in driver.stdout if line.startswith("PROCESSES"))
        processes = json.loads(line.removeprefix("PROCESSES"))
        assert len(processes) == 2 and all(running(process) for process in processes)
    finally:
        driver.kill()
        driver.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(running(process) for process in processes):
        time.sleep(0.2)
    assert not any(running(process) for process in processes)


def running(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


assert os.path.exists("/proc/self/stat"), "these tests look processes up in /proc"
