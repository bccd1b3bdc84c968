"""What a worker looks at in some tasks of a data set: their content, their certificates, and the gold, executed again."""

from dataclasses import dataclass

from pipelines.validating.dataset_looked import Looked
from pipelines.validating.dataset_worlds import gold_executed
from rewards.verifiers import verify
from simulators.tasks.certify import CHEATS
from simulators.tasks.domains.common_cheats import COMMON_CHEATS
from trajectories.checking.folder import Part
from trajectories.checking.provenance import certificate_problems
from trajectories.checking.reading import read_part
from trajectories.codec import TASK_SCHEMA, from_row
from trajectories.tasks import Task

__all__ = ["TaskContext", "check_tasks", "keys_of_tasks"]


@dataclass(frozen=True)
class TaskContext:
    """How tasks are looked at."""

    checks: frozenset[str]
    splits: tuple[str, ...]
    """Whose rows say which split they are of."""
    recertify: bool
    """Whether every cheat plays again too."""


def check_tasks(context: TaskContext, item: tuple[Part, frozenset[int] | None]) -> Looked:
    """Everything about the tasks of a part; `item` has the numbers in the shard whose gold is executed, None for all."""
    part, chosen = item
    looked = Looked(part.shard, context.checks)
    for batch in read_part(part, TASK_SCHEMA):
        looked.note_damage(batch)
        for number, row in batch.rows:
            looked.add_task(number, row)
            try:
                task = from_row(Task, row)
                content = task.content_id()
            except Exception as error:  # whatever the row holds
                looked.find("schema", number, row["id"], f"does not decode: {type(error).__name__}: {error}")
                continue
            if task.split in context.splits and task.split != part.split:
                looked.find("splits", number, task.id, f"says that it is of split {task.split}, and lies in {part.split}")
            if content != task.id:
                looked.find("certificates", number, task.id, f"its content was changed: now its digest is {content}")
            problems = _on_paper(task)
            if "certificates" in context.checks and (chosen is None or number in chosen):
                looked.rows["certificates"] += 1
                problems += gold_executed(task, verify, recertify=context.recertify)
            for what in problems:
                looked.find("certificates", number, task.id, what)
    return looked


def keys_of_tasks(_: None, part: Part) -> Looked:
    """Only ids and keys: of a data set that another one is compared with."""
    looked = Looked(part.shard)
    for batch in read_part(part, TASK_SCHEMA):
        looked.note_damage(batch)
        for number, row in batch.rows:
            looked.add_task(number, row)
    return looked


def _on_paper(task: Task) -> list[str]:
    """What is wrong with a certificate without playing anything."""
    if task.certificate is None:
        return ["has no certificate"]
    cheats = CHEATS if task.domain == "tool_use" else [name for name in COMMON_CHEATS if name != "gold_unread"]
    missing = [name for name in cheats if name not in task.certificate.cheats]
    untried = [f"cheats were not tried: {', '.join(missing)}"] if missing and task.certificate.cheats else []
    return [f"certificate: {what}" for what in (*certificate_problems(task.certificate), *untried)]
