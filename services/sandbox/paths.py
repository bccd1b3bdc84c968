"""Paths that a caller gives: relative, inside the working directory, and no directory and file at once."""

from collections.abc import Iterable

__all__ = ["check_paths"]


def check_paths(files: Iterable[str], collect: Iterable[str] = ()) -> None:
    """Raises:
    ValueError: a path that cannot be inside the working directory, or that is no path at all.
    """
    given = list(files)
    for path in (*given, *collect):
        parts = path.split("/")
        if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{path[:200]!r} is no plain relative path inside the working directory")
        try:
            longest = max(len(part.encode()) for part in parts)
        except UnicodeEncodeError:
            raise ValueError(f"{path[:200]!r} is no valid Unicode") from None
        if longest > 255 or len(path) > 2_000:
            raise ValueError(f"{path[:200]!r}... is too long for a path")
    folders = {path[:cut] for path in given for cut in range(len(path)) if path[cut] == "/"}
    for path in given:
        if path in folders:
            raise ValueError(f"{path!r} is both a file and a directory")
