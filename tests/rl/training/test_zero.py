"""ZeRO stages 1 to 3 on one rank: the step, QK-Clip and the state are those of stage 0."""

from typing import Any

import pytest
import torch

from rl.policy.attention import pop_max_logits, set_max_logit_tracking
from rl.training.checkpoints import CheckpointError
from rl.training.deepspeed_settings import is_supported, is_supported_by_sft
from rl.training.forward import LogProbabilityError
from rl.training.muonclip import OptimizerConfig
from rl.training.optimization import Optimization, whole_weights
from rl.training.trainer import Trainer
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_process import Ranks, join
from tests.rl.training.trainer_cases import OPTIMIZER, VOCABULARY, nano, rollouts

STAGES = (1, 2, 3)
LAYER = "model.layers.1.self_attn"
TOKENS = torch.randint(VOCABULARY, (4, 12), generator=torch.Generator().manual_seed(0))


def settings(stage: int) -> dict[str, Any]:
    """At stage 3 small parameters are kept whole unless their threshold is 0."""
    return {"zero_optimization": {"stage": stage} | ({"stage3_param_persistence_threshold": 0} if stage == 3 else {})}


def optimization(stage: int, name: str = "nano_k2", **config: Any) -> Optimization:
    join(Ranks())
    return Optimization(nano(name=name), OptimizerConfig(**{"muon_lr": 5e-3, "adam_lr": 1e-3} | config), settings(stage), Ranks())


def backward(taken: Optimization, seed: int, scale: float = 1.0) -> None:
    """Two micro-batches."""
    tokens = torch.randint(VOCABULARY, (2, 3, 12), generator=torch.Generator().manual_seed(seed))
    for index, ids in enumerate(tokens):
        loss = taken.engine(input_ids=ids, labels=ids, use_cache=False).loss * scale
        taken.backward(loss, last=index == len(tokens) - 1)


def weights(taken: Optimization) -> dict[str, torch.Tensor]:
    with whole_weights(taken.model):
        return {name: tensor.clone() for name, tensor in taken.model.state_dict().items()}


def maxima(model: torch.nn.Module) -> torch.Tensor:
    """[heads] of one layer."""
    set_max_logit_tracking(model, True)
    with torch.no_grad():
        model(input_ids=TOKENS, use_cache=False)
    recorded = pop_max_logits(model)
    set_max_logit_tracking(model, False)
    return recorded[LAYER]


@pytest.mark.parametrize("name", ["nano_k2", "nano_gqa_moe"])
def test_five_steps_are_those_of_stage_0_state_and_norms_included(name):
    """Decay, clipped gradients and heads that are clipped in every step included."""
    runs = {}
    for stage in (0, *STAGES):
        taken = optimization(stage, name, weight_decay=0.1, qk_clip_threshold=0.015)
        figures = []
        for step in range(5):
            taken.track_max_logits(True)
            backward(taken, step)
            figures.append(taken.step(0.9, max_grad_norm=0.5))
        runs[stage] = (weights(taken), taken.state(), figures)
    expected, state, figures = runs[0]
    assert all(one["grad_norm"] > 0.5 and one["qk_clipped_heads"] > 0 for one in figures)
    for stage in STAGES:
        found, found_state, found_figures = runs[stage]
        for key, tensor in expected.items():
            torch.testing.assert_close(found[key], tensor, rtol=0, atol=1e-5, msg=f"{key} at stage {stage}")
        assert found_state["param_groups"] == state["param_groups"]
        assert found_state["state"].keys() == state["state"].keys()
        for number, values in state["state"].items():
            assert found_state["state"][number].keys() == values.keys()
            for key, tensor in values.items():
                torch.testing.assert_close(found_state["state"][number][key], tensor, rtol=0, atol=1e-5)
        for one, other in zip(figures, found_figures, strict=True):
            assert other == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["nano_k2", "nano_gqa_moe"])
def test_clipped_heads_meet_the_threshold_stay_clipped_and_nothing_else_changes(stage, name):
    """A step at rate 0 changes no weight but by clipping: a second one would undo what has not reached the partitions."""
    old = maxima(nano(name=name))
    threshold = float(old.median())
    over = old > threshold
    assert over.any() and not over.all()
    taken = optimization(stage, name, qk_clip_threshold=threshold)
    before = weights(taken)
    backward(taken, 0)
    taken.model.get_submodule(LAYER).max_logits = old.clone()
    assert taken.step(0.0, 0.0)["qk_clipped_heads"] == int(over.sum())
    clipped = weights(taken)
    new = maxima(taken.model)
    torch.testing.assert_close(new[over], torch.full_like(new[over], threshold), rtol=1e-4, atol=0)
    torch.testing.assert_close(new[~over], old[~over], rtol=1e-6, atol=0)
    changed = {key for key, tensor in clipped.items() if not torch.equal(tensor, before[key])}
    projections = ("q_b_proj", "kv_b_proj") if name == "nano_k2" else ("q_proj",)
    assert changed == {f"{LAYER}.{projection}.weight" for projection in projections}
    for key in changed:
        rows, old_rows = (tensors[key].view(len(over), -1) for tensors in (clipped, before))
        assert torch.equal(rows[~over], old_rows[~over])
    backward(taken, 1)
    taken.step(0.0, 0.0)
    assert all(torch.equal(tensor, clipped[key]) for key, tensor in weights(taken).items())


@pytest.mark.parametrize("stage", (0, *STAGES))
def test_after_a_reset_the_next_step_is_a_first_step(stage):
    taken = optimization(stage)
    backward(taken, 0)
    taken.step(1.0, 1.0)
    taken.reset()
    assert not taken.state()["state"]
    fresh = optimization(0)
    fresh.model.load_state_dict(weights(taken))
    for one in (taken, fresh):
        backward(one, 1)
        one.step(1.0, 1.0)
    expected = weights(fresh)
    for key, tensor in weights(taken).items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=1e-5, msg=key)


@pytest.mark.parametrize("stage", (0, *STAGES))
def test_a_gradient_that_is_not_finite_stops_and_changes_nothing(stage):
    taken = optimization(stage)
    before = weights(taken)
    backward(taken, 0, scale=float("nan"))
    with pytest.raises(FloatingPointError, match="no weight has changed"):
        taken.step(1.0, 1.0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in weights(taken).items())


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_trainer_continues_to_the_bit_and_at_another_stage_closely(stage, tmp_path):
    config = TrainerConfig(optimizer=OPTIMIZER, deepspeed=settings(stage))
    trainer = Trainer(config, nano())
    trainer.train_batch(rollouts(nano()))
    trainer.save_checkpoint(str(tmp_path / "one"))
    middle = nano()
    middle.load_state_dict(weights(trainer.optimization))
    second = rollouts(middle, seed=5)
    trainer.train_batch(second)
    expected = weights(trainer.optimization)
    resumed = Trainer(config, nano(seed=9))
    resumed.load_checkpoint(str(tmp_path / "one"))
    assert (resumed.steps, resumed.version) == (2, 1)
    resumed.train_batch(second)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in weights(resumed.optimization).items())
    elsewhere = Trainer(TrainerConfig(optimizer=OPTIMIZER, deepspeed=settings(0)), nano(seed=9))
    elsewhere.load_checkpoint(str(tmp_path / "one"))
    elsewhere.train_batch(second)
    for key, tensor in weights(elsewhere.optimization).items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=1e-5, msg=key)


def test_a_checkpoint_of_stage_0_is_refused_by_another_optimizer_at_stage_3_which_stays_as_it_was(tmp_path):
    Trainer(TrainerConfig(optimizer=OPTIMIZER), nano(seed=1)).save_checkpoint(str(tmp_path / "one"))
    other = Trainer(TrainerConfig(optimizer=OptimizerConfig(name="adamw"), deepspeed=settings(3)), nano())
    before = weights(other.optimization)
    with pytest.raises(CheckpointError, match="another optimizer"):
        other.load_checkpoint(str(tmp_path / "one"))
    assert all(torch.equal(tensor, before[key]) for key, tensor in weights(other.optimization).items())


@pytest.mark.parametrize("stage", STAGES)
def test_the_gradient_of_a_batch_that_was_stopped_is_in_no_later_step(stage):
    good, results = rollouts(nano()), []
    for stopped in (False, True):
        trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER, deepspeed=settings(stage)), nano())
        if stopped:
            with pytest.raises(LogProbabilityError):
                trainer.train_batch(rollouts(nano(seed=1)))
        trainer.train_batch(good)
        results.append(weights(trainer.optimization))
    assert all(torch.equal(tensor, results[1][key]) for key, tensor in results[0].items())


@pytest.mark.parametrize(
    ("given", "supported", "by_sft"),
    [
        ({}, True, True),
        ({"zero_optimization": {"stage": 0}, "bf16": {"enabled": False}}, True, True),
        ({"zero_optimization": {"stage": 2, "overlap_comm": False, "reduce_bucket_size": 1000}}, True, False),
        ({"zero_optimization": {"stage": 3, "sub_group_size": 1000}}, True, False),
        ({"zero_optimization": {"stage": 4}}, False, False),
        ({"zero_optimization": {"stage": "3"}}, False, False),
        ({"zero_optimization": {"stage": True}}, False, False),
        ({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}, False, False),
        ({"zero_optimization": {"stage": 3, "zero_quantized_weights": True}}, False, False),
        ({"zero_optimization": {"stage": 1, "round_robin_gradients": True}}, False, False),
        ({"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}, False, False),
        ({"fp16": {"enabled": True}}, False, False),
        ({"torch_autocast": {"enabled": True}}, False, False),
        ({"data_types": {"grad_accum_dtype": "bf16"}}, False, False),
        ({"communication_data_type": "bf16"}, False, False),
        ({"expert_parallel": {"enabled": True, "autoep_size": 2}}, False, False),
        ({"optimizer": {"type": "Adam", "params": {"lr": 1e-3}}}, False, False),
        ({"scheduler": {"type": "OneCycle"}}, False, False),
        ({"gradient_clipping": 5.0}, False, False),
        ({"gradient_accumulation_steps": 4}, False, False),
        ({"gradient_allreduce_op": "sum"}, False, False),
        ({"data_efficiency": {"enabled": True}}, False, False),
        ({"progressive_layer_drop": {"enabled": False}}, False, False),
        ({"zero_optimization": {"stage": 0, "round_robin_gradients": True}}, False, False),
        ({"wall_clock_breakdown": True, "zero_optimization": {"stage": 2}}, True, False),
        ({"fp16": {"enabled": False}}, True, True),
    ],
)
def test_what_has_not_been_shown_to_give_the_same_update_is_refused(given, supported, by_sft):
    assert is_supported(given) == supported
    assert is_supported_by_sft(given) == by_sft
