"""The YAML that ships: every page composes, every group holds keys that exist with values that are allowed."""

import inspect
from pathlib import Path

import pytest
import yaml

from pipelines import cli, composition
from pipelines.schema import load
from pipelines.structured import build
from rewards.composition import RewardConfig
from rewards.judge import JudgeConfig
from rl.training.muonclip import OptimizerConfig
from rl.training.objectives import OBJECTIVES
from rl.training.trainer_config import TrainerConfig
from services.chat import price_table
from simulators.tasks.compose import FAMILIES
from simulators.tasks.stream import TaskStream
from simulators.worlds import names

CONF = Path(__file__).parents[2] / "conf"


def group(name: str) -> list:
    return [pytest.param(yaml.safe_load(path.read_text()), id=path.stem) for path in sorted(CONF.glob(f"{name}/*.yaml"))]


@pytest.mark.parametrize("command", cli.available())
def test_every_command_composes_with_its_defaults(command: str) -> None:
    app = load(command)
    values = composition.composed(command, [])
    if "???" not in str(values):  # a required key is the user's to give
        assert isinstance(build(app.config, values), app.config)


@pytest.mark.parametrize("values", group("rewards"))
def test_reward_groups_are_reward_configs(values: dict) -> None:
    assert build(RewardConfig, values).pass_weight == 1.0


@pytest.mark.parametrize("values", group("judge"))
def test_judge_groups_are_rubrics_with_criteria(values: dict) -> None:
    assert build(JudgeConfig, values).criteria


@pytest.mark.parametrize("values", group("tasks"))
def test_task_groups_are_streams_of_worlds_that_ship(values: dict) -> None:
    stream = build(TaskStream, values)
    assert set(stream.worlds) <= set(names()) and set(stream.families) <= set(FAMILIES)


@pytest.mark.parametrize("values", group("prices"))
def test_price_groups_are_price_tables(values: dict) -> None:
    assert price_table(values)


@pytest.mark.parametrize("values", group("optimizer"))
def test_optimizer_groups_are_optimizer_configs(values: dict) -> None:
    build(OptimizerConfig, values)


@pytest.mark.parametrize("values", group("objective"))
def test_objective_groups_name_an_objective_and_all_of_its_settings(values: dict) -> None:
    trainer = values["trainer"]
    parameters = list(inspect.signature(OBJECTIVES[trainer["objective"]]).parameters)[1:]
    assert sorted(trainer["objective_settings"]) == sorted(parameters)
    build(TrainerConfig, trainer)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("optimizer", ["muonclip", "adamw"])
def test_train_takes_every_objective_with_every_optimizer(objective: str, optimizer: str) -> None:
    app = load("train")
    values = composition.composed("train", [f"objective={objective}", f"optimizer={optimizer}"])
    trainer = build(app.config, values).learning.trainer  # type: ignore[attr-defined]
    assert (trainer.objective, trainer.optimizer.name) == (objective, optimizer)
    if "tau" in trainer.objective_settings:
        values = composition.composed("train", [f"objective={objective}", "learning.trainer.objective_settings.tau=0.7"])
        assert values["learning"]["trainer"]["objective_settings"]["tau"] == 0.7


def test_every_objective_has_a_group() -> None:
    assert {path.stem for path in CONF.glob("objective/*.yaml")} == set(OBJECTIVES)
