"""Where the proposals of `orrery evolve` come from: an endpoint, an earlier run's file, or nowhere."""

from pathlib import Path

from pipelines.errors import UserError
from pipelines.models import RoleModel, check_model, open_model
from pipelines.run_directory import RunDirectory
from simulators.evolution.proposals import (
    Asked,
    ProposalFileError,
    ProposalLog,
    ProposalSettings,
    Proposer,
    Replayed,
    Source,
    read_domains,
    read_proposals,
)

__all__ = ["check_proposals", "open_proposals"]


def open_proposals(settings: ProposalSettings, seed: int, run: RunDirectory) -> Source | None:
    """The source, which records in ``proposals.jsonl`` what was accepted; None where nothing is proposed. A run that is continued
    does not ask again for what it was answered before it stopped."""
    path = run.path / "proposals.jsonl"
    if settings.file is not None:
        return Replayed(read_proposals(Path(settings.file)), ProposalLog(path, keep=False), settings.file)
    model = open_model("proposals", _role(settings), run.path)
    if model is None:
        return None
    log = ProposalLog(path, keep=run.resumed)
    kept = {proposal.request: proposal.text for proposal in log.kept}
    return Asked(Proposer(model, settings, seed, kept), log, settings.domains)


def check_proposals(settings: ProposalSettings) -> None:
    """The file holds proposals that can be read, and the endpoint has its key.

    Raises:
        UserError: otherwise.
    """
    try:
        if settings.file is not None:
            read_domains(read_proposals(Path(settings.file)), settings.file)
    except ProposalFileError as error:
        raise UserError(f"proposals.file: {error}") from error
    check_model(_role(settings), "proposals.endpoint")


def _role(settings: ProposalSettings) -> RoleModel:
    return RoleModel(endpoint=settings.endpoint, limits=settings.limits)
