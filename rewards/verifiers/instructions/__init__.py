"""The verifier of complex instructions: exact checks of composed constraints, and of claims of compliance without compliance."""

from rewards.verifiers.instructions.verifier import InstructionsVerifier

__all__ = ["InstructionsVerifier"]
