"""Which Python runs programs, and what they find in their environment: the same wherever they run."""

import os
import sys

__all__ = ["environment", "interpreter"]


def interpreter() -> str:
    """This process's own, without the virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def environment(home: str) -> dict[str, str]:
    """All of it; nothing of this process's own."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "PATH": f"{os.path.dirname(interpreter())}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
