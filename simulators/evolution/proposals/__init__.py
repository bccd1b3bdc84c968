"""What a chat model may propose while worlds grow: further domains, further fields for the operator
`extend`, and other words for tools.

A proposal is text. It is read by the readers of what ships and held to what is asked of that; what passes is recorded, so
that the same registry grows again without a model, and what does not is asked for again with the reason, and then dropped
and counted. Without proposals everything grows by its seed alone.
"""

from simulators.evolution.proposals.asking import Proposer, Unacceptable
from simulators.evolution.proposals.record import Proposal, ProposalFileError, ProposalLog, read_proposals
from simulators.evolution.proposals.settings import ProposalSettings
from simulators.evolution.proposals.source import Asked, Replayed, Source, read_domains

__all__ = [
    "Asked", "Proposal", "ProposalFileError", "ProposalLog", "ProposalSettings", "Proposer", "Replayed",
    "Source", "Unacceptable", "read_domains", "read_proposals",
]  # fmt: skip
