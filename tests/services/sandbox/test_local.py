"""The local sandbox: what programs find, what comes back, and that nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sandbox import Limits, Program, SandboxConfig, SandboxError, open_sandbox, shared_sandbox, slot
from services.sandbox.local import LocalSandbox

Ended = Callable[..., bool]
ROOT = Path(__file__).parents[3]


def test_a_program_and_its_files_go_in_and_its_results_come_out(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "import sys, helper; open('out/new', 'wb').write(sys.stdin.buffer.read() + helper.data); sys.exit(3)"
    files = {"helper.py": b"data = open('deep/er/data', 'rb').read()", "deep/er/data": b"\x00\xff", "out/old": b"old"}
    result = sandbox.run(Program.python(source, b"in"), files, collect=["out/new", "out/old", "none"])
    if ended(result, "error"):
        assert result.exit_code == 3 and not result.stderr
        assert dict(result.files) == {"out/new": b"in\x00\xff", "out/old": b"old"}
        assert 0 < result.seconds < 60 and result.cpu_seconds and result.cpu_seconds < 5
        assert result.peak_memory_bytes and result.peak_memory_bytes < 2**28


@pytest.mark.parametrize(
    ("source", "status", "stdout", "stderr"),
    [
        ("print('héllo', __name__, __file__)", 0, "héllo __main__ /box/program/main.py\n", ""),
        ("import sys; print(sys.argv, sys.path[0])", 0, "['/box/program/main.py'] /box/work\n", ""),
        ("raise SystemExit", 0, "", ""),
        ("import sys; print('a', end=''); sys.exit('why')", 1, "a", "why\n"),
        ("exit(300)", 44, "", ""),
        ("import os; os._exit(7)", 7, "", ""),
        ("import atexit; atexit.register(print, 'last'); print('first')", 0, "first\nlast\n", ""),
        ("import threading\nthreading.Thread(target=lambda: print('thread')).start()\nprint('main')", 0, "thread\nmain\n", ""),
        ("print(hash('a') == hash('a'), input(), input())", 0, "True one two\n", ""),
        ("def f(:", 1, "", "SyntaxError"),
        ("x\0", 1, "", "null bytes"),
        ("'\ud800'", 1, "", "SyntaxError"),
        ("def f(): 1/0\nf()", 1, "", "ZeroDivisionError: division by zero\n"),
        ("import services", 1, "", "ModuleNotFoundError"),
        ("import sys; sys.stdout.close()", 0, "", ""),
        (
            "from multiprocessing import Pool\nif __name__ == '__main__':\n    print(sum(Pool(2).map(abs, [-1, -2])))",
            0,
            "3\n",
            "",
        ),
        ("import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', 'print(5)']))", 0, "b'5\\n'\n", ""),
    ],
)
def test_python_behaves_as_a_script_does(
    sandbox: LocalSandbox, ended: Ended, source: str, status: int, stdout: str, stderr: str
) -> None:
    result = sandbox.run(Program.python(source, b"one\ntwo\n"))
    if ended(result, "error" if status else "ok"):
        assert (result.exit_code, result.stdout.decode()) == (status, stdout)
        assert stderr in result.stderr.decode() and (stderr or not result.stderr)
        assert b"running.py" not in result.stderr  # nothing of ours in a traceback


def test_commands_run_and_those_that_cannot_are_errors(sandbox: LocalSandbox, ended: Ended) -> None:
    result = sandbox.run(Program.command("sh", "-c", "cat; python3 -c 'print(6 * 7)'; exit 5", stdin=b"in "))
    assert not ended(result, "error") or (result.exit_code, result.stdout) == (5, b"in 42\n")
    for program, code in ((Program.command("no-such"), 127), (Program.command("./file"), 126), (Program.command("a\0b"), 126)):
        result = sandbox.run(program, {"file": b"x"})
        assert not ended(result, "error") or (result.exit_code == code and result.stderr)


def test_a_large_input_and_an_output_of_the_same_size(sandbox: LocalSandbox, ended: Ended) -> None:
    data = os.urandom(2**20)
    result = sandbox.run(Program.command("cat", stdin=data))
    assert not ended(result, "ok") or result.stdout == data
    ended(sandbox.run(Program.command("true", stdin=data)), "ok")  # nobody reads it
    result = sandbox.run(Program.command("true"), {"big": bytes(2**22)}, Limits(disk_bytes=4096), collect=["big"])
    assert not ended(result, "ok") or not result.files  # given files do not count as written, but are not collected beyond it


@settings(max_examples=15)
@given(
    files=st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.binary(max_size=5_000),
        max_size=4,
    ),
    stdin=st.binary(max_size=100),
)
def test_what_goes_in_comes_out(sandbox: LocalSandbox, files: dict[str, bytes], stdin: bytes) -> None:
    files = {name: content for name, content in files.items() if name not in (".", "..")}
    result = sandbox.run(Program.command("cat", stdin=stdin), files, collect=list(files))
    assert sandbox.refusal or (result.stdout, dict(result.files)) == (stdin, files)


def test_programs_run_side_by_side_and_see_only_themselves(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
import os, time
open('mine', 'w').write('%d'); open('/tmp/mine', 'w').write('%d')
time.sleep(0.05)
print(open('mine').read(), open('/tmp/mine').read(), [p for p in os.listdir('/proc') if p.isdigit()])
"""
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: sandbox.run(Program.python(source % (number, number))), range(16)))
    for number, result in enumerate(results):
        assert not ended(result, "ok") or result.stdout.decode() == f"{number} {number} ['1', '2']\n"


def _traces() -> tuple[list[str], int, int, str]:
    """Of this process: programs below it, open descriptors, control groups; and the machine's mounts."""
    below = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            below.append(process.name())
    groups = list(Path("/sys/fs/cgroup").glob(f"**/orrery-sandbox-{os.getpid()}-*"))
    return sorted(below), len(os.listdir("/proc/self/fd")), len(groups), Path("/proc/self/mountinfo").read_text()


def _steady() -> tuple[list[str], int, int, str]:
    """Once nothing changes any more: a box for the next program is made ready behind the last one's back."""
    seen = [_traces()]
    while len(seen) < 6 or any(traces != seen[-1] for traces in seen[-6:]):
        time.sleep(0.05)
        seen.append(_traces())
    return seen[-1]


def _settled(expected: object) -> None:
    """Waits until the last supervisors, which answer before they are gone, are gone."""
    deadline = time.monotonic() + 20
    while _traces() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _traces() == expected


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_programs_in_a_row_leave_no_process_mount_group_or_file(count: int) -> None:
    before, temporary = _steady(), Path(f"/tmp/left-by-{os.getpid()}")
    with LocalSandbox(SandboxConfig(slots=1, runs_per_template=20)) as sandbox:
        warm = _steady()
        source = f"import os; open({str(temporary)!r}, 'w'); open('/dev/shm/left-{os.getpid()}', 'w'); os.fork(); os.setsid()"
        for number in range(count):
            program = Program.command("sh", "-c", "sleep 99 & echo x > left") if number % 5 == 4 else Program.python(source)
            result = sandbox.run(program)
            assert result.ending in (("refused",) if sandbox.refusal else ("ok", "error")), result
        _settled(warm)
    _settled(before)
    assert not temporary.exists() and not Path(f"/dev/shm/left-{os.getpid()}").exists()


def test_a_template_that_has_served_its_time_is_replaced(sandbox: LocalSandbox) -> None:
    with LocalSandbox(SandboxConfig(slots=1, runs_per_template=3)) as short:
        for number in range(10):
            result = short.run(Program.python(f"print({number})"))
            assert short.refusal or result.stdout == f"{number}\n".encode()


def test_a_template_that_dies_is_a_fault_once_and_replaced(sandbox: LocalSandbox) -> None:
    if sandbox.refusal:
        assert sandbox.run(Program.python("")).ending == "refused"
        return
    with LocalSandbox(SandboxConfig(slots=1)) as fragile:
        children = psutil.Process(fragile._all[0]._template._process.pid).children()  # type: ignore[union-attr]
        killer = threading.Timer(0.2, lambda: os.kill(children[0].pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(SandboxError, match="gone"):
            fragile.run(Program.python("import time; time.sleep(9)"))
        assert fragile.run(Program.python("print(1)")).stdout == b"1\n"


def test_a_killed_owner_takes_everything_with_it(sandbox: LocalSandbox) -> None:
    """Nobody is left to close the sandbox then."""
    source = (
        "from services.sandbox import Program, SandboxConfig, open_sandbox\n"
        "sandbox = open_sandbox(SandboxConfig(slots=1))\n"
        "print('open', flush=True)\n"
        "sandbox.run(Program.command('sh', '-c', 'setsid sleep 98 & sleep 98'))\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout and owner.stdout.readline() == b"open\n"
        below = psutil.Process(owner.pid).children(recursive=True)
        while not sandbox.refusal and not any(process.name() == "sleep" for process in below):
            below = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    for folder in Path("/sys/fs/cgroup").glob(f"**/orrery-sandbox-{owner.pid}-*"):
        folder.rmdir()  # empty: a later owner would do this after a minute


def test_a_large_file_comes_back_although_it_fills_the_memory_limit(sandbox: LocalSandbox, ended: Ended) -> None:
    limits = Limits(memory_bytes=48 * 2**20, disk_bytes=40 * 2**20)
    result = sandbox.run(Program.command("sh", "-c", "head -c 35000000 /dev/zero > big"), None, limits, ["big", "big"])
    assert not ended(result, "ok") or len(result.files["big"]) == 35_000_000


def test_a_child_that_runs_out_of_memory_makes_the_ending(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "import os\nif os.fork() == 0:\n    x = bytearray(10**9)\nos.wait()\nprint('went on')"
    for _ in range(2):
        result = sandbox.run(Program.python(source), limits=Limits(memory_bytes=64 * 2**20))
        assert not ended(result, "memory", "ok") or (result.ending == "ok") is (b"MemoryError" in result.stderr)


def test_the_umask_of_the_owner_is_not_that_of_programs(sandbox: LocalSandbox, ended: Ended) -> None:
    before = os.umask(0o777)
    try:
        with LocalSandbox(SandboxConfig(slots=1)) as strict:
            result = strict.run(Program.python("import os; print(oct(os.umask(0)), open('/etc/passwd').read()[:4])"))
    finally:
        os.umask(before)
    assert not ended(result, "ok") or result.stdout == b"0o22 user\n"


def test_closing_ends_programs_that_run(sandbox: LocalSandbox) -> None:
    before = _steady()
    closing = LocalSandbox(SandboxConfig(slots=2))
    with ThreadPoolExecutor(3) as threads:
        runs = [
            threads.submit(closing.run, Program.python("import time; time.sleep(60)"), None, Limits(wall_seconds=70))
            for _ in range(3)
        ]
        time.sleep(0.4)
        closing.close()
        for run in runs:
            if closing.refusal:
                assert run.result().ending == "refused"
            else:
                with pytest.raises(SandboxError, match="closed"):
                    run.result(20)
    closing.close()
    _settled(before)


def test_without_control_groups_every_process_has_its_limits(monkeypatch: pytest.MonkeyPatch, sandbox: LocalSandbox) -> None:
    monkeypatch.setattr(slot, "open_group", lambda: None)
    limits = Limits(memory_bytes=64 * 2**20, cpu_seconds=1, processes=5)
    with LocalSandbox(SandboxConfig(slots=1)) as bare:
        if bare.refusal:
            assert bare.run(Program.python("")).ending == "refused"
            return
        assert "each process" in bare.describe()["memory"]
        assert bare.run(Program.python("x = bytearray(10**9)"), limits=limits).ending == "memory"
        assert bare.run(Program.python("while True: pass"), limits=limits).ending == "timeout"
        forks = "import os, time\nfor n in range(9):\n    if not os.fork(): time.sleep(9)\n"
        assert b"BlockingIOError" in bare.run(Program.python(forks), limits=limits).stderr
        result = bare.run(Program.python("print(len(bytearray(30 * 2**20)))"), limits=limits)
        assert result.ending == "ok" and result.peak_memory_bytes


def test_where_isolation_cannot_be_had_every_program_is_refused(sandbox: LocalSandbox) -> None:
    """Inside of a sandbox is such a place."""
    source = """
from services.sandbox import Program, open_sandbox, shared_sandbox
with open_sandbox() as inner:
    for program in (Program.python("print('ran')"), Program.command("touch", "ran")):
        result = inner.run(program)
        print(result.ending, bool(result.reason), result.stdout, inner.describe()["isolation"].startswith("none"))
"""
    packages = [path for name in ("services", "trajectories") for path in (ROOT / name).rglob("*.py")]
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in packages}
    with LocalSandbox(SandboxConfig(slots=1)) as outer:
        result = outer.run(Program.python(source), files)
        assert outer.refusal or result.stdout == b"refused True b'' True\n" * 2, result


def test_readable_directories_can_be_read_and_not_written(sandbox: LocalSandbox, ended: Ended) -> None:
    folder = Path("/var/lib")  # not below /tmp, where a checkout may lie and where programs have a file system of their own
    source = f"import os; print(os.path.isdir({str(folder)!r})); open({str(folder / 'x')!r}, 'w')"
    assert sandbox.refusal or sandbox.run(Program.python(source)).stdout == b"False\n"
    with LocalSandbox(SandboxConfig(slots=1, readable=(str(folder),))) as reading:
        result = reading.run(Program.python(source))
        if ended(result, "error"):
            assert result.stdout == b"True\n" and b"Read-only file system" in result.stderr


def test_one_shared_sandbox_for_a_process_and_none_with_its_forks() -> None:
    first = shared_sandbox()
    assert first is shared_sandbox()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            own = shared_sandbox()
            with pytest.raises(SandboxError, match="another process"):
                first.run(Program.python(""))
            os.write(write, own.run(Program.python("print('own')")).ending.encode())
            own.close()
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with open(read, "rb") as file:
        assert file.read() in (b"ok", b"refused")
    assert first.run(Program.python("print('still')")).ending in ("ok", "refused")


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": -1},
        {"runs_per_template": 0},
        {"attempts": 0},
        {"readable": ("relative",)},
        {"readable": ("/",)},
        {"readable": ("/a/../b",)},
        {"readable": ("/tmp/x",)},
        {"readable": ("/proc",)},
        {"kind": "http"},
        {"kind": "http", "url": "ftp://x"},
        {"kind": "http", "url": "http://name:password@x"},
        {"url": "http://x"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="sandbox"):
        SandboxConfig(**wrong)  # type: ignore[arg-type]


def test_opening_gives_what_the_kind_says() -> None:
    with open_sandbox(SandboxConfig(slots=1)) as opened:
        assert isinstance(opened, LocalSandbox)
        assert "isolation" in opened.describe()
