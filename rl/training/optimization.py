"""DeepSpeed around a model and its optimizer: backward passes, one step with QK-Clip, and the state of both.

Gradients are sums over ranks, because shares of a loss are to be added; DeepSpeed averages them, which `backward` undoes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rl.policy.attention import pop_max_logits, set_max_logit_tracking
from rl.training.muonclip import OptimizerConfig, build_optimizer, clip_model_, clippable_attentions
from rl.training.trainer_process import Ranks

__all__ = ["Optimization"]


class Optimization:
    """One rank's optimizer. `engine` is what forward passes go through.

    Args:
        settings: DeepSpeed's own, checked by `rl.training.deepspeed_settings`.
    """

    def __init__(
        self, model: PreTrainedModel, config: OptimizerConfig, settings: Mapping[str, Any], ranks: Ranks
    ) -> None:
        import deepspeed

        self.model, self.config, self.ranks = model, config, ranks
        self.optimizer = build_optimizer(model, config)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=self.optimizer,
            config={"train_micro_batch_size_per_gpu": 1, "steps_per_print": None, **settings}
            | {"gradient_accumulation_steps": 1, "gradient_clipping": 0.0},
            dist_init_required=False,
        )
        self.engine.enable_backward_allreduce = ranks.world_size > 1
        self._clips = config.qk_clip_threshold is not None and bool(clippable_attentions(model))

    def track_max_logits(self, enabled: bool) -> None:
        """Whether forward passes from here on count for QK-Clip; forgets what was counted."""
        if self._clips:
            set_max_logit_tracking(self.model, enabled)

    def backward(self, loss: Tensor, last: bool) -> None:
        """Adds the gradient of a share of the mini-batch's loss; `last` says that `step` comes next."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss * self.ranks.world_size)

    def step(self, factor: float, max_grad_norm: float) -> dict[str, float]:
        """One update of the weights, QK-Clip included.

        Args:
            factor: on every group's own learning rate.
            max_grad_norm: gradients are scaled down to this global norm first; 0 never clips.

        Returns:
            ``grad_norm`` before clipping, and the figures of `clip_model_` where heads can be clipped.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_grad_norm or float("inf"))
        maxima = pop_max_logits(self.model) if self._clips else {}
        self.engine.step()
        return {"grad_norm": float(norm)} | self._clip(maxima)

    def zero_grad(self) -> None:
        """Forgets gradients that no step shall use."""
        self.engine.zero_grad()

    def _clip(self, maxima: dict[str, Tensor]) -> dict[str, float]:
        if not maxima:
            return {}
        if self.ranks.world_size > 1:
            for largest in maxima.values():
                torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return clip_model_(self.model, maxima, self.config.qk_clip_threshold or float("inf"))
