"""A task by hand, and replies to it."""

from typing import Any

from trajectories.messages import Message
from trajectories.outcomes import Outcome
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

ENGLISH: dict[str, Any] = {
    "language": "en",
    "request": "Write a short leaflet. Tell the height and the keeper of the place and leave all other facts out of it.",
    "turns": [
        {
            "name": "Marlow Mill",
            "facts": [
                {"label": "height", "value": "40 metres", "path": ["height"], "json": "40 metres"},
                {"label": "keeper", "value": "Nora Vale", "path": ["keeper"], "json": "Nora Vale"},
            ],
            "left_out": ["1923", "12 rooms"],
            "constraints": [
                {"kind": "language", "language": "en"},
                {"kind": "sentences", "least": 3, "most": 4},
                {"kind": "words", "least": 15, "most": 60},
                {"kind": "include", "words": ["lantern"]},
                {"kind": "exclude", "words": ["famous"]},
            ],
            "words": ["lantern"],
            "quotes": [],
        }
    ],
}
CHINESE: dict[str, Any] = {
    "language": "zh",
    "request": "请写一份简短的传单。只介绍高度和管理员，其他各项一律不写，也不要谈论这些要求本身。",
    "turns": [
        {
            "name": "望海灯塔",
            "facts": [
                {"label": "高度", "value": "40米", "path": ["height"], "json": "40米"},
                {"label": "管理员", "value": "林远舟", "path": ["keeper"], "json": "林远舟"},
            ],
            "left_out": ["1923年"],
            "constraints": [
                {"kind": "language", "language": "zh"},
                {"kind": "sentences", "least": 3, "most": 4},
                {"kind": "words", "least": 20, "most": 90},
                {"kind": "include", "words": ["灯笼"]},
            ],
            "words": ["灯笼"],
            "quotes": [],
        }
    ],
}

GOOD = "Marlow Mill has a height of 40 metres. Its keeper is Nora Vale. In the evening a lantern burns above the door."
GOOD_ZH = "望海灯塔的高度是40米。现在的管理员是林远舟。傍晚时门口会挂起一盏灯笼。"


def task_of(key: dict[str, Any]) -> Task:
    return Task("", "plain", 0, "train", 1, Persona(), Ledger("?"), Rubric(), Gold(), domain="instructions", key=key).with_id()


def said(*replies: str) -> Outcome:
    messages: list[Message] = []
    for reply in replies:
        messages += [Message("user", "?"), Message("assistant", reply)]
    return Outcome("completed", messages=tuple(messages))
