"""Detectors against real synthesised dialogues with planted duplicates; `-s` prints what was found of each kind."""

from collections import Counter

import pytest

from pipelines.statistics import clopper_pearson
from tests.trajectories.deduplication.planted import (
    KINDS,
    Row,
    content_by_walking,
    different_dialogues,
    meant,
    planted,
    structure_by_walking,
)
from trajectories.deduplication import DedupConfig, Deduplicator, Duplicate, features

NEAR = [kind for kind in KINDS if kind not in ("copy", "other values")]


@pytest.fixture(scope="module")
def few() -> list[Row]:
    return planted(different_dialogues(240), each=40, seed=0)


@pytest.fixture(scope="module")
def many() -> list[Row]:
    return planted(different_dialogues(6000), each=500, seed=0)


def judged(rows: list[Row], config: DedupConfig) -> list[Duplicate | None]:
    deduplicator = Deduplicator(config)
    return [deduplicator.add(features(row.trajectory, row.task, config), number) for number, row in enumerate(rows)]


def rate(hits: int, trials: int) -> str:
    low, high = clopper_pearson(hits, trials)
    return f"{hits} of {trials}: {hits / trials:.4f} [{low:.4f}, {high:.4f}]"


def exact_duplicates_are_those_of_an_independent_walk(rows: list[Row]) -> None:
    seen: dict[str, int] = {}
    natural = 0
    for number, (row, duplicate) in enumerate(zip(rows, judged(rows, DedupConfig(threshold=0)), strict=True)):
        first = seen.setdefault(content_by_walking(row), number)
        assert duplicate == (None if first == number else Duplicate("exact", first)), row.kind
        assert row.kind != "copy" or (duplicate is not None and rows[first].origin == row.origin)
        natural += duplicate is not None and row.kind != "copy"
    copies = sum(row.kind == "copy" for row in rows)
    print(f"\nexact: recall of copies {rate(copies, copies)}; wrongly {rate(0, len(seen))}; equal by chance: {natural}")


def near(rows: list[Row], config: DedupConfig) -> tuple[Counter[str], Counter[str]]:
    """Near-duplicates found of each kind, and those of them whose task means something else than that of the kept row."""
    found, wrong = Counter[str](), Counter[str]()
    for row, duplicate in zip(rows, judged(rows, config), strict=True):
        if duplicate is not None and duplicate.kind == "near":
            found[row.kind] += 1
            wrong[row.kind] += row.kind == "other values" or meant(row.task) != meant(rows[duplicate.of].task)
    each = Counter(row.kind for row in rows)
    print(f"\n{config}")
    for kind in NEAR:
        print(f"  {kind:14} recall {rate(found[kind], each[kind])}")
    print(f"  precision {rate(found.total() - wrong.total(), found.total())}, wrong: {dict(wrong)}")
    for kind in ("original", "other values"):
        print(f"  {kind}: called near {rate(found[kind], each[kind])}")
    return found, wrong


def one_of_each_structure_is_kept(rows: list[Row]) -> None:
    config = DedupConfig(exact=False, threshold=0, structure_limit=1)
    seen: dict[str, int] = {}
    for number, (row, duplicate) in enumerate(zip(rows, judged(rows, config), strict=True)):
        first = seen.setdefault(structure_by_walking(row), number)
        assert duplicate == (None if first == number else Duplicate("structural", first))
    twins = sum(row.kind == "other values" for row in rows)
    print(f"\nstructural: {len(seen)} structures of {len(rows)} rows; recall of twins {rate(twins, twins)}")


def test_copies_are_exact_duplicates_and_nothing_else_is(few: list[Row]) -> None:
    exact_duplicates_are_those_of_an_independent_walk(few)


def test_reworded_dialogues_are_near_and_other_values_are_not(few: list[Row]) -> None:
    found, wrong = near(few, DedupConfig())
    assert not wrong.total()
    assert found["5 % of words"] >= 39 and found["10 % of words"] >= 38 and found["greeting"] >= 38
    assert not found["other values"] and found["original"] <= 2


def test_structures_are_those_of_an_independent_walk(few: list[Row]) -> None:
    one_of_each_structure_is_kept(few)


@pytest.mark.planted
@pytest.mark.timeout(1800)
def test_ten_thousand_rows(many: list[Row]) -> None:
    assert len(many) == 10_000
    exact_duplicates_are_those_of_an_independent_walk(many)
    one_of_each_structure_is_kept(many)
    found, wrong = near(many, DedupConfig())
    assert wrong.total() <= 2  # a teacher that guesses calls nothing: its course holds no values
    assert found["10 % of words"] >= 480 and found["20 % of words"] >= 390
    for threshold in (0.5, 0.6, 0.8, 0.9):
        near(many, DedupConfig(threshold=threshold))
    for threshold in (0.6, 0.7, 0.8, 0.9):
        near(many, DedupConfig(threshold=threshold, same_course=False))
