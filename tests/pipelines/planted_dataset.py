"""A data set of every kind of row that the project writes, and ways to spoil one row of it, each with the check that must say
so. Spoilt sets get manifests of their own, as from somebody who covers up what was done."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from rewards.attribution import attribute
from rewards.composition import CompositeReward, RewardConfig
from rewards.verdicts import rubric_verdicts
from rewards.verifiers import verifier_for
from rl.policy import dialects
from rl.policy.dialects import Dialect
from rl.policy.tokenizer import train_tokenizer
from simulators.stochastic import ToolTroubles
from simulators.stochastic.rates import ReadRates
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.compose import FAMILIES
from simulators.tasks.equipping import AgentMix
from simulators.tasks.stream import TaskStream
from simulators.worlds.loading import LIBRARY
from trajectories.codec import TASK_SCHEMA, from_row, to_row
from trajectories.shards import manifest, write
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Segment, Trajectory

Row = dict[str, Any]
SPLITS = ("train", "held_out")
REWARDS = RewardConfig(pass_weight=2.0, malformed_penalty=0.5)


@dataclass
class Content:
    """The rows of a data set by split, before they are written."""

    rows: dict[str, list[Row]]
    tasks: dict[str, list[Row]]

    def copy(self) -> "Content":
        return copy.deepcopy(self)

    def task_of(self, split: str, row: Row) -> Row:
        return next(task for task in self.tasks[split] if task["id"] == row["task_id"])


def make(counts: dict[str, int], worlds: Path) -> tuple[Content, Any]:
    """Rows of oracles, of teachers that err and of tools that misbehave; with demonstrations' tokens, sampled ones and none.

    Args:
        worlds: a directory for a world that is named by its path.

    Returns:
        The content, and the tokenizer of its tokens.
    """
    grown = worlds / "grown.json"
    grown.write_text(json.dumps(yaml.safe_load((LIBRARY / "library_loans.yaml").read_text())))
    stream = TaskStream(
        worlds=("order_desk", "travel", "it_tickets", str(grown)),
        difficulty=2,
        families=tuple(FAMILIES),
        agents=AgentMix(share=0.25),
        follow_ups=0.3,
    )
    made = {split: [_judged(stream, number, split) for number in range(count)] for split, count in counts.items()}
    dialogues = [trajectory for split in SPLITS for _, trajectory in made.get(split, [])[:40]]
    dialect_class = dialects.DIALECTS["kimi_k2"]
    corpus = (text for each in dialogues for text in dialect_class.texts(each.messages, each.tools))
    tokenizer = train_tokenizer(corpus, 600)
    dialect = dialects.get("kimi_k2", tokenizer)
    rows = {
        split: [to_row(with_tokens(trajectory, dialect, number % 3)) for number, (_, trajectory) in enumerate(pairs)]
        for split, pairs in made.items()
    }
    return Content(rows, {split: [to_row(task) for task, _ in pairs] for split, pairs in made.items()}), tokenizer


def _judged(stream: TaskStream, number: int, split: Any) -> tuple[Task, Trajectory]:
    policy = ScriptedPolicy("teacher", 0.6) if number % 4 == 0 else ScriptedPolicy()
    troubles = ToolTroubles(read=ReadRates(timeout=0.3)) if number % 7 == 0 else None
    verify = verifier_for("tool_use").verify
    task, trajectory = synthesize(number, stream, policy, run_seed=1, split=split, verify=verify, troubles=troubles)
    assert trajectory.outcome is not None
    reward = CompositeReward(REWARDS).score(task, trajectory.outcome, trajectory)
    blame = attribute(task, trajectory.outcome, reward)
    return task, replace(
        trajectory,
        reward=reward,
        verdicts=rubric_verdicts(reward),
        provenance=replace(trajectory.provenance, licence="CC-BY-4.0"),
        metadata={**trajectory.metadata, "attribution": blame},
    )


def with_tokens(trajectory: Trajectory, dialect: Dialect, kind: int) -> Trajectory:
    """0: none; 1: as a demonstration; 2: as if a policy had sampled it."""
    if kind == 0:
        return trajectory
    if kind == 1:
        ids, mask = dialect.render(trajectory.messages, trajectory.tools)
        runs = [list(run) for _, run in groupby(range(len(ids)), key=mask.__getitem__)]
        origins = ["demonstration" if mask[run[0]] else "context" for run in runs]
        return replace(
            trajectory,
            segments=tuple(
                Segment(origin, tuple(ids[place] for place in run))  # type: ignore[arg-type]
                for origin, run in zip(origins, runs, strict=True)
            ),
        )
    segments, between = [], []
    for message in trajectory.messages:
        if message.role != "assistant":
            between.append(message)
            continue
        context = dialect.append(between) if segments else dialect.prefix(between, trajectory.tools)
        ids = tuple(dialect.render_turn(message))
        segments += [Segment("context", tuple(context)), Segment("policy", ids, (-0.25,) * len(ids), Sampling(seed=1), 7)]
        between = []
    return replace(trajectory, segments=tuple(segments))


def save(content: Content, directory: Path, tokenizer: Any = None, rows_per_shard: int = 40) -> Path:
    """The data set as a publisher leaves it: shards, tasks, tokenizer, settings, summary and card."""
    configs = []
    for place, rows, schema in ((directory, content.rows, None), (directory / "tasks", content.tasks, TASK_SCHEMA)):
        for split, members in rows.items():
            options = {} if schema is None else {"schema": schema}
            write(members, place, rows_per_shard=rows_per_shard, split=split, **options)
        files = [
            {"split": split, "path": f"{'tasks/' if schema is not None else ''}data/{split}-*.parquet"} for split in rows
        ]
        configs.append({"config_name": "default" if schema is None else "tasks", "data_files": files})
    if tokenizer is not None:
        tokenizer.save_pretrained(directory / "tokenizer")
    settings = {"command": "synthesize", "rewards": {"pass_weight": 2.0, "malformed_penalty": 0.5}}
    (directory / "config.yaml").write_text(yaml.safe_dump(settings))
    digests = {split: manifest(directory, split).fingerprint() for split in content.rows}
    (directory / "summary.json").write_text(json.dumps({"dataset_digest": digests}))
    head = yaml.safe_dump({"license": "cc-by-4.0", "configs": configs}, sort_keys=False)
    (directory / "README.md").write_text(f"---\n{head}---\n\n# Dialogues\n")
    return directory


# --- Ways to spoil a row. Each changes it in place, and returns whether it could. ---

Spoil = Callable[[Row, random.Random], bool]


def _call_places(row: Row) -> list[tuple[int, int]]:
    return [
        (number, index)
        for number, message in enumerate(row["messages"])
        for index, _ in enumerate(message.get("tool_calls", ()))
    ]


def _results(row: Row) -> list[int]:
    return [number for number, message in enumerate(row["messages"]) if message["role"] == "tool"]


def _outcome(row: Row) -> Row:
    return json.loads(row["outcome"])


def _passed(row: Row) -> bool:
    return row["reward"] == REWARDS.pass_weight


def edited_words(row: Row, rng: random.Random) -> bool:
    number = rng.choice([n for n, message in enumerate(row["messages"]) if n and message["content"]])
    row["messages"][number]["content"] += " please"
    return True


def edited_result_everywhere(row: Row, rng: random.Random) -> bool:
    """In dialogue and outcome alike: only the world knows."""
    outcome = _outcome(row)
    if not (places := _results(row)) or any(call["trouble"] for call in outcome["calls"]):
        return False
    number = rng.choice(places)
    index = places.index(number)
    content = row["messages"][number]["content"] + " "
    row["messages"][number]["content"] = outcome["messages"][number - 1]["content"] = content
    outcome["calls"][index]["content"] = content
    row["outcome"] = json.dumps(outcome)
    return True


def lost_result(row: Row, rng: random.Random) -> bool:
    if not (places := _results(row)):
        return False
    del row["messages"][rng.choice(places)]
    return True


def swapped_messages(row: Row, rng: random.Random) -> bool:
    number = rng.randrange(1, len(row["messages"]) - 1)
    row["messages"][number : number + 2] = row["messages"][number : number + 2][::-1]
    return True


def repeated_call_id(row: Row, rng: random.Random) -> bool:
    places = _call_places(row)
    if len(places) < 2:
        return False
    (first, i), (second, j) = places[0], places[-1]
    row["messages"][second]["tool_calls"][j]["id"] = row["messages"][first]["tool_calls"][i]["id"]
    return True


def unknown_role(row: Row, rng: random.Random) -> bool:
    row["messages"][rng.randrange(len(row["messages"]))]["role"] = "developer"
    return True


def no_system_prompt(row: Row, rng: random.Random) -> bool:
    del row["messages"][0]
    return True


def broken_arguments(row: Row, rng: random.Random) -> bool:
    outcome = _outcome(row)
    fine = [place for place, call in zip(_call_places(row), outcome["calls"], strict=False) if not call["is_error"]]
    if not fine:
        return False
    number, index = rng.choice(fine)
    row["messages"][number]["tool_calls"][index]["function"]["arguments"] += "}"
    return True


def undeclared_tool(row: Row, rng: random.Random) -> bool:
    called = {call["name"] for call in _outcome(row)["calls"] if not call["is_error"]}
    if not called:
        return False
    name = rng.choice(sorted(called))
    keep = [index for index, tool in enumerate(row["tools"]) if tool["function"]["name"] != name]
    for key in ("tools", "tool_fingerprints", *(("tool_extras",) if row["tool_extras"] else ())):
        row[key] = [row[key][index] for index in keep]
    return True


def edited_tool(row: Row, rng: random.Random) -> bool:
    rng.choice(row["tools"])["function"]["description"] += " Fast."
    return True


def edited_prompt(row: Row, rng: random.Random) -> bool:
    row["messages"][0]["content"] += " Be kind."
    return True


def changed_reward(row: Row, rng: random.Random) -> bool:
    row["reward"] += rng.choice([-0.001, 0.5, 1.0])
    return True


def forged_pass(row: Row, rng: random.Random) -> bool:
    """A failure in the clothes of a pass, verdicts and all."""
    if _passed(row):
        return False
    detail = json.loads(row["reward_detail"])
    row["reward"] = REWARDS.pass_weight
    row["reward_detail"] = json.dumps({"cause": None, "components": {name: 1.0 for name in detail["components"]}})
    for verdict in row["verdicts"]:
        verdict["verdict"] = "pass"
    row["metadata"]["attribution"] = None
    return True


def flipped_verdict(row: Row, rng: random.Random) -> bool:
    verdict = rng.choice(row["verdicts"])
    verdict["verdict"] = "fail" if verdict["verdict"] == "pass" else "pass"
    return True


def lost_checkpoint(row: Row, rng: random.Random) -> bool:
    outcome = _outcome(row)
    if not outcome["checkpoints"]:
        return False
    outcome["checkpoints"].pop(rng.randrange(len(outcome["checkpoints"])))
    row["outcome"] = json.dumps(outcome)
    return True


def edited_changes(row: Row, rng: random.Random) -> bool:
    outcome = _outcome(row)
    if not outcome["changes"]:
        return False
    rng.choice(outcome["changes"])["key"] += "0"
    row["outcome"] = json.dumps(outcome)
    return True


def edited_call(row: Row, rng: random.Random) -> bool:
    outcome = _outcome(row)
    if not outcome["calls"]:
        return False
    rng.choice(outcome["calls"])["arguments"] = {"order_id": "1"}
    row["outcome"] = json.dumps(outcome)
    return True


def other_blame(row: Row, rng: random.Random) -> bool:
    row["metadata"]["attribution"] = "user" if row["metadata"]["attribution"] != "user" else "tool"
    return True


def forged_label(row: Row, rng: random.Random) -> bool:
    if not row["reward_valid"]:
        return False
    row["metadata"]["label"] = "pass" if row["reward"] <= 0 else "near_miss"
    return True


def missing_task(row: Row, rng: random.Random) -> bool:
    row["task_id"] = "0" * 16
    return True


def other_schema(row: Row, rng: random.Random) -> bool:
    row["schema_version"] = 1
    return True


def negative_rollout(row: Row, rng: random.Random) -> bool:
    row["rollout"] = -1
    return True


def no_verdict(row: Row, rng: random.Random) -> bool:
    row["reward_valid"] = False
    return True


def no_licence(row: Row, rng: random.Random) -> bool:
    row["licence"] = ""
    return True


def wrong_licence(row: Row, rng: random.Random) -> bool:
    row["licence"] = "CC-BY-NC-4.0"
    return True


def no_certificate(row: Row, rng: random.Random) -> bool:
    row["certificate"] = None
    return True


def uncertified(row: Row, rng: random.Random) -> bool:
    row["certificate"]["certified"] = False
    return True


def passing_cheat(row: Row, rng: random.Random) -> bool:
    row["certificate"]["cheats"]["echo"] = 1.0
    return True


def nameless_judge(row: Row, rng: random.Random) -> bool:
    row["verdicts"].append({"judge": "model-x", "criterion": "polite", "verdict": "pass", "reasons": "", "evidence": ""})
    return True


def nameless_model(row: Row, rng: random.Random) -> bool:
    row["models"]["user"] = ""
    return True


def own_parent(row: Row, rng: random.Random) -> bool:
    row["parents"] = [row["id"]]
    return True


def prettier_certificate(row: Row, rng: random.Random) -> bool:
    """Still certified: only the task's own knows that it is another one."""
    row["certificate"]["cheats"]["telepathy"] = 0.0
    return True


def other_world_fingerprint(row: Row, rng: random.Random) -> bool:
    row["world_fingerprint"] = row["world_fingerprint"][::-1]
    return True


def other_tool_fingerprint(row: Row, rng: random.Random) -> bool:
    row["tool_fingerprints"][rng.randrange(len(row["tool_fingerprints"]))] = "f" * 64
    return True


def other_world(row: Row, rng: random.Random) -> bool:
    row["world"] = "bank_branch"
    return True


def other_split(row: Row, rng: random.Random) -> bool:
    row["metadata"]["split"] = "held_out" if row["metadata"]["split"] == "train" else "train"
    return True


# Tokens. Log-probabilities go with their tokens.


def _segment(row: Row, rng: random.Random, least: int = 1) -> Row | None:
    long_enough = [segment for segment in row["segments"] if len(segment["token_ids"]) >= least]
    return rng.choice(long_enough) if long_enough else None


def changed_token(row: Row, rng: random.Random) -> bool:
    if (segment := _segment(row, rng)) is None:
        return False
    place = rng.randrange(len(segment["token_ids"]))
    segment["token_ids"][place] = rng.choice([t for t in range(3, 500) if t != segment["token_ids"][place]])
    return True


def dropped_token(row: Row, rng: random.Random) -> bool:
    if (segment := _segment(row, rng, 2)) is None:
        return False
    place = rng.randrange(len(segment["token_ids"]))
    for key in ("token_ids", "log_probs"):
        if segment[key] is not None:
            del segment[key][place]
    return True


def swapped_tokens(row: Row, rng: random.Random) -> bool:
    if (segment := _segment(row, rng, 2)) is None:
        return False
    ids = segment["token_ids"]
    unequal = [place for place in range(len(ids) - 1) if ids[place] != ids[place + 1]]
    if not unequal:
        return False
    place = rng.choice(unequal)
    ids[place], ids[place + 1] = ids[place + 1], ids[place]
    return True


def moved_boundary(row: Row, rng: random.Random) -> bool:
    places = [n for n in range(len(row["segments"]) - 1) if len(row["segments"][n]["token_ids"]) > 1]
    if not places:
        return False
    one, other = row["segments"][(n := rng.choice(places))], row["segments"][n + 1]
    other["token_ids"].insert(0, one["token_ids"].pop())
    if one["log_probs"] is not None:
        one["log_probs"].pop()
    if other["log_probs"] is not None:
        other["log_probs"].insert(0, -0.5)
    return True


def unknown_token(row: Row, rng: random.Random) -> bool:
    if (segment := _segment(row, rng)) is None:
        return False
    segment["token_ids"][-1] = 2**31 - 1
    return True


def lost_segment(row: Row, rng: random.Random) -> bool:
    if not row["segments"]:
        return False
    del row["segments"][rng.randrange(len(row["segments"]))]
    return True


def other_origin(row: Row, rng: random.Random) -> bool:
    shown = [segment for segment in row["segments"] if segment["origin"] == "demonstration"]
    if not shown:
        return False
    rng.choice(shown)["origin"] = "context"
    return True


def _sampled(row: Row, rng: random.Random) -> Row | None:
    sampled = [segment for segment in row["segments"] if segment["origin"] == "policy"]
    return rng.choice(sampled) if sampled else None


def certain_log_prob(row: Row, rng: random.Random) -> bool:
    if (segment := _sampled(row, rng)) is None:
        return False
    segment["log_probs"][0] = 0.001
    return True


def infinite_log_prob(row: Row, rng: random.Random) -> bool:
    if (segment := _sampled(row, rng)) is None:
        return False
    segment["log_probs"][-1] = float("-inf")
    return True


def no_sampling(row: Row, rng: random.Random) -> bool:
    if (segment := _sampled(row, rng)) is None:
        return False
    segment["sampling"] = None
    return True


def no_version(row: Row, rng: random.Random) -> bool:
    if (segment := _sampled(row, rng)) is None:
        return False
    segment["policy_version"] = None
    return True


ROW_KINDS: dict[Spoil, str] = {
    edited_words: "outcome", edited_result_everywhere: "outcome", lost_result: "messages", swapped_messages: "messages",
    repeated_call_id: "messages", unknown_role: "messages", no_system_prompt: "messages", broken_arguments: "messages",
    undeclared_tool: "messages", edited_tool: "certificates", edited_prompt: "certificates", changed_reward: "outcome",
    forged_pass: "outcome", flipped_verdict: "outcome", lost_checkpoint: "outcome", edited_changes: "outcome",
    edited_call: "outcome", other_blame: "outcome", forged_label: "outcome", missing_task: "schema", other_schema: "schema",
    negative_rollout: "schema", no_verdict: "schema", no_licence: "provenance", wrong_licence: "provenance",
    no_certificate: "provenance", uncertified: "provenance", passing_cheat: "provenance", nameless_judge: "provenance",
    nameless_model: "provenance", own_parent: "provenance", prettier_certificate: "certificates",
    other_world_fingerprint: "certificates", other_tool_fingerprint: "certificates", other_world: "certificates",
    other_split: "splits", changed_token: "tokens", dropped_token: "tokens", swapped_tokens: "tokens",
    moved_boundary: "tokens", unknown_token: "tokens", lost_segment: "tokens", other_origin: "tokens",
    certain_log_prob: "tokens", infinite_log_prob: "tokens", no_sampling: "tokens", no_version: "tokens",
}  # fmt: skip
"""Every way to spoil a row, and the check that must find it."""


def spoil_rows(content: Content, each: int, seed: int) -> Iterator[tuple[str, str, str, int, str]]:
    """Spoil `each` rows in every way, no row twice; (kind, check, split, number, id) of every one.

    Raises:
        ValueError: too few rows are left that can be spoilt in some way.
    """
    rng = random.Random(seed)
    free = [(split, number) for split, rows in content.rows.items() for number in range(len(rows))]
    rng.shuffle(free)
    for spoil, check in ROW_KINDS.items():
        done = 0
        for split, number in list(free):
            if done == each:
                break
            spoilt = copy.deepcopy(content.rows[split][number])
            if spoil(spoilt, rng):
                row_id = content.rows[split][number]["id"]
                content.rows[split][number] = spoilt
                free.remove((split, number))
                done += 1
                yield spoil.__name__, check, split, number, row_id
        if done < each:
            raise ValueError(f"{spoil.__name__}: only {done} rows could be spoilt")


# --- Ways to spoil a task, with the row that belongs to it. ---


def renamed_task(content: Content, split: str, number: int, change: Callable[[Task], Task]) -> None:
    """Change a task, and give it and its row the id of the new content."""
    before = content.tasks[split][number]
    after = change(from_row(Task, before)).with_id()
    content.tasks[split][number] = to_row(after)
    for row in content.rows[split]:
        if row["task_id"] == before["id"]:
            row["task_id"] = after.id
