"""Weights that travel from GPU to GPU are those that would travel through files, and the engine proves them."""

from dataclasses import replace

import pytest
import torch

from rl.policy.presets import build_model, save
from rl.policy.weights import disk_state, tensor_digest
from rl.rollout.engine import WeightSyncError
from rl.rollout.engine_config import EngineConfig
from rl.rollout.proof import build_probe, prove
from rl.rollout.vllm_engine import VLLMEngine
from rl.training.weight_sync import WeightSyncConfig, weight_exporter
from rl.training.weight_sync.device import CheckpointSource
from tests.integration.conftest import VOCABULARY

GPUS = torch.cuda.device_count()


def test_between_gpus_travels_what_travels_through_files():
    model = build_model("nano_k2", VOCABULARY, seed=0)
    source = CheckpointSource(model)
    assert tensor_digest(source) == tensor_digest(disk_state(model).items())
    assert [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in source] == [
        (meta.name, meta.dtype, meta.shape) for meta in source.metadata()
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("backend", "device"),
    [
        pytest.param("ipc", 0, marks=pytest.mark.skipif(GPUS < 1, reason="IPC is between processes on one GPU")),
        pytest.param("nccl", 1, marks=pytest.mark.skipif(GPUS < 2, reason="NCCL wants a GPU for each process")),
    ],
)
async def test_updates_between_gpus_are_proven(tmp_path, backend, device):
    model = build_model("nano_gqa_moe", VOCABULARY, seed=0).eval()
    save(model, None, tmp_path / "policy")
    model = model.to(f"cuda:{device}")
    engine = VLLMEngine(EngineConfig(model=str(tmp_path / "policy"), max_model_len=256, kv_cache_gb=0.25, threads=1))
    exporter = weight_exporter(WeightSyncConfig(backend=backend))
    try:
        await engine.start()
        for version in (1, 2):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1.01)
            export = exporter.export(model, version)
            receipt = await engine.update_weights(export.update)
            assert receipt.digest == export.update.digest == tensor_digest(disk_state(model).items())
            probe = build_probe(model, VOCABULARY, seed=version)
            await prove(engine, probe.log_probs, probe)
        export = exporter.export(model, 3)
        with pytest.raises(WeightSyncError, match="the engine received digest .*, the trainer sent 000000"):
            await engine.update_weights(replace(export.update, digest="0" * 64))
    finally:
        exporter.close()
        await engine.close()
