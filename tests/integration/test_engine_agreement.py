"""The three proofs of the engine: it agrees with the trainer fresh, after updates, and with an engine that starts anew.

Each of vLLM's two CPU bugs, planted back, must stop the run with an error that says weight sync.
"""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest
import pytest_asyncio
import torch
from safetensors.torch import load_file, save_file

from rl.policy.presets import build_model
from rl.policy.weights import export_weights, read_weights, tensor_digest
from rl.rollout.engine import EngineError, WeightSyncError, WeightUpdate
from rl.rollout.engine_config import EngineConfig
from rl.rollout.proof import build_probe, prove
from rl.rollout.remote_engine import RemoteVLLMEngine
from rl.rollout.vllm_engine import VLLMEngine
from tests.integration.conftest import VOCABULARY
from trajectories.trajectory import Sampling

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PROMPTS = [[5 + index, *range(20, 60)] for index in range(6)]
TEMPERATURES = [1.0, 0.7, 1.3, 1.0, 0.7, 1.3]


def engine_config(directory, **settings):
    return EngineConfig(model=str(directory), max_model_len=256, max_num_seqs=16, kv_cache_gb=0.25, **settings)


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


async def send(engine, model, directory, version):
    digest, _ = export_weights(model, directory)
    return await engine.update_weights(WeightUpdate(version, str(directory), digest))


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


async def test_updated_engine_fresh_engine_and_trainer_agree(
    engine, trainer, nano_directory, memory_directory, ray_cluster
):
    before = await engine.resident_digest()
    assert await engine.resident_digest() == before, "an engine that is left alone does not change"
    for version in (1, 2):
        move(trainer, version)
        receipt = await send(engine, trainer, memory_directory / "update", version)
        assert (receipt.version, engine.version) == (version, version)
        await agree(engine, trainer, seed=version)
    assert {completion.policy_version for completion in await sample(engine)} == {2}

    second = memory_directory / "second"
    second.mkdir()
    (second / "config.json").write_text((nano_directory / "config.json").read_text())
    export_weights(trainer, second)
    fresh = RemoteVLLMEngine(engine_config(second))
    try:
        await agree(fresh, trainer, seed=3)
        assert await fresh.resident_digest() == await engine.resident_digest() != before
        ours, theirs = await sample(engine), await sample(fresh)
        assert [item.token_ids for item in ours] == [item.token_ids for item in theirs]
        with pytest.raises(EngineError, match=r"engine\.max_model_len"):
            await fresh.generate([1] * 256, Sampling(), max_tokens=1, stop_token_ids=[], request_id="long")
        wrong = WeightUpdate(1, str(second), "0" * 64)
        with pytest.raises(WeightSyncError, match="weight sync: version 1: the engine received digest"):
            await fresh.update_weights(wrong)
    finally:
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


async def test_weights_that_are_not_whole_are_refused_and_nothing_is_sampled_after(engine, trainer, memory_directory):
    directory = memory_directory / "partial"
    export_weights(trainer, directory)
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.gate.e_score_correction_bias"]
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(
        WeightSyncError, match=r"weight sync: version 4: tensors are missing \(.*e_score_correction_bias"
    ):
        await engine.update_weights(WeightUpdate(4, str(directory), tensor_digest(tensors.items())))
    with pytest.raises(EngineError, match="weight sync: version 4"):
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
