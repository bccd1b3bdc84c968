"""What `ModelSettings` asks for reaches the trainer's steps: loads, replay, references, recomputation, adapters."""

import dataclasses

import numpy as np
import pytest
import torch

from rl.policy.weights import disk_state, tensor_digest
from rl.training.checkpoints import CheckpointError
from rl.training.lora import LoraSettings, lora_state
from rl.training.model import ModelSettings
from rl.training.muonclip import OptimizerConfig
from rl.training.replay import recorded
from rl.training.routing import moe_blocks
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.trainer_cases import OPTIMIZER, nano, rollouts

ADAPTERS = OptimizerConfig(adam_lr=1e-2, qk_clip_threshold=None)


@pytest.fixture(scope="module")
def batch():
    return rollouts(nano())


def trainer(settings: ModelSettings | None = None, optimizer: OptimizerConfig = OPTIMIZER, **config) -> Trainer:
    return Trainer(TrainerConfig(optimizer=optimizer, model=settings or ModelSettings(), **config), nano())


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in of.model.state_dict().items()}


def test_loads_are_reported_and_do_not_depend_on_the_split(batch):
    reports = [trainer(tokens_per_micro_batch=tokens).train_batch(batch) for tokens in (10_000, 30)]
    for key in ("router_max_violation", "router_load_entropy", "router_idle_experts"):
        assert reports[0][key] == pytest.approx(reports[1][key])
    assert 0 < reports[0]["router_load_entropy"] < 1
    assert not any(key.startswith("router") for key in trainer(ModelSettings(router_statistics=False)).train_batch(batch))


def test_the_bias_follows_the_loads_and_the_weights_hold_it(batch):
    plain, balanced = trainer(gradient_steps=1), trainer(ModelSettings(router_bias_rate=0.25), gradient_steps=1)
    for one in (plain, balanced):
        one.train_batch(batch)
    (block,) = moe_blocks(balanced.model).values()
    assert set(block.gate.e_score_correction_bias.abs().tolist()) <= {0.0, 0.25}
    assert bool(block.gate.e_score_correction_bias.any())
    for (name, parameter), other in zip(plain.model.named_parameters(), balanced.model.parameters(), strict=True):
        assert torch.equal(parameter, other), name


@pytest.mark.parametrize("autocast", ["float32", "bfloat16"])
def test_old_routes_are_replayed_in_the_steps_after(batch, autocast):
    one = trainer(ModelSettings(router_replay="old_policy"), mini_batches="whole", autocast=autocast)
    start, seen = nano(), []
    (block,) = moe_blocks(one.model).values()
    block.gate.register_forward_hook(lambda module, arguments, output: seen.append(output[2].detach().clone()))
    one.train_batch(batch)
    assert len({tuple(routes.sort(-1).values.flatten().tolist()) for routes in seen if len(routes) == len(seen[-1])}) == 1
    assert not torch.equal(one.model.lm_head.weight, start.lm_head.weight)


def with_routes(batch: Rollouts, shift: int) -> Rollouts:
    model, rows = nano(), []
    for row in batch.rows:
        with torch.no_grad(), recorded(model) as record:
            model(input_ids=torch.from_numpy(row.token_ids)[None], use_cache=False)
        routes = (record.routes.numpy() + shift) % 8
        rows.append(dataclasses.replace(row, routes=routes.astype(np.uint8)))
    return dataclasses.replace(batch, rows=rows)


def test_the_engines_own_routes_change_nothing_and_others_are_noticed(batch):
    plain, replaying = trainer(gradient_steps=1), trainer(ModelSettings(router_replay="engine"), gradient_steps=1)
    plain.train_batch(batch)
    replaying.train_batch(with_routes(batch, 0))
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(replaying)[name], tensor, atol=1e-5, rtol=0, msg=name)
    with pytest.raises(RuntimeError, match="differ"):
        trainer(ModelSettings(router_replay="engine")).train_batch(with_routes(batch, 3))
    with pytest.raises(ValueError, match="carry no routes"):
        trainer(ModelSettings(router_replay="engine")).train_batch(batch)


def test_old_policy_replays_the_trainers_own_routes_whatever_the_engine_returns(batch):
    plain, given = (trainer(ModelSettings(router_replay="old_policy")) for _ in range(2))
    plain.train_batch(batch)
    given.train_batch(with_routes(batch, 3))
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(given)[name], tensor), name


def test_recomputation_takes_the_same_step(batch):
    kept, again = trainer(), trainer(ModelSettings(recompute_every=1))
    reports = [one.train_batch(batch) for one in (kept, again)]
    for name, tensor in weights(kept).items():
        torch.testing.assert_close(weights(again)[name], tensor, atol=1e-5, rtol=0, msg=name)
    for key in ("qk_max_logit", "router_max_violation", "loss"):
        assert reports[0][key] == pytest.approx(reports[1][key], abs=1e-5)


def test_an_initial_reference_is_the_old_policy_of_the_first_batch_only(batch):
    settings = {"objective": "k15", "objective_settings": {"tau": 0.5}}
    plain, referred = trainer(**settings), trainer(ModelSettings(reference="initial"), **settings)
    for one in (plain, referred):
        one.train_batch(batch)
    assert tensor_digest(disk_state(plain.model).items()) == tensor_digest(disk_state(referred.model).items())
    second = rollouts(plain.model, seed=5)
    for one in (plain, referred):
        one.train_batch(second)
    assert tensor_digest(disk_state(plain.model).items()) != tensor_digest(disk_state(referred.model).items())


def test_adapters_resume_to_the_bit_and_on_their_own_base_only(tmp_path, batch):
    settings = ModelSettings(lora=LoraSettings(rank=4))
    one = trainer(settings, ADAPTERS)
    one.train_batch(batch)
    one.save_checkpoint(str(tmp_path / "one"))
    second = rollouts(one.model, seed=5)
    one.train_batch(second)
    resumed = trainer(settings, ADAPTERS)
    resumed.load_checkpoint(str(tmp_path / "one"))
    resumed.train_batch(second)
    for name, tensor in lora_state(one.model).items():
        assert torch.equal(lora_state(resumed.model)[name], tensor), name
    assert tensor_digest(disk_state(one.model).items()) == tensor_digest(disk_state(resumed.model).items())
    for other in (Trainer(TrainerConfig(optimizer=ADAPTERS, model=settings), nano(seed=9)), trainer()):
        with pytest.raises(CheckpointError, match=r"another base|another optimizer"):
            other.load_checkpoint(str(tmp_path / "one"))


def test_qk_clip_and_adapters_are_refused_together():
    with pytest.raises(ValueError, match=r"trainer.optimizer.qk_clip_threshold must be null"):
        TrainerConfig(model=ModelSettings(lora=LoraSettings()))
