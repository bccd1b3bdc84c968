"""Recorded rollouts scored anew: as they were scored live under the run's own settings, by hand's arithmetic under others."""

import asyncio
import contextlib
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import rescore as command
from pipelines.errors import UserError
from pipelines.learning.record import RolloutRecord
from pipelines.rescore import Rescore, check, run
from pipelines.rescoring import scoring as rescoring_scoring
from pipelines.rescoring.comparison import Comparison, Pair
from pipelines.rescoring.ranking import Ranking, kendall_tau_b
from pipelines.rescoring.source import Split, _cuts, group_of, read_rollouts, step_of
from pipelines.run_directory import RunDirectory
from pipelines.structured import plain
from rewards.composition import CompositeReward, RewardConfig
from rewards.scoring import ScoringConfig
from rewards.verifiers import verifier_for
from rewards.verifiers.tool_use import ToolUseVerifier
from rl.rollout.engine import EngineError
from rl.rollout.error_budget import ErrorBudgetSpentError
from rl.rollout.scheduling import Group
from rl.rollout.scripted_engine import ScriptedEngine
from simulators.environment import Environment
from simulators.playable import open_world
from simulators.tasks import OracleAgent, play
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix, candidate
from tests.pipelines import learning_run
from tests.rl.rollout.episodes import LocalEpisodes
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA, from_row, to_row
from trajectories.messages import Message
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.shards import ShardError, read, write
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

OWN = RewardConfig(
    malformed_penalty=0.1,
    length_penalty=0.15,
    length_budget=40,
    length_budgets={"maths": 20},
    repetition_penalty=0.05,
    repetition_ngram=3,
    length_reward=0.2,
    length_warmup_steps=2,
    gates=("criterion/completed",),
)
HERE = ScoringConfig(workers=1, in_process=("tool_use", "maths"))
STEPS = 4


def settle(place: Path, rewards: RewardConfig = OWN, scale: str = "none") -> Path:
    """The settings that `orrery train` would have stored."""
    told = {"command": "train", "rewards": plain(rewards), "learning": {"advantage_scale": scale}}
    (place / "config.yaml").write_text(yaml.safe_dump(told))
    return place


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of the loop in worlds, whose groups overtake each other and of whose episodes some end by a fault."""
    place, answers = tmp_path_factory.mktemp("learnt"), learning_run.speak

    def speak(prompt: list[int], sampling: object, request_id: str) -> tuple[list[int], list[float]]:
        if request_id.startswith(("2/", "3/")) and "/1/" in request_id:
            raise EngineError("it went away")
        return answers(prompt, sampling, request_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_run, "CompositeReward", partial(CompositeReward, OWN))
        learning = learning_run.settings("overtaking", steps=STEPS)
        learning_run.train(learning, learning_run.make_policy(place / "start"), place / "run", respond=speak)
    return settle(place / "run")


class AnyEpisodes(LocalEpisodes):
    """Episodes of any domain."""

    async def reset(self, slot: str, task: Task, seed: int) -> Any:
        self.running[slot] = Environment(open_world(task.world), max_turns=self.max_turns)
        return self.running[slot].reset(task, seed)


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rollouts of maths, played and scored as the loop does, recorded as it records them; one ends by a fault."""
    place, domain = tmp_path_factory.mktemp("sums"), domain_of("maths")
    mix = DomainMix(levels=(1,), languages=("en",))
    tasks = [candidate(domain, number, mix=mix, run_seed=1, split="train")[0] for number in range(2 * STEPS)]
    dialogues = {task.id: play(task, open_world(task.world), OracleAgent(task), 0)[0] for task in tasks}

    def speak(prompt: list[int], sampling: object, request_id: str) -> tuple[list[int], list[float]]:
        step, task, rollout, _ = request_id.split("/")
        if (step, rollout) == ("3", "2"):
            raise EngineError("it went away")
        right = next(message for message in dialogues[task] if message.role == "assistant")
        rng = derive_rng(0, "answer", task, rollout)
        said = right if rng.random() < 0.6 else Message("assistant", "I do not know. " * rng.randint(1, 5))
        tokens = learning_run.chat().render_turn(replace(said, content="So. " * rng.randint(0, 6) + said.content))
        return tokens, [-0.5] * len(tokens)

    rollouts = learning_run.open_world(ScriptedEngine(speak), AnyEpisodes())
    asyncio.run(rollouts.engine.start())
    with RolloutRecord(place / "rollouts", 2, 4, 0) as record:
        for step in range(1, STEPS + 1):
            some = tasks[2 * step - 2 : 2 * step]
            record.begin(step, some)
            played = asyncio.run(rollouts.play(some, 4, step, CompositeReward(OWN), prefix=f"{step}/", step=step))
            groups = [Group(2 * step - 2 + n, step, task, 0, tuple(played[4 * n : 4 * n + 4])) for n, task in enumerate(some)]
            record.store(step, step - 1, groups)
    return settle(place)


def rescore(
    source: Path, out: Path, rewards: RewardConfig = OWN, *, resume: bool = False, report: bool = False, **keys: Any
) -> dict[str, Any]:
    """`orrery rescore`, but for the command line; the report takes longer than all else."""
    config = Rescore(run=str(source), rewards=rewards, **({"scoring": HERE} | keys))
    check(config)
    with RunDirectory.open("rescore", plain(config), out=out, resume="auto" if resume else "never") as directory:
        with contextlib.nullcontext() if report else mock.patch.object(command, "write_report"):
            summary = dict(run(config, directory))
        directory.write_summary(summary)
        return summary


def rows_of(place: Path) -> list[dict[str, Any]]:
    return list(read(place / "rollouts"))


def judged(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """By row of the first recording: everything about its reward, to the last bit."""
    return sorted((row["id"].partition("@")[0], row["reward"], row["reward_valid"], row["reward_detail"]) for row in rows)


def rewrite(place: Path, change: Any, schema: pa.Schema = TRAJECTORY_SCHEMA, kind: Any = Trajectory) -> None:
    """Other records in place of those of a split."""
    records = change([from_row(kind, row) for row in read(place)])
    for shard in (*place.glob("data/*"), *place.glob("*.manifest.json")):
        shard.unlink()
    write(map(to_row, records), place, schema=schema)


@pytest.fixture(params=["learnt", "sums"])
def source(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_the_runs_own_settings_give_the_recorded_rewards_to_the_last_bit(source, tmp_path):
    summary = rescore(source, tmp_path / "out", report=True)
    before, after = rows_of(source), rows_of(tmp_path / "out")
    faults = sum(not row["reward_valid"] for row in before)
    assert faults and len({row["reward"] for row in before}) > 3
    assert any("length_reward" in row["reward_detail"] for row in before)
    early = [row for row in before if step_of(row["id"]) in (1, 2)]
    assert early and all("length_reward" not in row["reward_detail"] for row in early)
    for one, other in zip(before, after, strict=True):
        changed = {name for name in one if one[name] != other[name]}
        assert changed == {"id", "parents", "metadata"}, "rewards and all else are as they were"
        assert other["parents"] == [*one["parents"], one["id"]]
        assert other["id"].startswith(f"{one['id']}@")
        assert {**other["metadata"], "rescored": None} == {**one["metadata"], "rescored": None}
    assert len({row["id"] for row in after}) == len(after)
    assert summary["check"] == {"rows": len(before) - faults, "differ": 0, "first": None}
    assert summary["faults"] == {"recorded": faults, "new": 0, "causes": {}}
    assert summary["verdicts"] == {"anew": len(before) - faults, "fault": faults}
    assert summary["ranking"]["changed"]["mean"] == 0 and summary["advantages"]["correlation"] == pytest.approx(1)
    sides = [summary["components"]["reward"][side] for side in ("before", "after")]
    assert sides[0] == sides[1]
    assert (tmp_path / "out/report.md").is_file() and (tmp_path / "out/rescored.png").is_file()


def test_other_settings_change_what_arithmetic_says_and_nothing_else(source, tmp_path):
    other = RewardConfig(
        pass_weight=2.0, length_penalty=0.5, length_budget=30, length_reward=0.4, length_warmup_steps=1, clip=(-3, 2)
    )
    summary = rescore(source, tmp_path / "out", other)
    before = {row["id"]: row for row in rows_of(source)}
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(tmp_path / "out"):
        groups.setdefault(group_of(row["id"]), []).append(row)
    changed = 0
    for group in groups.values():
        recorded = [before[row["parents"][-1]] for row in group]
        passes = [json.loads(row["reward_detail"])["components"].get("pass") for row in recorded]
        lengths = [sum(len(s["token_ids"]) for s in row["segments"] if s["origin"] == "policy") for row in recorded]
        counted = [length for length, passed in zip(lengths, passes, strict=True) if passed is not None]
        for row, old, passed, length in zip(group, recorded, passes, lengths, strict=True):
            if passed is None:
                assert (row["reward"], row["reward_detail"]) == (None, old["reward_detail"])
                continue
            spread = max(counted) - min(counted)
            share = 0.5 - (length - min(counted)) / spread if spread else 0.0
            share = share if passed == 1 else min(0.0, share)
            bonus = 0.4 * share if step_of(row["id"]) != 1 else 0.0
            wanted = 2.0 * passed - 0.5 * max(0, length - 30) / 30 + bonus
            assert row["reward"] == pytest.approx(min(max(wanted, -3.0), 2.0), abs=1e-12)
            changed += row["reward"] != old["reward"]
    assert changed > 3 and summary["check"]["differ"] == 0, "the run's own settings are looked at all the same"


def test_a_changed_record_is_told_and_the_first_difference_named(sums, tmp_path):
    shutil.copytree(sums, tmp_path / "run")

    def better(rows: list[Trajectory]) -> list[Trajectory]:
        assert rows[5].reward is not None
        return [*rows[:5], replace(rows[5], reward=replace(rows[5].reward, value=0.75)), *rows[6:]]

    rewrite(tmp_path / "run/rollouts", better)
    found = rescore(tmp_path / "run", tmp_path / "out", report=True)["check"]
    assert found["differ"] == 1 and found["first"]["row"] == rows_of(sums)[5]["id"]
    assert found["first"]["difference"].startswith("value: 0.75 in the record, ")
    assert "do not come out again" in (tmp_path / "out/report.md").read_text()


def test_a_changed_task_world_or_verifier_is_refused_by_its_name(sums, tmp_path, monkeypatch):
    shutil.copytree(sums, tmp_path / "run")
    task = from_row(Task, next(read(sums / "rollouts/tasks")))
    rewrite(
        tmp_path / "run/rollouts/tasks",
        lambda tasks: [replace(tasks[0], key={**(tasks[0].key or {}), "more": 1}), *tasks[1:]],
        TASK_SCHEMA,
        Task,
    )
    with pytest.raises(UserError, match=f"task {task.id} was changed"):
        rescore(tmp_path / "run", tmp_path / "a")
    rewrite(tmp_path / "run/rollouts/tasks", lambda tasks: tasks[1:], TASK_SCHEMA, Task)
    with pytest.raises(UserError, match=f"there is no task {task.id}, which row 1/{task.id}/0 was played on"):
        rescore(tmp_path / "run", tmp_path / "b")

    shutil.copytree(sums, tmp_path / "other")

    def elsewhere(rows: list[Trajectory]) -> list[Trajectory]:
        moved = replace(rows[2].provenance, world_fingerprint="0123456789abcdef0")
        return [*rows[:2], replace(rows[2], provenance=moved), *rows[3:]]

    rewrite(tmp_path / "other/rollouts", elsewhere)
    world = rows_of(sums)[2]["world"]
    with pytest.raises(UserError, match=rf"world {world} has the fingerprint .*, row 1/\w+/2 was played in 0123456789abcdef"):
        rescore(tmp_path / "other", tmp_path / "c")
    assert rescore(tmp_path / "other", tmp_path / "c", changed="accept")["check"]["differ"] == 0

    monkeypatch.setattr(type(verifier_for("maths")), "version", 99)
    with pytest.raises(UserError, match="the verifier of maths is maths/99 now, row .* was judged by maths/"):
        rescore(sums, tmp_path / "d")
    found = rescore(sums, tmp_path / "d", changed="accept", stored_verdicts=("maths",))
    assert found["check"]["differ"] == found["verdicts"]["anew"] > 0, "judged by another version, whose verdicts do not compare"
    assert found["check"]["first"]["difference"].startswith("grader: maths/")
    assert not (tmp_path / "a/summary.json").exists()


def test_damaged_shards_are_named_before_anything_is_written(sums, tmp_path):
    for name, where in (("rows", "rollouts"), ("tasks", "rollouts/tasks")):
        place = tmp_path / name
        shutil.copytree(sums, place)
        shard = sorted((place / where / "data").iterdir())[1]
        shard.write_bytes(shard.read_bytes()[:-30])
        with pytest.raises(ShardError, match=shard.name):
            rescore(place, tmp_path / "out")
        for manifest in (place / where).glob("*.manifest.json"):
            manifest.unlink()
        with pytest.raises(ShardError, match=rf"{shard.name} is truncated or damaged"):
            rescore(place, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_with_workers_the_bytes_are_the_same(sums, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_SPAN", 4)
    for workers in (1, 2):
        rescore(sums, tmp_path / f"{workers}", rows_per_shard=6, workers=workers)
    assert files(tmp_path / "1/rollouts") == files(tmp_path / "2/rollouts")


def test_after_a_kill_the_bytes_are_the_same(sums, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_SPAN", 4)
    rescore(sums, tmp_path / "whole", rows_per_shard=6)
    whole = files(tmp_path / "whole/rollouts")
    assert len([name for name in whole if name.startswith("data/")]) > 3

    real = rescoring_scoring.rescored
    for moment in (1, 4):
        spans = Counter[str]()

        def killed(job: Any, span: Any, pool: Any, moment: int = moment, spans: Counter[str] = spans) -> Any:
            spans["scored"] += 1
            if spans["scored"] > moment:
                shutil.copytree(tmp_path / "broken", tmp_path / f"kill-{moment}")  # what kill -9 leaves
                raise KeyboardInterrupt
            return real(job, span, pool)

        with monkeypatch.context() as patch:
            patch.setattr(command, "rescored", killed)
            with pytest.raises(KeyboardInterrupt):
                rescore(sums, tmp_path / "broken", rows_per_shard=6)
        rescore(sums, tmp_path / f"kill-{moment}", rows_per_shard=6, resume=True)
        assert files(tmp_path / f"kill-{moment}/rollouts") == whole
        rescore(sums, tmp_path / "broken", rows_per_shard=6, resume=True)
        assert files(tmp_path / "broken/rollouts") == whole
        shutil.rmtree(tmp_path / "broken")


def test_a_rescoring_goes_on_only_with_the_rollouts_that_it_was_begun_with(sums, tmp_path, monkeypatch):
    shutil.copytree(sums, tmp_path / "run")
    monkeypatch.setattr(command, "write_report", mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rescore(tmp_path / "run", tmp_path / "out", report=True)
    rewrite(tmp_path / "run/rollouts", lambda rows: rows[::-1])
    with pytest.raises(UserError, match="has other rollouts than when .* was begun"):
        rescore(tmp_path / "run", tmp_path / "out", resume=True)


amounts = st.sampled_from((0.0, 0.125, 0.3, 1.7))
configs = st.builds(
    RewardConfig,
    pass_weight=st.sampled_from((0.5, 1.0)),
    malformed_penalty=amounts,
    length_penalty=amounts,
    budget_penalty=amounts,
    length_budget=st.integers(1, 60),
    length_reward=amounts,
    length_warmup_steps=st.integers(0, 4),
    vetoes=st.sampled_from(({}, {"criterion/answer": -1.0})),
    clip=st.sampled_from((None, (-0.5, 0.75))),
)


@given(configs, configs)
@settings(max_examples=4)
def test_rescoring_by_one_and_then_by_another_is_rescoring_by_the_other(sums, first, second):
    with tempfile.TemporaryDirectory() as place:
        a, b, both = (Path(place, name) for name in ("a", "b", "both"))
        rescore(sums, a, first)
        rescore(sums, b, second)
        found = rescore(a, both, second)
        assert judged(rows_of(both)) == judged(rows_of(b))
        assert found["check"]["differ"] == 0, "a rescoring is a record of its settings"
        assert [len(row["parents"]) for row in rows_of(both)] == [2] * len(rows_of(both))


def test_groups_whose_rows_something_has_moved_apart_are_whole_again(sums, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_SPAN", 4)
    shutil.copytree(sums, tmp_path / "run")
    rewrite(tmp_path / "run/rollouts", lambda rows: [rows[at] for at in np.random.default_rng(0).permutation(len(rows))])
    found = rescore(tmp_path / "run", tmp_path / "out")
    assert judged(rows_of(tmp_path / "out")) == judged(rows_of(sums)) and found["check"]["differ"] == 0
    assert found["groups"] == 2 * STEPS


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 10), st.integers(0, 40))
def test_spans_are_whole_groups_in_order_wherever_one_begins_again(groups, size, safe):
    split = Split("train", (), (len(groups),), _cuts(np.array(groups, np.uint64)))
    first = split.last_cut(min(safe, len(groups)))
    spans = list(split.spans(first, size))
    assert [row for start, stop in spans for row in range(start, stop)] == list(range(first, len(groups)))
    for start, stop in [(0, first), *spans]:
        assert not set(groups[start:stop]) & set(groups[stop:])
    for start, stop in spans:
        fewer = [cut for cut in split.cuts if start + size <= cut < stop]
        assert not fewer, "no longer than it must be"


def test_ids_tell_group_and_iteration():
    known = ("12/ab/3", "12/ab", 12), ("12/ab/3@f00", "12/ab", 12), ("policy/held_out/ab/0", "policy/held_out/ab", None)
    for row, group, step in (*known, ("0123/4", "0123", None), ("alone", "alone", None)):
        assert (group_of(row), step_of(row)) == (group, step)


def tau_by_definition(before: list[float], after: list[float]) -> float | None:
    pairs = [(a, b) for a in range(len(before)) for b in range(a)]
    signs = [((before[a] > before[b]) - (before[a] < before[b]), (after[a] > after[b]) - (after[a] < after[b])) for a, b in pairs]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return sum(one * other for one, other in signs) / (untied[0] * untied[1]) ** 0.5 if all(untied) else None


def values_of(members: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.sampled_from((0.0, 0.5, 1.0, 1e-300)), min_size=members, max_size=members)


ranked = st.integers(2, 8).flatmap(lambda members: st.tuples(values_of(members), values_of(members)))


@given(ranked)
def test_a_ranking_is_what_its_definition_says(values):
    before, after = values
    found = Ranking.of(before, after)
    assert found is not None
    wanted = tau_by_definition(before, after)
    assert found.tau_b == (None if wanted is None else pytest.approx(wanted))
    assert found.changed == any(
        (before[a] > before[b]) - (before[a] < before[b]) != (after[a] > after[b]) - (after[a] < after[b])
        for a in range(len(before)) for b in range(a)
    )  # fmt: skip
    best = [{at for at, value in enumerate(side) if value == max(side)} for side in values]
    assert found.best_changed == (best[0] != best[1]) and found.best_overturned == (not best[0] & best[1])
    assert kendall_tau_b(before, before) in (None, pytest.approx(1.0))


def pair(group: str, number: int, before: float | None, after: float | None, **about: Any) -> Pair:
    def reward(value: float | None) -> Reward:
        return Reward.invalid("engine: it went away") if value is None else Reward(value, components={"pass": float(value > 0)})

    verdict = "fault" if before is None else "anew"
    return Pair(f"{group}/{number}", f"{group}/{number}@x", "t", "maths", reward(before), reward(after), verdict, **about)


def test_a_comparison_says_what_hand_and_paper_say():
    comparison = Comparison("none", top=1)
    turned = [pair("1/a", n, b, a) for n, (b, a) in enumerate([(1.0, 0.0), (0.0, 1.0), (None, None), (1.0, 0.5)])]
    flat = [pair("1/b", n, 1.0, a) for n, a in enumerate([1.0, 1.0, None])]
    same = [pair("2/c", n, v, v) for n, v in enumerate([0.0, 2.0])]
    comparison.add([*turned, *flat])
    comparison.add(same)
    found = comparison.summary(seed=0)
    assert (found["rows"], found["groups"]) == (9, 3)
    assert found["faults"] == {"recorded": 1, "new": 1, "causes": {"engine: it went away": 1}}
    assert found["check"] == {"rows": 8, "differ": 0, "first": None}
    assert found["components"]["reward"]["before"]["mean"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert found["components"]["reward"]["after"]["mean"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["components"]["reward"]["difference"]["mean"] == pytest.approx((0.5 - 2 / 3) / 3)
    assert found["ranking"]["changed"]["mean"] == pytest.approx(1 / 3) and found["ranking"]["changed"]["groups"] == 3
    assert found["ranking"]["tau_b"]["mean"] == pytest.approx(((-1 - 1) / (2 * 3) ** 0.5 + 1) / 2)
    assert found["ranking"]["best_overturned"]["mean"] == pytest.approx(1 / 3)
    advantages = found["advantages"]
    assert advantages["no_signal_before"]["mean"] == advantages["no_signal_after"]["mean"] == pytest.approx(1 / 3)
    # Before 1/3, -2/3, 1/3, after -1/2, 1/2, 0: two change their sign, one becomes 0.
    assert advantages["sign_flips"]["mean"] == pytest.approx((2 / 3) / 3)
    assert advantages["lost"]["mean"] == pytest.approx((1 / 3) / 3) and advantages["gained"]["mean"] == 0
    one, other = np.array([1 / 3, -2 / 3, 1 / 3, 0, 0, -1, 1]), np.array([-0.5, 0.5, 0, 0, 0, -1, 1])
    assert advantages["correlation"] == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert [named["group"] for named in found["most_changed"]] == ["1/a"]
    assert found["most_changed"][0]["advantage_change"] == pytest.approx((5 / 6 + 7 / 6 + 1 / 3) / 3)


def test_stored_verdicts_are_composed_anew_and_never_judged(learnt, tmp_path, monkeypatch):
    def judge(self: Any, task: Any, outcome: Any) -> Reward:
        raise AssertionError("nobody asks")

    other = RewardConfig(length_penalty=0.7, length_budget=9)
    rescore(learnt, tmp_path / "anew", other)
    monkeypatch.setattr(ToolUseVerifier, "verify", judge)
    found = rescore(learnt, tmp_path / "stored", other, stored_verdicts=("tool_use",))
    assert found["verdicts"].keys() == {"stored", "fault"} and found["check"]["differ"] == 0
    assert judged(rows_of(tmp_path / "stored")) == judged(rows_of(tmp_path / "anew"))


def test_a_fault_of_the_new_scoring_is_a_fault_and_counts_against_the_budget(learnt, tmp_path, monkeypatch):
    real, valid = ToolUseVerifier.verify, [row for row in rows_of(learnt) if row["reward_valid"]]
    unlucky = [row["id"] for row in valid if row["task_id"] == valid[0]["task_id"]]

    def judge(self: Any, task: Task, outcome: Any) -> Reward:
        if task.id == valid[0]["task_id"]:
            raise ZeroDivisionError
        return real(self, task, outcome)

    monkeypatch.setattr(ToolUseVerifier, "verify", judge)
    with pytest.raises(ErrorBudgetSpentError, match="verifier: tool_use: ZeroDivisionError"):
        rescore(learnt, tmp_path / "a", error_budget=0.0)
    found = rescore(learnt, tmp_path / "b")
    cause = "verifier: tool_use: ZeroDivisionError"
    assert found["faults"] == {"recorded": found["verdicts"]["fault"], "new": len(unlucky), "causes": {cause: len(unlucky)}}
    new = {row["parents"][-1]: row for row in rows_of(tmp_path / "b")}
    assert all(new[row]["reward"] is None and cause in new[row]["reward_detail"] for row in unlucky), "nothing invents a 0"
    assert found["check"]["differ"] == len(unlucky)


@pytest.fixture
def no_tokens(sums, tmp_path) -> Iterator[Path]:
    shutil.copytree(sums, tmp_path / "bare")
    rewrite(tmp_path / "bare/rollouts", lambda rows: [replace(row, segments=()) for row in rows])
    yield tmp_path / "bare"


def test_bad_input_names_its_key_and_nothing_is_written(orrery, sums, no_tokens, tmp_path):
    for name in ("empty", "early", "sft"):
        (tmp_path / name).mkdir()
    settle(tmp_path / "early")
    (tmp_path / "sft/config.yaml").write_text("command: sft\n")
    for arguments, wanted in (
        ((f"run={tmp_path}/nowhere",), "run: .*/nowhere holds no run"),
        ((f"run={tmp_path}/empty",), "run: .*/empty holds no run"),
        ((f"run={tmp_path}/sft",), "run: .*/sft/rollouts holds no rollouts"),
        ((f"run={tmp_path}/early",), "run: .*/early/rollouts holds no rollouts"),
        ((f"run={sums}", "rollouts=examined"), "run: .*/examined holds no rollouts"),
        ((f"run={sums}", "splits=[greedy]"), "splits: .* has no split greedy; it has train"),
        ((f"run={sums}", "rewards.length_reward=-1"), "rewards.length_reward is a finite number of at least 0"),
        ((f"run={sums}", "stored_verdicts=[tax]"), "stored_verdicts: no domain 'tax'"),
        ((f"run={sums}", "rewards.lenght_reward=1"), "rewards.lenght_reward: unknown key"),
        ((f"run={no_tokens}", "rewards=gym"), "rewards.budget_penalty: counts tokens, and .* holds none"),
    ):
        result = orrery("rescore", *arguments, f"out={tmp_path}/out")
        assert result.status == 2 and re.search(wanted, result.error), result.error
        assert not (tmp_path / "out").exists()


def test_the_command_writes_a_report_and_leaves_the_run_as_it_was(orrery, sums, tmp_path):
    before = files(sums)
    result = orrery("rescore", f"run={sums}", "rewards=shaped", f"out={tmp_path}/out", "scoring.in_process=[maths]")
    assert result.status == 0, result.error
    assert files(sums) == before
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["settings"] and summary["source"] == read_rollouts(str(sums), "rollouts", ()).digests
    assert "come out again, to the last bit" in result.out
    report = (tmp_path / "out/report.md").read_text()
    assert summary["most_changed"][0]["group"] in report and "`length`" in report
    shard = next((tmp_path / "out/rollouts/data").iterdir())
    assert pq.read_schema(shard).equals(TRAJECTORY_SCHEMA)
    assert [row["id"] for row in read(tmp_path / "out/rollouts/tasks")] == [row["id"] for row in read(sums / "rollouts/tasks")]
