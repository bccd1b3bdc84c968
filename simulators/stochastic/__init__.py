"""Tools that misbehave on purpose, at configured rates: part of a task's world, never a fault of ours.

`ToolTroubles` says how often; `EpisodeTroubles` plays them in one episode; `advice` reads from a reply what a patient
caller does next. See docs/troubles.md.
"""

from simulators.stochastic.detection import telling_calls
from simulators.stochastic.episode import EpisodeTroubles
from simulators.stochastic.rates import ChangeRates, ReadRates, SearchRates, ToolTroubles
from simulators.stochastic.replies import Advice, advice

__all__ = [
    "Advice", "ChangeRates", "EpisodeTroubles", "ReadRates", "SearchRates", "ToolTroubles", "advice", "telling_calls",
]  # fmt: skip
