"""What a card says in words: what the data set is, how it came about, what was checked, and what it is not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from trajectories.card.about import CardAbout
from trajectories.card.counts import OTHER, SHIPPED, Counts
from trajectories.card.tables import TOP, Marked, Table, markdown, short_table, shown

__all__ = ["how_made", "introduction", "known_limits", "provenance", "quality"]


def introduction(about: CardAbout, counts: Counts) -> list[str]:
    if not counts.rows:
        return [about.description, "This data set is empty: it holds no dialogue."]
    worlds, languages, judged = len(counts.axes["world"]), len(counts.axes["language"]), counts.axes["verdict"]
    where = f" in {_number(worlds, 'simulated world')} with {_number(len(counts.declared), 'tool')}" if worlds else ""
    spoken = f"; users speak {_number(languages, 'language')}" if languages else ""
    verdicts = f" {judged['passed']:,} dialogues solve their task and {judged['failed']:,} do not." if judged else ""
    if about.format == "orrery":
        what = f"{_number(counts.rows, 'dialogue')} between a user and an agent that calls tools{where}{spoken}. {_STORY}"
    else:
        what = f"{_number(counts.rows, 'row')} of dialogues with tools{where}{spoken}, in the format `{about.format}`."
    return [about.description, what + verdicts, _SYNTHETIC]


_STORY: Final = (
    "A user wants something; the agent looks things up, asks, acts or declines; a program that sees the world's state before"
    " and after says whether the task was solved."
)
_SYNTHETIC: Final = "All of it is synthetic: no person wrote or said any of it, and no record is about anybody."


def how_made(about: CardAbout, counts: Counts) -> list[str]:
    parts = []
    if about.command:
        parts.append(_fenced(about.command, "bash"))
    if about.code_version:
        parts.append(f"Code: {about.code_version}.")
    if counts.run_seeds:
        seeds = ", ".join(map(str, sorted(counts.run_seeds)[:TOP])) + (" and others" if len(counts.run_seeds) > TOP else "")
        parts.append(f"Run seed: {seeds}. Every draw (task, user, agent, trouble) is a function of it and of what it is for.")
    if counts.rows and about.format == "orrery":
        programs = "" if counts.axes["model"] else " No model took part: every role is played by a program."
        parts.append(f"The agent and the user of each row are named in `metadata` and `models`.{programs}")
    if counts.axes["model"]:
        parts.append(markdown(short_table("Models", counts.axes["model"])))
    if about.settings:
        told = {key: value for key, value in about.settings.items() if key not in ("out", "resume", "workers")}
        text = yaml.safe_dump(_plain(told), sort_keys=False, allow_unicode=True).rstrip()
        parts.append(f"<details>\n<summary>All settings</summary>\n\n{_fenced(text, 'yaml')}\n\n</details>")
    if about.usage:
        figures = list(dict.fromkeys(name for figures in about.usage.values() for name in figures))
        rows = tuple((role, *(_figure(used.get(name)) for name in figures)) for role, used in about.usage.items())
        parts.append("What models were asked, by role:\n\n" + markdown(Table("", ("role", *figures), rows)))
    return parts


def quality(about: CardAbout, counts: Counts) -> list[str]:
    parts = []
    if certificates := counts.sums["certificates"]:
        missing = counts.rows - certificates
        certified = _of(counts.sums["certified"], counts.rows, "rows")
        parts.append(
            f"**Certificates.** {certified} belong to a certified task: an oracle solved it, and none of the cheats that were"
            f" tried did ({len(counts.cheats)} kinds, such as doing nothing, repeating what was said, always refusing, acting"
            " without looking)." + (f" {missing:,} rows have no certificate." if missing else "")
        )
    if about.tried is not None or about.dropped:
        tried = "" if about.tried is None else f" {about.tried:,} were tried, {counts.rows:,} kept."
        parts.append(f"**Dropped.**{tried}" + ("" if any(about.dropped.values()) else " Nothing was dropped."))
        parts.append(markdown(short_table("", {name: number for name, number in about.dropped.items() if number})))
    if about.faults:
        parts.append("**Faults.** Episodes that something other than the agent broke, by source; they have no verdict.")
        parts.append(markdown(short_table("", about.faults, unit="episodes")))
    for heading, figures in (
        ("Judged", about.judged),
        ("Deduplication", about.deduplication),
        ("Decontamination", about.contamination),
    ):
        if figures:
            rows = tuple((name.replace("_", " "), _figure(value)) for name, value in figures.items())
            parts += [f"**{heading}.**", markdown(Table("", ("figure", "value"), rows))]
    absent = [
        words
        for words, figures in (("near-duplicates", about.deduplication), ("overlap with benchmarks", about.contamination))
        if not figures
    ]
    if absent and counts.rows:
        parts.append(f"No figure is given for {' and '.join(absent)}: take it that nobody looked.")
    return parts


def provenance(counts: Counts) -> list[str]:
    if not counts.fingerprints:
        return []
    by_world: dict[str, list[str]] = {}
    for world, digest in sorted(counts.fingerprints):
        by_world.setdefault(world, []).append(digest)
    ordered = sorted(by_world, key=lambda world: (-counts.axes["world"][world], world))
    rows = [(world, Marked(", ".join(f"`{digest[:16]}`" for digest in by_world[world]))) for world in ordered[:TOP]]
    if len(ordered) > TOP:
        rows.append((f"{len(ordered) - TOP:,} more", Marked("in the rows")))
    return [
        "Each row names its task, its world with a digest of the whole specification, a digest of every tool, the run's seed, the"
        " task's certificate, the models by role, and the rows that it was made from.",
        markdown(Table("", ("world", "fingerprint (first 16 digits)"), tuple(rows))),
    ]


def known_limits(about: CardAbout, counts: Counts) -> list[str]:
    """Sentences; those that follow from what is in the rows, then the maker's own."""
    axes = counts.axes
    roles = {model.partition(":")[0] for model in axes["model"]}
    applies = {
        "synthetic": True,
        "small": bool(axes["world"]),
        "grown": bool(set(axes["category"]) - {SHIPPED, OTHER}),
        "scripted_agent": bool(axes["policy"]) and "policy" not in roles,
        "errors": bool(axes["teacher_error"]),
        "failures": axes["verdict"]["failed"] > 0,
        "disputed": axes["label"].total() > axes["label"]["pass"],
        "scripted_user": bool(axes["persona"]) and "user" not in roles,
        "chinese": "zh" in axes["language"],
        "no_tokens": about.format == "orrery" and counts.rows > 0 and not counts.lengths["tokens"],
        "troubles": bool(axes["trouble"]),
        "unread": True,
    }
    return [sentence for name, sentence in _LIMITS.items() if applies[name]] + list(about.notes)


_LIMITS: Final = {
    "synthetic": "Synthetic: what a model learns here are the habits of simulated tools and users, not facts about the world.",
    "small": "The worlds are small: few kinds of records, few of each, and rules of a sentence. Real systems are larger, slower"
    " and less consistent.",
    "grown": "Worlds of the lexicon's categories were grown by a program, so their tools resemble each other: the same"
    " operations on other nouns.",
    "scripted_agent": "The agent is a program: it writes little, the same sentences again and again, and shows no reasoning."
    " Learn from it when to call what, not how to write.",
    "errors": "The agent errs on purpose in some rows, in one of a few ways (`metadata.errors`); its failures are not those"
    " of a model.",
    "failures": "Failed dialogues are in it. Filter on `reward` before you imitate.",
    "disputed": "Dialogues are in it that a rule or a judge speaks against, whether or not they solved their task. Imitate those"
    " whose `metadata.label` is `pass`.",
    "scripted_user": "Users are scripted: their wordings come from a grammar with styles, and they say only what their task"
    " provides.",
    "chinese": "In Chinese dialogues keys, values and many names of things are English, as are tools and most system prompts.",
    "no_tokens": "Rows hold messages and no tokens: no policy has read them, so there are no log-probabilities to correct for.",
    "troubles": "Tools misbehave on purpose in some rows (time-outs, rate limits and the like), at rates that were set, not"
    " measured anywhere.",
    "unread": "No person has read it all; `orrery inspect` makes a page to read from.",
}
"""In the order of the card."""


def _number(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def _of(part: int, whole: int, unit: str) -> str:
    return f"All {whole:,} {unit}" if part == whole else f"{part:,} of {whole:,} {unit}"


def _figure(value: Any) -> Any:
    """A value of a table of mixed figures: floats as they are, not as shares."""
    return f"{value:,.4g}" if isinstance(value, float) else shown(value) if isinstance(value, int) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _fenced(text: str, language: str) -> str:
    """A code block that the text cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
