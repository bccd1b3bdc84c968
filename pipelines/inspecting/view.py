"""A row as a person reads it: who said what, what was called with what, what came of it, and where it comes from.

Plain text only, of any content; console and page make it safe to show.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines.inspecting.rows import Sample
from trajectories.card.dialogue import arguments_of, as_object, text_of, tool_name

__all__ = ["Call", "Turn", "View", "view"]

_PROVENANCE: Final = ("task_id", "world", "world_fingerprint", "run_seed", "seed", "rollout", "branch", "parents", "licence")
_SPEAKERS: Final = {"system": "System prompt", "user": "User", "assistant": "Agent", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: str
    """Readable JSON, or the text as it is."""


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    speaker: str
    text: str
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    mishap: str = ""
    """Of a tool's answer: ``error``, or how the tool misbehaved."""


@dataclass(frozen=True, slots=True)
class View:
    name: str
    verdict: str
    world: str
    language: str
    goal: str
    badges: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...]
    rejected: tuple[Turn, ...]
    tools: tuple[tuple[str, str, str], ...]
    """(name, description, schema of the arguments)."""
    reward: str
    verdicts: tuple[tuple[str, str, str, str], ...]
    """(criterion, verdict, who says so, why)."""
    changes: tuple[str, ...]
    rubric: tuple[tuple[str, str], ...]
    """(what, what is wanted)."""
    certificate: str
    provenance: tuple[tuple[str, str], ...]


def view(sample: Sample) -> View:
    """The row, ready to be shown."""
    row, about, outcome = sample.row, sample.about, as_object(sample.row.get("outcome"))
    ledger = as_object(sample.task.get("ledger"))
    return View(
        name=sample.name,
        verdict=sample.verdict,
        world=sample.world,
        language=str(about.get("language") or ""),
        goal=str(ledger.get("goal") or ""),
        badges=tuple(_badges(sample)),
        turns=tuple(_turns(sample.messages, outcome)),
        rejected=tuple(_turns(sample.rejected, {})),
        tools=tuple(map(_tool, sample.tools)),
        reward=_reward(row),
        verdicts=tuple(_verdict(verdict) for verdict in row.get("verdicts") or ()),
        changes=tuple(map(_change, outcome.get("changes") or ())),
        rubric=tuple(_rubric(as_object(sample.task.get("rubric")), outcome.get("checkpoints") or ())),
        certificate=_certificate(as_object(row.get("certificate") or sample.task.get("certificate"))),
        provenance=tuple(_provenance(sample)),
    )


def _badges(sample: Sample) -> Iterator[tuple[str, str]]:
    about, outcome = sample.about, as_object(sample.row.get("outcome"))
    yield "split", sample.split
    for name in ("difficulty", "language", "persona", "policy", "competence", "attribution"):
        if about.get(name) is not None:
            yield name, str(about[name])
    if outcome.get("ending"):
        yield "ending", str(outcome["ending"])
    yield from (("tag", str(tag)) for tag in about.get("tags") or ())
    yield from (("error on purpose", str(error)) for error in about.get("errors") or ())


def _turns(messages: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any]) -> Iterator[Turn]:
    ids = [call.get("id") for message in messages for call in message.get("tool_calls") or ()]
    # Calls are executed in the order in which they are written; those after the end were not.
    mishaps = {call_id: _mishap(call) for call_id, call in zip(ids, outcome.get("calls") or (), strict=False)}
    for message in messages:
        role, name = message["role"], message.get("name") or ""
        yield Turn(
            role,
            _SPEAKERS.get(role, role) + (f" {name}" if name else ""),
            _readable(text_of(message.get("content"))) if role == "tool" else text_of(message.get("content")),
            str(message.get("reasoning_content") or ""),
            tuple(Call(tool_name(call), _readable(arguments_of(call))) for call in message.get("tool_calls") or ()),
            mishaps.get(message.get("tool_call_id"), "") if role == "tool" else "",
        )


def _mishap(call: Mapping[str, Any]) -> str:
    trouble = (call.get("trouble") or {}).get("kind") or ""
    return ", ".join(part for part in ("error" if call.get("is_error") else "", trouble.replace("_", " ")) if part)


def _tool(tool: Mapping[str, Any]) -> tuple[str, str, str]:
    function = as_object(tool.get("function")) or tool
    schema = function.get("parameters", function.get("inputSchema"))
    return tool_name(tool), str(function.get("description") or ""), _json(schema, indent=2)


def _reward(row: Mapping[str, Any]) -> str:
    if row.get("reward_valid") is None:
        return "not judged" if "reward_valid" in row else ""
    detail = as_object(row.get("reward_detail"))
    value = "no value" if row.get("reward") is None else f"{row['reward']:g}"
    parts = [value, *([str(detail["cause"])] if detail.get("cause") else [])]
    components = as_object(detail.get("components"))
    parts += [
        f"{name} {number:g}" for name, number in components.items() if not name.startswith("criterion/")
    ]  # see the verdicts
    return "; ".join(parts)


def _verdict(verdict: Mapping[str, Any]) -> tuple[str, str, str, str]:
    why = "; ".join(str(verdict[key]) for key in ("reasons", "evidence") if verdict.get(key))
    return str(verdict["criterion"]), str(verdict["verdict"]).replace("_", " "), str(verdict["judge"]), why


def _change(change: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{name}: {_json(pair[0])} → {_json(pair[1])}" for name, pair in change["fields"].items())
    return f"{change['kind']} {change['entity']} {change['key']} ({fields})"


def _rubric(rubric: Mapping[str, Any], reached: Sequence[str]) -> Iterator[tuple[str, str]]:
    for criterion in rubric.get("criteria") or ():
        yield f"{criterion['name']} ({criterion['kind']})", ", ".join(map(str, criterion["expected"]))
    for pattern in rubric.get("tool_patterns") or ():
        yield "call", f"{pattern['tool']}({_json(pattern['arguments'])})"
    for checkpoint in rubric.get("checkpoints") or ():
        wanted = checkpoint.get("pattern") or {}
        words = f"{wanted['tool']}({_json(wanted['arguments'])})" if wanted else f"the user says {checkpoint.get('said')!r}"
        yield f"checkpoint {checkpoint['name']}", words + (" — reached" if checkpoint["name"] in reached else " — not reached")


def _certificate(certificate: Mapping[str, Any]) -> str:
    if not certificate:
        return ""
    cheats = as_object(certificate.get("cheats"))
    most = max(cheats.values(), default=0.0)
    verdict = "certified" if certificate.get("certified") else "not certified: " + ", ".join(certificate.get("reasons") or ())
    return f"{verdict}; oracle {certificate.get('oracle'):g}; {len(cheats)} cheats, best {most:g} ({', '.join(cheats)})"


def _provenance(sample: Sample) -> Iterator[tuple[str, str]]:
    yield "row", f"{sample.split} {sample.number}"
    for name in _PROVENANCE:
        if sample.row.get(name) not in (None, "", []):
            value = sample.row[name]
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    for role, model in as_object(sample.row.get("models")).items():
        yield f"model of {role}", str(model)
    tokens = [segment for segment in sample.row.get("segments") or ()]
    if tokens:
        written = sum(len(segment["token_ids"]) for segment in tokens if segment["origin"] != "context")
        yield "tokens", f"{sum(len(segment['token_ids']) for segment in tokens):,}, {written:,} of them the agent's"


def _readable(text: str) -> str:
    """JSON on one line where it is short, indented where it is long; anything else as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict | list):
        return text
    line = _json(value)
    return line if len(line) <= 100 else _json(value, indent=2)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
