"""Ranks that share the experts train what one rank trains, and nobody outside can tell: weights, checkpoints, digests."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl.policy.presets import load, save
from rl.policy.weights import disk_state, read_weights, tensor_digest
from rl.training.expert_parallel import dispatched, shard_experts
from rl.training.lora import LoraSettings
from rl.training.model import ModelSettings, prepare_model
from rl.training.muonclip import OptimizerConfig
from rl.training.parallel import ParallelSettings
from rl.training.trainer import Trainer
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import TrainerActor
from rl.training.trainer_process import Ranks, join
from rl.training.weight_sync import WeightSyncConfig
from tests.rl.training.expert_cases import CONFIGS, MODELS, MUONCLIP, Found, batch, held, shared, spawned, start, trained, weights
from tests.rl.training.trainer_cases import nano, tokenizer

pytestmark = pytest.mark.timeout(600)

UNCHECKED = replace(MUONCLIP, max_log_prob_difference=10.0, mean_log_prob_difference=10.0)
"""Learns from a batch that other weights have sampled."""


# Asked of two processes at once, because starting them is what takes time.


def two_ranks(ranks: Ranks, directory: Path) -> dict[str, Any]:
    steps = {
        (name, config, experts): trained(shared(CONFIGS[config], experts), name, ranks)
        for name in MODELS
        for config in ("muonclip", "adamw")
        for experts in (1, 2)
    }
    return {
        "steps": steps,
        "checkpoints": checkpoints(ranks, directory),
        "sync": sync(ranks, directory),
        "refused": refused(ranks),
    }


def checkpoints(ranks: Ranks, directory: Path) -> dict[str, Any]:
    """Written at degree 2; read at 2 and at 1, written there again; and all of them continued."""
    one, two = (shared(UNCHECKED, experts) for experts in (1, 2))
    second = batch("nano_k2", seed=7)

    def resumed(config: Any, source: str, target: str) -> Found:
        trainer = Trainer(config, start("nano_k2", seed=5), ranks)
        trainer.load_checkpoint(str(directory / source))
        trainer.save_checkpoint(str(directory / target))
        return trainer.train_batch(second), weights(trainer)

    trainer = Trainer(two, start("nano_k2"), ranks)
    trainer.train_batch(batch("nano_k2"))
    trainer.save_checkpoint(str(directory / "2"))
    kept = held(trainer)
    straight = trainer.train_batch(second), weights(trainer)
    return {
        "held": kept,
        "straight": straight,
        "at 2": resumed(two, "2", "22"),
        "at 1": resumed(one, "2", "21"),
        "at 2 from 1": resumed(two, "21", "212"),
    }


def sync(ranks: Ranks, directory: Path) -> dict[str, Any]:
    """What an engine is sent and asked after a batch."""
    if ranks.rank == 0:
        save(start("nano_k2"), tokenizer(), directory / "model")
    torch.distributed.barrier()
    actor = TrainerActor()
    parameters = actor.start(shared(MUONCLIP, 2), str(directory / "model"), ranks, WeightSyncConfig())
    actor.call("train_batch", batch("nano_k2"))
    actor.call("save_checkpoint", str(directory / "exported"))
    export, probe = actor.export_weights(), actor.probe(seed=1)
    asked = [probe.token_ids if probe else None]
    torch.distributed.broadcast_object_list(asked, src=0)
    answer = actor.log_probs(asked[0] or ())
    found = {"parameters": parameters, "probe": probe, "answer": answer}
    if export is not None:
        found |= {"digest": export.update.digest, "sent": dict(read_weights(export.update.path))}
        assert actor._exporter is not None
        actor._exporter.close()
    return found


def refused(ranks: Ranks) -> dict[str, str]:
    """What two ranks are told, and a step that must not happen."""
    with pytest.raises(ValueError) as degree:
        shard_experts(start("nano_k2"), 4)
    trainer = Trainer(shared(MUONCLIP, 2), start("nano_k2"), ranks)
    before, ids = weights(trainer), torch.arange(12)[None]
    loss = trainer.optimization.engine(input_ids=ids, labels=ids, use_cache=False).loss
    trainer.optimization.backward(loss * (float("nan") if ranks.rank else 1.0), last=True)
    with pytest.raises(FloatingPointError, match="no weight has changed") as not_finite:
        trainer.optimization.step(1.0, 1.0)
    after = weights(trainer)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    return {"ranks": str(degree.value), "not finite": str(not_finite.value)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """([ranks] what `two_ranks` found, the directory it wrote to)."""
    directory = tmp_path_factory.mktemp("two")
    return spawned(two_ranks, 2, directory), directory


def assert_same(mine: Found, theirs: Found, atol: float = 1e-5) -> None:
    metrics, tensors = theirs
    assert {key for key in mine[0] if not key.startswith("seconds")} == {key for key in metrics if not key.startswith("seconds")}
    for key, value in metrics.items():
        if not key.startswith("seconds"):
            assert mine[0][key] == pytest.approx(value, rel=1e-5, abs=1e-5), key
    assert mine[1].keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(mine[1][name], tensor, rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("config", ["muonclip", "adamw"])
@pytest.mark.parametrize("name", MODELS)
def test_four_steps_are_those_of_one_rank_and_of_two_without_it(found, name, config):
    """Clipped gradients, clipped heads, weight decay and passes that do not count included."""
    alone = trained(CONFIGS[config], name)
    assert alone[0]["grad_norm"] > 0.1 and alone[0]["qk_clipped_heads"] >= 4 and alone[0]["ptx_loss"] > 1
    first = disk_state(start(name))
    assert max(float((tensor - first[key]).abs().max()) for key, tensor in alone[1].items() if "experts" in key) > 1e-3
    for rank in found[0]:
        assert_same(rank["steps"][name, config, 2], alone)
        assert_same(rank["steps"][name, config, 2], rank["steps"][name, config, 1])


def test_each_rank_holds_half_of_the_experts_and_of_their_state(found):
    alone = Trainer(MUONCLIP, start("nano_k2"))
    alone.train_batch(batch("nano_k2"))
    whole = held(alone)
    for rank in found[0]:
        part = rank["checkpoints"]["held"]
        assert part == {**whole, "experts": whole["experts"] // 2, "state of experts": whole["state of experts"] // 2}


def test_training_continues_to_the_bit_at_the_same_degree_and_closely_at_another(found):
    (first, _), directory = found
    straight = first["checkpoints"]["straight"]
    assert_same(first["checkpoints"]["at 2"], straight, atol=0)
    alone = Trainer(UNCHECKED, start("nano_k2", seed=5))
    alone.load_checkpoint(str(directory / "2"))
    elsewhere = alone.train_batch(batch("nano_k2", seed=7)), weights(alone)
    for other in (first["checkpoints"]["at 1"], first["checkpoints"]["at 2 from 1"], elsewhere):
        assert_same(other, straight)


@pytest.mark.parametrize("again", ["22", "21", "212"])
def test_a_checkpoint_that_goes_from_degree_to_degree_is_the_same_file(found, again):
    directory = found[1]
    one, other = (dict(read_weights(directory / name)) for name in ("2", again))
    assert all(torch.equal(other.pop(name), tensor) for name, tensor in one.items()) and not other
    one, other = (torch.load(directory / name / "trainer.pt")["optimizer"] for name in ("2", again))
    assert one["param_groups"] == other["param_groups"]
    for number, values in one["state"].items():
        assert values.keys() == other["state"][number].keys()
        assert all(torch.equal(other["state"][number][key], tensor) for key, tensor in values.items())


def test_what_the_engine_is_sent_and_asked_is_that_of_one_rank(found):
    """The probe is computed by one rank with all experts, the answer by two that share them."""
    (first, second), directory = found
    model = load(directory / "exported")[0]
    sync = first["sync"]
    assert sync["digest"] == tensor_digest(sync["sent"].items()) == tensor_digest(disk_state(model).items())
    assert sync["parameters"] == second["sync"]["parameters"] == sum(one.numel() for one in model.parameters())
    assert sync["probe"].coverage > 0.5 and second["sync"]["probe"] is None  # experts of both ranks; the biases leave some idle
    for expected, *answers in zip(sync["probe"].log_probs, sync["answer"], second["sync"]["answer"], strict=True):
        assert all(answer == pytest.approx(expected, abs=1e-5) for answer in answers)


def test_what_cannot_be_shared_is_refused_by_key(found):
    for rank in found[0]:
        assert "trainer.parallel.experts=4 does not divide 2 ranks" in rank["refused"]["ranks"]
        assert "nan" in rank["refused"]["not finite"]
    join(Ranks())
    with pytest.raises(ValueError, match=r"trainer.parallel.experts=3 does not divide the 8 experts of model.layers.1.mlp"):
        prepare_model(nano(), ModelSettings(), expert_ranks=3)
    parallel = ParallelSettings(experts=2)
    lora = ModelSettings(lora=LoraSettings())
    with pytest.raises(ValueError, match=r"trainer.parallel.experts must be 1 with trainer.model.lora"):
        TrainerConfig(model=lora, parallel=parallel, optimizer=OptimizerConfig(qk_clip_threshold=None))
    with pytest.raises(ValueError, match=r"trainer.deepspeed.zero_optimization.stage must be 0 where"):
        TrainerConfig(parallel=parallel, deepspeed={"zero_optimization": {"stage": 1}})
    with pytest.raises(ValueError, match=r"trainer.parallel.experts is 2; .*without routed experts"):
        shard_experts(torch.nn.Linear(2, 2), 2)
    with pytest.raises(ValueError, match=r"weight_sync.backend must be memory or disk"):
        TrainerActor().start(shared(MUONCLIP, 2), "nowhere", Ranks(), WeightSyncConfig("ipc"))


def four_ranks(ranks: Ranks, directory: Path) -> dict[Any, Found]:
    """Two groups of two, and one of four; with what else looks into the layers."""
    cases = [("nano_k2", "everything", 2), ("nano_k2", "muonclip", 4), ("nano_gqa_moe", "adamw", 2)]
    return {case: trained(shared(CONFIGS[case[1]], case[2]), case[0], ranks) for case in cases}


@pytest.mark.slow
def test_groups_of_ranks_train_what_one_rank_trains(tmp_path):
    """Recomputed layers, replayed routes, biases that follow the loads and a reference of its own included."""
    for rank in spawned(four_ranks, 4, tmp_path):
        for (name, config, _), one in rank.items():
            assert_same(one, trained(CONFIGS[config], name))


# The dispatch, on ranks that are threads.

RANKS, HELD, TOP_K, WIDTH = 3, 2, 2, 4
EXPERTS = RANKS * HELD
MATRICES = torch.randn(EXPERTS, WIDTH, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PAIRS = st.lists(st.integers(0, EXPERTS - 1), min_size=TOP_K, max_size=TOP_K)
TO_ONE, TO_FIRST_RANK, NOBODY = [[5, 5]] * 3, [[0, 1]] * 2, []


class Threads:
    """Process groups of gloo, one per rank, in one process."""

    def __init__(self) -> None:
        store = torch.distributed.HashStore()
        self.errors: list[BaseException] = []
        self.groups: list[Any] = [None] * RANKS
        self.run(lambda rank: self.groups.__setitem__(rank, torch.distributed.ProcessGroupGloo(store, rank, RANKS)))

    def run(self, work: Any) -> None:
        def one(rank: int) -> None:
            try:
                work(rank)
            except BaseException as error:
                self.errors.append(error)

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(RANKS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert not self.errors and not any(thread.is_alive() for thread in threads), self.errors

    @staticmethod
    def all_to_all_single(output: Any, sent: Any, output_sizes: Any = None, sent_sizes: Any = None, group: Any = None) -> None:
        group.alltoall_base(output, sent, output_sizes or [], sent_sizes or []).wait()


@pytest.fixture(scope="module")
def threads():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.distributed, "all_to_all_single", Threads.all_to_all_single)
        yield Threads()


@settings(max_examples=40)
@given(routes=st.tuples(*[st.lists(PAIRS, max_size=5)] * RANKS), seed=st.integers(0, 99))
@example(routes=(TO_ONE, TO_ONE, TO_ONE), seed=0)
@example(routes=(TO_FIRST_RANK, TO_FIRST_RANK, NOBODY), seed=0)
@example(routes=(NOBODY, NOBODY, TO_ONE), seed=0)
@example(routes=(NOBODY, NOBODY, NOBODY), seed=0)
def test_tokens_find_their_experts_and_results_and_gradients_the_way_back(threads, routes, seed):
    draw = torch.Generator().manual_seed(seed)
    chosen = [torch.tensor(of, dtype=torch.int64).view(-1, TOP_K) for of in routes]
    hidden = [torch.randn(len(of), WIDTH, generator=draw, dtype=torch.float64) for of in chosen]
    scales = [torch.rand(of.shape, generator=draw, dtype=torch.float64) for of in chosen]
    results: dict[int, list[torch.Tensor | None]] = {}

    def work(rank: int) -> None:
        x, w = (tensor.clone().requires_grad_() for tensor in (hidden[rank], scales[rank]))
        mine = MATRICES[rank * HELD : (rank + 1) * HELD].clone().requires_grad_()

        def compute(rows: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
            assert len(rows) > 0
            return torch.einsum("nij,nj->ni", mine[local], rows).tanh()

        group = threads.groups[rank]
        y = dispatched(x, chosen[rank], w, compute, experts=EXPERTS, held=HELD, group=group)
        y.square().sum().backward()
        results[rank] = [y.detach(), x.grad, w.grad, mine.grad]

    threads.run(work)
    x, w, m = (t.clone().requires_grad_() for t in (torch.cat(hidden), torch.cat(scales), MATRICES))
    outputs = torch.einsum("tkij,tj->tki", m[torch.cat(chosen)], x).tanh()
    y = (outputs * w[..., None]).sum(1)
    y.square().sum().backward()
    assert x.grad is not None and w.grad is not None and m.grad is not None
    sizes = [len(of) for of in chosen]
    whole = (y.detach().split(sizes), x.grad.split(sizes), w.grad.split(sizes), m.grad.split(HELD))
    for rank, expected in enumerate(zip(*whole, strict=True)):
        for tensor, due in zip(results[rank], expected, strict=True):
            torch.testing.assert_close(torch.zeros_like(due) if tensor is None else tensor, due, rtol=0, atol=1e-12)
