"""Duplicates among trajectories, found with a bounded state for each row that is kept; see docs/deduplication.md."""

from trajectories.quality.config import DedupConfig
from trajectories.quality.deduplicator import Deduplicator, Duplicate
from trajectories.quality.extract import Features, features

__all__ = ["DedupConfig", "Deduplicator", "Duplicate", "Features", "features"]
