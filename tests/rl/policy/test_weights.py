"""One digest for the same tensors wherever they are, another for any other tensors."""

import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from rl.policy.presets import PRESETS, build_model
from rl.policy.weights import (
    WeightsFileError,
    block_of,
    checkpoint_state,
    disk_state,
    export_weights,
    read_weights,
    tensor_digest,
    weight_blocks,
    weight_names,
)

NANO = [name for name in PRESETS if name.startswith("nano")]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool]


@st.composite
def named_tensors(draw):
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
    shapes = st.lists(st.integers(0, 4), max_size=3)
    return {
        name: torch.zeros(draw(shapes), dtype=draw(st.sampled_from(DTYPES))) + draw(st.integers(0, 1)) for name in names
    }


@given(named_tensors(), st.randoms())
def test_digest_depends_on_no_order(tensors, random):
    items = list(tensors.items())
    random.shuffle(items)
    assert tensor_digest(items) == tensor_digest(tensors.items())


@given(named_tensors(), named_tensors())
def test_digests_are_equal_only_for_equal_tensors(first, second):
    same = first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )
    assert (tensor_digest(first.items()) == tensor_digest(second.items())) == same


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.ones(2, 3), "b": torch.zeros(2)},
        {"a": torch.ones(3, 2, dtype=torch.bfloat16), "b": torch.zeros(2)},
        {"a": torch.ones(3, 2), "c": torch.zeros(2)},
        {"a": torch.ones(3, 2), "b": torch.tensor([0.0, -0.0])},
        {"a": torch.ones(3, 2)},
    ],
    ids=["shape", "dtype", "name", "one bit", "missing"],
)
def test_digest_sees(other):
    tensors = {"a": torch.ones(3, 2), "b": torch.zeros(2)}
    assert tensor_digest(other.items()) != tensor_digest(tensors.items())


def test_digest_reads_values_not_memory_layout():
    tensor = torch.arange(12.0).reshape(3, 4)
    assert tensor_digest([("a", tensor.t().contiguous().t())]) == tensor_digest([("a", tensor)])


def test_digest_refuses_a_name_twice():
    with pytest.raises(ValueError, match="comes twice"):
        tensor_digest([("a", torch.ones(1)), ("a", torch.ones(1))])


@pytest.mark.parametrize("preset", NANO)
def test_export_is_what_save_pretrained_writes(preset, tmp_path):
    model = build_model(preset, 384, seed=0)
    model.save_pretrained(tmp_path / "saved")
    digest, size = export_weights(model, tmp_path / "exported")
    saved, exported = (load_file(tmp_path / name / "model.safetensors") for name in ("saved", "exported"))
    assert saved.keys() == exported.keys() == weight_names(tmp_path / "exported")
    assert all(torch.equal(saved[name], exported[name]) for name in saved)
    assert digest == tensor_digest(saved.items()) == tensor_digest(read_weights(tmp_path / "exported"))
    assert size == sum(tensor.nbytes for tensor in saved.values())


@pytest.mark.parametrize("preset", NANO)
def test_blocks_one_at_a_time_make_the_same_checkpoint(preset):
    model = build_model(preset, 384, seed=0)
    parts = {}
    for block in weight_blocks(model):
        one = checkpoint_state(model, [block])
        assert len({block_of(name) for name in one}) == 1 and not one.keys() & parts.keys()
        parts |= one
    assert tensor_digest(parts.items()) == tensor_digest(disk_state(model).items())


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("model.layers.3.self_attn.kv_a_proj_with_mqa.weight", "model.layers.3.self_attn"),
        ("model.layers.3.mlp.experts.7.down_proj.weight", "model.layers.3.mlp"),
        ("model.layers.3.mlp.gate.e_score_correction_bias", "model.layers.3.mlp"),
        ("model.layers.3.input_layernorm.weight", "model.layers.3.input_layernorm"),
        ("model.embed_tokens.weight", "model.embed_tokens"),
        ("lm_head.weight", "lm_head"),
    ],
)
def test_what_engines_fuse_is_in_one_block(name, block):
    assert block_of(name) == block


def test_every_parameter_and_buffer_moves_the_digest():
    model = build_model("nano_k2", 384, seed=0)
    tensors = [*model.parameters(), *(b for name, b in model.named_buffers() if "e_score_correction_bias" in name)]
    digests = {tensor_digest(disk_state(model).items())}
    for tensor in tensors:
        with torch.no_grad():
            tensor.view(-1)[-1] += 1
        digests.add(tensor_digest(disk_state(model).items()))
    assert len(digests) == len(tensors) + 1


def test_exported_weights_load_back_exactly(tmp_path):
    model = build_model("nano_k2", 384, seed=0)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    digest, _ = export_weights(model, tmp_path)
    back = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert tensor_digest(disk_state(back).items()) == digest


def test_an_open_reader_keeps_the_old_weights(tmp_path):
    model = build_model("nano_gqa_moe", 384, seed=0)
    digest, _ = export_weights(model, tmp_path)
    reader = read_weights(tmp_path)
    first = next(reader)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    other, _ = export_weights(model, tmp_path)
    assert tensor_digest([first, *reader]) == digest != other
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_directory_without_weights_is_named(tmp_path):
    with pytest.raises(WeightsFileError, match=str(tmp_path)):
        list(read_weights(tmp_path))
    shutil.rmtree(tmp_path)
    with pytest.raises(WeightsFileError, match=str(tmp_path)):
        weight_names(tmp_path)
