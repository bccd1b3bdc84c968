"""What isolation costs: start-up of a program in the local sandbox, beside the same program as a plain process.

A program comes after a pause, in which a box was made ready for it, or right after the last one; both are told. Start-up is from
the call to the result of a program that does nothing.
"""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from services.sandbox import Program, Sandbox, SandboxConfig, open_sandbox
from services.sandbox.interpreter import interpreter

__all__ = ["SandboxBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class SandboxBenchmark:
    programs: int = 50
    """Run for each median, and at once for the rate."""
    pause_seconds: float = 0.05
    """Before each program that comes after a pause."""
    slots: int = 0
    """Of the sandbox; 0: two for each core."""

    def __post_init__(self) -> None:
        if self.programs < 1:
            raise ValueError(f"programs: must be at least 1, not {self.programs}")
        if self.pause_seconds < 0 or self.slots < 0:
            raise ValueError(f"pause_seconds and slots: must be 0 or more, not {self.pause_seconds} and {self.slots}")

    def quick(self) -> "SandboxBenchmark":
        return replace(self, programs=5)


def measure(settings: SandboxBenchmark, repeats: int) -> list[Figure]:
    """Start-up in seconds, each repeat a median over programs, and warm programs per second from as many threads as slots.

    Raises:
        RuntimeError: isolation cannot be had on this machine, or a program failed.
    """
    config = SandboxConfig(slots=settings.slots)
    warm, cold, process = Program.python("pass"), Program.command("python3", "-c", "pass"), Program.command("/bin/true")
    with open_sandbox(config) as sandbox:
        measured = take_turns(
            repeats,
            *(_start(settings, _inside(sandbox, program), pause) for program in (process, warm, cold) for pause in (True, False)),
            _start(settings, lambda: _plain(["/bin/true"]), False),
            _start(settings, lambda: _plain([interpreter(), "-c", "pass"]), False),
            lambda: _rate(settings.programs, config.width, _inside(sandbox, warm)),
        )
    rested = {name: measured[2 * number] for number, name in enumerate(("process", "warm", "cold"))}
    hurried = {name: median(measured[2 * number + 1]) for number, name in enumerate(("process", "warm", "cold"))}
    bare, bare_python, rate = measured[6:]
    return [
        Figure(
            "sandbox: isolated process", "s", rested["process"], Limit("plain process", bare), _back_to_back(hurried["process"])
        ),
        Figure("sandbox: warm Python", "s", rested["warm"], Limit("plain Python", bare_python), _back_to_back(hurried["warm"])),
        Figure("sandbox: cold Python", "s", rested["cold"], Limit("plain Python", bare_python), _back_to_back(hurried["cold"])),
        Figure("sandbox: warm Python", "calls/s", rate, None, {"threads": float(config.width)}),
    ]


def _back_to_back(seconds: float) -> dict[str, float]:
    return {"seconds_back_to_back": seconds}


def _inside(sandbox: Sandbox, program: Program) -> Callable[[], None]:
    def run() -> None:
        result = sandbox.run(program)
        if result.ending != "ok":
            raise RuntimeError(f"sandbox: a program ended as {result.ending}: {result.reason or result.stderr.decode()}")

    return run


def _plain(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _start(settings: SandboxBenchmark, run: Callable[[], None], pause: bool) -> Callable[[], float]:
    """The median over programs."""

    def measured() -> float:
        seconds = []
        for _ in range(settings.programs):
            if pause:
                time.sleep(settings.pause_seconds)
            seconds.append(seconds_of(run))
        return median(seconds)

    return measured


def _rate(programs: int, threads: int, run: Callable[[], None]) -> float:
    with ThreadPoolExecutor(threads) as pool:
        return programs / seconds_of(lambda: list(pool.map(lambda _: run(), range(programs))))
