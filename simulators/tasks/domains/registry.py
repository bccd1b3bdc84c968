"""The domains that ship, by name; each is imported when it is first asked for."""

from functools import lru_cache
from importlib import import_module
from typing import Final, cast

from simulators.tasks.domains.protocol import Domain

__all__ = ["DOMAINS", "domain_of"]

DOMAINS: Final = ("maths", "instructions", "faithfulness", "code", "long_context", "documents", "search", "safety")
"""Names, each that of a package beside this one and of a verifier. Tool use is a domain, too; its tasks are composed
(`simulators.tasks.compose`)."""


@lru_cache(maxsize=len(DOMAINS))
def domain_of(name: str) -> Domain:
    """The domain of this name.

    Raises:
        ValueError: when there is none; the message lists those that exist.
    """
    if name not in DOMAINS:
        raise ValueError(f"there is no domain {name!r}; there are: {', '.join(DOMAINS)}")
    return cast(Domain, import_module(f"simulators.tasks.{name}").DOMAIN)
