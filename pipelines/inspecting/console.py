"""Statistics and rows on a console; text is never taken for markup, and no escape sequence of a row reaches the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from pipelines.inspecting.view import Turn, View
from trajectories.card.tables import Table, shown
from trajectories.card.visible import visible

__all__ = ["show_rows", "show_tables"]

_MOST: Final = 1200
"""Characters of a text that are shown."""
_STYLES: Final = {"system": "dim", "user": "cyan", "assistant": "bold", "tool": "yellow"}
_VERDICTS: Final = {"passed": "green", "failed": "red"}


def show_tables(console: Console, tables: Sequence[Table]) -> None:
    for table in tables:
        if not table.rows:
            continue
        console.print(Text(table.title, "bold"))
        grid = Grid(box=None, pad_edge=False)
        for number, header in enumerate(table.headers):
            grid.add_column(Text(visible(header)), justify="left" if number == 0 else "right", overflow="fold")
        for row in table.rows:
            grid.add_row(*(Text(visible(shown(value))) for value in row))
        console.print(grid)
        console.print()


def show_rows(console: Console, views: Sequence[View]) -> None:
    for view in views:
        _show(console, view)


def _show(console: Console, view: View) -> None:
    head = Text(visible(f"{view.verdict or 'no verdict'}  {view.world}  {view.name}"), _VERDICTS.get(view.verdict, "yellow"))
    console.print(Rule(head, align="left", style="dim"))
    _line(console, "goal", view.goal)
    _line(console, "about", "; ".join(f"{name} {value}" for name, value in view.badges))
    _turns(console, view.turns)
    if view.rejected:
        console.print(Text("rejected instead:", "red"))
        _turns(console, view.rejected)
    console.print()
    _line(console, "tools", f"{len(view.tools)}: {', '.join(name for name, _, _ in view.tools)}" if view.tools else "none")
    _line(console, "reward", view.reward)
    for line in _verdicts(view):
        _line(console, "verdict", line)
    for change in view.changes:
        _line(console, "change", change)
    for name, wanted in view.rubric:
        _line(console, "rubric", f"{name}: {wanted}")
    _line(console, "proof", view.certificate)
    _line(console, "from", "; ".join(f"{name} {value}" for name, value in view.provenance))
    console.print()


def _verdicts(view: View) -> Iterator[str]:
    """What failed and what somebody gave reasons for, each by itself; the other criteria are counted."""
    quiet = [criterion for criterion, verdict, _, why in view.verdicts if verdict == "pass" and not why]
    for criterion, verdict, judge, why in view.verdicts:
        if verdict != "pass" or why:
            yield f"{criterion}: {verdict} ({judge}){f' {why}' if why else ''}"
    if quiet:
        yield f"pass: {', '.join(quiet)}"


def _turns(console: Console, turns: Sequence[Turn]) -> None:
    for turn in turns:
        style = _STYLES.get(turn.role, "")
        mishap = f" [{turn.mishap}]" if turn.mishap else ""
        if turn.reasoning:
            _block(console, f"{turn.speaker} thinks", turn.reasoning, "dim")
        if turn.text or not turn.calls:
            _block(console, turn.speaker + mishap, turn.text or "(says nothing)", style)
        for call in turn.calls:
            _block(console, f"{turn.speaker} calls {call.name}", call.arguments, "magenta")


def _block(console: Console, speaker: str, text: str, style: str) -> None:
    console.print(Text(visible(speaker), style))
    console.print(Padding(_text(text), (0, 0, 0, 4)))


def _line(console: Console, name: str, value: Any) -> None:
    if value:
        console.print(Text(f"{name:<8}", "dim") + _text(str(value)))


def _text(text: str) -> Text:
    rest = len(text) - _MOST
    return Text(visible(text[:_MOST]) + (f" ... ({rest:,} more characters)" if rest > 0 else ""), overflow="fold")
