"""Which tasks were asked for, looked at before anything starts."""

from pipelines.errors import UserError
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.stream import TaskStream
from simulators.worlds import load

__all__ = ["check_mix", "check_stream"]


def check_stream(stream: TaskStream, key: str) -> None:
    """The worlds can be loaded, and what is said of other domains is theirs.

    Raises:
        UserError, WorldSpecError: naming `key` or the world.
    """
    for world in stream.worlds:
        load(world)
    check_mix(stream.gym, stream.domains, f"{key}.gym")


def check_mix(mix: DomainMix, domains: tuple[str, ...], key: str) -> None:
    """Families and languages are those of some chosen domain; where several are chosen, each takes those that it has.

    Raises:
        UserError: naming `key`.
    """
    chosen = [domain_of(name) for name in domains if name != "tool_use"]
    for name, wanted, known in (
        ("families", mix.families, {family for domain in chosen for family in domain.families}),
        ("languages", mix.languages, {language for domain in chosen for language in domain.languages}),
    ):
        unknown = [item for item in wanted if item not in known]
        if unknown and chosen:
            there = ", ".join(sorted(known))
            raise UserError(f"{key}.{name}: {', '.join(unknown)}: no chosen domain has it; there are: {there}")
