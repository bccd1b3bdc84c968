"""Averaged weights: the formula tensor by tensor, a directory that loads, and nothing averaged with what is unlike it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.policy.averaging import average, check_average
from rl.policy.presets import ModelDirectoryError, load, save
from tests.rl.training.trainer_cases import nano, tokenizer


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Path]:
    made = []
    for seed in (0, 1):
        made.append(tmp_path_factory.mktemp(f"model{seed}"))
        save(nano(seed), tokenizer(), made[-1])
        (made[-1] / "trainer.json").write_text("{}")
    return made


@pytest.fixture
def copy(models, tmp_path) -> Path:
    return Path(shutil.copytree(models[1], tmp_path / "copy"))


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_every_tensor_is_the_weighted_mean_and_the_result_loads(models, tmp_path):
    count = average(models, (0.25, 0.75), tmp_path / "merged")
    first, second, merged = weights(models[0]), weights(models[1]), weights(tmp_path / "merged")
    assert len(merged) == count and merged.keys() == first.keys()
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, 0.25 * first[name] + 0.75 * second[name])
    model, words = load(tmp_path / "merged")
    assert words.get_vocab() == tokenizer().get_vocab() and not (tmp_path / "merged" / "trainer.json").exists()
    torch.testing.assert_close(model.lm_head.weight.data, merged["lm_head.weight"])


def test_a_model_averaged_with_itself_is_itself(models, tmp_path):
    average([models[0]] * 2, (0.5, 0.5), tmp_path)
    first, merged = weights(models[0]), weights(tmp_path)
    assert all(torch.equal(first[name], merged[name]) for name in first)


def test_sums_are_in_float32_and_the_result_has_the_models_dtype(models, tmp_path):
    parts = []
    for number, value in enumerate((1.0, 2**-8, 2**-8)):
        parts.append(Path(shutil.copytree(models[0], tmp_path / str(number))))
        tensors = {name: torch.full_like(tensor, value).bfloat16() for name, tensor in weights(models[0]).items()}
        save_file(tensors, parts[-1] / "model.safetensors", metadata={"format": "pt"})
    shares = (0.5, 0.25, 0.25)
    average(parts, shares, tmp_path / "merged")
    merged = weights(tmp_path / "merged")["lm_head.weight"]
    assert merged.dtype == torch.bfloat16
    assert merged.unique().item() == torch.tensor(0.5 + 0.5 * 2**-8).bfloat16().item()


def test_weights_in_several_files_stay_in_those_files(models, tmp_path):
    tensors = sorted(weights(models[0]).items())
    for source, target in zip(models, ("a", "b"), strict=True):
        shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("*.safetensors"))
        parts = {"model-00001-of-00002.safetensors": tensors[:5], "model-00002-of-00002.safetensors": tensors[5:]}
        for name, part in parts.items():
            save_file(dict(part), tmp_path / target / name, metadata={"format": "pt"})
        index = {name: file for file, part in parts.items() for name, _ in part}
        (tmp_path / target / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    average([tmp_path / "a", models[1]], (0.5, 0.5), tmp_path / "merged")
    assert len(list((tmp_path / "merged").glob("*.safetensors"))) == 2
    model, _ = load(tmp_path / "merged")
    expected = (weights(models[0])["lm_head.weight"] + weights(models[1])["lm_head.weight"]) / 2
    torch.testing.assert_close(model.lm_head.weight.data, expected)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((1.0,), "^weights: one for each of the 2 models, not 1"),
        ((0.5, 0.6), "^weights: they add up to 1, not 1.1"),
        ((1.5, -0.5), "^weights: each is above 0"),
        ((float("nan"), 0.5), "^weights: each is above 0"),
    ],
)
def test_weights_that_are_no_shares_are_refused(models, shares, message):
    with pytest.raises(ValueError, match=message):
        check_average(models, shares)


def test_one_model_is_no_average(models):
    with pytest.raises(ValueError, match="^models: an average is of at least 2 models, not 1"):
        check_average(models[:1], (1.0,))


def test_another_architecture_and_another_tokenizer_are_named(models, copy):
    change(copy / "tokenizer.json", version="2.0")
    with pytest.raises(
        ModelDirectoryError, match=r"different tokenizers: tokenizer\.json differs: version is \"2\.0\" and \"1\.0\"$"
    ):
        check_average([models[0], copy], (0.5, 0.5))
    change(copy / "config.json", hidden_size=128)
    with pytest.raises(ModelDirectoryError, match="different architectures: hidden_size is 128 and 64"):
        check_average([models[0], copy], (0.5, 0.5))
    change(copy / "config.json", quantization_config={"quant_method": "fp8"})
    with pytest.raises(ModelDirectoryError, match="copy is quantised"):
        check_average([models[0], copy], (0.5, 0.5))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "tokenizer_config.json",
            {"eos_token": "w1"},
            r'tokenizers: tokenizer_config.json differs: eos_token is "w1" and absent$',
        ),
        ("tokenizer_config.json", {"add_bos_token": True}, "tokenizers: tokenizer_config.json differs: add_bos_token is true"),
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, r"chat templates: tokenizer_config.json differs: line 1"),
        ("vocab.json", {}, r"tokenizers: vocab\.json is in one of them alone$"),
        ("tiktoken.model", {}, r"tokenizers: tiktoken\.model is in one of them alone$"),
        ("orrery_policy.json", {"dialect": "qwen3"}, r"tokenizers: orrery_policy\.json is in one of them alone$"),
    ],
)
def test_whatever_makes_other_tokens_or_dialogues_is_named_with_its_file(models, copy, tmp_path, name, values, message):
    path = copy / name
    path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | values))
    with pytest.raises(ModelDirectoryError, match=f"copy and .* have different {message}"):
        average([models[0], copy], (0.5, 0.5), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_chat_templates_are_compared_by_their_text_wherever_it_is_kept(models, copy, tmp_path):
    other = Path(shutil.copytree(models[0], tmp_path / "other"))
    text = "{%- for message in messages %}\n{{- message.content }}\n{%- endfor %}\n"
    change(copy / "tokenizer_config.json", chat_template=[{"name": "default", "template": text}])
    (other / "chat_template.jinja").write_text(text)
    check_average([other, copy], (0.5, 0.5))
    (other / "additional_chat_templates").mkdir()
    (other / "additional_chat_templates" / "tool_use.jinja").write_text(text)
    with pytest.raises(ModelDirectoryError, match=r"different chat templates: tool_use\.jinja differs: line 1 is absent and"):
        check_average([other, copy], (0.5, 0.5))
    shutil.copytree(other / "additional_chat_templates", copy / "additional_chat_templates")
    average([other, copy], (0.5, 0.5), tmp_path / "merged")
    assert (tmp_path / "merged" / "additional_chat_templates" / "tool_use.jinja").read_text() == text
    (other / "chat_template.jinja").write_text(text.replace("message.content", "message.content | trim"))
    with pytest.raises(ModelDirectoryError, match=r'line 2 is "{{- message.content }}" and "{{- message.content | trim }}"$'):
        check_average([other, copy], (0.5, 0.5))


def test_what_changes_no_token_is_no_difference(models, copy):
    change(copy / "tokenizer_config.json", model_max_length=17, name_or_path="elsewhere", padding_side="left")
    (copy / "special_tokens_map.json").write_text("{}")
    (copy / "tokenizer.json").write_text(json.dumps(json.loads((copy / "tokenizer.json").read_text()), indent=7))
    check_average([models[0], copy], (0.5, 0.5))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda tensors: tensors.pop("lm_head.weight"), "different tensors: lm_head.weight is in one of them"),
        (lambda tensors: tensors.update({"lm_head.weight": torch.zeros(3, 64)}), r"lm_head.weight has shape \[3, 64\]"),
        (lambda tensors: tensors.update({"lm_head.weight": torch.zeros(64, 64).half()}), "lm_head.weight has dtype F16"),
    ],
)
def test_unlike_tensors_are_named_before_anything_is_written(models, copy, tmp_path, broken, message):
    tensors = weights(copy)
    broken(tensors)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelDirectoryError, match=message):
        average([models[0], copy], (0.5, 0.5), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_weights_that_are_not_finite_are_named(models, copy, tmp_path):
    tensors = weights(copy)
    tensors["lm_head.weight"][0, 0] = float("nan")
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelDirectoryError, match="lm_head.weight of .*copy is not finite"):
        average([models[0], copy], (0.5, 0.5), tmp_path / "merged")


def test_a_directory_without_a_model_and_a_cut_file_are_named(models, copy, tmp_path):
    with pytest.raises(ModelDirectoryError, match=r"^models: .* has no weights in safetensors"):
        check_average([models[0], tmp_path / "nowhere"], (0.5, 0.5))
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelDirectoryError, match="copy/model.safetensors is truncated or damaged"):
        check_average([models[0], copy], (0.5, 0.5))
