"""The task on which trainers are compared: what is right, and that nobody has anything to pad."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.digits import Step, questions, reads_digit_by_digit, right
from benchmarks.trl_grpo import TRLBenchmark, _figures
from rl.policy.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(["47=89", "a name"], vocab_size=300)


@given(st.integers(0, 2**63 - 1), st.integers(1, 30))
@settings(max_examples=30)
def test_answers_count_on_and_every_one_has_the_same_length(seed, length):
    asked = questions(TOKENIZER, 8, length, seed)
    assert asked == questions(TOKENIZER, 8, length, seed)
    for question in asked:
        last = int(question.text[1])
        expected = "".join(str(number % 10) for number in range(last + 1, last + 1 + length))
        assert TOKENIZER.decode(question.answer) == expected
        assert TOKENIZER.decode(question.prompt) == question.text
        assert (len(question.prompt), len(question.answer)) == (3, length)
        assert right(question, question.answer) == 1.0


@given(st.integers(0, 2**63 - 1), st.data())
@settings(max_examples=30)
def test_nothing_but_the_answer_is_right(seed, data):
    (question,) = questions(TOKENIZER, 1, 6, seed)
    place = data.draw(st.integers(0, 5))
    token = data.draw(st.integers(0, len(TOKENIZER) - 1).filter(lambda token: token != question.answer[place]))
    wrong = [*question.answer[:place], token, *question.answer[place + 1 :]]
    for completion in (wrong, [], question.answer[:-1], [*question.answer, token], question.prompt + question.answer):
        assert right(question, completion) == 0.0


def test_a_tokenizer_that_joins_digits_is_told_apart():
    class Joins:
        def __call__(self, text):
            return {"input_ids": [ord(text)] if len(text) == 1 else [300]}

    assert reads_digit_by_digit(TOKENIZER) and not reads_digit_by_digit(Joins())  # type: ignore[arg-type]


def run(rewards, tokens=2 * 2 * 3):
    return [Step(1.0 + number, reward, tokens) for number, reward in enumerate(rewards)]


SMALL = TRLBenchmark(prompts=2, group_size=2, length=3, steps=4, untimed=2, trl_micro_batch=4, trl_own_steps=3)


def test_figures_leave_out_the_first_steps_and_pair_the_runs():
    ours, trl = [run([0, 0, 0.5, 1]), run([0, 0, 0.25, 0.75])], [run([0, 0, 0.5, 0.5]), run([0, 0.5, 0.25, 0.25])]
    step, mine, theirs = _figures(SMALL, ours, trl)
    assert step.repeats == (3.5, 3.5) and step.ratio == 1
    assert mine.repeats == (0.75, 0.5) and theirs.repeats == (0.5, 0.25)
    assert mine.details["trl_002"] == 0.25 and mine.details["trl_002_ci95"] == pytest.approx(12.706 * 0.25)
    assert mine.details["difference"] == 0.25 and mine.details["difference_ci95"] == 0


def test_trls_own_way_is_a_limit_of_its_own():
    best, own, *_ = _figures(SMALL, [run([0] * 4)], [run([0] * 4)], [run([0] * 3)])
    assert best.limit and best.limit.repeats == (3.5,) and own.limit and own.limit.repeats == (3.0,)


def test_a_comparison_over_other_token_counts_is_refused():
    with pytest.raises(RuntimeError, match=r"steps of \[11\] tokens where 12 were due"):
        _figures(SMALL, [run([0] * 4)], [run([0] * 4, tokens=11)])


@pytest.mark.parametrize(
    ("key", "value"),
    [("trl_micro_batch", 12), ("trl_micro_batch", 512), ("untimed", 20), ("group_size", 1), ("length", 0), ("trl_own_steps", 1)],
)
def test_sizes_that_cannot_be_are_refused_by_their_key(key, value):
    with pytest.raises(ValueError, match=f"^{key}: "):
        TRLBenchmark(**{key: value})
