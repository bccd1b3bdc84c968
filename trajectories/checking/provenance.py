"""Whether a row says where it comes from: licence, certificate, models."""

from collections.abc import Iterator, Mapping
from typing import Final

from trajectories.tasks import Certificate
from trajectories.trajectory import Trajectory

__all__ = ["certificate_problems", "provenance_problems"]

_PROGRAMS: Final = ("oracle", "teacher")
"""Policies that are no models."""
_JUDGES: Final = ("rubric", "rules", "scripted")
"""Judges that are no models."""


def provenance_problems(trajectory: Trajectory, licences: frozenset[str]) -> Iterator[str]:
    """What a row does not say of itself.

    Args:
        licences: those that the data set says its rows are under, in small letters; empty where it does not say.
    """
    about = trajectory.provenance
    if not about.licence:
        yield "no licence"
    elif licences and about.licence.casefold() not in licences:
        yield f"licence {about.licence}, the data set says {', '.join(sorted(licences))}"
    if about.certificate is None:
        yield "no certificate"
    else:
        yield from (f"certificate: {problem}" for problem in certificate_problems(about.certificate))
    yield from _models(trajectory)
    if trajectory.id in about.parents:
        yield "is its own parent"


def certificate_problems(certificate: Certificate) -> Iterator[str]:
    """Why a certificate certifies nothing: law 4 wants a passing oracle and failing cheats."""
    if not certificate.certified:
        yield f"not certified: {', '.join(certificate.reasons) or 'no reason is given'}"
    elif certificate.reasons:
        yield f"certified, with reasons against it: {', '.join(certificate.reasons)}"
    if certificate.oracle != 1.0:
        yield f"the oracle has reward {certificate.oracle}"
    if not certificate.cheats:
        yield "no cheat was tried"
    for name, value in certificate.cheats.items():
        if value != 0.0:
            yield f"cheat {name} has reward {value}"


def _models(trajectory: Trajectory) -> Iterator[str]:
    models: Mapping[str, str] = trajectory.provenance.models
    for role, name in models.items():
        if not (isinstance(name, str) and name):
            yield f"the model of role {role} has no name"
    policy = trajectory.metadata.get("policy", _PROGRAMS[0])
    if policy not in _PROGRAMS and "policy" not in models:
        yield f"the policy is {policy}, and no model is named for it"
    judges = {verdict.judge for verdict in trajectory.verdicts} - {*_JUDGES, *models.values()}
    if judges:
        yield f"judged by {', '.join(sorted(judges))}, which is not among the models that are named"
