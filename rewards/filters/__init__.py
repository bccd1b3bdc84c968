"""Rule filters: what no row of a published data set may have, found without any model.

Each filter is a pure function of a stored trajectory and looks for one thing. What it finds is a verdict of judge ``rules``,
with the words that it rests on; docs/judging.md has the table.
"""

from rewards.filters.config import FilterConfig
from rewards.filters.rules import FILTERS, rule_verdicts

__all__ = ["FILTERS", "FilterConfig", "rule_verdicts"]
