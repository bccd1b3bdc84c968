"""A battery of escapes and abuses: every one of them ends in a typed result, reaches nothing, and leaves nothing."""

import os
import socket
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from services.sandbox import Limits, Program
from services.sandbox.local import LocalSandbox

Ended = Callable[..., bool]
SMALL = Limits(wall_seconds=20, cpu_seconds=1, memory_bytes=96 * 2**20, disk_bytes=8 * 2**20, processes=16)
SHORT = Limits(wall_seconds=0.3, cpu_seconds=3)


def python(source: str) -> Program:
    return Program.python(textwrap.dedent(source))


def still_works(sandbox: LocalSandbox) -> None:
    """After an abuse, in every slot."""
    for _ in range(2):
        assert sandbox.refusal or sandbox.run(Program.python("print('fine')")).stdout == b"fine\n"


# What uses something up.


def test_a_fork_bomb_reaches_the_process_limit(sandbox: LocalSandbox, ended: Ended) -> None:
    bomb = python("""
        import os, time
        made = 0
        while True:
            try:
                if os.fork() == 0:
                    time.sleep(60)
                made += 1
            except BlockingIOError:
                print(made)
                break
    """)
    result = sandbox.run(bomb, limits=SMALL)
    if ended(result, "ok"):
        assert int(result.stdout) == SMALL.processes - 1
    still_works(sandbox)


def test_a_fork_bomb_that_never_stops_is_stopped(sandbox: LocalSandbox, ended: Ended) -> None:
    limits = Limits(wall_seconds=0.6, cpu_seconds=30, processes=30)
    ended(sandbox.run(Program.command("sh", "-c", "f() { f | f & }; f; while :; do :; done"), limits=limits), "timeout")
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    ended(sandbox.run(Program.python(bomb), limits=limits), "timeout", "memory")
    still_works(sandbox)


def test_threads_count_as_processes(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "import threading, time\nfor _ in range(100): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    result = sandbox.run(Program.python(source), limits=SMALL)
    assert not ended(result, "error") or b"can't start new thread" in result.stderr


@pytest.mark.parametrize(
    "source",
    [
        "x = bytearray(10**10)",
        "x = []\nwhile True: x.append('y' * 2**20)",
        "import mmap\nx = mmap.mmap(-1, 10**9)\nfor i in range(0, 10**9, 4096): x[i] = 1",
        "import os, time\nfor _ in range(8):\n    if not os.fork(): x = b'x' * 2**25; time.sleep(9)\ntime.sleep(0.7)",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n):\n    return [n, f(n + 1)]\nf(0)",
    ],
    ids=["one allocation", "many allocations", "shared mapping", "many processes", "deep recursion"],
)
def test_a_memory_bomb_meets_its_limit(sandbox: LocalSandbox, ended: Ended, source: str) -> None:
    result = sandbox.run(Program.python(source), limits=SMALL)
    if ended(result, "memory", "killed", "timeout", "error"):
        assert result.peak_memory_bytes is None or result.peak_memory_bytes <= 1.1 * SMALL.memory_bytes
        assert result.ending != "error" or b"MemoryError" in result.stderr
    still_works(sandbox)


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm", "/var/tmp", "/box"])
def test_100_gigabytes_do_not_fit_anywhere(sandbox: LocalSandbox, ended: Ended, folder: str) -> None:
    source = f"""
        import os
        written = 0
        for number in range(100_000):
            with open(os.path.join({folder!r}, f"f{{number}}"), "wb", buffering=0) as file:
                try:
                    written += file.write(bytes(2**20))
                except OSError:
                    break
        print(written)
    """
    result = sandbox.run(python(source), limits=SMALL)
    if ended(result, "ok"):
        assert 0 < int(result.stdout) <= SMALL.disk_bytes + 2**17
    ended(
        sandbox.run(Program.command("sh", "-c", f"dd if=/dev/zero of={folder}/x bs=1M count=100000"), limits=SMALL),
        "error",
        "killed",
    )


def test_a_hundred_thousand_files_do_not_fit_either(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "for i in range(100_000): open(str(i), 'w').close()"
    result = sandbox.run(Program.python(source))
    assert not ended(result, "error") or b"No space left" in result.stderr


def test_a_sparse_file_is_not_collected_beyond_the_limit(sandbox: LocalSandbox, ended: Ended) -> None:
    source = (
        "import os\nfor name in 'ab':\n    os.truncate(os.open(name, os.O_CREAT | os.O_RDWR), 5 * 2**20)\nos.truncate('a', 2**40)"
    )
    result = sandbox.run(Program.python(source), limits=SMALL, collect=["a", "b"])
    if ended(result, "error"):
        assert list(result.files) == ["a"] and b"File too large" in result.stderr


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_without_end_ends(sandbox: LocalSandbox, ended: Ended, stream: str) -> None:
    limits = Limits(output_bytes=10_000)
    result = sandbox.run(Program.python(f"import sys\nwhile True: sys.{stream}.write('x' * 999)"), limits=limits)
    if ended(result, "output"):
        assert getattr(result, stream) == b"x" * 10_000
    result = sandbox.run(Program.python("print('x' * 9_999)"), limits=limits)
    assert not ended(result, "ok") or len(result.stdout) == 10_000


@pytest.mark.parametrize(
    "source",
    [
        "import time; time.sleep(99)",
        "import os, time; os.close(1); os.close(2); os.close(0); time.sleep(99)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: signal.pause()",
        "import os, time\nif os.fork() == 0:\n    time.sleep(99)\nos.wait()",
        "import sys; sys.stdin.read(); import threading; threading.Event().wait()",
        "import atexit, time; atexit.register(time.sleep, 99)",
        "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start()",
    ],
    ids=["sleep", "closed streams", "stopped", "deaf", "waiting", "event", "atexit", "thread"],
)
def test_whoever_hangs_is_timed_out(sandbox: LocalSandbox, ended: Ended, source: str) -> None:
    result = sandbox.run(Program.python(source), limits=SHORT)
    if ended(result, "timeout"):
        assert result.exit_code is None and "0.3 s" in result.reason and result.seconds < 30


def test_cpu_time_runs_out_for_all_processes_together(sandbox: LocalSandbox, ended: Ended) -> None:
    limits = Limits(wall_seconds=30, cpu_seconds=0.3)
    for source in ("while True: pass", "import os\nos.fork(), os.fork()\nwhile True: pass"):
        result = sandbox.run(Program.python(source), limits=limits)
        assert not ended(result, "timeout") or "CPU" in result.reason
    deaf = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    ended(sandbox.run(Program.python(deaf), limits=limits), "timeout")


def test_a_huge_argument_list_is_an_error(sandbox: LocalSandbox, ended: Ended) -> None:
    result = sandbox.run(Program.command("echo", "x" * 10**6))
    assert not ended(result, "error") or result.exit_code == 126
    ended(sandbox.run(Program.command("true", *["x" * 1000] * 5_000)), "error")


def test_deep_directories_are_left_behind(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "import os\nfor _ in range(5_000):\n    os.mkdir('d'); os.chdir('d')\nopen('f', 'w').write('x')"
    result = sandbox.run(Program.python(source), collect=["/".join(["d"] * 900 + ["f"])])
    assert not ended(result, "ok") or not result.files


# What reaches for something.


def test_there_is_no_network(sandbox: LocalSandbox, ended: Ended) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        source = f"""
            import socket
            for host in ("127.0.0.1", "1.1.1.1", "10.0.0.1"):
                try:
                    socket.create_connection((host, {server.getsockname()[1]}), timeout=1)
                    print("connected", host)
                except OSError:
                    pass
            try:
                socket.getaddrinfo("example.com", 80)
                print("resolved")
            except OSError:
                pass
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.sendto(b"x", ("8.8.8.8", 53))
                print("sent")
            except OSError:
                pass
            print([name for _, name in socket.if_nameindex()], open("/proc/net/dev").read().count(":"))
        """
        result = sandbox.run(python(source))
        if ended(result, "ok"):
            assert result.stdout == b"['lo'] 1\n"
        with pytest.raises(BlockingIOError):
            server.accept()


def test_unix_sockets_of_the_host_cannot_be_reached(sandbox: LocalSandbox, ended: Ended) -> None:
    name = f"orrery-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        result = sandbox.run(Program.python(f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')"))
    assert not ended(result, "error") or b"ConnectionRefusedError" in result.stderr


def test_files_of_the_host_cannot_be_read(sandbox: LocalSandbox, ended: Ended, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    source = f"""
        import os
        for path in ({str(secret)!r}, {__file__!r}, "/etc/shadow", "/etc/hostname", "/proc/kcore", "/dev/vda", "/dev/mem"):
            try:
                open(path).close()
                print("read", path)
            except OSError:
                pass
        for path in ("/home", "/mnt", "/srv", "/run", "/sys", "/boot", "/host", "/opt"):
            if os.path.exists(path):
                print("there is", path)
        print(sorted(os.listdir("/etc")), sorted(os.listdir("/tmp")), sorted(os.listdir(".")))
        for path in ("/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/root/etc/passwd"):
            try:
                open(path, "rb").read(1)
                print("read", path)
            except OSError:
                pass
    """
    result = sandbox.run(python(source))
    if ended(result, "ok"):
        etc = ["alternatives", "group", "hosts", "ld.so.cache", "passwd"]
        assert result.stdout.decode() in {f"{kept} [] []\n" for kept in (etc, etc[1:])}


def test_the_environment_is_its_own(sandbox: LocalSandbox, ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_SECRET", "hidden")
    with LocalSandbox(sandbox.config) as fresh:
        for program in (Program.command("env"), Program.python("import os; print(*os.environ, sep='=\\n', end='=\\n')")):
            result = fresh.run(program)
            if ended(result, "ok"):
                names = {line.partition(b"=")[0] for line in result.stdout.splitlines()}
                assert names <= {b"HOME", b"LANG", b"PATH", b"PYTHONDONTWRITEBYTECODE", b"PYTHONHASHSEED", b"PWD", b"LC_CTYPE"}
        result = fresh.run(Program.command("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"))
        assert b"hidden" not in result.stdout


def test_nobody_else_can_be_seen_or_killed(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import os, signal
        print(os.getppid(), sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
        for pid in (1, os.getppid() or 1):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGSTOP, signal.SIGKILL):
                os.kill(pid, number)
        print("alive", flush=True)
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            print("alone")
    """
    result = sandbox.run(python(source))
    assert not ended(result, "ok") or result.stdout == b"0 [1, 2]\nalive\nalone\n"
    still_works(sandbox)
    ended(sandbox.run(Program.python("import os; os.kill(0, 9)")), "killed")


def test_nobody_else_can_be_traced(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        attach, seize = 16, 0x4206
        print([libc.ptrace(request, pid, 0, 0) for request in (attach, seize) for pid in (1, 3, 4, 100)])
        buffer = ctypes.create_string_buffer(8)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
        print(libc.process_vm_readv(1, vector, 1, vector, 1, 0))
    """
    result = sandbox.run(python(source))
    assert not ended(result, "ok") or result.stdout == b"[-1, -1, -1, -1, -1, -1, -1, -1]\n-1\n"


def test_no_mounts_no_namespaces_no_devices_no_kernel_settings(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None), libc.umount2(b"/proc", 2), libc.umount2(b"/box", 2))
        print([libc.unshare(flag) for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x10020000)])
        print(libc.setns(os.open("/proc/1/stat", os.O_RDONLY), 0), libc.chroot(b"."), libc.syscall(56, 0x10000011, 0, 0, 0, 0))
        for act in (
            lambda: os.mknod("null", 0o600 | 0o020000, os.makedev(1, 3)),
            lambda: os.setuid(0),
            lambda: os.setgroups([0]),
            lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
            lambda: os.chown(".", 0, 0),
            lambda: open("/usr/planted", "w"),
            lambda: open("/planted", "w"),
            lambda: open("/etc/passwd", "a"),
            lambda: open("/proc/sysrq-trigger", "w"),
            lambda: open("/proc/sys/kernel/hostname", "w"),
            lambda: open("/proc/sys/vm/drop_caches", "w"),
            lambda: open("/proc/sys/user/max_user_namespaces", "w"),
            lambda: open("/proc/sys/kernel/core_pattern", "w"),
            lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"),
            lambda: os.write(os.open("/proc/self/uid_map", os.O_WRONLY), b"0 0 1"),
        ):
            try:
                act()
                print("done", act.__code__.co_firstlineno)
            except OSError:
                pass
    """
    result = sandbox.run(python(source))
    assert not ended(result, "ok") or result.stdout == b"-1 -1 -1\n[-1, -1, -1, -1, -1]\n-1 -1 -1\n"
    suid = "for f in /usr/bin/su /usr/bin/mount /usr/bin/passwd; do test -u $f && $f </dev/null; done; id -u"
    result = sandbox.run(Program.command("sh", "-c", suid))
    assert not ended(result, "ok") or result.stdout.splitlines()[-1] == b"1000"


# What tries to stay, or to fool whoever collects.


def test_daemons_do_not_outlive_their_program(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import os, signal, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                while True:
                    print("still here", flush=True)
                    time.sleep(0.01)
            os._exit(0)
        os.wait()
        time.sleep(0.05)
    """
    result = sandbox.run(python(source))
    if ended(result, "ok"):
        assert result.stdout.startswith(b"still here\n") and result.seconds < 5
    result = sandbox.run(Program.python("import os; print([n for n in os.listdir('/proc') if n.isdigit()])"))
    assert not ended(result, "ok") or result.stdout == b"['1', '2']\n"


def test_nothing_of_one_program_is_there_for_the_next(sandbox: LocalSandbox, ended: Ended) -> None:
    leave = """
        import builtins, json, os, random, sys
        for folder in (".", "/tmp", "/dev/shm", "/box", "/var/tmp"):
            open(os.path.join(folder, "left"), "w").close()
        json.dumps = builtins.len = lambda *_: "poisoned"
        sys.modules["math"] = None
        os.environ["LEFT"] = "1"
    """
    look = """
        import json, math, os
        print(json.dumps(len("abc")), math.pi > 3, "LEFT" in os.environ)
        print([f for f in (".", "/tmp", "/dev/shm", "/box", "/var/tmp") if os.path.exists(os.path.join(f, "left"))])
    """
    for _ in range(3):
        ended(sandbox.run(python(leave)), "ok")
        result = sandbox.run(python(look))
        assert not ended(result, "ok") or result.stdout == b"3 True False\n[]\n"


def test_only_regular_files_of_the_working_directory_are_collected(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import os, socket
        os.symlink("/etc/passwd", "link")
        os.symlink("/etc", "linked_folder")
        os.symlink("/proc/self/environ", "magic")
        os.symlink("real", "inside")
        os.mkfifo("fifo")
        os.mkdir("folder")
        os.symlink("loop", "loop")
        socket.socket(socket.AF_UNIX).bind("socket")
        open("real", "w").write("content")
        os.link("real", "hard")
        open("closed", "w").write("x")
        os.chmod("closed", 0)
        try:
            os.link("/etc/passwd", "stolen")
        except OSError:
            pass
    """
    names = [
        "link",
        "linked_folder/passwd",
        "magic",
        "inside",
        "fifo",
        "folder",
        "loop",
        "socket",
        "real",
        "hard",
        "closed",
        "stolen",
    ]
    result = sandbox.run(python(source), collect=[*names, "never"])
    assert not ended(result, "ok") or dict(result.files) == {"real": b"content", "hard": b"content", "closed": b"x"}


def test_a_working_directory_that_was_exchanged_fools_nobody(sandbox: LocalSandbox, ended: Ended) -> None:
    source = "import os; os.rename('/box/work', '/box/other'); os.symlink('/etc', '/box/work')"
    result = sandbox.run(Program.python(source), {"passwd": b"mine"}, collect=["passwd", "group"])
    assert not ended(result, "ok") or dict(result.files) == {"passwd": b"mine"}


def test_descriptors_in_flight_keep_nothing_busy(sandbox: LocalSandbox, ended: Ended) -> None:
    source = """
        import socket
        a, b = socket.socketpair()
        held = open("held", "w")
        socket.send_fds(a, [b"x"], [held.fileno(), a.fileno(), b.fileno()])
    """
    for _ in range(3):
        ended(sandbox.run(python(source)), "ok")


def test_only_three_descriptors_are_open(sandbox: LocalSandbox, ended: Ended) -> None:
    for program in (Program.python("import os; print(os.listdir('/proc/self/fd')[:-1])"), Program.command("ls", "/proc/self/fd")):
        result = sandbox.run(program)
        assert not ended(result, "ok") or b"4" not in result.stdout


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", ".", "a//b", "a/", "x\0y", "a/./b", "n" * 300, "\ud800"])
def test_paths_that_lead_out_are_refused_before_anything_runs(sandbox: LocalSandbox, path: str) -> None:
    with pytest.raises(ValueError):
        sandbox.run(Program.python("1"), {path: b""})
    with pytest.raises(ValueError):
        sandbox.run(Program.python("1"), collect=[path])
    with pytest.raises(ValueError, match="both"):
        sandbox.run(Program.python("1"), {"a": b"", "a/b": b""})
