"""What `orrery evolve` says of its memory is that of all its processes."""

import json
import resource
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_peak_memory_counts_driver_and_workers(orrery, tmp_path: Path) -> None:
    result = orrery("evolve", "out=x", "workers=2", "domains=4", "categories=[education]")
    assert result.status == 0, result.error
    told = json.loads(Path("x/summary.json").read_text())["peak_rss_bytes"]
    driver = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 2 * 40e6 < told - driver < 3 * 1e9  # two Python processes with Ray and the worlds in them, or three
