"""Memory is looked at over the whole tree of processes, and the samples say how much was done."""

import csv
import subprocess
import sys
import time
from pathlib import Path

from pipelines.memory import MemoryMeter

_CHILD = "import sys, time; held = bytearray(80 << 20); print('held', flush=True); sys.stdin.read()"


def test_a_child_that_grows_is_seen_and_the_curve_is_written(tmp_path: Path) -> None:
    path, done = tmp_path / "memory.csv", [0.0]
    with MemoryMeter(path, lambda: done[0]) as meter:
        time.sleep(0.2)
        before = meter.peak_bytes
        child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        done[0] = 7.0
        deadline = time.monotonic() + 30
        while meter.peak_bytes < before + (80 << 20) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.stdin.close()
        child.wait()
        child.stdout.close()
    assert before > 0 and meter.peak_bytes >= before + (80 << 20)
    samples = list(csv.DictReader(path.open()))
    assert {sample["done"] for sample in samples} >= {"0", "7"}
    assert max(sum(int(sample[f"{who}_bytes"]) for who in ("driver", "workers", "ray")) for sample in samples) == meter.peak_bytes


def test_a_resumed_run_adds_to_its_curve(tmp_path: Path) -> None:
    path = tmp_path / "memory.csv"
    for _ in range(2):
        with MemoryMeter(path, lambda: 1.0):
            pass
    lines = path.read_text().splitlines()
    assert lines[0].startswith("seconds,done,") and len(lines) == 3


def test_a_sample_that_cannot_be_written_costs_no_peak(tmp_path: Path) -> None:
    path = tmp_path / "memory.csv"
    with MemoryMeter(path, lambda: 1.0) as meter:
        path.unlink(missing_ok=True)
        path.mkdir()  # as little to be written to as a full disk
        meter.peak_bytes = 0
        time.sleep(1.5)
    assert meter.peak_bytes > 0
