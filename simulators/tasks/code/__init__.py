"""Domain ``code``: functions and programs from a description, bugs to be found, and small repositories with an issue."""

from simulators.tasks.code.domain import CodeDomain

__all__ = ["DOMAIN"]

DOMAIN = CodeDomain()
"""The domain of this name."""
