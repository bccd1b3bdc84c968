"""One task by hand: you are the agent. What you write goes through the same environment and verifier as a policy's turns."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pipelines.exercising.sampling import stream_of, task_text
from rewards.verifiers import verify
from simulators.environment import Environment
from simulators.playable import open_world
from trajectories.messages import Message, ToolCall, ToolSpec

if TYPE_CHECKING:
    from pipelines.gym import Gym

__all__ = ["play_by_hand"]

_HELP: Final = """\
Write your message and end it with a line that holds only a full stop. Commands, each on a line of its own:
  /call TOOL {"argument": "value"}   call a tool     /tools   what there is
  /gold                              the answer      /quit    leave without a verdict"""
_MAX_TURNS: Final = 64


def play_by_hand(config: "Gym") -> dict[str, Any]:
    """Plays task `config.number` of the first domain with whoever types; nothing is kept but the verdict."""
    domain = config.chosen[0]
    task = stream_of(config, domain).task(config.number, run_seed=config.seed, split=config.split, verify=verify)
    environment = Environment(open_world(task.world), max_turns=_MAX_TURNS)
    observation = environment.reset(task, config.seed)
    print(_HELP)
    for message in observation.messages:
        _say(message)
    lines, calls, over = iter(sys.stdin.readline, ""), 0, False
    while not over:
        typed = _typed(lines)
        if typed is None or typed == "/quit":
            print("left without a verdict")
            return {"task": task.id, "domain": task.domain, "verdict": None}
        if typed == "/gold":
            print(task_text(task))
            continue
        if typed == "/tools":
            _tools(observation.tools)
            continue
        if typed.startswith("/call"):
            name, _, arguments = typed.removeprefix("/call").strip().partition(" ")
            made = ToolCall(f"functions.{name}:{calls}", name, arguments.strip() or "{}")
            calls += 1
            result = environment.step(Message("assistant", tool_calls=(made,)))
        else:
            result = environment.step(Message("assistant", typed))
        for message in result.messages:
            _say(message)
        over = result.terminated or result.truncated
    reward = verify(task, environment.outcome())
    parts = ", ".join(f"{name} {value:g}" for name, value in reward.components.items())
    print(f"\nreward {reward.value}: {reward.cause or 'passed'}\n{parts}")
    return {
        "task": task.id,
        "domain": task.domain,
        "verdict": {"value": reward.value, "valid": reward.valid, "cause": reward.cause, "components": dict(reward.components)},
    }


def _typed(lines: Iterator[str]) -> str | None:
    """A command, or a message up to its full stop; None at the end of the input."""
    written: list[str] = []
    print("\n> ", end="", flush=True)
    for line in lines:
        text = line.rstrip("\n")
        if not written and text.split(" ")[0] in ("/call", "/tools", "/gold", "/quit"):
            return text
        if text == ".":
            return "\n".join(written)
        written.append(text)
    return None


def _say(message: Message) -> None:
    print(f"\n[{message.role}] {message.content}")


def _tools(tools: tuple[ToolSpec, ...]) -> None:
    for tool in tools:
        print(f"{tool.name}: {tool.description}\n  {json.dumps(dict(tool.inputSchema), ensure_ascii=False)}")
    if not tools:
        print("there are none")
