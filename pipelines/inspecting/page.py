"""``samples.html``: rows and statistics as one page that needs nothing else, opened from a disk as well as from a server.

What the page shows was written by anybody: models, users, tools. So everything is escaped by the template engine, characters that
would not be seen are spelled out, and a content policy lets no script run but the page's own, whose digest it names.
"""

import base64
import hashlib
import importlib.resources
from collections.abc import Sequence
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipelines.inspecting.view import View
from trajectories.card.tables import Table, shown
from trajectories.card.visible import visible

__all__ = ["page"]

_OPENING: Final = 1500
"""Characters of a text that are seen at once; the others are behind a click."""
_MOST: Final = 50_000
"""Characters of a text that are in the page at all."""


def page(title: str, subtitle: str, tables: Sequence[Table], views: Sequence[View]) -> str:
    """The HTML text, which UTF-8 can encode whatever the rows hold."""
    style, script = _file("page.css.jinja"), _file("page.js.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalized
    )
    environment.filters.update(opening=lambda text: text[:_OPENING], rest=lambda text: text[_OPENING:_MOST], cell=shown)
    choices = {
        name: sorted({value for view in views if (value := getattr(view, name))}) for name in ("verdict", "world", "language")
    }
    return environment.from_string(_file("page.html.jinja")).render(
        title=title,
        subtitle=subtitle,
        tables=[table for table in tables if table.rows],
        views=views,
        choices={name: values for name, values in choices.items() if len(values) > 1},
        style=Markup(style),
        script=Markup(script),
        style_digest=_digest(style),
        script_digest=_digest(script),
        opening=_OPENING,
        most=_MOST,
    )


def _file(name: str) -> str:
    # Style and script are no templates; they bear the suffix because files with it ship as package data.
    return importlib.resources.files("pipelines.inspecting").joinpath(name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _finalized(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
