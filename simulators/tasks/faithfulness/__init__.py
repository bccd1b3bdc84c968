"""Faithfulness: reports over documents that are generated from a small base of facts."""

from simulators.tasks.faithfulness.domain import FaithfulnessDomain

__all__ = ["DOMAIN", "FaithfulnessDomain"]

DOMAIN = FaithfulnessDomain()
