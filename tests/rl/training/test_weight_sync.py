"""What the engine holds after any updates is what the trainer holds, or the update is refused and nothing is loaded."""

import os
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rl.policy.weights import WeightsFileError, block_of, disk_state, tensor_digest
from rl.rollout.worker_extension import WorkerExtension
from rl.training.weight_sync import FileExporter, WeightSyncConfig, files, weight_exporter
from tests.rl.policy.test_disk import files_of_at_most
from tests.rl.training.trainer_cases import nano

WAYS = {
    "whole": {},
    "buckets": {"bucket_mb": 0.1},
    "changed": {"changed_only": True},
    "changed in buckets": {"changed_only": True, "bucket_mb": 0.1},
}
NAMES = sorted(disk_state(nano()))


class Receiver(WorkerExtension):
    """The engine's side, for a model that is a dictionary."""

    def __init__(self, model, directory):
        model.save_pretrained(directory)
        self.orrery_begin(directory)
        self.tensors = {name: tensor.clone() for name, tensor in disk_state(model).items()}
        self.loaded = set()

    def _load(self, names, weights, rebuild_experts):
        self.loaded = set(names)
        self.tensors |= {name: tensor.clone() for name, tensor in weights}
        assert self.loaded <= self.tensors.keys()

    def take(self, export):
        update = export.update
        told = {"version": update.version, "path": update.path, "digest": update.digest, "base": update.base, "device": None}
        return self.orrery_update(told, True)

    def holds(self, model):
        return tensor_digest(self.tensors.items()) == tensor_digest(disk_state(model).items())


@pytest.fixture
def exporter(tmp_path):
    made = []

    def make(**settings):
        made.append(FileExporter(WeightSyncConfig(backend="disk", directory=str(tmp_path / "shared"), **settings)))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert not list((tmp_path / "shared").iterdir())


def change(model, numbers):
    tensors = [*model.parameters(), *(buffer for name, buffer in model.named_buffers() if "correction_bias" in name)]
    with torch.no_grad():
        for number in numbers:
            tensors[number % len(tensors)].view(-1)[0] += 1


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sets(st.integers(0, 40), max_size=3), min_size=1, max_size=3), st.sampled_from(sorted(WAYS)))
def test_the_engine_holds_what_the_trainer_holds_whichever_way_it_travels(tmp_path_factory, changes, way):
    model, directory = nano(), tmp_path_factory.mktemp("weights")
    receiver = Receiver(model, directory / "start")
    exporter = FileExporter(WeightSyncConfig(backend="disk", directory=str(directory / "shared"), **WAYS[way]))
    whole = sum(tensor.nbytes for tensor in disk_state(model).values())
    for version, numbers in enumerate(changes, start=1):
        change(model, numbers)
        export = exporter.export(model, version)
        answer = receiver.take(export)
        assert (answer["error"], answer["digest"]) == (None, export.update.digest)
        assert export.update.digest == tensor_digest(disk_state(model).items()) and receiver.holds(model)
        travelled = [path.stat().st_size for path in directory.glob("shared/*/*/*.safetensors")]
        if "changed" in way and version > 1:
            assert len({block_of(name) for name in receiver.loaded}) <= len(numbers)
            assert export.bytes < whole and export.update.base == version - 1
        else:
            assert export.bytes == whole and receiver.loaded == set(NAMES) and export.update.base is None
            assert len(travelled) == (1 if way in ("whole", "changed") else len(travelled))
        if "buckets" in way:
            largest = max(sum(disk_state(model)[name].nbytes for name in NAMES if block_of(name) == block) for block in BLOCKS)
            assert max(travelled) <= max(0.1 * 2**20, largest) + 20_000, "a bucket holds its size, or one block"
    exporter.close()


BLOCKS = {block_of(name) for name in NAMES}


def spoiled(tensors):
    name = sorted(tensors)[0]
    return tensors | {name: tensors[name] + 1}


def without_one(tensors):
    return dict(sorted(tensors.items())[1:])


def with_another(tensors):
    return tensors | {"model.layers.0.self_attn.another": torch.zeros(1)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoiled, "the engine received digest .*, the trainer sent"),
        (without_one, r"tensors are missing \(.*\) or unknown \(none\)"),
        (with_another, r"tensors are missing \(none\) or unknown \(model.layers.0.self_attn.another\)"),
    ],
)
@pytest.mark.parametrize("way", ["whole", "changed in buckets"])
def test_what_is_not_what_was_sent_is_not_loaded(tmp_path, exporter, way, spoil, message):
    model = nano()
    receiver, sender = Receiver(model, tmp_path / "start"), exporter(**WAYS[way])
    assert receiver.take(sender.export(model, 1))["error"] is None
    before = tensor_digest(receiver.tensors.items())
    change(model, [2, 9])
    export = sender.export(model, 2)
    file = sorted((sender.directory / "00000002").iterdir())[-1]
    save_file(spoil(load_file(file)), file)
    receiver.loaded = None
    error = receiver.take(export)["error"]
    assert receiver.loaded is None and tensor_digest(receiver.tensors.items()) == before
    assert re.search(message, error)


def test_a_bucket_that_is_missing_or_cut_short_is_not_loaded(tmp_path, exporter):
    model = nano()
    receiver, sender = Receiver(model, tmp_path / "start"), exporter(bucket_mb=0.1)
    receiver.loaded = None
    export = sender.export(model, 1)
    buckets = sorted((sender.directory / "00000001").iterdir())
    assert len(buckets) > 1
    buckets[1].unlink()
    assert "tensors are missing" in receiver.take(export)["error"]
    buckets[0].write_bytes(buckets[0].read_bytes()[:-10])
    with pytest.raises(SafetensorError):
        receiver.take(export)
    for bucket in buckets:
        bucket.unlink(missing_ok=True)
    with pytest.raises(WeightsFileError, match="holds no .safetensors file"):
        receiver.take(export)
    assert receiver.loaded is None


def test_changes_since_another_version_are_refused(tmp_path, exporter):
    model = nano()
    receiver, sender = Receiver(model, tmp_path / "start"), exporter(changed_only=True)
    receiver.take(sender.export(model, 1))
    sender.export(model, 2)  # lost on its way
    change(model, [3])
    receiver.loaded = None
    answer = receiver.take(sender.export(model, 3))
    assert answer["error"] == "it is what changed since version 2, and the engine holds version 1"
    assert receiver.loaded is None


@pytest.mark.parametrize("way", ["whole", "changed in buckets"])
def test_after_a_full_disk_the_next_update_is_whole(tmp_path, exporter, way):
    model = nano()
    receiver, sender = Receiver(model, tmp_path / "start"), exporter(**WAYS[way])
    receiver.take(sender.export(model, 1))
    change(model, [0, 5])
    with files_of_at_most(10_000), pytest.raises(OSError, match="No space"):
        sender.export(model, 2)
    export = sender.export(model, 2)
    assert export.update.base is None and receiver.take(export)["error"] is None and receiver.holds(model)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backend": "carrier pigeon"}, "weight_sync.backend is one of memory, disk, nccl, ipc"),
        ({"backend": "disk"}, "weight_sync.directory=None with backend=disk"),
        ({"directory": "there"}, "weight_sync.directory='there' with backend=memory"),
        ({"bucket_mb": 0}, "weight_sync.bucket_mb is above 0"),
        ({"backend": "nccl", "changed_only": True}, "changed_only and bucket_mb are for files"),
        ({"backend": "ipc", "engine_processes": 2}, "weight_sync.engine_processes=2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        WeightSyncConfig(**given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it is no error")
@pytest.mark.parametrize("backend", ["nccl", "ipc"])
def test_a_way_between_gpus_needs_one(backend):
    with pytest.raises(ValueError, match=f"weight_sync.backend={backend} needs a GPU; set it to memory or disk"):
        weight_exporter(WeightSyncConfig(backend=backend))


def test_only_directories_of_dead_trainers_of_this_machine_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(files.socket, "gethostname", lambda: "here-1")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = f"orrery-weights-here-1-{os.getpid()}-"
    kept = [f"{mine}a", f"orrery-weights-here-1-{os.getppid()}-b", "orrery-weights-here-1-x-c", "other-1-d"]
    kept.append(f"orrery-weights-there-{dead.pid}-f")
    for name in (*kept, f"orrery-weights-here-1-{dead.pid}-e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    exporter = FileExporter()
    assert {path.name for path in tmp_path.iterdir()} == {*kept, exporter.directory.name}
    assert exporter.directory.name.startswith(mine)
    exporter.close()
    exporter.close()
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
