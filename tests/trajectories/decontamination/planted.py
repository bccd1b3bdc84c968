"""Rows of shipped worlds, benchmarks that share no text with them, and leaks of every kind planted in the rows."""

import functools
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rewards.verifiers import verifier_for
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.stream import TaskStream
from simulators.users.personas import PersonaMix
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.seeds import derive_rng
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

WORLDS = ("order_desk", "it_tickets", "travel", "bank_branch", "library_loans")
EASY = ("act", "refuse", "search", "ask", "lookup")
HARD = ("related", "branch", "reach", "confirm", "change")
STYLES = ("plain", "polite", "terse", "chatty", "formal", "anxious", "impatient", "non_native")


@functools.cache
def ten_thousand() -> tuple[tuple[Task, Trajectory], ...]:
    """What the planted tests share; minutes to make."""
    return tuple(rows(10_000))


def rows(count: int, seed: int = 0) -> Iterator[tuple[Task, Trajectory]]:
    """Dialogues over all shipped worlds, families, styles, both languages, one to three wishes."""
    verify = verifier_for("tool_use").verify
    personas = PersonaMix(styles=dict.fromkeys(STYLES, 1.0), languages={"en": 0.8, "zh": 0.2})
    streams = [
        TaskStream(worlds=WORLDS, difficulty=difficulty, families=families, personas=personas)
        for difficulty in (1, 2, 3)
        for families in (EASY, (*EASY, *HARD))
    ]
    policy = ScriptedPolicy()
    for number in range(count):
        yield synthesize(number, streams[number % len(streams)], policy, run_seed=seed, split="train", verify=verify)


VERBS, NOUNS, STRANGE_NOUNS, ADJECTIVES, PLACES, COLOURS, CITIES = (
    words.split()
    for words in (
        "arrange inspect repaint relocate audit renew calibrate insure dismantle catalogue translate irrigate auction restore "
        "digitise",
        "greenhouse telescope violin archive locomotive vineyard aquarium mural lighthouse tractor orchard harpsichord submarine "
        "sculpture glider windmill manuscript reactor carousel planetarium",
        "ferry chandelier beehive turbine tapestry quarry trampoline observatory kiln monastery",
        "northern borrowed vintage municipal hydraulic portable ceremonial experimental floating abandoned",
        "harbour courtyard warehouse basement rooftop pavilion museum hangar",
        "teal crimson ochre ivory indigo maroon amber",
        "Valparaiso Tromso Kigali Ghent Hobart Tbilisi Cuenca Leeds",
    )
)
NAMES = ("Adaeze Okafor", "Bram Visser", "Chiyo Tanaka", "Dario Conti", "Elif Demir", "Fiona Walsh", "Goran Babic", "Hana Novak")
OPENERS = ("", "Hi there! ", "Hello, could you please help? ", "Good day, I would like some help. ", "Hey, ")
CLOSERS = ("", " Thank you very much.", " Thanks!", " I would appreciate it.", " Please and thank you.")
BOILERPLATE = " Answer only after every tool has been consulted and never invent the result of a tool yourself."
CLAUSES = (
    "{verb} the {adjective} {noun} listed under {code}",
    "move the {noun} from the {place} to the {colour} {place2} before {date}",
    "tell {name} in {city} that the {adjective} {noun2} needs {number} spare valves",
    "write to {email} about how often people {verb2} a {noun2} at night",
    "register '{title}' as the nickname of the {noun} beside the {place}",
    "find out whether {number} visitors may {verb2} the {adjective2} {noun2} together",
    "cancel the plan to {verb2} any {adjective2} {noun} that {name} still owns",
    "compare the {colour} {noun2} with whatever stands near the {place2} in {city}",
    "charge {number} guilders for each {noun} which staff {verb} after {date}",
    "lend the {adjective2} {noun2} to whoever can {verb} {colour} {place} furniture",
)
CHINESE_CLAUSES = (
    "把编号{code}的{noun}从{place}搬到{place2}",
    "通知{name}检查{number}个阀门是否漏水",
    "在{date}之前重新油漆{place}旁边的{noun}",
    "向{email}询问夜里有多少人使用{noun2}",
    "将{noun}改名为“{title}”后登记在{place2}的名册上",
    "凡是借走{noun2}超过{number}天的人都要补交押金",
    "核对{place}里每一件{noun2}的重量并写进报告",
    "取消{date}以后所有关于{noun}的参观安排",
)
CHINESE_NOUNS, CHINESE_PLACES = (
    ("望远镜", "温室", "风车", "手稿", "潜水艇", "旋转木马", "蒸汽机车", "竖琴", "滑翔机", "水族箱"),
    ("码头", "地下室", "博物馆", "屋顶", "庭院", "机库"),
)
CHINESE_NAMES = ("欧阳修文", "司马相宜", "上官云起", "诸葛子瑜")


@dataclass(frozen=True)
class Planned:
    """What an item says, so that it can be said again with other values."""

    id: str
    clauses: tuple[str, ...]
    fixed: dict[str, str]
    """Words that make the item what it is."""
    values: dict[str, str]
    """What the item is about, replaceable."""
    opener: str
    closer: str
    boilerplate: bool
    chinese: bool

    def text(self, opener: str | None = None, closer: str | None = None, **values: str) -> str:
        words = self.fixed | self.values | values
        if self.chinese:
            said = "，然后".join(clause.format(**words) for clause in self.clauses)
            return f"{opener or ''}请{said}。{closer or ''}"
        said = ", and ".join(clause.format(**words) for clause in self.clauses)
        said = f"I need you to {said}."
        opener, closer = self.opener if opener is None else opener, self.closer if closer is None else closer
        return opener + said + closer + (BOILERPLATE if self.boilerplate else "")

    def renamed(self, rng: random.Random) -> str:
        """Other ids, numbers, dates, addresses and quotations."""
        fresh = draw_values(rng, self.chinese)
        return self.text(**{key: fresh[key] for key in ("code", "date", "number", "email", "title")})

    def paraphrased(self, rng: random.Random) -> tuple[str, dict[str, str]]:
        """All values and the words of courtesy are others."""
        fresh = draw_values(rng, self.chinese)
        if self.chinese:
            return self.text(rng.choice(("您好，麻烦您", "你好，")), rng.choice(("谢谢！", "好吗？")), **fresh), fresh
        text = self.text(rng.choice([o for o in OPENERS if o != self.opener]), rng.choice(CLOSERS), **fresh)
        return text.replace("I need you to", rng.choice(("Could you please", "I would like you to", "Would you kindly"))), fresh

    def arguments(self, values: dict[str, str] | None = None) -> list[tuple[str, dict[str, str]]]:
        """Two gold calls."""
        values = self.values | (values or {})
        verb, noun = self.fixed["verb"], self.fixed["tool"]
        return [
            (f"look_up_{noun}", {"code": values["code"]}),
            (f"{verb}_{noun}", {"code": values["code"], "colour": values["colour"], "owner": values["name"]}),
        ]

    def tools(self) -> list[dict[str, Any]]:
        """Four tools, of which two are called."""
        verb, noun = self.fixed["verb"], self.fixed["tool"]
        text = {"type": "string", "description": "As written on the label."}
        return [
            _tool(f"look_up_{noun}", code=text),
            _tool(f"{verb}_{noun}", code=text, colour=text, owner=text),
            _tool(f"list_{noun}s", place=text, most={"type": "integer"}),
            _tool(f"weigh_{noun}", code=text, unit=text),
        ]


def _tool(name: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"Does what is needed to {name.replace('_', ' ')}.",
        "parameters": {"type": "object", "properties": properties, "required": list(properties)},
    }


def draw_values(rng: random.Random, chinese: bool) -> dict[str, str]:
    return {
        "code": "".join(rng.choices(string.ascii_uppercase, k=2)) + str(rng.randrange(10**5, 10**6)),
        "date": f"2031-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        "number": str(rng.randrange(20, 9000)),
        "email": f"{''.join(rng.choices(string.ascii_lowercase, k=6))}@{rng.choice(['mail', 'post'])}.example",
        "title": f"{rng.choice(ADJECTIVES).title()} {''.join(rng.choices(string.ascii_lowercase, k=5)).title()}",
        "name": rng.choice(CHINESE_NAMES if chinese else NAMES),
        "city": rng.choice(CITIES),
        "colour": rng.choice(COLOURS),
    }


def plan(number: int, seed: int, *, strange: bool = False) -> Planned:
    """An item; a strange one has the same turns of phrase about other things."""
    rng = derive_rng(seed, "item", number)
    chinese = number % 10 == 9 and not strange
    places = rng.sample(CHINESE_PLACES if chinese else PLACES, 2)
    nouns = rng.sample(STRANGE_NOUNS if strange else NOUNS, 2)
    shown = rng.sample(CHINESE_NOUNS, 2) if chinese else nouns
    fixed = {"verb": rng.choice(VERBS), "verb2": rng.choice(VERBS), "tool": nouns[0]}
    fixed |= {"adjective": rng.choice(ADJECTIVES), "adjective2": rng.choice(ADJECTIVES)}
    fixed |= {"noun": shown[0], "noun2": shown[1], "place": places[0], "place2": places[1]}
    clauses = tuple(rng.sample(CHINESE_CLAUSES, rng.randint(3, 4)) if chinese else rng.sample(CLAUSES, rng.randint(2, 4)))
    values = draw_values(rng, chinese)
    return Planned(
        f"item_{number}", clauses, fixed, values, rng.choice(OPENERS), rng.choice(CLOSERS), rng.random() < 0.4, chinese
    )


def write_benchmarks(directory: Path, items: list[Planned]) -> list[Path]:
    """A third of the items each as BFCL, tau2-bench and plain chats, as these projects lay their files out."""
    bfcl, tau2, plain = items[0::3], items[1::3], items[2::3]
    (directory / "possible_answer").mkdir(parents=True)
    paths = [directory / name for name in ("BFCL_planted.json", "tau2_planted.json", "plain_planted.jsonl")]
    questions = [
        {
            "id": item.id,
            "question": [[{"role": "user", "content": item.text()}], [{"role": "user", "content": "Go on."}]],
            "function": item.tools(),
        }
        for item in bfcl
    ]
    paths[0].write_text("\n".join(map(json.dumps, questions)))
    answers = [
        {
            "id": item.id,
            "ground_truth": [{name: {k: [v, v.upper()] for k, v in given.items()}} for name, given in item.arguments()],
        }
        for item in bfcl
    ]
    (directory / "possible_answer" / paths[0].name).write_text("\n".join(map(json.dumps, answers)))
    paths[1].write_text(json.dumps([_tau2(item) for item in tau2], indent=2))
    paths[2].write_text("\n".join(json.dumps(_plain(item), ensure_ascii=False) for item in plain), encoding="utf-8-sig")
    return paths


def _tau2(item: Planned) -> dict[str, Any]:
    instructions = {
        "domain": "museum", "reason_for_call": item.text(), "known_info": f"You are {item.values['name']}.", "unknown_info": None,
        "task_instructions": "If anything is unclear, ask the agent to explain it in other words.",
    }  # fmt: skip
    actions = [
        {"action_id": f"{item.id}_{i}", "name": n, "arguments": a, "info": None} for i, (n, a) in enumerate(item.arguments())
    ]
    return {
        "id": item.id,
        "user_scenario": {"persona": None, "instructions": instructions},
        "evaluation_criteria": {"actions": actions, "nl_assertions": None},
    }


def _plain(item: Planned) -> dict[str, Any]:
    calls = [
        {"id": str(i), "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for i, (name, given) in enumerate(item.arguments())
    ]
    messages = [
        {"role": "system", "content": "You keep a museum's stock."},
        {"role": "user", "content": item.text()},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    return {"id": item.id, "messages": messages, "tools": [{"type": "function", "function": tool} for tool in item.tools()]}


def with_text(row: Trajectory, text: str, rng: random.Random) -> Trajectory:
    """The user's last message says `text`, alone or among other words."""
    place = max(i for i, message in enumerate(row.messages) if message.role == "user")
    said = rng.choice((text, f"{row.messages[place].content} {text}", f"{text}\n{row.messages[place].content}"))
    return _replaced(row, place, Message("user", said))


def with_calls(row: Trajectory, calls: list[tuple[str, dict[str, str]]]) -> Trajectory:
    """These calls too, each in a turn of its own."""
    turns = []
    for i, (name, given) in enumerate(calls):
        call = ToolCall(f"functions.{name}:{90 + i}", name, json.dumps(given))
        turns += [Message("assistant", tool_calls=(call,)), Message("tool", '{"done":true}', tool_call_id=call.id, name=name)]
    return replace(row, messages=(*row.messages, *turns))


def with_tools(row: Trajectory, tools: list[dict[str, Any]], rng: random.Random) -> Trajectory:
    """These tools too, with other descriptions, in another order."""
    added = [ToolSpec(tool["name"], "Used by the staff.", tool["parameters"]) for tool in tools]
    mixed = [*row.tools, *added]
    rng.shuffle(mixed)
    return replace(row, tools=tuple(mixed))


def _replaced(row: Trajectory, place: int, message: Message) -> Trajectory:
    return replace(row, messages=(*row.messages[:place], message, *row.messages[place + 1 :]))


def disguised(text: str, rng: random.Random) -> str:
    """The same words with other case, punctuation, width or white space."""
    return rng.choice(
        (text, text.upper(), text.replace(",", " --").replace(".", " !"), "  ".join(text.split(" ")), _full_width(text))
    )


def _full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


LEAKS = ("verbatim", "renamed", "paraphrased_values", "actions", "tool_signature")
DECOYS = ("other text", "part", "shape", "other tools", "boilerplate")


def planted(row: Trajectory, what: str, item: Planned, stranger: Planned, rng: random.Random) -> Trajectory:
    """The row with a leak of `item`, or with a decoy: something near it that is no leak."""
    match what:
        case "verbatim":
            return with_text(row, disguised(item.text(), rng), rng)
        case "renamed":
            return with_text(row, item.renamed(rng), rng)
        case "paraphrased_values":
            text, values = item.paraphrased(rng)
            row = with_text(row, text, rng)
            return with_calls(row, item.arguments(values)) if rng.random() < 0.5 else row
        case "actions":
            return with_calls(row, item.arguments())
        case "tool_signature":
            return with_tools(row, item.tools(), rng)
        case "other text":
            return with_text(row, stranger.text(), rng)
        case "part":
            words = item.text().split(" ")
            return row if item.chinese else with_text(row, " ".join(words[: len(words) // 3]), rng)
        case "shape":
            return with_calls(row, item.arguments(draw_values(rng, item.chinese)))
        case "other tools":
            others = [
                {**tool, "parameters": {"type": "object", "properties": {"note": {"type": "string"}}}} for tool in item.tools()
            ]
            renamed = [{**tool, "name": f"museum_{i}"} for i, tool in enumerate(item.tools())]
            return with_tools(row, rng.choice((others, renamed)), rng)
        case _:
            return with_text(row, BOILERPLATE, rng)
