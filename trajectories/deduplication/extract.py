"""What deduplication needs of one row: a pure function of the dialogue, some 170 bytes, computed where the row is made."""

import struct
from dataclasses import dataclass
from typing import Final

from trajectories.deduplication.config import DedupConfig
from trajectories.deduplication.dialogue import course_of, dialogue_of, turns_of
from trajectories.deduplication.shingles import signature_of
from trajectories.deduplication.structure import structure_of
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Features", "features"]

_HEAD: Final = struct.Struct("4s16s8s8s")


@dataclass(frozen=True, slots=True)
class Features:
    """Digests and signature of one row."""

    key: bytes
    """Of the settings that they were computed with; see `DedupConfig.features_key`."""
    dialogue: bytes
    """16 bytes: messages and tools."""
    course: bytes
    """8 bytes: speakers in turn, calls with their arguments, tags of the task."""
    structure: bytes
    """8 bytes: world, plan without values, ending, refusal reasons."""
    signature: bytes
    """MinHash of the words, a byte a slot; empty where the dialogue has no words."""

    def to_bytes(self) -> bytes:
        """36 bytes and the signature."""
        return _HEAD.pack(self.key, self.dialogue, self.course, self.structure) + self.signature

    @staticmethod
    def from_bytes(data: bytes) -> "Features":
        """What `to_bytes` made.

        Raises:
            ValueError: too short.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"features have at least {_HEAD.size} bytes, not {len(data)}")
        key, dialogue, course, structure = _HEAD.unpack_from(data)
        return Features(key, dialogue, course, structure, data[_HEAD.size :])


def features(trajectory: Trajectory, task: Task | None, config: DedupConfig) -> Features:
    """The features of a row: of `config`, only shingle, weights and permutations matter.

    Args:
        task: whose tags say what was wanted, and whose rubric which tools refuse; None where it is not at hand.

    Raises:
        ValueError: a declared tool's schema holds NaN or an infinity.
    """
    turns = turns_of(trajectory.messages)
    return Features(
        key=config.features_key(),
        dialogue=dialogue_of(turns, trajectory.tools),
        course=course_of(turns, task),
        structure=structure_of(trajectory, task),
        signature=signature_of(turns, config),
    )
