"""Environments in Ray actors: many in each, always stepped in batches, and none lost when an actor dies.

`host` is what runs inside an actor (`alarm` interrupts what hangs there), `lane` keeps one actor alive and its episodes
whole, `pool` is what callers see, `config` its settings.
"""

from simulators.pool.config import PoolConfig
from simulators.pool.lane import SlotFault
from simulators.pool.pool import EnvironmentPool, PoolError

__all__ = ["EnvironmentPool", "PoolConfig", "PoolError", "SlotFault"]
