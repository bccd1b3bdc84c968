"""What is asked follows from the text alone, and stands there once; readers of their own work every answer out again."""

import random
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.long_context import CHARACTERS, DOMAIN, count_tokens
from simulators.tasks.long_context.grammar import names_of, prose, vocabulary
from tests.simulators.tasks.domains.checking import certify_sample
from tests.simulators.tasks.long_context.solvers import solve

FAMILIES = list(DOMAIN.families)


def drawn(family: str, level: int, seed: int) -> dict:
    return dict(DOMAIN.draw(family, level, random.Random(f"{family} {level} {seed}")))


def values(draft) -> list[str]:
    return [part["value"] for part in draft.key["parts"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reader_of_the_text_finds_the_answer(family: str) -> None:
    for level, count in ((1, 8), (2, 5), (3, 3)):
        for seed in range(1 if family == "run_code" else count):
            draft = DOMAIN.render(drawn(family, level, seed), family, level, "en")
            right = values(draft) if draft.key["ordered"] else sorted(values(draft))
            assert solve(family, draft.prompt) in (right, None)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(1, 2), st.sampled_from(["en", "zh"]), st.integers(0, 2**32))
def test_a_task_is_a_function_of_its_problem(family: str, level: int, language: str, seed: int) -> None:
    problem = drawn(family, level, seed)
    assert problem == drawn(family, level, seed)
    random.seed(seed)  # nobody looks at the global generator
    draft = DOMAIN.render(problem, family, level, language)
    assert draft == DOMAIN.render(problem, family, level, language)
    assert draft.key["characters"] == len(draft.prompt)
    assert f"depth:{problem['depth']}" in draft.tags or any(tag.startswith("depth:") for tag in draft.tags)
    question = draft.prompt.rsplit("\n\n", 1)[1]
    hidden = [value for value in values(draft) if (len(value) > 3 and value.isdigit()) or value.count("-") == 4]
    assert not any(value in question for value in hidden)
    assert set(draft.cheats) <= set(DOMAIN.cheats)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_numbers_and_identifiers_stand_in_the_text_once(language: str) -> None:
    for family in ("passkey", "numbers", "key_value", "conflict"):
        draft = DOMAIN.render(drawn(family, 2, 3), family, 2, language)
        assert all(draft.prompt.count(value) == 1 for value in values(draft))


def test_lengths_are_what_the_level_says() -> None:
    for level in (1, 2, 3):
        for family in FAMILIES:
            for language in DOMAIN.languages:
                draft = DOMAIN.render(drawn(family, level, 5), family, level, language)
                assert CHARACTERS[level - 1] <= draft.key["characters"] <= 1.4 * CHARACTERS[level - 1] + 1_200
                assert f"characters:{CHARACTERS[level - 1]}" in draft.tags


def test_depths_are_spread_and_measured() -> None:
    found = set()
    for seed in range(60):
        problem = drawn("passkey", 3, seed)
        draft = DOMAIN.render(problem, "passkey", 3, "en")
        measured = 10 * draft.prompt.index(values(draft)[0]) // len(draft.prompt)
        assert abs(measured - problem["depth"]) <= 1
        found.add(problem["depth"])
    assert found == set(range(9))


def test_certification() -> None:
    report = certify_sample("long_context", 96, mix=DomainMix(levels=(1, 2), languages=("en", "zh")))
    assert report.oracle_passes == report.candidates == 96
    assert report.certified >= 94, report.reasons
    assert set(report.tried) >= {*DOMAIN.cheats, "null", "echo", "claim", "verdict", "refuse", "prompt_answer"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_prose_holds_no_number_and_no_name(language: str) -> None:
    names = names_of(language).words
    sentences = prose(language, random.Random(0))
    text = "".join(next(sentences) for _ in range(1_500))
    assert not re.search(r"\d", text)
    words = set(re.findall(r"[\w-]+", text))
    for kind in ("object", "container", "town_first", "person", "goods", "given", "label"):
        for name in names.get(kind, ()):
            assert name not in (words if language == "en" else text), name
    assert not vocabulary(language) & {*names["object"], *names["goods"]}
    data = text.encode()
    assert len(data) / len(zlib.compress(data)) < 6  # a real novel has 2.5 to 3


@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_of_one_text_do_not_contain_each_other(language: str) -> None:
    for seed in range(20):
        names, rng = names_of(language), random.Random(seed)
        for found in (names.persons(24, rng), names.towns(60, rng), names.objects(24, rng), names.containers(12, rng)):
            assert len(set(found)) == len(found)
            assert not any(one != other and one in other for one in found for other in found)


def test_two_million_characters() -> None:
    problem = drawn("numbers", 7, 1)
    draft = DOMAIN.render(problem, "numbers", 7, "en")
    assert 2_000_000 <= draft.key["characters"] < 2_010_000
    assert solve("numbers", draft.prompt) == values(draft)


def test_tokens_are_counted_in_pieces_as_in_one(tmp_path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?[\p{L}]+| ?[^\s\p{L}]+|\s+(?!\S)|\s"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    prompt = DOMAIN.render(drawn("novel", 4, 0), "novel", 4, "en").prompt * 4
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([prompt[:20_000]], trainer)
    whole = len(tokenizer.encode(prompt).ids)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert len(prompt) > 250_000
    assert count_tokens(prompt, tokenizer) == count_tokens(prompt, tmp_path / "tokenizer.json") == whole
    assert count_tokens("", tokenizer) == 0
