"""What is measured is what is said: verdicts that are the same everywhere, and a bad answer that is invalid and late alone."""

import pytest

from benchmarks.scoring import ScoringBenchmark, answers_of, measure
from rewards.verifiers import verify


def test_every_figure_is_there_and_the_bad_answers_are_invalid() -> None:
    settings = ScoringBenchmark(domains=("tool_use",)).quick()
    rate, *held_up = measure(settings, repeats=1, seed=0)
    assert rate.median > 0 and rate.details["invalid"] == 0 and rate.details["the same here and there"] == 1
    assert [figure.unit for figure in held_up] == ["s", "s"]
    assert all(figure.details["and was invalid"] == 1 for figure in held_up)


def test_the_oracles_answers_pass() -> None:
    answers = answers_of("tool_use", 2, seed=0)
    assert len(answers) == 4 and all(verify(*answer).value == 1.0 for answer in answers[::2])


@pytest.mark.parametrize(("key", "value"), [("tasks", 0), ("batch", 0), ("domains", ("alchemy",)), ("deeds", ("dance",))])
def test_settings_that_make_no_sense_are_refused_by_their_key(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key}: "):
        ScoringBenchmark(**{key: value})  # type: ignore[arg-type]
