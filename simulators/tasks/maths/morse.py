"""Morse code and shift ciphers over groups of letters and digits that no word list knows."""

import random
from collections.abc import Mapping
from typing import Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.phrases import phrase

__all__ = ["CODES", "MORSE"]

MORSE: Final = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
            "-----",
            ".----",
            "..---",
            "...--",
            "....-",
            ".....",
            "-....",
            "--...",
            "---..",
            "----.",
        ],
        strict=True,
    )
)

_ONSETS: Final = [
    "B",
    "C",
    "D",
    "F",
    "G",
    "H",
    "J",
    "K",
    "L",
    "M",
    "N",
    "P",
    "R",
    "S",
    "T",
    "V",
    "W",
    "Z",
    "CH",
    "SH",
    "TR",
    "PL",
    "GR",
    "ST",
]
_VOWELS: Final = ["A", "E", "I", "O", "U", "AI", "OU"]

_SIZES: Final = {1: (2, 1), 2: (4, 2), 3: (8, 3)}
"""By level: words, and syllables of the longest."""


def _words(level: int, rng: random.Random) -> list[str]:
    count, most = _SIZES[level]
    return ["".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, most) + 1)) for _ in range(count)]


def _draw_morse(level: int, rng: random.Random) -> Problem:
    words = _words(level, rng)
    for _ in range(level - 1):
        words.insert(rng.randint(0, len(words)), str(rng.randrange(10, 10 ** (level + 1))))
    return {"way": rng.choice(("decode", "encode") if level < 3 else ("decode", "encode", "reverse")), "words": words}


def _put_morse(problem: Problem, language: str) -> Question:
    plain = " ".join(problem["words"])
    code = " / ".join(" ".join(MORSE[letter] for letter in word) for word in problem["words"])
    asked, answer = {"decode": (code, plain), "encode": (plain, code), "reverse": (code[::-1], plain)}[problem["way"]]
    return Question(
        phrase("morse", language, problem["way"]).format(text=asked), {"kind": "text", "answer": answer, "verbatim": True}, answer
    )


def _draw_shift(level: int, rng: random.Random) -> Problem:
    words = _words(level, rng)
    return {
        "way": ("told", "crib", "growing")[level - 1],
        "words": words,
        "shift": rng.randint(2, 24) if level < 3 else rng.randint(2, 9),
    }


def _put_shift(problem: Problem, language: str) -> Question:
    plain, growing = " ".join(problem["words"]), problem["way"] == "growing"
    moved, count = "", 0
    for letter in plain:
        count += letter != " "
        places = problem["shift"] * (count if growing else 1)
        moved += letter if letter == " " else chr(ord("A") + (ord(letter) - ord("A") + places) % 26)
    text = phrase("shift_cipher", language, problem["way"]).format(shift=problem["shift"], text=moved, crib=problem["words"][0])
    return Question(text, {"kind": "text", "answer": plain}, plain)


CODES: Final[Mapping[str, Family]] = {
    "morse": Family("Morse code, read, written and read backwards", ("ciphers", "strings"), _draw_morse, _put_morse),
    "shift_cipher": Family("Letters moved on in the alphabet", ("ciphers", "strings"), _draw_shift, _put_shift),
}
