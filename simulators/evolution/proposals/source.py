"""Where a run's proposals come from: a model that is asked, or an earlier run's file that is played again."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from simulators.evolution.domains import Category, Domain
from simulators.evolution.draft import Extension
from simulators.evolution.errands import Verify
from simulators.evolution.growing import Grown, grow
from simulators.evolution.proposals.asking import Proposer, Unacceptable
from simulators.evolution.proposals.domains import asking_for_domain, read_domain, require_sound
from simulators.evolution.proposals.extending import EXTENSION, asking_for_extension, read_extension, require_additive
from simulators.evolution.proposals.record import Proposal, ProposalFileError, ProposalLog
from simulators.evolution.proposals.rewording import WORDING, asking_for_wording, read_wording, reworded
from simulators.evolution.proposals.wording import KINDS, wording_of
from simulators.evolution.reading import categories
from simulators.evolution.registry import DomainRows
from trajectories.seeds import derive_rng

__all__ = ["Asked", "Replayed", "Source", "read_domains"]


class Source(Protocol):
    """Proposals, each of them accepted by the same rules wherever it comes from, and recorded."""

    def domains(self, chosen: Sequence[Category], seed: int, verify: Verify) -> list[Domain]:
        """Further domains beside those of the lexicon, asked for of the categories that are chosen, in turn."""

    def extend(self, domain: Domain, seed: int, verify: Verify, count: int) -> tuple[Extension, ...]:
        """Further fields with which the domain is to grow, in order; asked for `count` times, where a model is asked."""

    def reword(self, domain: Domain, rows: DomainRows, seed: int, count: int) -> DomainRows:
        """The rows with other words for some tools; `count` of them, where a model is asked."""

    def summary(self) -> dict[str, Any]:
        """What was asked for, accepted and dropped, and why."""


class Asked:
    """A model is asked.

    Args:
        count: how many domains it is asked for.
    """

    def __init__(self, proposer: Proposer, log: ProposalLog, count: int) -> None:
        self._proposer, self._log, self._count = proposer, log, count
        self._written = {proposal.request for proposal in log.kept}

    def domains(self, chosen: Sequence[Category], seed: int, verify: Verify) -> list[Domain]:
        known, found = _shipped(), list[Domain]()
        for number in range(self._count):
            category = chosen[number % len(chosen)]

            def accept(text: str, category: Category = category) -> Domain:
                domain = read_domain(text, category.name, [*known, *found])
                require_sound(domain, seed, verify)
                return domain

            example = derive_rng(seed, "propose-example", number).choice(list(category.domains))
            dialogue = asking_for_domain(category, [*known, *found], example)
            answer = self._proposer.ask("domain", f"{category.name} {number}", dialogue, accept)
            if answer is not None:
                found.append(answer.value)
                self._record("domain", answer.value, None, answer.text, answer.request)
        return found

    def extend(self, domain: Domain, seed: int, verify: Verify, count: int) -> tuple[Extension, ...]:
        found: tuple[Extension, ...] = ()
        for number in range(count):
            grown = grow(domain, seed, found)

            def accept(text: str, grown: Grown = grown, found: tuple[Extension, ...] = found) -> Extension:
                extension = read_extension(text, grown)
                require_additive(grown, (*found, extension), seed, verify)
                return extension

            about = f"{domain.name} {number}"
            answer = self._proposer.ask("extension", about, asking_for_extension(grown), accept, EXTENSION)
            if answer is not None:
                found = (*found, answer.value)
                self._record("extension", domain, None, answer.text, answer.request)
        return found

    def reword(self, domain: Domain, rows: DomainRows, seed: int, count: int) -> DomainRows:
        offered = [row["tool"] for row in rows.tools if row["kind"] in KINDS]
        chosen = derive_rng(seed, "propose-reword", domain.category, domain.name).sample(offered, min(count, len(offered)))
        for tool in chosen:
            wording = wording_of(domain, rows.world, tool)
            answer = self._proposer.ask(
                "reword", f"{domain.name}.{tool}", asking_for_wording(wording),
                lambda text, wording=wording: read_wording(text, wording), WORDING,  # type: ignore[misc]
            )  # fmt: skip
            if answer is not None:
                rows = reworded(rows, {tool: answer.value})
                self._record("reword", domain, tool, answer.text, answer.request)
        return rows

    def summary(self) -> dict[str, Any]:
        proposer = self._proposer
        return {"model": proposer.name, **dict(sorted(proposer.counts.items())), "dropped": proposer.dropped[:100]}

    def _record(self, kind: Any, domain: Domain, tool: str | None, text: str, request: str) -> None:
        if request not in self._written:
            self._log.write([Proposal(kind, domain.category, domain.name, tool, text, self._proposer.name, request)])


class Replayed:
    """What an earlier run accepted, held to the same rules again.

    Args:
        source: what complaints call the file.
    """

    def __init__(self, proposals: Sequence[Proposal], log: ProposalLog, source: str) -> None:
        self._proposals, self._log, self._source = proposals, log, source
        self._used = Counter[str]()

    def domains(self, chosen: Sequence[Category], seed: int, verify: Verify) -> list[Domain]:
        """Those of the file, of whatever category."""
        proposed = [proposal for proposal in self._proposals if proposal.kind == "domain"]
        found = read_domains(proposed, self._source)
        for proposal, domain in zip(proposed, found, strict=True):
            with _complaining(proposal, self._source):
                require_sound(domain, seed, verify)
            self._use(proposal)
        return found

    def extend(self, domain: Domain, seed: int, verify: Verify, count: int) -> tuple[Extension, ...]:
        found: tuple[Extension, ...] = ()
        for proposal in self._proposals:
            if proposal.kind == "extension" and proposal.domain == domain.name:
                with _complaining(proposal, self._source):
                    grown = grow(domain, seed, found)
                    extension = read_extension(proposal.text, grown)
                    require_additive(grown, (*found, extension), seed, verify)
                found = (*found, extension)
                self._use(proposal)
        return found

    def reword(self, domain: Domain, rows: DomainRows, seed: int, count: int) -> DomainRows:
        for proposal in self._proposals:
            if proposal.tool is not None and proposal.domain == domain.name:
                with _complaining(proposal, self._source):
                    text = read_wording(proposal.text, wording_of(domain, rows.world, proposal.tool))
                rows = reworded(rows, {proposal.tool: text})
                self._use(proposal)
        return rows

    def summary(self) -> dict[str, Any]:
        used = {f"{kind}_accepted": number for kind, number in sorted(self._used.items())}
        return {"file": self._source, **used, "unused": len(self._proposals) - self._used.total()}

    def _use(self, proposal: Proposal) -> None:
        self._used[proposal.kind] += 1
        self._log.write([proposal])


def read_domains(proposals: Iterable[Proposal], source: str) -> list[Domain]:
    """The domains that are proposed; extensions and rewordings are of these, or of the lexicon's.

    Raises:
        ProposalFileError: one is no domain, or a field or words are for a domain that is not there.
    """
    known, found = _shipped(), list[Domain]()
    for proposal in proposals:
        with _complaining(proposal, source):
            if proposal.category not in {domain.category for domain in known}:
                raise Unacceptable(f"there is no category {proposal.category!r}")
            if proposal.kind == "domain":
                domain = read_domain(proposal.text, proposal.category, [*known, *found])
                if domain.name != proposal.domain:
                    raise Unacceptable(f"the document is of {domain.name}")
                found.append(domain)
            elif not any((other.category, other.name) == (proposal.category, proposal.domain) for other in [*known, *found]):
                raise Unacceptable("there is no such domain")
    return found


def _shipped() -> list[Domain]:
    return [domain for category in categories() for domain in category.domains.values()]


@contextlib.contextmanager
def _complaining(proposal: Proposal, source: str) -> Iterator[None]:
    """What is wrong with a proposal of the file is said with its name."""
    try:
        yield
    except Unacceptable as error:
        name = proposal.domain if proposal.tool is None else f"{proposal.domain}.{proposal.tool}"
        raise ProposalFileError(f"{source}: {proposal.kind} of {name}: {error}") from error
