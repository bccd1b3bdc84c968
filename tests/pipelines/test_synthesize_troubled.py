"""Law 3 for tools that misbehave: the same shards with one worker and two, and after the driver was killed and went on."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.pipelines.test_synthesize import digests, start, wait_for_shards
from trajectories.shards import read

RATES = {
    "read": ("timeout", "rate_limit", "transient", "malformed", "slow", "stale"),
    "search": ("timeout", "transient", "stale", "partial"),
    "create": ("timeout", "timeout_after_commit", "rate_limit"),
    "update": ("timeout", "timeout_after_commit", "transient", "malformed"),
    "delete": ("timeout_after_commit", "transient", "slow"),
}
ARGUMENTS = [
    "count=480",
    "rows_per_shard=40",
    "keep=all",
    "policy.kind=teacher",
    "policy.competence=0.8",
    *(f"troubles.{kind}.{name}=0.08" for kind, names in RATES.items() for name in names),
    "troubles.read.permanent=0.1",
]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_troubled_run_that_was_killed_and_resumed_writes_what_it_would_have_written(tmp_path: Path) -> None:
    killed = start(tmp_path, *ARGUMENTS, "out=killed")
    wait_for_shards(killed, tmp_path / "killed", 3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed/summary.json").exists()
    for out, more in (("killed", ["resume=auto", "workers=2"]), ("calm", [])):
        process = start(tmp_path, *ARGUMENTS, f"out={out}", *more)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert digests(tmp_path / "killed") == digests(tmp_path / "calm")
    summaries = [json.loads((tmp_path / out / "summary.json").read_text()) for out in ("killed", "calm")]
    assert summaries[0]["dataset_digest"] == summaries[1]["dataset_digest"] and summaries[0]["rows"] == 480
    met = Counter(
        call["trouble"]["kind"]
        for row in read(tmp_path / "killed")
        for call in json.loads(row["outcome"])["calls"]
        if call.get("trouble")
    )
    wanted = {name for names in RATES.values() for name in names}
    assert wanted <= met.keys(), met  # what stayed the same was troubled indeed
