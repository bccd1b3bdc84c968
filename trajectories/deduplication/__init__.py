"""Duplicates among trajectories, found with a bounded state for each row that is kept; see docs/deduplication.md."""

from trajectories.deduplication.config import DedupConfig
from trajectories.deduplication.deduplicator import Deduplicator, Duplicate
from trajectories.deduplication.extract import Features, features

__all__ = ["DedupConfig", "Deduplicator", "Duplicate", "Features", "features"]
