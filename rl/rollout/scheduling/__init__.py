"""When groups of rollouts begin, and which of them are learnt from next; knows neither engine nor trainer.

`rule` decides, `scheduler` carries it out, `commits` writes down what was decided, `groups` is what all of them speak of.
"""

from rl.rollout.scheduling.commits import Commit, CommitLog, Place, digest_of
from rl.rollout.scheduling.groups import Group
from rl.rollout.scheduling.rule import Order, Rule
from rl.rollout.scheduling.scheduler import Scheduler

__all__ = ["Commit", "CommitLog", "Group", "Order", "Place", "Rule", "Scheduler", "digest_of"]
