"""The search domain: a generated encyclopaedia behind two tools, and questions that need several of its pages."""

from simulators.tasks.search.domain import SearchDomain

__all__ = ["DOMAIN", "SearchDomain"]

DOMAIN = SearchDomain()
