"""The card of a data set: what is in it, counted; how it was made; what it is not.

`statistics` counts a folder of shards in one pass; `write_card` writes ``README.md``, whose front matter makes
`datasets.load_dataset` load the folder as it is, and the pictures that it shows.
"""

from trajectories.card.about import CardAbout
from trajectories.card.totals import Statistics, statistics
from trajectories.card.writing import write_card

__all__ = ["CardAbout", "Statistics", "statistics", "write_card"]
