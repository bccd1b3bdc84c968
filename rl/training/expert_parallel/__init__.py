"""Expert parallelism: ranks share the routed experts, each holds some of every layer's, and tokens travel to them."""

from rl.training.expert_parallel.dispatch import dispatched
from rl.training.expert_parallel.shards import are_sharded, clip_grad_norm_, local_state, shard_experts, whole, whole_state

__all__ = ["are_sharded", "clip_grad_norm_", "dispatched", "local_state", "shard_experts", "whole", "whole_state"]
