"""Keeping benchmarks out of the data, and one split out of the other; see docs/decontamination.md."""

from trajectories.decontamination.benchmark import Benchmark, BenchmarkError, BenchmarkItem
from trajectories.decontamination.config import KINDS, DecontaminationConfig, SplitConfig
from trajectories.decontamination.decontaminator import Decontaminator, Leak
from trajectories.decontamination.read import read_benchmark
from trajectories.decontamination.splits import Overlap, split_overlaps

__all__ = [
    "KINDS", "Benchmark", "BenchmarkError", "BenchmarkItem", "DecontaminationConfig", "Decontaminator", "Leak", "Overlap",
    "SplitConfig", "read_benchmark", "split_overlaps",
]  # fmt: skip
