"""What a role cost: requests, tokens and money, in a file beside its replies.

Every event is written down as it ends, by whichever process it ended in, so that the sums hold over all workers and over
runs that were killed and went on. What is counted is what was really asked: an answer that arrived and was then lost with the
process that had it was paid for, and is counted, and so is the one that replaces it. A file of its own, since a count is not
worth waiting for the disk and a reply is.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from services.chat.model import Usage
from services.chat.prices import Price
from services.chat.sqlite_file import SqliteFile

__all__ = ["Event", "Ledger", "RoleUsage", "read_usage"]

Event = Literal["answered", "failed_attempt", "given_up", "recorded", "cached", "replayed"]
"""Of an attempt: the model answered, or did not; of a request: it had its last attempt without an answer, or was answered
from the run's record, from the cache, from the record of another run."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    event TEXT PRIMARY KEY, number INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    unmetered INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS priced (only INTEGER PRIMARY KEY CHECK (only = 0), model TEXT NOT NULL, price TEXT NOT NULL);
"""
_ADD: Final = """
INSERT INTO events VALUES (?, 1, ?, ?, ?) ON CONFLICT (event) DO UPDATE SET number = number + 1,
prompt_tokens = prompt_tokens + excluded.prompt_tokens, completion_tokens = completion_tokens + excluded.completion_tokens,
unmetered = unmetered + excluded.unmetered
"""


@dataclass(frozen=True, kw_only=True)
class RoleUsage:
    """What was asked for one role, and what it cost."""

    model: str
    answered: int
    """Requests that the model answered."""
    given_up: int
    """Requests that it did not, after all attempts."""
    from_record: int
    """Requests that were answered before, in this run or before it was killed."""
    from_cache: int
    """Requests that were answered in any run that shared the cache."""
    from_file: int
    """Requests that were answered in the run that this one replays."""
    retried: int
    """Attempts that failed and were followed by another."""
    prompt_tokens: int
    completion_tokens: int
    """Of what the model answered, whether it could be used or not; reasoning included."""
    unmetered: int
    """Answers whose tokens the endpoint did not tell."""
    price: Price | None
    """None where no price is known of the model."""

    @property
    def requests(self) -> int:
        return self.answered + self.given_up + self.from_record + self.from_cache + self.from_file

    @property
    def cost(self) -> float | None:
        """None where it is not known: there is no price, or not all tokens were told."""
        if self.price is None or self.unmetered:
            return None
        return self.price.of(Usage(self.prompt_tokens, self.completion_tokens))

    def summary(self) -> dict[str, Any]:
        """All of it as JSON has it; a model without a price is named under ``unpriced``."""
        price = None if self.price is None else asdict(self.price)
        money = {"cost": self.cost, "currency": None if self.price is None else self.price.currency}
        unpriced = {"unpriced": self.model} if self.price is None else {}
        return {"requests": self.requests, **asdict(self), "price": price, **money, **unpriced}


class Ledger:
    """Counts into the file at `path`; can be sent to other processes.

    Args:
        model: whose prices count, the endpoint's name of it. price: of its tokens; None where none is known. The last one
            that was given counts for all tokens.

    Raises:
        StoreError: the file cannot be written; so does `add`.
    """

    def __init__(self, path: Path, model: str, price: Price | None) -> None:
        self._file = SqliteFile(path, SCHEMA, survives_power_cuts=False)
        self._file.create()
        told = json.dumps(None if price is None else asdict(price))
        with self._file.open() as database:
            database.execute("INSERT OR REPLACE INTO priced VALUES (0, ?, ?)", (model, told))

    def add(self, event: Event, usage: Usage | None = None) -> None:
        """One more, and its tokens."""
        tokens = (0, 0) if usage is None else (usage.prompt_tokens, usage.completion_tokens)
        with self._file.open() as database:
            database.execute(_ADD, (event, *tokens, int(event == "answered" and usage is None)))


def read_usage(path: Path) -> RoleUsage:
    """What a ledger's file says.

    Raises:
        StoreError: there is none.
    """
    with SqliteFile(path, SCHEMA, read_only=True).open() as database:
        rows = {row[0]: row[1:] for row in database.execute("SELECT * FROM events")}
        model, price = database.execute("SELECT model, price FROM priced").fetchone()
    number = {event: row[0] for event, row in rows.items()}
    failed, given_up = number.get("failed_attempt", 0), number.get("given_up", 0)
    told = json.loads(price)
    return RoleUsage(
        model=model,
        answered=number.get("answered", 0),
        given_up=given_up,
        from_record=number.get("recorded", 0),
        from_cache=number.get("cached", 0),
        from_file=number.get("replayed", 0),
        retried=failed - given_up,
        prompt_tokens=sum(row[1] for row in rows.values()),
        completion_tokens=sum(row[2] for row in rows.values()),
        unmetered=sum(row[3] for row in rows.values()),
        price=None if told is None else Price(**told),
    )
