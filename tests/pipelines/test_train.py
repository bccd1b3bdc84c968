"""`orrery train`: what is wrong with the input is told by one message before Ray, engine or trainer start."""

from pathlib import Path

import pytest
import ray

from rl.policy.source import PolicyConfig, note_format
from rl.policy.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a policy directory as is read before anything starts."""
    directory = tmp_path_factory.mktemp("policy")
    (directory / "config.json").write_text("{}")
    train_tokenizer(["Cancel order 123."] * 3, 300).save_pretrained(directory)
    note_format(PolicyConfig(tools_format="none"), directory)
    return directory


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["policy.path=null"], "policy.path: name the model directory"),
        ([], "/latest/policy does not exist"),
        (["policy.path=absent"], "policy.path: absent does not exist"),
        (["policy.path={tmp}"], "has no config.json"),
        (["policy.path={learnt}"], "policy.tools_format: {learnt} was trained with none, not json"),
        (["policy.path={learnt}", "policy.dialect=qwen3"], "policy.dialect: {learnt} was trained with kimi_k2, not qwen3"),
        (["policy.path={learnt}", "policy.dialect=klingon"], "klingon"),
        (["rollouts.engine.max_model_len=256"], "limits.max_tokens: 1024 tokens do not fit engine.max_model_len=256"),
        (["rollouts.in_flight=0"], "rollouts.in_flight: must be at least 1, not 0"),
        (["rewards.pass_weigth=1"], "rewards.pass_weigth: unknown key; did you mean 'rewards.pass_weight'?"),
        (["policy.tools_format=xml"], "policy.tools_format: 'xml' is not one of json, typescript, none"),
    ],
)
def test_a_mistake_is_one_message_that_names_the_key(orrery, tmp_path, learnt, command, overrides, message) -> None:
    places = {"tmp": tmp_path, "learnt": learnt}
    result = orrery(command, "out=x", *(override.format(**places) for override in overrides))
    assert result.status == 2, result.error
    assert message.format(**places) in result.error and "Traceback" not in result.error
    assert not ray.is_initialized() and not Path("x/summary.json").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning.steps=0", "learning.steps: must be at least 1, not 0"),
        ("learning.group_size=1", "learning.group_size: an advantage needs at least 2 rollouts of a task, not 1"),
        ("learning.trainer.objectiv=k2", "learning.trainer.objectiv: unknown key; did you mean 'learning.trainer.objective'?"),
        ("learning.error_budget=2", "error_budget: is a share of the episodes"),
        ("objective=k3", "objective: there is no 'k3'; choose one of"),
        ("tasks.difficulty=7", "tasks.difficulty: is 1, 2 or 3, not 7"),
        ("tasks.families=[act,dance]", "tasks.families: dance is not among act"),
    ],
)
def test_a_mistaken_setting_is_refused_by_its_key(orrery, override, message) -> None:
    result = orrery("train", "out=x", override)
    assert result.status == 2 and message in result.error, result.error
    assert not Path("x").exists(), "nothing is made for a run that cannot be"


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_world_that_does_not_exist_is_refused_before_anything_starts(orrery, learnt, command) -> None:
    key = "tasks.worlds" if command == "train" else "examination.tasks.worlds"
    result = orrery(command, f"policy.path={learnt}", "policy.tools_format=none", f"{key}=[atlantis]")
    assert result.status == 2 and "no world 'atlantis'; give one of" in result.error
    assert "Traceback" not in result.error and not ray.is_initialized()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["learning.schedule.mode=async", "learning.schedule.update=keep", "rollouts.engine.enable_prefix_caching=true"],
            "learning.schedule.update: keep leaves old caches behind",
        ),
        (
            ["learning.weight_sync.backend=ipc", "rollouts.replicas=2"],
            "learning.weight_sync.backend: ipc reaches one engine; with rollouts.replicas=2 set it to memory or disk",
        ),
        (["learning.recipe.ptx.path={tmp}", "learning.trainer.ptx_weight=0.1"], "{tmp}"),
        (["learning.recipe.ptx.path={tmp}"], "learning.recipe.ptx.path: rows without a weight teach nothing"),
        (["learning.trainer.ptx_weight=0.1"], "learning.trainer.ptx_weight: there is nothing to weigh"),
    ],
)
def test_what_learning_could_not_use_is_refused_before_anything_starts(orrery, tmp_path, learnt, overrides, message) -> None:
    places = {"tmp": tmp_path, "learnt": learnt}
    given = [override.format(**places) for override in overrides]
    result = orrery("train", f"policy.path={learnt}", "policy.tools_format=none", *given)
    assert result.status == 2 and message.format(**places) in result.error
    assert not ray.is_initialized()
