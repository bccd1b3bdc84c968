"""Programs that nobody trusts, run where they can do no harm: the reward process never runs policy code in itself.

`open_sandbox(SandboxConfig(...))` opens one and `shared_sandbox()` is the one of this process; `run(Program.python(source))`
gives a `SandboxResult` with a typed ending, whatever the program did.
"""

from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Ending, Limits, Program, Sandbox, SandboxError, SandboxResult
from services.sandbox.opening import configure_shared, open_sandbox, shared_sandbox

__all__ = [
    "Ending", "Limits", "Program", "Sandbox", "SandboxConfig", "SandboxError", "SandboxResult", "configure_shared",
    "open_sandbox", "shared_sandbox",
]  # fmt: skip
