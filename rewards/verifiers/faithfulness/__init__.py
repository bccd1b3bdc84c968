"""Faithfulness: reports over given documents, checked claim by claim.

`FaithfulnessVerifier` reads a controlled language and is exact in it; `JudgedFaithfulness` puts free text to a judge model.
"""

from rewards.verifiers.faithfulness.judged import JudgedFaithfulness, JudgedFaithfulnessConfig, Source
from rewards.verifiers.faithfulness.verifier import FaithfulnessVerifier

__all__ = ["FaithfulnessVerifier", "JudgedFaithfulness", "JudgedFaithfulnessConfig", "Source"]
