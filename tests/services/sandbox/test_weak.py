"""The weak sandbox: the same results without isolation, only where it was asked for by name."""

from services.sandbox import Limits, Program, SandboxConfig, open_sandbox
from services.sandbox.weak import WeakSandbox


def test_the_same_program_gives_the_same_result_but_says_that_nothing_isolates_it() -> None:
    with open_sandbox(SandboxConfig(kind="weak", slots=1)) as weak:
        assert isinstance(weak, WeakSandbox) and weak.describe()["isolation"].startswith("none")
        source = "import sys, helper; open('new', 'w').write(helper.data); print(sys.stdin.read()); sys.exit(3)"
        result = weak.run(Program.python(source, b"in"), {"helper.py": b"data = 'x'"}, collect=["new", "gone"])
        assert (result.ending, result.exit_code, result.stdout, dict(result.files)) == ("error", 3, b"in\n", {"new": b"x"})


def test_limits_on_time_output_memory_and_files_hold_for_each_process() -> None:
    limits = Limits(wall_seconds=0.3, cpu_seconds=1, memory_bytes=2**26, disk_bytes=2**16, output_bytes=1000)
    with WeakSandbox(SandboxConfig(kind="weak", slots=1)) as weak:
        assert weak.run(Program.python("import time; time.sleep(9)"), limits=limits).ending == "timeout"
        assert weak.run(Program.command("yes"), limits=limits).ending == "output"
        wide = Limits(memory_bytes=2**26, disk_bytes=2**16, cpu_seconds=1)
        assert weak.run(Program.python("x = bytearray(10**9)"), limits=wide).ending == "memory"
        assert b"File too large" in weak.run(Program.python("open('x', 'wb').write(bytes(2**17))"), limits=wide).stderr
        assert weak.run(Program.command("sh", "-c", "while :; do :; done"), limits=wide).ending == "timeout"
        assert weak.run(Program.command("no-such")).exit_code == 127


def test_what_is_no_regular_file_is_not_collected() -> None:
    source = "import os; os.symlink('/etc/passwd', 'link'); os.mkfifo('fifo'); open('real', 'w').write('x')"
    with WeakSandbox() as weak:
        assert dict(weak.run(Program.python(source), collect=["link", "fifo", "real"]).files) == {"real": b"x"}
