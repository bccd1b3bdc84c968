"""Domain ``safety``: an office desk with a policy, people who talk around it, and texts that give orders of their own.

Every policy has two sides that look alike, one allowed and one not, so that refusing always is as wrong as never refusing.
"""

from simulators.tasks.safety.domain import SafetyDomain

__all__ = ["DOMAIN"]

DOMAIN = SafetyDomain()
"""The domain of this name."""
