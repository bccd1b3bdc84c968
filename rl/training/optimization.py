"""DeepSpeed around a model and its optimizer: backward passes, one step with QK-Clip, and the state of both.

Gradients are sums over ranks, because shares of a loss are to be added; DeepSpeed averages them, which `backward` undoes.
At every ZeRO stage the step is that of stage 0, the state is given out and taken in the form of stage 0, and what is
written into the weights reaches the float32 partitions that the next step starts from.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rl.policy.attention import pop_max_logits, set_max_logit_tracking
from rl.training import expert_parallel, zero
from rl.training.deepspeed_settings import zero_stage
from rl.training.muonclip import MuonClip, OptimizerConfig, build_optimizer, clip_model_, clippable_attentions, row_factors
from rl.training.muonclip.partitions import PartitionedMatrices, matrices_of
from rl.training.trainer_process import Ranks

__all__ = ["Optimization", "whole_weights"]


@contextmanager
def whole_weights(model: nn.Module) -> Iterator[None]:
    """Inside, every rank can read the model's weights, also where ZeRO partitions them (stage 3) or ranks share the experts.

    Every rank takes part, and holds all of them for that time. Nothing happens where every rank has them anyway.
    """
    with zero.whole(model.parameters()), expert_parallel.whole(model.parameters()):
        yield


class Optimization:
    """One rank's optimizer. `engine` is what forward passes go through.

    Args:
        settings: DeepSpeed's own, checked by `rl.training.deepspeed_settings`.
    """

    def __init__(self, model: PreTrainedModel, config: OptimizerConfig, settings: Mapping[str, Any], ranks: Ranks) -> None:
        import deepspeed

        self.model, self.config, self.ranks = model, config, ranks
        self.optimizer = build_optimizer(model, config)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self._members: list[list[nn.Parameter]] = [list(group["params"]) for group in self.optimizer.param_groups]
        self._parameters = [parameter for members in self._members for parameter in members]
        """Trainable ones; their positions are their numbers in a `state_dict`."""
        partitioned = zero_stage(settings) > 0
        self._shares_experts = expert_parallel.are_sharded(model)
        if zero_stage(settings) == 3:
            zero.mark_expert_blocks(model)
        self.engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=self.optimizer,
            config={"train_micro_batch_size_per_gpu": 1, "steps_per_print": None, **settings}
            | {"gradient_accumulation_steps": 1, "gradient_clipping": 0.0, "zero_allow_untested_optimizer": True},
            dist_init_required=False,
        )
        self.engine.enable_backward_allreduce = partitioned or ranks.world_size > 1
        # Set by DeepSpeed for mixture layers of its own: gradients of experts are summed over those that hold the same ones.
        self.engine.has_moe_layers = self._shares_experts
        self._parts = zero.flat_parts(self.engine.optimizer, self._parameters) if partitioned else []
        if isinstance(self.optimizer, MuonClip):
            self.optimizer.partition(self._matrices())
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

        Raises:
            FloatingPointError: the gradient is not finite; no weight has changed.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        maxima = pop_max_logits(self.model) if self._clips else {}
        norm = self._step_partitions(max_grad_norm) if self._parts else self._step_whole(max_grad_norm)
        return {"grad_norm": norm} | self._clip(maxima)

    def zero_grad(self) -> None:
        """Forgets gradients that no step shall use."""
        self.engine.zero_grad()
        if self._parts:
            zero.forget_gradients(self.engine.optimizer)

    def reset(self) -> None:
        """Forgets momentum and moments: the next step is a first step (Kimi k1.5, arXiv 2501.12599)."""
        self.optimizer.state.clear()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """As at stage 0: settings, and the model's own parameters."""
        groups = zip(self.optimizer.param_groups, self._members, strict=True)
        return [{**group, "params": members} for group, members in groups]

    def state(self) -> dict[str, Any]:
        """`state_dict` of the optimizer as it would be at stage 0 with all experts; every rank takes part.

        The first rank gets it whole, on the CPU where it was cut; the others an empty one.
        """
        if self._shares_experts:
            return expert_parallel.whole_state(self.optimizer.state_dict(), self._parameters)
        if not self._parts:
            return self.optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for part in self._parts:
            held = self.optimizer.state.get(part.tensor, {})
            for number in part.parameters():
                state[number] = {key: self._whole_value(part, number, held[key]) for key in sorted(held)}
        if self.ranks.rank > 0:
            return {"state": {}, "param_groups": []}
        numbers = {id(parameter): number for number, parameter in enumerate(self._parameters)}
        groups = [group | {"params": [numbers[id(one)] for one in group["params"]]} for group in self.param_groups]
        return {"state": {number: values for number, values in sorted(state.items()) if values}, "param_groups": groups}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` gave on the first rank, at any stage and number of ranks; every rank is given all of it."""
        if not self._parts:
            held = expert_parallel.local_state(state, self._parameters) if self._shares_experts else state
            self.optimizer.load_state_dict(dict(held))
            return
        for group, stored in zip(self.optimizer.param_groups, state["param_groups"], strict=True):
            group.update({key: value for key, value in stored.items() if key != "params"})
        self.reset()
        for part in self._parts:
            for number in part.parameters():
                for key, value in state["state"].get(number, {}).items():
                    held = self.optimizer.state[part.tensor]
                    if value.ndim == 0:
                        held[key] = value.clone()
                    else:
                        part.place(value, number, held.setdefault(key, torch.zeros_like(part.tensor)))

    @contextmanager
    def changing_weights(self, parameters: Iterable[nn.Parameter] | None = None) -> Iterator[None]:
        """Inside, these parameters (None: all) are whole and may be written, alike on every rank; every rank takes part.

        Afterwards whatever ZeRO keeps of them has the change (without that, the next step would undo it), and so has every
        rank's part of the experts.
        """
        chosen = list(self.model.parameters() if parameters is None else parameters)
        with zero.whole(chosen, changed=True), expert_parallel.whole(chosen, changed=True):
            yield
            with torch.no_grad():
                ids = {id(parameter) for parameter in chosen}
                for part in self._parts:
                    for number in part.parameters():
                        if id(self._parameters[number]) in ids:
                            part.place(self._parameters[number].data, number, part.tensor.data)

    def _matrices(self) -> dict[Tensor, PartitionedMatrices]:
        """Where Muon's matrices lie in the flat tensors."""
        cut = [group.get("row_blocks") for group in self.param_groups for _ in group["params"]]
        use_muon = [bool(group.get("use_muon")) for group in self.param_groups for _ in group["params"]]
        found = {}
        for part in self._parts:
            numbers = [number for number in part.parameters() if use_muon[number]]
            shapes = [zero.shape_of(self._parameters[number]) for number in numbers]
            places = zip(numbers, shapes, strict=True)
            matrices = [matrix for number, shape in places for matrix in matrices_of(number, shape, cut[number])]
            if matrices:
                found[part.tensor] = PartitionedMatrices(matrices, part.pieces, self.ranks.rank)
        return found

    def _step_whole(self, max_grad_norm: float) -> float:
        clip_grad_norm_ = expert_parallel.clip_grad_norm_ if self._shares_experts else torch.nn.utils.clip_grad_norm_
        norm = float(clip_grad_norm_(self.model.parameters(), max_grad_norm or math.inf))
        if not math.isfinite(norm):
            self.zero_grad()
            raise FloatingPointError(_not_finite(norm))
        self.engine.step()
        return norm

    def _step_partitions(self, max_grad_norm: float) -> float:
        """DeepSpeed takes the norm over ranks and clips by it; it leaves out a step whose norm is not finite."""
        self.engine.optimizer.clip_grad = max_grad_norm
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        if self.engine.optimizer.overflow:
            raise FloatingPointError(_not_finite(norm))
        return norm

    def _whole_value(self, part: zero.FlatPart, number: int, value: Tensor) -> Tensor:
        """A moment in the parameter's shape; what is one number for all (AdamW's step) as it is."""
        shape = zero.shape_of(self._parameters[number])
        return value.cpu().clone() if value.ndim == 0 else part.collect(value, number, shape.numel()).view(shape).cpu()

    def _clip(self, maxima: dict[str, Tensor]) -> dict[str, float]:
        if not maxima:
            return {}
        if self.ranks.world_size > 1:
            for largest in maxima.values():
                torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        threshold = self.config.qk_clip_threshold or math.inf
        attentions = {name: self.model.get_submodule(name) for name in maxima}
        changed = [
            attention.get_parameter(key)
            for name, attention in attentions.items()
            for key in row_factors(attention, maxima[name], threshold)
        ]
        with self.changing_weights(changed):
            return clip_model_(self.model, maxima, threshold)


def _not_finite(norm: float) -> str:
    return f"trainer: the norm of the gradient is {norm}: no weight has changed. Lower the learning rates of the optimizer"
