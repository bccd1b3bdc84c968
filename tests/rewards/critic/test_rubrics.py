"""Rubrics are data that is checked: an error names file and key, and what is compared by has a version."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.rubrics import Applies, CriticCriterion, RubricError, criteria_for, criteria_id, load_rubrics, read_rubric
from tests.rewards.critic.cases import SHIPPED, TASK
from trajectories.canonical import digest
from trajectories.tasks import Persona

RECORDED = Path(__file__).with_name("rubrics.json")


def test_every_kind_ships_and_what_pleases_a_judge_is_a_veto():
    assert {item.kind for item in SHIPPED} == {"core", "prescriptive", "human"}
    vetoes = {item.id for item in SHIPPED if item.veto}
    assert vetoes == {"no_invention", "no_opening_praise", "no_self_justification", "no_padding"}


def test_a_criterion_that_changes_has_a_new_version():
    """To record a change: raise the version, and write what this test says into rubrics.json."""
    now = {f"{item.id}/{item.version}": digest([item.text, item.weight, item.veto])[:16] for item in SHIPPED}
    assert now == json.loads(RECORDED.read_text("utf-8"))


def test_criteria_are_chosen_by_domain_tags_and_language_and_ordered_by_kind():
    def chosen(**changed) -> list[str]:
        return [item.id for item in criteria_for(SHIPPED, replace(TASK, **changed))]

    core = ["clarity", "fluency", "groundedness", "no_invention", "relevance"]
    prescriptive = ["no_opening_praise", "no_padding", "no_self_justification"]
    assert chosen(domain="maths") == [*core, *prescriptive]
    assert chosen(domain="tool_use") == [*core, *prescriptive, "asks_little", "tells_the_outcome"]
    assert chosen(domain="tool_use", tags=("confirm",))[-2:] == ["confirms_first", "tells_the_outcome"]
    assert chosen(domain="safety")[-1] == "declines_plainly"
    chinese = CriticCriterion(id="zh", text="x", kind="human", applies=Applies(languages=("zh",)))
    assert criteria_for([chinese], TASK) == ()
    assert criteria_for([chinese], replace(TASK, persona=Persona(language="zh"))) == (chinese,)


@settings(max_examples=15)
@given(st.permutations(SHIPPED))
def test_the_order_of_files_changes_nothing(criteria):
    assert criteria_for(criteria, TASK) == criteria_for(SHIPPED, TASK)
    assert criteria_id(criteria_for(criteria, TASK)) == criteria_id(criteria_for(SHIPPED, TASK))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: core\ncriteria: {a: {text: x, weight: 0}}", "f.yaml: criteria.a: weight: is a finite number above 0, not 0"),
        ("kind: core\ncriteria: {a: {text: x, weight: .nan}}", "f.yaml: criteria.a: weight: is a finite number"),
        ("kind: core\ncriteria: {a: {text: x, weigth: 1}}", "f.yaml: criteria.a.weigth: "),
        ("kind: core\ncriteria: {a: {text: x, veto: 1}}", "f.yaml: criteria.a.veto: "),
        ("kind: core\ncriteria: {a: {text: ' '}}", "f.yaml: criteria.a: text: is empty"),
        ("kind: core\ncriteria: {a: {weight: 1}}", "f.yaml: criteria.a.text: "),
        ("kind: core\ncriteria: {a: {text: 2020-01-01}}", "f.yaml: criteria.a: is no plain data"),
        ("kind: core\ncriteria: {a: {text: 2020-13-41}}", "f.yaml: is no YAML"),
        ("kind: core\ncriteria: {a: {text: x, version: 0}}", "f.yaml: criteria.a: version: "),
        ("kind: core\ncriteria: {a: {text: x, kind: human}}", "f.yaml: criteria.a.kind: unknown key"),
        (
            "kind: core\ncriteria: {a: {text: x, applies: {domains: [math]}}}",
            "f.yaml: criteria.a.applies.domains: no domain 'math'",
        ),
        ("kind: core\ncriteria: {a: {text: x, applies: {domain: [maths]}}}", "f.yaml: criteria.a.applies.domain: "),
        ("kind: core\ncriteria: {a: {text: x, applies: {tags: refuse}}}", "f.yaml: criteria.a.applies.tags: "),
        ("kind: core\ncriteria: {a b: {text: x}}", "f.yaml: criteria.a b: 'a b' is no name"),
        ("kind: core\ncriteria: {no: {text: x}}", "f.yaml: criteria.False"),
        ("kind: core\ncriteria: {a: x}", "f.yaml: criteria.a: is a mapping"),
        ("kind: core\ncriteria: {a: {text: x}, a: {text: y}}", "f.yaml: is no YAML: the key 'a' stands twice"),
        ("kind: cores\ncriteria: {a: {text: x}}", "f.yaml: kind: is one of core, prescriptive, human"),
        ("kind: core\ncriteria: {}", "f.yaml: criteria: maps at least one"),
        ("kind: core\ncriteria: &x {a: *x}", "f.yaml: criteria.a: is no plain data"),
        ("kind: core", "f.yaml: has the keys kind and criteria"),
        ("!!python/object:os.system {}", "f.yaml: is no YAML"),
        ("[" * 800, "f.yaml: is no YAML"),
        ("a: [", "f.yaml: is no YAML"),
        ("", "f.yaml: has the keys"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(text, problem):
    with pytest.raises(RubricError) as refused:
        read_rubric(text, "f.yaml")
    assert str(refused.value).startswith(problem)


def test_an_id_stands_in_one_file_only_and_a_folder_holds_some(tmp_path):
    with pytest.raises(RubricError, match="holds no rubric"):
        load_rubrics(tmp_path)
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text("kind: core\ncriteria: {a: {text: x}}")
    with pytest.raises(RubricError, match=r"^two.yaml: criteria.a: stands in one.yaml already"):
        load_rubrics(tmp_path)


def test_another_domain_may_be_declared():
    text = "kind: human\ncriteria: {a: {text: x, applies: {domains: [letters]}}}"
    assert read_rubric(text, "f.yaml", ("letters",))[0].applies.domains == ("letters",)
