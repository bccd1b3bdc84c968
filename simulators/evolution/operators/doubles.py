"""The operator that keeps a domain's tools distinct."""

from simulators.evolution.draft import Draft
from simulators.evolution.fingerprints import tool_fingerprint

__all__ = ["drop_doubles"]


def drop_doubles(draft: Draft) -> None:
    """The first of several that are one tool stays."""
    seen: dict[str, str] = {}
    doubles = []
    for name in draft.operations:
        first = seen.setdefault(tool_fingerprint(draft.document, name, shapes=True), name)
        if first != name:
            doubles.append(name)
    if doubles:
        draft.grow("drop_doubles", "breaking", draft.domain.name, {}, tuple(doubles))
