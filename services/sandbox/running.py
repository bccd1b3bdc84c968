"""The last steps before a program runs, in the process that becomes it; by then nothing that it could harm is in reach."""

import atexit
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

__all__ = ["run_command", "run_python"]


def run_python(path: str, folder: str) -> NoReturn:
    """Runs the file as ``__main__`` in this interpreter, as ``python path`` in `folder` would, and exits with its status."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "services"]:
        del sys.modules[name]
    main = ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    sys.argv, sys.path = [path], [folder, *sys.path]
    _open_streams()
    status = 0
    try:
        exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as error:
        status = _status(error)
    except BaseException as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    _finish(status)


def run_command(argv: Sequence[str]) -> NoReturn:
    """Replaces this process by the command; a shell's 127 where there is none, 126 where it cannot be run."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], list(argv), os.environ)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        os.write(2, f"{argv[0][:200]}: {what}\n".encode(errors="replace"))
        os._exit(127 if isinstance(error, FileNotFoundError | NotADirectoryError) else 126)


def _open_streams() -> None:
    """Those of the template were made for other descriptors."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        raw = io.FileIO(number, mode, closefd=False)
        raw.name = f"<{name}>"
        buffered = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(buffered, "utf-8", errors, line_buffering=name == "stderr")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _finish(status: int) -> NoReturn:
    """What an interpreter does at its end, without taking itself apart."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        status = status or 1
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException:
        status = 120
    os._exit(status)
