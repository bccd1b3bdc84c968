"""A verifier whose verdicts change has another version: stored rewards say which one they are of."""

import pytest

from rewards.verifiers import VERIFIERS, verifier_for
from tests.rewards.verifiers.graders import answers_of, recorded, said_of

HOW = "python -m tests.rewards.verifiers.graders {domain}"


@pytest.mark.parametrize("domain", sorted(recorded()))
def test_verdicts_change_only_with_the_version(domain: str):
    before, now = recorded()[domain], said_of(domain)
    if now == before:
        return
    how = HOW.format(domain=domain)
    if now["count"]["invalid"]:
        pytest.fail(
            f"{domain}: {now['count']['invalid']} of {now['count']['answers']} verdicts are invalid here: its verifier broke"
        )
    if now["digests"]["answers"] != before["digests"]["answers"]:
        pytest.fail(
            f"{domain}: its generator, the worlds or the cheats changed, so there are other answers to judge. Record: {how}"
        )
    if now["version"] == before["version"]:
        pytest.fail(
            f"{domain}: the verdicts on the same answers are not those of version {before['version']}. If that is meant, raise "
            f"`version` of {VERIFIERS[domain]}, say in docs/gym what changed, and record: {how}"
        )
    pytest.fail(f"{domain}: version {now['version']} is not recorded. Record: {how}")


@pytest.mark.parametrize("domain", sorted(VERIFIERS))
def test_every_domain_is_recorded_and_names_its_grader(domain: str):
    assert domain in recorded(), f"record it: {HOW.format(domain=domain)}"
    task, outcome = next(answers_of(domain))
    verifier = verifier_for(domain)
    reward = verifier.verify(task, outcome)
    assert reward.value == 1.0 and reward.grader == f"{domain}/{verifier.version}"


@pytest.mark.parametrize("domain", sorted(recorded()))
def test_the_answers_hold_right_ones_and_wrong_ones(domain: str):
    count = recorded()[domain]["count"]
    assert count["invalid"] == 0 and count["answers"] >= 100
    assert 0.02 < count["passes"] / count["answers"] < 0.7
