"""Real synthesised dialogues with duplicates of known kinds planted among them."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rewards.verifiers import verifier_for
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.equipping import AgentMix
from simulators.tasks.stream import TaskStream
from simulators.users.personas import STYLES, PersonaMix
from simulators.worlds import names
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["KINDS", "Row", "content_by_walking", "different_dialogues", "meant", "planted", "structure_by_walking"]

FAMILIES = (
    ("act", "refuse"),
    ("search", "ask", "lookup"),
    ("act", "related", "confirm"),
    ("act", "branch", "reach", "change", "refuse", "search"),
)
OPENINGS = ("Hello there! ", "Good morning. ", "Hi, I hope you can help. ", "Excuse me, ", "你好，")
CLOSINGS = (" Thank you very much.", " Many thanks in advance.", " Cheers.", " I appreciate it.", " 多谢。")
WORDS = ["maybe", "kindly", "right", "away", "today", "actually", "sure", "okay", "well", "just", "really", "quick", "matter"]
CJK = "的一是了我不人在他有这上们来到时大地为子中你说生国年着就那和要她出也得里后自以会"
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+")


@dataclass(frozen=True)
class Row:
    trajectory: Trajectory
    task: Task
    kind: str
    origin: int
    """Number of the dialogue that it was made from, or is."""


def different_dialogues(count: int) -> list[tuple[Task, Trajectory]]:
    """Of every shipped world, difficulties 1 to 3, four mixes of families, every style, two languages, agents, and a teacher
    that errs; no dialogue twice."""
    verify = verifier_for("tool_use").verify
    personas = PersonaMix(styles=dict.fromkeys(STYLES, 1.0), languages={"en": 0.85, "zh": 0.15})
    streams = [
        TaskStream(worlds=tuple(names()), difficulty=difficulty, families=families, personas=personas, agents=AgentMix(share=0.5))
        for difficulty in (1, 2, 3)
        for families in FAMILIES
    ]
    made: dict[str, tuple[Task, Trajectory]] = {}
    number = 0
    while len(made) < count:
        policy = ScriptedPolicy("teacher", 0.9) if number % 5 == 0 else ScriptedPolicy()
        stream = streams[number % len(streams)]
        task, trajectory = synthesize(number // len(streams), stream, policy, run_seed=0, split="train", verify=verify)
        made.setdefault(canonical_json([message.to_openai() for message in trajectory.messages]), (task, trajectory))
        number += 1
    return list(made.values())


def meant(task: Task) -> str:
    """What the task wants, as its gold has it: two tasks that mean the same are to be done alike, with the same values."""
    return canonical_json([[[step.tool, dict(step.arguments), step.ask, step.say] for step in task.gold.calls], task.tags])


def copied(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """The same dialogue as another row: ids, seed, rollout, call ids, spelling of JSON, order of tools."""
    ids: dict[str, str] = {}

    def call_copied(call: ToolCall) -> ToolCall:
        ids[call.id] = f"call_{rng.getrandbits(48):x}"
        return ToolCall(ids[call.id], call.name, _respelled(call.arguments, rng))

    messages = []
    for message in trajectory.messages:
        calls = tuple(map(call_copied, message.tool_calls))
        if message.role == "tool":
            answers = ids[message.tool_call_id or ""]
            message = replace(message, content=_respelled(message.content, rng), tool_call_id=answers, name=None)
        messages.append(replace(message, tool_calls=calls))
    tools = [replace(tool, inputSchema=_shuffled(dict(tool.inputSchema), rng)) for tool in trajectory.tools]
    rng.shuffle(tools)
    return replace(
        trajectory,
        id=f"{rng.getrandbits(32):x}",
        task_id=f"{rng.getrandbits(32):x}",
        rollout=rng.randrange(1, 9),
        seed=rng.getrandbits(60),
        messages=tuple(messages),
        tools=tuple(tools),
    )


def reworded(rate: float, trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """Each word that user or assistant says is replaced with this probability; one at least, and no number."""
    spoken = [len(WORD.findall(message.content)) for message in trajectory.messages if _is_prose(message)]
    surely = rng.randrange(sum(spoken))
    place = iter(range(sum(spoken)))

    def other(found: re.Match[str]) -> str:
        if next(place) != surely and rng.random() >= rate:
            return found[0]
        return rng.choice([word for word in (CJK if found[0] > "\u3400" else WORDS) if word != found[0]])

    return _with_prose(trajectory, lambda content: WORD.sub(other, content))


def greeted(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """The user's first message between other words of greeting."""
    first = next(index for index, message in enumerate(trajectory.messages) if message.role == "user")
    messages = list(trajectory.messages)
    content = rng.choice(OPENINGS) + messages[first].content + rng.choice(CLOSINGS)
    messages[first] = replace(messages[first], content=content)
    return replace(trajectory, messages=tuple(messages))


def result_changed(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """One value of one result that no call depends on in writing: a scalar becomes another of its kind."""
    messages = list(trajectory.messages)
    results = [index for index, message in enumerate(messages) if message.role == "tool" and ":" in message.content]
    index = rng.choice(results)
    value = re.compile(r'(?<=":)("[^"]*"|-?\d+|true|false|null)')
    places = list(value.finditer(messages[index].content))
    if places:
        found, content = rng.choice(places), messages[index].content
        other = f'"{rng.choice(WORDS)}"' if found[0].startswith('"') else str(rng.randrange(10**6, 10**7))
        messages[index] = replace(messages[index], content=content[: found.start()] + other + content[found.end() :])
    return replace(trajectory, messages=tuple(messages))


def revalued(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """A structural twin: the same dialogue about other numbers, one for one."""
    others: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        if found[0] not in others:
            others[found[0]] = str(10**8 + len(others) + 1000 * rng.randrange(10**5))
        return others[found[0]]

    change = partial(re.compile(r"\d+").sub, other)
    outcome = trajectory.outcome
    assert outcome is not None
    return replace(
        trajectory,
        messages=tuple(
            replace(
                message,
                content=message.content if message.role == "system" else change(message.content),
                tool_calls=tuple(replace(call, arguments=change(call.arguments)) for call in message.tool_calls),
            )
            for message in trajectory.messages
        ),
        outcome=replace(
            outcome,
            calls=tuple(
                replace(
                    call,
                    arguments=change(call.arguments)
                    if isinstance(call.arguments, str)
                    else json.loads(change(json.dumps(call.arguments))),
                )
                for call in outcome.calls
            ),
        ),
    )


KINDS: dict[str, Callable[[Trajectory, random.Random], Trajectory]] = {
    "copy": copied,
    "5 % of words": partial(reworded, 0.05),
    "10 % of words": partial(reworded, 0.10),
    "20 % of words": partial(reworded, 0.20),
    "40 % of words": partial(reworded, 0.40),
    "greeting": greeted,
    "one result": result_changed,
    "other values": revalued,
}


def planted(made: list[tuple[Task, Trajectory]], each: int, seed: int) -> list[Row]:
    """`made`, and `each` plants of every kind of dialogues drawn from it, every one somewhere after its original."""
    rng = random.Random(seed)
    placed = [(number / len(made), Row(trajectory, task, "original", number)) for number, (task, trajectory) in enumerate(made)]
    for kind, change in KINDS.items():
        for number in rng.sample(range(len(made)), each):
            task, trajectory = made[number]
            at = number / len(made) + rng.random()
            placed.append((at, Row(change(trajectory, rng), task, kind, number)))
    return [row for _, row in sorted(placed, key=lambda item: item[0])]


def content_by_walking(row: Row) -> str:
    """What `dialogue_of` promises, said another way: messages with the calls' ids replaced by how many calls came before."""
    ids: dict[str, int] = {}
    messages = []
    for message in row.trajectory.messages:
        for call in message.tool_calls:
            ids[call.id] = len(ids)
        called = [[call.name, _parsed(call.arguments)] for call in message.tool_calls]
        content = _parsed(message.content) if message.role == "tool" else message.content
        messages.append([message.role, content, called, ids.get(message.tool_call_id or ""), message.reasoning_content])
    tools = {tool.name: [tool.description, dict(tool.inputSchema)] for tool in row.trajectory.tools}
    return canonical_json([messages, tools])


def structure_by_walking(row: Row) -> str:
    """What `structure_of` promises, said another way: by walking through parsed arguments."""
    outcome = row.trajectory.outcome
    assert outcome is not None
    refusing = {tool for item in row.task.rubric.criteria if item.kind == "no_refusal" for tool in item.expected}
    seen: list[str] = []

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = canonical_json(value)
        if text not in seen:
            seen.append(text)
        return f"value {seen.index(text)}"

    plan = []
    for call in (call for call in outcome.calls if not call.is_error):
        arguments = dict(sorted(call.arguments.items())) if not isinstance(call.arguments, str) else call.arguments
        reason = arguments.pop("reason", None) if isinstance(arguments, dict) and call.name in refusing else None
        plan.append([call.name, walk(arguments), reason])
    return canonical_json([row.trajectory.provenance.world_fingerprint, plan, outcome.ending])


def _with_prose(trajectory: Trajectory, change: Callable[[str], str]) -> Trajectory:
    messages = (
        replace(message, content=change(message.content)) if _is_prose(message) else message for message in trajectory.messages
    )
    return replace(trajectory, messages=tuple(messages))


def _is_prose(message: Message) -> bool:
    return message.role in ("user", "assistant")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _respelled(text: str, rng: random.Random) -> str:
    """The same JSON with its keys in another order, and other white space."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_shuffled(value, rng), ensure_ascii=rng.random() < 0.5, separators=rng.choice([(", ", ": "), (",", ":")]))


def _shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: _shuffled(value[key], rng) for key in keys}
    return [_shuffled(item, rng) for item in value] if isinstance(value, list) else value
