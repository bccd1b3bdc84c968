"""The compact tables answer as plain lists would, cost what they say, and can be rebuilt from what they kept."""

import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.deduplication import DedupConfig, Deduplicator, Duplicate, Features

configs = st.builds(
    DedupConfig,
    exact=st.booleans(),
    threshold=st.sampled_from([0, 0.3, 0.6, 1]),
    same_course=st.booleans(),
    structure_limit=st.integers(0, 3),
    permutations=st.just(16),
    bands=st.integers(1, 2),
    band_rows=st.sampled_from([4, 8]),
)


def made(config: DedupConfig, dialogue: int, course: int, structure: int, signature: bytes) -> Features:
    digests = dialogue.to_bytes(16, "big"), course.to_bytes(8, "big"), structure.to_bytes(8, "big")
    return Features(config.features_key(), *digests, signature)


# Few different values each, so that rows agree in parts; digests that differ only in their last bytes share every slot.
signatures = st.just(b"") | st.lists(st.sampled_from([b"\0\0\0\1", b"\2\2\2\2"]), min_size=4, max_size=4).map(b"".join)
rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 2), signatures), max_size=40)


class PlainLists:
    """What a deduplicator promises, over a list of everything that it kept."""

    def __init__(self, config: DedupConfig) -> None:
        self.config = config
        self.kept: list[tuple[Features, int]] = []

    def add(self, row: Features, number: int) -> Duplicate | None:
        duplicate = self.judge(row)
        if duplicate is None:
            self.kept.append((row, number))
        return duplicate

    def judge(self, row: Features) -> Duplicate | None:
        config = self.config
        for kept, number in self.kept:
            if config.exact and kept.dialogue == row.dialogue:
                return Duplicate("exact", number)
        near = [(self.similarity(kept, row), -index) for index, (kept, _) in enumerate(self.kept) if self.candidates(kept, row)]
        if config.threshold and near and max(near)[0] >= config.threshold:
            return Duplicate("near", self.kept[-max(near)[1]][1], max(near)[0])
        same = [number for kept, number in self.kept if kept.structure == row.structure]
        if config.structure_limit and len(same) >= config.structure_limit:
            return Duplicate("structural", same[0])
        return None

    def candidates(self, one: Features, two: Features) -> bool:
        size = self.config.band_rows
        parts = [slice(band * size, (band + 1) * size) for band in range(self.config.bands)]
        shared = any(one.signature[part] == two.signature[part] for part in parts)
        return bool(one.signature and two.signature and shared and (not self.config.same_course or one.course == two.course))

    def similarity(self, one: Features, two: Features) -> float:
        agree = sum(a == b for a, b in zip(one.signature, two.signature, strict=True)) / len(one.signature)
        return (agree - 1 / 256) / (1 - 1 / 256)


@given(configs, rows)
def test_answers_are_those_of_plain_lists(config: DedupConfig, drawn: list[tuple[int, int, int, bytes]]) -> None:
    compact, plain = Deduplicator(config), PlainLists(config)
    for number, parts in enumerate(drawn):
        row = made(config, *parts)
        assert compact.add(row, number * 7) == plain.add(row, number * 7)
    assert compact.rows == len(plain.kept)


@given(configs, rows, st.integers(0, 40))
def test_kept_rows_rebuild_the_state(config: DedupConfig, drawn: list[tuple[int, int, int, bytes]], cut: int) -> None:
    all_rows = [made(config, *parts) for parts in drawn]
    first, again = Deduplicator(config), Deduplicator(config)
    answers = [first.add(row, number) for number, row in enumerate(all_rows)]
    stored = [(row.to_bytes(), number) for number, row in enumerate(all_rows[:cut]) if answers[number] is None]
    for data, number in stored:
        assert again.add(Features.from_bytes(data), number) is None
    assert [again.add(row, number) for number, row in enumerate(all_rows[cut:], len(all_rows[:cut]))] == answers[cut:]


@given(rows, st.randoms(), st.integers(0, 2))
def test_without_words_what_is_kept_does_not_depend_on_the_order(
    drawn: list[tuple[int, int, int, bytes]], rng: random.Random, limit: int
) -> None:
    """Dialogues and structures are equal or not: each dialogue has one structure, and is kept once where there is room."""
    config = DedupConfig(threshold=0, structure_limit=limit)
    all_rows = [made(config, dialogue, 0, dialogue % 3, b"") for dialogue, _, _, _ in drawn]

    def kept(order: Sequence[Features]) -> list[bytes]:
        deduplicator = Deduplicator(config)
        found = [row for number, row in enumerate(order) if deduplicator.add(row, number) is None]
        return sorted(row.structure if limit else row.dialogue for row in found)

    assert kept(rng.sample(all_rows, len(all_rows))) == kept(all_rows)


def many(config: DedupConfig, count: int, seed: int = 0) -> list[Features]:
    rng = np.random.default_rng(seed)
    bits = rng.bytes(count * (32 + config.permutations))
    size = 32 + config.permutations
    parts = [bits[start : start + size] for start in range(0, len(bits), size)]
    return [Features(config.features_key(), part[:16], part[16:24], part[24:32], part[32:]) for part in parts]


@pytest.mark.parametrize(
    "config",
    [
        DedupConfig(structure_limit=1),
        DedupConfig(same_course=False, band_rows=8),
        DedupConfig(exact=False, permutations=256, bands=64),
        DedupConfig(threshold=0),
    ],
)
def test_tables_that_grew_find_everything_and_cost_what_they_say(config: DedupConfig) -> None:
    all_rows = many(config, 3_000)
    tracemalloc.start()
    deduplicator = Deduplicator(config)
    for number, row in enumerate(all_rows):
        assert deduplicator.add(row, number) is None
        assert number < 1024 or deduplicator.state_bytes <= deduplicator.bytes_per_row * (number + 1)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert deduplicator.state_bytes <= held <= deduplicator.state_bytes + 20_000
    assert most <= deduplicator.bytes_per_row * len(all_rows) + 8 * 2**20
    for number, row in enumerate(all_rows):
        assert deduplicator.add(row, -1) == Duplicate("exact" if config.exact else "near", number)
    if config.structure_limit:
        again = [replace(row, dialogue=row.course * 2, signature=b"") for row in all_rows]
        assert [deduplicator.add(row, -1) for row in again] == [Duplicate("structural", number) for number in range(len(again))]


@pytest.mark.planted
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [100_000, 1_000_000])
def test_a_million_rows_cost_what_is_said(count: int) -> None:
    config = DedupConfig(structure_limit=1)
    many(config, 20_000)  # what the rows of a batch take is taken before
    deduplicator, process = Deduplicator(config), psutil.Process()
    before = process.memory_info().rss
    most = 0.0
    for start in range(0, count, 20_000):
        for number, row in enumerate(many(config, 20_000, seed=start), start):
            assert deduplicator.add(row, number) is None
            most = max(most, deduplicator.state_bytes / (number + 1)) if number >= 1024 else most
    taken = (process.memory_info().rss - before) / count
    print(f"\n{count:,} rows: at most {deduplicator.bytes_per_row} stated, {most:.0f} held at worst, {taken:.0f} of the process")
    assert most <= deduplicator.bytes_per_row and taken <= 1.1 * deduplicator.bytes_per_row


def test_features_of_other_settings_are_refused() -> None:
    config = DedupConfig()
    row = many(config, 1)[0]
    with pytest.raises(ValueError, match="compute them anew"):
        Deduplicator(replace(config, shingle=3)).add(row, 0)
    with pytest.raises(ValueError, match="128 bytes or none, not 127"):
        Deduplicator(config).add(replace(row, signature=row.signature[1:]), 0)
    for other in (replace(config, threshold=0.9, bands=8), replace(config, same_course=False, structure_limit=4)):
        assert Deduplicator(other).add(row, 0) is None


def test_reasons_are_those_of_summaries() -> None:
    assert [Duplicate(kind, 0).reason for kind in ("exact", "near", "structural")] == [
        "exact_duplicate", "near_duplicate", "structural_duplicate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.1}, "threshold: is from 0 to 1, not 1.1"),
        ({"threshold": float("nan")}, "threshold: is from 0 to 1"),
        ({"structure_limit": -1}, "structure_limit: is at least 0"),
        ({"shingle": 0}, "shingle: is at least 1 word"),
        ({"calls": -1}, "calls: a weight is a whole number from 0 to 16"),
        ({"prose": 0, "calls": 0, "results": 0}, "one of the weights is above 0"),
        ({"band_rows": 5}, "band_rows: is 4 or 8"),
        ({"permutations": 100}, "permutations: is a multiple of 8"),
        ({"permutations": 0}, "permutations: is a multiple of 8"),
        ({"bands": 33}, "bands: is from 1 to 32"),
        ({"bands": 0}, "bands: is from 1 to 32"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DedupConfig(**settings)


def test_candidates_are_as_likely_as_said() -> None:
    config = DedupConfig(exact=False, threshold=0.0001, same_course=False)
    rng = np.random.default_rng(1)
    for similarity in (0.3, 0.5, 0.7):
        found = 0
        for _ in range(400):
            one = rng.integers(0, 256, config.permutations, np.uint8)
            two = np.where(rng.random(config.permutations) < similarity, one, rng.integers(0, 256, config.permutations, np.uint8))
            deduplicator = Deduplicator(config)
            deduplicator.add(made(config, 0, 0, 0, one.tobytes()), 0)
            found += deduplicator.add(made(config, 0, 0, 0, two.astype(np.uint8).tobytes()), 1) is not None
        assert found / 400 == pytest.approx(config.chance(similarity), abs=0.08)
    assert config.chance(0.7) == pytest.approx(0.988, abs=0.001) and config.chance(1) == 1
