"""Settings of rewards: what makes no sense is refused by its key."""

from typing import Any

import pytest

from pipelines.errors import UserError
from pipelines.structured import build
from rewards.composition import RewardConfig


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("pass_weight", 0.0, "pass_weight"),
        ("pass_weight", float("nan"), "pass_weight"),
        ("malformed_penalty", -1.0, "malformed_penalty"),
        ("length_penalty", float("inf"), "length_penalty"),
        ("budget_penalty", -0.1, "budget_penalty"),
        ("repetition_penalty", -0.1, "repetition_penalty"),
        ("length_reward", -1.0, "length_reward"),
        ("length_budget", 0, "length_budget"),
        ("length_budgets", {"tool_use": 0}, r"length_budgets\.tool_use"),
        ("length_budgets", {"tools": 10}, r"length_budgets\.tools: no such domain"),
        ("length_warmup_steps", -1, "length_warmup_steps"),
        ("repetition_ngram", 0, "repetition_ngram"),
        ("weights", {"criterion/a": -1.0}, r"weights\.criterion/a"),
        ("weights", {"pass": 2.0}, r"weights\.pass"),
        ("weights", {"a": 1.0}, "weights: 'a' is neither"),
        ("weights", {"criterion/": 1.0}, "weights: 'criterion/' is neither"),
        ("weights", {"product/a": 1.0}, "weights: 'product/a' is neither"),
        ("domain_weights", {"tool_use": -1.0}, r"domain_weights\.tool_use"),
        ("domain_weights", {"tools": 1.0}, r"domain_weights\.tools: no such domain"),
        ("gates", ("malformed",), "gates: 'malformed' is neither"),
        ("vetoes", {"criterion/a": 0.5}, r"vetoes\.criterion/a"),
        ("vetoes", {"criterion/a": float("-inf")}, r"vetoes\.criterion/a"),
        ("vetoes", {"safety": -1.0}, "vetoes: 'safety' is neither"),
        ("products", {"both": ("pass", "criterion/a")}, r"products\.both: no weight"),
        ("clip", (1.0, 1.0), "clip"),
        ("clip", (0.0, float("inf")), "clip"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_their_key(key: str, value: Any, named: str):
    with pytest.raises(ValueError, match=rf"rewards\.{named}"):
        RewardConfig(**{key: value})


@pytest.mark.parametrize("factors", [(), ("pass",), ("pass", "product/both"), ("pass", "length")])
def test_a_product_is_of_two_or_more_things_that_a_verdict_has(factors: tuple[str, ...]):
    with pytest.raises(ValueError, match=r"rewards\.products\.both: two or more"):
        RewardConfig(products={"both": factors}, weights={"product/both": 1.0})


def test_the_verdict_may_count_by_a_product_alone_but_not_at_all_is_refused():
    both = {"both": ("pass", "criterion/a")}
    RewardConfig(pass_weight=0.0, products=both, weights={"product/both": 1.0})
    with pytest.raises(ValueError, match=r"rewards\.pass_weight"):
        RewardConfig(pass_weight=0.0, products=both, weights={"product/both": 0.0})
    with pytest.raises(ValueError, match=r"rewards\.pass_weight"):
        RewardConfig(pass_weight=0.0, weights={"criterion/a": 1.0})


def test_the_domain_is_the_tasks_to_name_and_no_setting():
    with pytest.raises(UserError, match=r"rewards\.domain: unknown key"):
        build(RewardConfig, {"domain": "tool_use"}, "rewards")


def test_settings_survive_the_way_through_a_config():
    values = {
        "weights": {"product/careful": 0.5},
        "products": {"careful": ["pass", "criterion/state"]},
        "gates": ["criterion/completed"],
        "vetoes": {"criterion/state": -1},
        "length_budgets": {"maths": 64},
        "clip": [-1, 1],
    }
    config = build(RewardConfig, values, "rewards")
    assert config.products["careful"] == ("pass", "criterion/state") and config.clip == (-1, 1)
    assert (config.budget_of("maths"), config.budget_of("code")) == (64, config.length_budget)
