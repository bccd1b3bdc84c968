"""Look at the domains of verifiable tasks: list them, sample tasks, play one by hand, certify, count distinct problems.

`action=list` says what there is; `sample` makes certified tasks, shows some and keeps all as a data set; `play` gives one to
you at the terminal; `certify` tries the oracle and every cheat on candidates and counts what certification refuses, with tasks
and verdicts per second; `distinct` counts problems that two numbers share, and problems that are in both splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.exercising.certifying import certified_tables, certify_domains
from pipelines.exercising.counting import count_distinct, distinct_tables
from pipelines.exercising.listing import domain_rows, listing
from pipelines.exercising.playing import play_by_hand
from pipelines.exercising.sampling import sample_tasks, shown
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Counted, register
from pipelines.streams import check_mix
from simulators.tasks.domains.registry import DOMAINS
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.stream import TaskStream, UncertifiableError
from trajectories.shards import ShardError
from trajectories.tasks import Split

__all__ = ["Gym"]


@dataclass(frozen=True, kw_only=True)
class Gym(Counted):
    """`count` is the number of tasks, candidates or problems of each domain."""

    action: Literal["list", "sample", "play", "certify", "distinct"] = "list"
    """What to do."""
    domains: tuple[str, ...] = ()
    """Which domains; empty for all but tool_use, which `orrery validate` certifies."""
    mix: DomainMix = field(default_factory=DomainMix)
    """Families, levels and languages."""
    split: Split = "train"
    """Problems of the two splits are disjoint: train, held_out."""
    number: int = 0
    """Of the first task, candidate or problem."""
    shown: int = 1
    """action=sample: tasks of each domain on the console."""
    tasks: TaskStream = field(default_factory=TaskStream)
    """Tasks of tool_use, where it is among the domains; tasks.domains and tasks.gym are set by the keys above."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = ("tool_use", *DOMAINS)
        unknown = [name for name in self.domains if name not in known]
        if unknown:
            raise ValueError(f"domains: {', '.join(unknown)} is not among {', '.join(known)}")
        if self.number < 0 or self.shown < 0:
            raise ValueError(f"number, shown: are at least 0, not {self.number} and {self.shown}")
        if self.action in ("certify", "distinct") and "tool_use" in self.domains:
            raise ValueError(f"domains: action={self.action} knows no tool_use; orrery validate certifies its tasks")
        if (self.tasks.domains, self.tasks.gym) != (TaskStream().domains, TaskStream().gym):
            raise ValueError("tasks.domains, tasks.gym: set domains and mix instead")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The domains, in the order of the registry's list."""
        return tuple(name for name in ("tool_use", *DOMAINS) if name in (self.domains or DOMAINS))


def run(config: Gym, run: RunDirectory) -> dict[str, Any]:
    """`orrery gym`."""
    return {"action": config.action} | _ACTIONS[config.action](config, run)


def _list(config: Gym, run: RunDirectory) -> dict[str, Any]:
    rows = domain_rows(config.chosen)
    print(listing(rows))
    return {"domains": rows}


def _sample(config: Gym, run: RunDirectory) -> dict[str, Any]:
    progress = Progress(("sample",))
    with ray_session(config.workers):
        found = sample_tasks(config, run.path, progress, resume=run.resumed)
    for task in shown(run.path, config.split, config.shown):
        print(f"\n{task}")
    return found | {"seconds": progress.elapsed}


def _play(config: Gym, run: RunDirectory) -> dict[str, Any]:
    return play_by_hand(config)


def _certify(config: Gym, run: RunDirectory) -> dict[str, Any]:
    progress = Progress(("certify",))
    with ray_session(config.workers):
        found = certify_domains(config, run.path, progress, resume=run.resumed)
    summary = found | {"seconds": progress.elapsed}
    print("\n" + certified_tables(found))
    offences: Sequence[str] = found["offences"]
    if offences:
        run.write_summary(summary)
        raise UserError(f"{len(offences)} domains are not what law 4 wants; first: {offences[0]}")
    return summary


def _distinct(config: Gym, run: RunDirectory) -> dict[str, Any]:
    progress = Progress(("distinct",))
    with ray_session(config.workers):
        found = count_distinct(config, progress)
    print("\n" + distinct_tables(found))
    return found | {"seconds": progress.elapsed}


def check(config: Gym) -> None:
    """Families and languages are some domain's."""
    check_mix(config.mix, config.chosen, "mix")


_ACTIONS = {"list": _list, "sample": _sample, "play": _play, "certify": _certify, "distinct": _distinct}

register("gym", Gym, run, check=check, user_errors=(UncertifiableError, ShardError))
