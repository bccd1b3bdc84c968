"""What a data set says of itself is so: labels, names of models, paths; and what a setting asks for is done or refused."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipelines.synthesize as page
from pipelines.errors import UserError
from pipelines.models import RoleModel
from pipelines.progress import Progress
from pipelines.synthesis.crew import ChatPlayer, EnginePlayer, Judging, Player, check_crew, check_records, open_crew
from pipelines.synthesis.journal import SafePoint, safe_point
from pipelines.synthesis.report import describe
from pipelines.synthesis.rows import Chunk, Crew, _label, make_chunk
from pipelines.synthesize import Synthesize, check
from pipelines.voices import UserVoice
from rewards.judge import JudgeConfig
from rewards.judge.exhibit import read_shown
from rewards.verifiers.faithfulness import JudgedFaithfulness, JudgedFaithfulnessConfig
from services.chat import ChatReply, ChatRequest, OptionalEndpointConfig, ScriptedChatModel
from simulators.stochastic import ToolTroubles
from simulators.stochastic.rates import ReadRates
from simulators.tasks.stream import TaskStream
from simulators.users.spoken import SpokenVoice
from trajectories.columns import from_batch
from trajectories.deduplication import DedupConfig
from trajectories.messages import Message, ToolCall
from trajectories.rewards import Reward
from trajectories.shards import DiskFullError, read
from trajectories.trajectory import Verdict

ENDPOINT = RoleModel(endpoint=OptionalEndpointConfig(base_url="http://127.0.0.1:9/v1", model="m"))


def verdicts(**numbers: int) -> list[Verdict]:
    return [Verdict("j", f"{verdict}{i}", verdict, reasons="r", evidence="e") for verdict, n in numbers.items() for i in range(n)]


def test_what_does_not_apply_speaks_for_nobody() -> None:
    passed = Reward(1.0, components={"pass": 1.0})
    assert _label(passed, verdicts(**{"pass": 3}, fail=2), True) == ("near_miss", "judge")
    assert _label(passed, verdicts(**{"pass": 2}, fail=3, not_applicable=3), True) == ("failure", "judge")


def write(config: Synthesize, directory: Path, made: list[Chunk], error: Exception | None) -> None:
    """What a run does that gets these chunks, and then stops by this error."""

    async def chunks(*_: Any) -> AsyncIterator[Chunk]:
        for chunk in made:
            yield chunk
        if error is not None:
            raise error

    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(page, "chunks", chunks)
        if error is not None:
            stack.enter_context(pytest.raises(type(error)))
        with Progress().phase("x") as phase:
            asyncio.run(page._write(config, directory, phase, SafePoint(0, 0), False))


def test_however_few_rows_are_kept_a_kill_costs_no_more_than_a_shard_of_tasks(tmp_path: Path) -> None:
    config = Synthesize(count=128, rows_per_shard=16, dedup=DedupConfig(structure_limit=1))
    made = [make_chunk(config, Crew(), range(start, start + 32)) for start in range(0, 128, 32)]
    write(config, tmp_path, made, DiskFullError("full"))  # which, like a kill, lets nobody write the open shards
    point = safe_point(tmp_path, "train", 1)
    assert point.numbers > 128 - 16 and 0 < point.rows < 16


def test_the_journal_says_which_dialogue_a_duplicate_is_like(tmp_path: Path) -> None:
    config = Synthesize(count=8, samples=3)  # the oracle plays one task three times
    write(config, tmp_path, [make_chunk(config, Crew(), range(8))], None)
    entries = list(read(tmp_path / "journal"))
    duplicates = [entry for entry in entries if entry["reason"] == "exact_duplicate"]
    kept = {(entry["number"], entry["rollout"]) for entry in entries if entry["reason"] is None}
    assert duplicates
    for entry in duplicates:
        _, _, number, _, rollout = entry["detail"].replace(",", "").split()
        assert (int(number), int(rollout)) in kept and int(number) <= entry["number"]


def calling(request: ChatRequest) -> ChatReply:
    """Looks something up with the first tool, and then says how many messages it has seen."""
    if request.messages[-1].role == "tool":
        return ChatReply(Message("assistant", f"I have read {len(request.messages)} messages."))
    return ChatReply(Message("assistant", "", (ToolCall("x", request.tools[0].name, '{"order_id": "1"}'),)), "tool_calls")


def test_dialogues_side_by_side_are_those_of_one_after_the_other() -> None:
    config = Synthesize(count=48, keep="all", policy=Player(kind="chat"))
    crew = Crew(policy=ScriptedChatModel(calling))
    one, many = (make_chunk(replace(config, in_flight=width), crew, range(48)) for width in (1, 24))
    assert one.rows.equals(many.rows) and one.entries == many.entries and one.features == many.features


def test_the_model_that_spoke_for_the_user_is_named_where_it_spoke() -> None:
    speaking = SpokenVoice(ScriptedChatModel(lambda request: Message("assistant", plainly(request))))
    config = Synthesize(count=12, keep="all", tasks=TaskStream(families=("ask", "act"), worlds=("order_desk",)))
    chunk = make_chunk(config, Crew(voice=speaking), range(12))
    rows = list(from_batch(chunk.rows))
    spoke = [[message["role"] for message in row["messages"]].count("user") > 1 for row in rows]
    assert any(spoke) and not all(spoke)
    assert [row["models"] for row in rows] == [{"user": "scripted"} if spoken else {} for spoken in spoke]


def sentences_judged(request: ChatRequest) -> str:
    """Nothing is supported where the user wants to cancel; elsewhere every sentence is, by the first word of the first source."""
    passages = read_shown(request.messages[1].content)
    word = passages[0].text.split()[0]
    good = {"reason": "Said so.", "source": 0, "evidence": word, "verdict": "supported"}
    bad = {"reason": "Nobody said so.", "source": None, "evidence": "", "verdict": "unsupported"}
    said = bad if "cancel" in passages[0].text.lower() else good
    entries = [{"number": number} | said for number, passage in enumerate(passages) if passage.kind == "assistant"]
    return json.dumps({"fence": request.messages[1].content[2:18], "sentences": entries})


def test_a_model_that_checks_sentences_gives_a_verdict_of_its_own_and_a_broken_one_gives_none() -> None:
    config = Synthesize(count=12, keep="all", tasks=TaskStream(families=("act",), worlds=("order_desk",)))
    judge = JudgedFaithfulness(ScriptedChatModel(lambda request: ChatReply(Message("assistant", sentences_judged(request)))))
    chunk = make_chunk(config, Crew(faithfulness=judge), range(12))
    labels = set()
    for row in from_batch(chunk.rows):
        (verdict,) = [verdict for verdict in row["verdicts"] if verdict["judge"] == "scripted"]
        assert verdict["criterion"] == "faithfulness" and verdict["reasons"] and row["models"] == {"judge": "scripted"}
        labels.add((verdict["verdict"], row["metadata"]["label"]))
    assert labels == {("pass", "pass"), ("fail", "near_miss")}
    silent = JudgedFaithfulness(ScriptedChatModel(lambda _: "Fine."), JudgedFaithfulnessConfig(attempts=1))
    broken = make_chunk(config, Crew(faithfulness=silent), range(2))
    assert {entry.reason for entry in broken.entries} == {"fault:judge"} and broken.rows.num_rows == 0
    assert all("cannot be used" in (entry.detail or "") for entry in broken.entries)


def test_the_model_that_checks_sentences_is_switched_on_by_its_key(tmp_path: Path) -> None:
    rubric = JudgeConfig()
    config = Synthesize(judge=Judging(model=ENDPOINT, rubric=rubric, faithful=True))
    check_crew(config)
    crew = open_crew(config, tmp_path)
    assert crew.judge is None and crew.faithfulness is not None and crew.waits
    assert open_crew(replace(config, judge=replace(config.judge, faithful=False)), tmp_path).faithfulness is None
    with pytest.raises(UserError, match=r"^judge\.faithful: there is no model to ask"):
        check_crew(Synthesize(judge=Judging(faithful=True)))
    with pytest.raises(ValueError, match="^faithful: takes a model, which judge.scripted stands in the place of"):
        Judging(faithful=True, scripted=True)


def plainly(request: ChatRequest) -> str:
    return str(json.loads(request.messages[-1].content)["plainly"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Synthesize(policy=Player(chat=ChatPlayer(model=ENDPOINT))), "policy.chat.model: is not asked with policy.kind=oracle"),
        (Synthesize(policy=Player(engine=EnginePlayer(path="x"))), "policy.engine.path: does not play with policy.kind=oracle"),
        (
            Synthesize(policy=Player(kind="engine", engine=EnginePlayer(path="x")), voice=UserVoice(endpoint=ENDPOINT.endpoint)),
            "voice: users whom an engine's policy talks to",
        ),
        (Synthesize(policy=Player(kind="engine", engine=EnginePlayer(path="x", file="y"))), "policy.engine.file: y: there is no"),
        (Synthesize(judge=Judging(scripted=True, rubric=JudgeConfig())), "judge.rubric.criteria: the rubric is empty"),
    ],
)  # fmt: skip
def test_who_would_not_be_asked_is_refused(config: Synthesize, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_crew(config)
    assert words in str(caught.value)


def test_a_record_that_cannot_be_gone_on_with_is_named(tmp_path: Path) -> None:
    config = Synthesize(voice=UserVoice(endpoint=ENDPOINT.endpoint))
    check_records(config, tmp_path)
    check_records(config, tmp_path)
    (tmp_path / "models/voice.sqlite").write_text("not a database, and long enough to be seen as none " * 9)
    with pytest.raises(UserError, match=r"models/voice\.sqlite: not a recording"):
        check_records(config, tmp_path)


def test_a_world_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"tasks\.worlds: one is named twice"):
        check(Synthesize(tasks=TaskStream(worlds=("order_desk", "travel", "order_desk"))))


def test_tools_misbehave_for_an_engine_too() -> None:
    troubles = ToolTroubles(read=ReadRates(timeout=0.5))
    assert EnginePlayer(path="x").settings(troubles).rollouts.pool.troubles == troubles


def test_a_card_says_no_folder_of_this_machine() -> None:
    config = Synthesize(tasks=TaskStream(worlds=("/home/me/worlds/a.yaml",)), benchmarks=("/home/me/b.json",))
    summary = {"dialogues": 1, "dropped": {}, "faults": {}, "dedup": {"bytes_per_row": 1}, "usage": {}}
    command = ["orrery", "synthesize", "tasks.worlds=[/home/me/worlds/a.yaml,order_desk]", "out=/home/me/x", "licence=a/b"]
    about = describe(config, summary, command)
    assert "/home" not in str(about)
    assert about.command == "orrery synthesize 'tasks.worlds=[a.yaml,order_desk]' licence=a/b"
    assert about.settings["tasks"]["worlds"] == ["a.yaml"] and about.settings["benchmarks"] == ["b.json"]
