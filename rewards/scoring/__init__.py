"""Verdicts in processes of their own, so that one pathological answer never holds up a batch.

`pool` is what callers see and decides who judges when, `process` is one worker as its lane sees it, `worker` is what runs inside,
`config` the settings.
"""

from rewards.scoring.config import ScoringConfig
from rewards.scoring.pool import ScoringPool

__all__ = ["ScoringConfig", "ScoringPool"]
