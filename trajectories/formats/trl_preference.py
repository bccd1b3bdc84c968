"""TRL's conversational preference type: ``prompt``, ``chosen``, ``rejected`` and ``tools``, for `DPOTrainer`.

A pair is two dialogues of one task: chosen passed, rejected failed, and neither is a fault. The pairing rule: every
failure is paired with the pass that shares the most messages with it from the start (the earlier rollout among equals);
the pairs with the most shared messages come first (the earlier failure among equals), and a task has `pairs` of them.
So the nearest misses are kept. Pass and failure must agree in tools and in the opening; who has no partner is left out.
"""

from collections.abc import Sequence

import pyarrow as pa

from trajectories.formats.arguments import with_object_arguments
from trajectories.formats.format import STANDING_COLUMNS, Format, Group, Made, Row, standing
from trajectories.formats.prompts import opening, role_of
from trajectories.formats.settings import FormatSettings
from trajectories.json_text import JsonText

__all__ = ["FORMAT"]

_MESSAGES = pa.list_(pa.json_())
SCHEMA = pa.schema(
    {
        "prompt": _MESSAGES,
        "chosen": _MESSAGES,
        "rejected": _MESSAGES,
        "tools": pa.list_(pa.json_()),
        "task_id": pa.string(),
        "chosen_id": pa.string(),
        "rejected_id": pa.string(),
        "shared_messages": pa.int32(),
    }
)


def _make(group: Group, settings: FormatSettings) -> Made:
    made = Made()
    named = [standing(row) for row in group.rows]
    made.dropped.update(name for name in named if name in ("fault", "unjudged"))
    passes = [index for index, name in enumerate(named) if name == "pass"]
    failures = [index for index, name in enumerate(named) if name == "failure"]
    pairs = sorted(_pairs(group.rows, passes, failures), key=lambda pair: (-pair[2], pair[1]))
    pairs = pairs[: settings.preference.pairs]
    for chosen, rejected, shared in pairs:
        made.rows.append(_row(group.rows, chosen, rejected, shared, settings))
    used = {index for chosen, rejected, _ in pairs for index in (chosen, rejected)}
    if lonely := len(passes) + len(failures) - len(used):
        made.dropped["unpaired"] = lonely
    return made


def _pairs(rows: Sequence[Row], passes: Sequence[int], failures: Sequence[int]) -> list[tuple[int, int, int]]:
    """(pass, failure, messages shared from the start) for each failure that has a partner."""
    pairs = []
    for failure in failures:
        partners = [
            (_shared(rows[index]["messages"], rows[failure]["messages"]), -index)
            for index in passes
            if rows[index]["tools"] == rows[failure]["tools"]
        ]
        if partners:
            shared, index = max(partners)
            if shared >= len(opening(rows[failure]["messages"], failure)):
                pairs.append((-index, failure, shared))
    return pairs


def _shared(left: Sequence[JsonText], right: Sequence[JsonText]) -> int:
    differing = (index for index, (one, other) in enumerate(zip(left, right, strict=False)) if one != other)
    return next(differing, min(len(left), len(right)))


def _row(
    rows: Sequence[Row], chosen: int, rejected: int, shared: int, settings: FormatSettings
) -> dict[str, object]:
    good, bad = rows[chosen]["messages"], rows[rejected]["messages"]
    start = len(opening(good, chosen))
    if settings.preference.prompt == "shared":
        turns = [at for at in range(start, min(shared + 1, len(good), len(bad))) if role_of(good[at]) == "assistant"]
        start = max((at for at in turns if role_of(bad[at]) == "assistant"), default=start)
    split = [(good[:start], chosen), (good[start:], chosen), (bad[start:], rejected)]
    prompt, better, worse = (with_object_arguments(part, settings.arguments, index) for part, index in split)
    return {
        "prompt": prompt,
        "chosen": better,
        "rejected": worse,
        "tools": rows[chosen]["tools"],
        "task_id": rows[chosen]["task_id"],
        "chosen_id": rows[chosen]["id"],
        "rejected_id": rows[rejected]["id"],
        "shared_messages": shared,
    }


FORMAT = Format(
    name="trl_preference",
    make=_make,
    columns=("id", "task_id", "messages", "tools", *STANDING_COLUMNS),
    typed=SCHEMA,
    per="task",
    most=lambda settings: settings.preference.rollouts,
    surplus="beyond_rollouts",
)
