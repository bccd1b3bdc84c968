"""The definitions that every count rests on."""

import pytest

from rewards.verifiers.instructions.reading import parse_json, read, sentences_of, words_of


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The keeper's well-known lamp", 4),
        ("It cost 1,240.50 crowns", 4),
        ("and/or", 2),
        ("one — two", 2),
        ("- a first item\n- a second item", 6),
        ("1. one\n2. two", 2),
        ("## A heading\ntext", 3),
        ("| a | b |\n| --- | --- |\n| c | d |", 4),
        ("**bold** and `code`", 3),
        ("```text\nin a fence\n```", 3),
        ("***", 0),
        ("snake_case _and_ __more__", 4),
        ("<b>bold</b><br>and <br/> so", 3),
    ],
)
def test_markdown_is_no_word_and_hyphens_do_not_part_one(text: str, count: int) -> None:
    assert len(read(text, "en").words) == count


def test_a_chinese_reply_is_counted_in_chinese_characters() -> None:
    reply = read("灯塔高40米。\n- 管理员是ABC", "zh")
    assert reply.length == 8
    assert words_of("高40米") == ["高", "40", "米"]


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("One. Two! Three?", 3),
        ("It is 3.5 metres high.", 1),
        ("Wait... what?", 2),
        ("Mr. Vale met Dr. Stern at 5.", 1),
        ("J. Vale lives here. He keeps bees.", 2),
        ("P.S. Bring a coat.", 1),
        ("“Come in.” He left.", 2),
        ("no mark at the end", 1),
        ("灯塔很高。它有40级台阶！是吗？", 3),
        ("灯塔，很高；很白。", 1),
    ],
)
def test_a_sentence_ends_with_its_mark_or_its_line(line: str, count: int) -> None:
    assert len(sentences_of(line)) == count
    assert len(read(line, "en").sentences) == count


def test_paragraphs_are_parted_by_empty_lines_or_by_the_mark_alone() -> None:
    assert read("a\n\nb\nc\n \nd", "en").paragraphs() == ["a", "b\nc", "d"]
    assert read("a\n\n***\n\nb", "en").paragraphs("***") == ["a", "b"]
    assert read("a *** b", "en").paragraphs("***") == ["a *** b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1} and more',
        "[" * 100_000,
        '{"a":' * 30 + "1" + "}" * 30,
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": 9999999999999999999}',
        '```js\n{"a": 1}\n```',
    ],
)
def test_only_one_plain_object_is_json(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_json_fence_is_taken_off() -> None:
    assert parse_json('```json\n{"a": [1, "x"]}\n```') == {"a": [1, "x"]}
