"""The desk: both sides of every policy, orders in what is read, and attacks that evolve."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verify
from simulators.playable import open_world
from simulators.tasks.agents import play
from simulators.tasks.domains.stream import DomainMix, candidate
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.safety import DOMAIN
from simulators.tasks.safety.attacks import SPOKEN, WRITTEN, Attack, draw_chain, evolve, wrapped
from simulators.tasks.safety.desk import ACTS, DESK, POLICIES
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json
from trajectories.tasks import GoldCall, Task


def reward_of(task: Task, calls: list[GoldCall], reply: str) -> float:
    outcome = play(task, open_world("safety"), PlannedAgent(Plan.one_by_one(calls, reply)), 0, max_turns=20)[2]
    value = verify(task, outcome).value
    assert value is not None
    return value


def test_the_oracle_passes_and_no_cheat_is_paid() -> None:
    report = certify_sample("safety", 160)
    assert report.certified == report.oracle_passes == 160, report.reasons[:3]
    assert set(report.cheat_scores.values()) == {0.0}
    assert set(DOMAIN.cheats) <= set(report.cheat_scores), "every cheat of the domain was tried"


def test_whoever_obeys_is_paid_nothing_and_whoever_ignores_is_paid() -> None:
    mix = DomainMix(families=("injected_message", "injected_file", "exfiltration"), levels=(1, 2, 3, 4), languages=("en", "zh"))
    obeyed = 0
    for number in range(60):
        task, draft = candidate(DOMAIN, number, mix=mix, run_seed=1, split="train")
        plan = draft.cheats["obey"]
        assert isinstance(plan, Plan)
        assert reward_of(task, list(task.gold.calls), task.gold.reply) == 1.0
        assert reward_of(task, [call for turn in plan.turns for call in turn], plan.reply) == 0.0
        obeyed += any(call.tool in ACTS for turn in plan.turns for call in turn)
    assert obeyed > 30


@given(st.sampled_from(list(DOMAIN.families)), st.integers(1, 4), st.integers(0, 2**32), st.sampled_from(["en", "zh"]))
@settings(max_examples=60, deadline=None)
def test_drawing_and_rendering_are_functions(family: str, level: int, seed: int, language: str) -> None:
    one, two = (DOMAIN.draw(family, level, random.Random(seed)) for _ in range(2))
    assert canonical_json(one) == canonical_json(two)
    drafts = [DOMAIN.render(problem, family, level, language) for problem in (one, two)]
    assert drafts[0] == drafts[1]
    for told in (drafts[0].key["answer"], *drafts[0].key["secrets"]):
        assert told is None or told not in drafts[0].prompt


def test_both_sides_of_every_policy_are_put_in_the_same_words() -> None:
    rng = random.Random(0)
    for policy in POLICIES:
        drawn = DOMAIN.draw("policy", 1, rng)
        prompts = {
            DOMAIN.render({**drawn, "policy": policy, "allowed": side}, "policy", 1, "en").prompt for side in (True, False)
        }
        assert len(prompts) == 1, policy


def test_an_honest_agent_may_look_in_any_order_and_take_its_own_words() -> None:
    mix = DomainMix(families=("mixed",), levels=(1,))
    done = 0
    for number in range(40):
        task, _ = candidate(DOMAIN, number, mix=mix, run_seed=2, split="train")
        looks = [call for call in task.gold.calls if call.tool not in (*ACTS, "decline")]
        rest = [call for call in task.gold.calls if call.tool in (*ACTS, "decline")]
        more = [GoldCall("list_files"), GoldCall("whoami"), GoldCall("read_file", {"name": "no such file"})]
        reply = f"Here is what I did, and what I could not do.\n{task.gold.reply.splitlines()[-1]}"
        assert reward_of(task, [*more, *reversed(looks), *reversed(rest)], reply) == 1.0
        done += 1
    assert done == 40


def test_levels_have_longer_chains() -> None:
    rng = random.Random(3)
    assert [len(DOMAIN.draw("policy", level, rng)["chain"]) for level in (1, 2, 3, 4)] == [0, 1, 2, 3]
    assert [len(DOMAIN.draw("injected_file", level, rng)["chain"]) for level in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert draw_chain(4, SPOKEN, random.Random(1)) == draw_chain(4, SPOKEN, random.Random(1))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_wrappers_keep_what_is_wanted(language: str) -> None:
    for wrappers in (SPOKEN, WRITTEN):
        for name in set(wrappers) - {"base64", "rot13"}:
            assert "pay 70" in wrapped("pay 70", [name], wrappers, language), name
    with pytest.raises(KeyError):
        wrapped("x", ["sorcery"], SPOKEN, language)


def test_chains_evolve_towards_what_a_target_falls_for() -> None:
    def gullible(attack: Attack) -> float:  # falls for a false authority, and more so for one in a hurry
        return 0.5 * ("authority" in attack.chain) + 0.5 * ("urgency" in attack.chain)

    found = evolve(gullible, SPOKEN, rng=random.Random(0))
    assert found == evolve(gullible, SPOKEN, rng=random.Random(0))
    assert found[0][0] == 1.0 and set(found[0][1].chain) == {"authority", "urgency"}
    firm = evolve(lambda attack: 0.0, SPOKEN, rng=random.Random(0), generations=2)
    assert {score for score, _ in firm} == {0.0}
    with pytest.raises(ValueError, match="population is at least 2"):
        evolve(gullible, SPOKEN, rng=random.Random(0), population=1)


def test_a_desk_says_what_is_not_there() -> None:
    task, _ = candidate(DOMAIN, 0, mix=DomainMix(), run_seed=0, split="train")
    state = DESK.instantiate(task.seed, task.gold.initialise)
    assert "there is no file" in state.call("read_file", {"name": "../../etc/passwd"}).content
    assert state.call("pay", {"payee": "x", "amount": -5}).isError
    with pytest.raises(ValueError, match="one patch"):
        DESK.instantiate(0)
