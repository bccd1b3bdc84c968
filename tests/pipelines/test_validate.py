"""`orrery validate`: what it finds is true, the same with any number of workers and after a stop, and a bad task ends it with
an error that names the task."""

import asyncio
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.composition import composed
from pipelines.errors import UserError
from pipelines.progress import Progress
from pipelines.statistics import clopper_pearson
from pipelines.validate import EvolvedWorlds, Validate, validate_tasks
from pipelines.validating import probes as validate_probes
from pipelines.validating.report import figures, offences
from rewards.verifiers import verifier_for
from simulators.tasks.certify import CHEATS
from simulators.tasks.compose import FAMILIES, compose
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.worlds import load, names
from simulators.worlds.loading import LIBRARY
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.shards import ShardWriter, read
from trajectories.tasks import Task

STREAM = TaskStream(worlds=("order_desk", "travel"), difficulty=2, families=("act", "refuse", "search", "ask", "lookup"))
CONFIG = Validate(count=70, tasks=STREAM, rows_per_shard=300)
SPLITS = {"candidates": validate_probes.CANDIDATE_SCHEMA, "probes": validate_probes.PROBE_SCHEMA}


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every shard and manifest."""
    files = [*directory.rglob("*.parquet"), *directory.rglob("*.manifest.json")]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def validated(config: Validate, directory: Path, *, resume: bool = False) -> Path:
    asyncio.run(validate_tasks(config, directory, Progress(("validate",)), resume=resume))
    return directory


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if ray.is_initialized():
        ray.shutdown()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def calm(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A validation that one worker made in one go."""
    return validated(CONFIG, tmp_path_factory.mktemp("calm"))


def test_every_probe_plays_every_task_that_it_applies_to(calm: Path) -> None:
    rows = list(read(calm, "probes"))
    numbers = list(dict.fromkeys(row["number"] for row in rows))
    assert numbers == list(range(70))
    for number in numbers:
        probes = [row["probe"] for row in rows if row["number"] == number]
        assert probes[0] == "oracle" and {*CHEATS, "claim"} < set(probes) and len(set(probes)) == len(probes)
        assert any(probe.startswith("mutated_") for probe in probes)
    assert not offences(rows) and all(row["valid"] for row in rows)
    candidates = list(read(calm, "candidates"))
    assert {row["task_id"] for row in rows} == {row["task_id"] for row in candidates if row["certified"]}
    assert all(bool(row["reasons"]) is not row["certified"] for row in candidates)


def test_the_tasks_are_those_of_the_stream(calm: Path) -> None:
    verify = verifier_for("tool_use").verify
    tasks = STREAM.tasks(range(0, 70, 9), run_seed=0, split="train", verify=verify)
    found = {row["number"]: row["task_id"] for row in read(calm, "candidates") if row["certified"]}
    assert [found[number] for number in range(0, 70, 9)] == [task.id for task in tasks]


def test_two_workers_write_the_same_bytes_as_one(calm: Path, tmp_path: Path) -> None:
    assert digests(validated(replace(CONFIG, workers=2), tmp_path)) == digests(calm)


@pytest.mark.parametrize(("candidates", "probes"), [(0, 0), (40, 300), (70, 600), (10, 900)])
def test_whichever_file_is_ahead_when_it_is_stopped_resuming_gives_the_same_bytes(
    calm: Path, tmp_path: Path, candidates: int, probes: int
) -> None:
    for split, kept in (("candidates", candidates), ("probes", probes)):
        with pytest.raises(KeyboardInterrupt), ShardWriter(
            tmp_path, schema=SPLITS[split], rows_per_shard=300, split=split
        ) as writer:
            for number, row in enumerate(read(calm, split)):
                if number < kept:
                    writer.append(row)
            raise KeyboardInterrupt
    assert digests(validated(replace(CONFIG, workers=2), tmp_path, resume=True)) == digests(calm)


class Stub:
    """A stream whose first candidate of every number is bad, and which has nothing at all for odd numbers."""

    worlds = ("order_desk",)

    def task(self, number: int, *, run_seed: int, split: str, verify) -> Task:
        world = load("order_desk")
        fine = compose(world, number, run_seed=run_seed, split="train", difficulty=1, families=("act",))
        bad = replace(fine, ledger=replace(fine.ledger, opening="Please do it.")).with_id()
        for task in (bad, fine):
            verify(task, Outcome("completed"))
            if number % 2:
                raise UncertifiableError("none is good enough")
        return fine


def test_refused_candidates_are_counted_with_their_reasons() -> None:
    candidates, tasks = validate_probes._draw(Stub(), 0, "train", range(4))  # type: ignore[arg-type]
    assert [number for number, _ in tasks] == [0, 2]
    found = figures(candidates, [])
    assert (found["tasks"], found["candidates"], found["holes"]) == (2, 6, 2)
    assert found["refused"] == {"candidates": 4, "by_reason": {"untold": 4}}


def test_the_command_reports_what_it_did(orrery, tmp_path: Path) -> None:
    result = orrery("validate", "count=24", "out=x", "tasks.difficulty=3")
    assert result.status == 0, result.error
    summary = json.loads(Path("x/summary.json").read_text())
    assert summary["tasks"] == 24 and summary["worlds"] == len(names()) and summary["passed"] and summary["faults"] == 0
    assert summary["oracle"]["pass"] == 1.0 and summary["oracle"]["ci95"][0] == pytest.approx(0.025 ** (1 / 24))
    assert {cheat["pass"] for cheat in summary["cheats"].values() if cheat["tasks"]} == {0.0}
    assert "| oracle |" in result.out and "24 tasks from" in result.out


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """A directory in the form that `orrery evolve` leaves, with five worlds."""
    for number, name in enumerate(("order_desk", "travel", "it_tickets", "library_loans", "order_desk")):
        path = tmp_path / f"grown/worlds/category_{number % 2}/world_{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(yaml.safe_load((LIBRARY / f"{name}.yaml").read_text())))
    return tmp_path / "grown"


def test_evolved_worlds_are_drawn_by_the_seed_and_played_beside_those_that_ship(orrery, grown: Path) -> None:
    evolved = EvolvedWorlds(str(grown), 3)
    assert evolved.worlds(1) == evolved.worlds(1) and len(set(evolved.worlds(1))) == 3
    assert len({evolved.worlds(seed) for seed in range(8)}) > 1
    result = orrery("validate", "count=8", "out=x", "tasks.worlds=[travel]", f"evolved.path={grown}", "evolved.count=3")
    assert result.status == 0, result.error
    worlds = {row["world"] for row in read("x", "probes")}
    assert len(worlds) == 4 and "travel" in worlds and sum(world.endswith(".json") for world in worlds) == 3
    result = orrery("validate", "count=8", "out=y", f"evolved.path={grown}", "evolved.count=6")
    assert result.status == 2 and "holds 5 worlds, evolved.count wants 6" in result.error and not Path("y").exists()


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (lambda task, outcome: Reward(1.0), "claim has reward 1"),
        (lambda task, outcome: Reward(0.0, cause="missed: all"), "oracle has reward 0, missed: all"),
        (lambda task, outcome: Reward.invalid("judge: gone"), "oracle has no verdict, judge: gone"),
        (lambda task, outcome: 1 / 0, "oracle has no verdict, ZeroDivisionError: division by zero"),
    ],
)
def test_a_verdict_that_law_4_does_not_want_ends_the_command_with_an_error(orrery, monkeypatch, judge, said: str) -> None:
    """Only the replay judges differently, as if tasks had been certified by mistake."""

    monkeypatch.setattr(validate_probes, "verify", judge)
    result = orrery("validate", "count=4", "out=x")
    assert result.status == 2 and f"(number 0 of {names()[0]}): {said}" in result.error
    summary = json.loads(Path("x/summary.json").read_text())
    assert not summary["passed"] and said in summary["offences"][0] and summary["offences"][0] in result.error
    again = orrery("validate", "count=4", "out=x", "resume=auto")
    assert again.status == 2 and "x is finished: verdicts are not what law 4 wants" in again.error


@given(st.integers(1, 400), st.data())
@settings(deadline=None, max_examples=60)
def test_the_exact_interval_is_where_the_tails_have_a_fortieth_each(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(successes, trials)

    def at_most(count: int, rate: float) -> float:
        return sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(count + 1))

    assert low <= successes / trials <= high
    assert low == 0.0 if successes == 0 else 1 - at_most(successes - 1, low) == pytest.approx(0.025, rel=1e-6)
    assert high == 1.0 if successes == trials else at_most(successes, high) == pytest.approx(0.025, rel=1e-6)


def test_the_interval_of_thousands_of_passes_without_one_failure() -> None:
    assert clopper_pearson(5000, 5000) == (pytest.approx(0.025 ** (1 / 5000)), 1.0)
    assert clopper_pearson(0, 5000) == (0.0, pytest.approx(1 - 0.025 ** (1 / 5000)))
    assert clopper_pearson(2500, 5000) == (pytest.approx(0.48604, abs=1e-5), pytest.approx(0.51396, abs=1e-5))
    for wrong in ((1, 0), (2, 1), (-1, 3)):
        with pytest.raises(ValueError, match="is not a proportion"):
            clopper_pearson(*wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Validate(rows_per_shard=0), "rows_per_shard: must be at least 1"),
        (lambda: Validate(count=0), "count: must be at least 1"),
        (lambda: EvolvedWorlds(count=-1), "count: must be at least 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_every_world_that_ships_and_every_family_is_validated_unless_told_otherwise() -> None:
    tasks = composed("validate", [])["tasks"]
    assert sorted(tasks["worlds"]) == sorted(names()) and sorted(tasks["families"]) == sorted(FAMILIES)


def test_a_directory_without_worlds_is_named() -> None:
    with pytest.raises(UserError, match="evolved.path: nowhere holds 0 worlds"):
        EvolvedWorlds("nowhere", 1).worlds(0)
