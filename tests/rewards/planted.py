"""Verifiers that misbehave as a task's key says, each in its own way; `find` gives them to scoring processes."""

import ctypes
import os
import re
import signal
import time
from typing import Any

from rewards.verifiers import Verifier, verifier_for
from trajectories.messages import Message
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

__all__ = ["answer", "find", "planted_task"]


class Planted:
    """Domain ``maths``, for these tests: right answers are the key's ``answer``."""

    version = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        key: dict[str, Any] = dict(task.key or {})
        match key.get("deed"):
            case "sleep":
                time.sleep(key["seconds"])
            case "power":  # one operation of the interpreter: no signal handler of Python's runs before it ends
                pow(7, 10 ** key["digits"])
            case "regex":
                re.fullmatch("(a+)+b", "a" * key["length"])
            case "ignore_signals":
                for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                time.sleep(key["seconds"])
            case "exit":
                os._exit(3)
            case "crash":
                ctypes.string_at(0)
            case "eat":
                blocks = []
                while True:
                    blocks.append(bytearray(2**24))
            case "wait":  # for somebody to come
                while not os.path.exists(key["file"]):
                    time.sleep(0.01)
            case "start":  # something that outlives it and holds what it had open, if nobody looks
                pid = os.fork()
                if not pid:
                    time.sleep(key["seconds"])
                    os._exit(0)
                with open(key["file"], "a") as file:
                    file.write(f"{pid}\n")
                os._exit(3)
            case "raise":
                raise RuntimeError("a mistake of ours")
        said = outcome.messages[-1].content
        right = float(said == key.get("answer"))
        return Reward(right, components={"right": right, "said": float(bool(said))}, grader="planted/1")


def find(domain: str) -> Verifier:
    return Planted() if domain == "maths" else verifier_for(domain)


def planted_task(number: int = 0, **key: Any) -> Task:
    content = {"answer": str(number), **key}
    persona, ledger = Persona(), Ledger(f"Say {number}.")
    return Task("", "none", number, "train", 1, persona, ledger, Rubric(), Gold(), domain="maths", key=content).with_id()


def answer(text: str) -> Outcome:
    return Outcome("completed", messages=(Message("user", "Say it."), Message("assistant", text)))
