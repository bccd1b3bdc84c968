"""An SQLite file that several processes write, and whose troubles have a name.

Each access has a connection of its own (0.1 ms to open and read): none can cross a fork, a thread or a pickle. The journal is
SQLite's roll-back journal, which works on any disk that locks files; a process that is killed while it writes leaves what was
there before.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SqliteFile", "StoreError"]

_PATIENCE_SECONDS = 60
"""With other processes that write."""


class StoreError(OSError):
    """A file of ours cannot be read or written, which is nobody's answer and no fault of any role: it stops the run. With the
    file's name, and ENOSPC for a full disk."""


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """The file at `path`, whose tables are as `schema` says."""

    path: Path
    schema: str
    """SQL that makes the tables where there are none."""
    read_only: bool = False
    """Whether the file has to be there, and stays as it is."""
    survives_power_cuts: bool = True
    """Without it a write need not wait for the disk: 0.2 ms in place of 1 ms on a fast one and 20 ms on a busy one."""

    def create(self) -> None:
        """Makes the file and its tables, if they are not there.

        Raises:
            StoreError: it cannot be written, or is something else.
        """
        with self.open() as database:
            database.executescript(f"BEGIN; {self.schema} COMMIT;")

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction, which is kept if nothing is raised.

        Raises:
            StoreError: whatever SQLite raises.
        """
        mode = "ro" if self.read_only else "rwc"
        where = f"{self.path.absolute().as_uri()}?mode={mode}"
        try:
            with closing(sqlite3.connect(where, uri=True, timeout=_PATIENCE_SECONDS)) as database, database:
                if not self.survives_power_cuts:
                    database.execute("PRAGMA synchronous = OFF")
                yield database
        except sqlite3.Error as error:
            raise _named(error, self.path) from error


def _named(error: sqlite3.Error, path: Path) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return StoreError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return StoreError(errno.EIO, f"{error} ({name})" if name else str(error), str(path))
