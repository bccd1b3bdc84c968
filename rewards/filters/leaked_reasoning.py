"""Thoughts that stand in the answer: what a model thinks, and how its chat format looks, is not for the user.

Words are looked for that an assistant has no other use for; "the user" in the third person counts at the beginning of a line
only. `Message.reasoning_content` is where thoughts belong, and is not looked at.
"""

import re
from functools import lru_cache
from typing import Final

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding, spoken
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["leaked_reasoning"]

_THOUGHTS: Final = (
    "think", "thinking", "thoughts?", "reasoning", "scratchpad", "reflection", "analysis", "chain_of_thought", "cot", "answer",
    "(?:inner_)?monologue",
)  # fmt: skip
_FORMATS: Final = (
    "tools", "tool_calls?", "tool_responses?", "tool_results?", "function_calls?", "function", "invoke", "parameter",
    "start_of_turn", "end_of_turn",
)  # fmt: skip
_LINE: Final = r"^[ \t>*_#\"'“-]*"
"""The beginning of a line, with marks of a list, a quotation or a heading."""

_THINK_TAGS: Final = (
    rf"</?(?:{'|'.join(_THOUGHTS)})(?:\s[^<>]*)?/?>",
    r"◁/?think▷",
    r"\[/?THINK\]",
)
_MARKUP: Final = (
    r"<\|[\w/ -]{1,60}\|>",  # ChatML and most others
    r"<｜[^<>]{1,60}｜>",  # DeepSeek
    r"\[/?INST\]|<</?SYS>>|\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]",  # Llama 2, Mistral
    rf"</?(?:{'|'.join(_FORMATS)})(?:[\s=:][^<>]*)?>",  # Hermes and Qwen, Gemma
    r"\bfunctions\.\w+:\d+",  # Kimi's call ids
)
_SCRATCHPADS: Final = (
    r"\blet(?:'|’)?s think\b",
    r"\blet me (?:think|reason|figure (?:this|it) out)\b",
    r"\bthink(?:ing)? step[ -]by[ -]step\b",
    r"\bchain[ -]of[ -]thought\b",
    r"\bmy (?:reasoning|thought process|thinking) (?:is|was|so far)\b",
    r"\bi (?:need|have) to (?:think|figure out)\b",
    r"(?:^|[.!?] +)wait,? (?:no|actually|but)\b",
    rf"{_LINE}hmm+\b",
    rf"{_LINE}(?:thoughts?|thinking|reasoning|scratchpad|action input|internal monologue)\s*[:：]",
    rf"{_LINE}(?:(?:okay|ok|alright|so|hmm+|well|first|now),? )*the user"
    r"(?:'s (?:request|question|message|query) is| (?:just )?(?:wants|asked|asks|said|says)"
    r"| is (?:asking|requesting)| has asked| would like| wishes| seems to)\b",
    r"让我(?:先|再|来|仔细|好好)*(?:想想|想一想|想一下|思考|推理|分析一下(?:用户|这个问题))",
    r"我(?:先|再|来|需要|得|要)+(?:思考|推理|想一想|想想)",
    r"思考过程|推理过程|思维链|内心独白|一步(?:一)?步(?:地|来)?(?:思考|推理|想)",
    rf"{_LINE}(?:思考|推理)\s*[:：]",
    rf"{_LINE}(?:(?:好的?|嗯+|那么|首先|所以|现在)[，, ]*)*(?:这个|该)?用户"
    r"(?:想|要求(?!的)|希望|需要我|让我|要我|说(?!明)|问(?!题)|询问|的(?:请求|问题|意图)是)",
)
_LEAKS: Final = {"a think tag": _THINK_TAGS, "chat markup": _MARKUP, "a scratchpad": _SCRATCHPADS}
_LEAK: Final = re.compile("|".join(f"({'|'.join(patterns)})" for patterns in _LEAKS.values()), re.IGNORECASE | re.MULTILINE)
_WORD: Final = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
"""A Chinese character, or a run of other letters and digits."""
_RAW_CALL: Final = re.compile(r'"name"\s*:\s*"\w+"[^{}]{0,200}"(?:arguments|parameters|input)"\s*:\s*["{]')


def leaked_reasoning(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    for at, text in spoken(trajectory):
        if (found := _LEAK.search(text)) is not None:
            return Finding(f"messages[{at}]", list(_LEAKS)[(found.lastindex or 1) - 1], found[0].strip())
        if '"name"' in text and (found := _RAW_CALL.search(text)) is not None:
            return Finding(f"messages[{at}]", "a call written out", found[0])
        if len(text) > config.max_prompt_words and (words := _of_the_prompt(text, trajectory, config.max_prompt_words)):
            return Finding(f"messages[{at}]", "words of the system prompt", words)
    return None


def _of_the_prompt(text: str, trajectory: Trajectory, most: int) -> str:
    """The first `most` + 1 words in a row that stand in a system prompt too; empty where there are none."""
    words = _WORD.findall(text.casefold())
    if len(words) <= most:
        return ""
    for message in trajectory.messages:
        if message.role != "system":
            continue
        runs = _runs(message.content, most + 1)
        for start in range(len(words) - most):
            if (run := tuple(words[start : start + most + 1])) in runs:
                return " ".join(run)
    return ""


@lru_cache(maxsize=256)
def _runs(prompt: str, length: int) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(prompt.casefold())
    return frozenset(tuple(words[start : start + length]) for start in range(len(words) - length + 1))
