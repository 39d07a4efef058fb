# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Seeded strings that tokenizers disagree on when one of them is wrong."""

import random

from tokenizer_configs import SENTENCES

SPACES = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\v",
    "\f",
    "\x1c",
    "\x1f",
    "\x85",
    "\u00a0",
    "\u1680",
    "\u180e",
    "\u2000",
    "\u2003",
    "\u200a",
    "\u200b",
    "\u2028",
    "\u2029",
    "\u202f",
    "\u205f",
    "\u2060",
    "\u3000",
    "\ufeff",
]
CONTRACTIONS = [
    apostrophe + ending
    for apostrophe in ("'", "\u2019", "''", " '")
    for ending in (
        "s",
        "S",
        "t",
        "T",
        "re",
        "RE",
        "Re",
        "rE",
        "ve",
        "VE",
        "m",
        "M",
        "ll",
        "LL",
        "lL",
        "d",
        "D",
        "\u017f",
        "\u212a",
        "x",
        "R",
        "l",
        "v",
    )
]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "❤️", "🇫🇷🇩🇪", "1️⃣", "☎︎", "🧑🏿‍🚀", "\u200d", "\ufe0f", "🏴\U000e0067\U000e007f"]
MARKS = [
    "e\u0301",
    "\u0301",
    "a\u0315\u0300\u05ae\u0062",
    "\u1100\u1161\u11a8",
    "각",
    "\u0344",
    "\u212b",
    "ﬁ",
    "ﷺ",
    "Å\u0323",
    "q\u0307\u0323",
    "\u0958",
    "\u2126",
    "が",
    "か\u3099",
    "①",
    "\u1e9b\u0323",
    "\U0001d15e",
    "\u0d3c\u0334",
    "\u1df6\u0334",
]
NUMBERS = [
    "0",
    "7",
    "42",
    "123",
    "1234",
    "99999999",
    "3.14",
    "١٢٣",
    "४५",
    "๑",
    "²",
    "½",
    "Ⅻ",
    "⑤",
    "〇",
    "一",
    "𝟙𝟚𝟛𝟜",
    "㊿",
    "𒐀",
    "𞥐",
    "\U00011de3",
    "\U00016ff5",
]
CONTROLS = [
    chr(c)
    for c in (
        0,
        1,
        7,
        8,
        0x1B,
        0x7F,
        0x80,
        0x9F,
        0xAD,
        0x61C,
        0x200E,
        0x202E,
        0x2066,
        0xFFF9,
        0xFFFD,
        0xFFFE,
        0xFFFF,
        0xE0001,
        0x10FFFF,
        0xE000,
        0xF0000,
    )
]
MIXED = [
    "пpивeт",
    "naïve",
    "Straße",
    "İstanbul",
    "ǅungla",
    "ʼn",
    "ß",
    "K\u212a",
    "x²+y₂",
    "日本語text",
    "שלוםabc",
    "a_b-c/d",
    "don't",
    "I'M",
    "WE'RE",
    "__init__",
    "```py",
    "<|",
    "|>",
    "-(",
    "\\",
    "=",
    "#~",
    "q",
    "xxy",
    "C:\\dir\\",
    "&&",
    "%20",
    "(((",
    "…",
    "—",
]


def code_point(rng):
    """Of any plane, the populated ones more often."""
    while True:
        low, high = rng.choice(
            [
                (0, 0x80),
                (0x80, 0x800),
                (0x800, 0x10000),
                (0x10000, 0x20000),
                (0x20000, 0x40000),
                (0xE0000, 0xE0200),
                (0, 0x110000),
            ]
        )
        c = rng.randrange(low, high)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def letters(rng):
    return "".join(rng.choices(rng.choice(["abcdefghij", "ABCdef", "aé", "аяё", "中文字", "xy"]), k=rng.randint(1, 12)))


def pieces(special_texts):
    """Functions of a random generator, each giving a piece of text."""

    def choice(table):
        return lambda rng: rng.choice(table)

    def special(rng):
        text = rng.choice(special_texts)
        return rng.choice([text, text, text[:-1], text[1:], text + text, text.upper(), " " + text + " "])

    def sentence(rng):
        words = rng.choice(SENTENCES).split(" ")
        return " ".join(words[rng.randrange(len(words)) :])

    return [
        letters,
        code_point,
        special,
        sentence,
        *map(choice, (SPACES, SPACES, CONTRACTIONS, EMOJI, MARKS, NUMBERS, CONTROLS, MIXED, SENTENCES)),
        lambda rng: "".join(rng.choices(SPACES, k=rng.randint(2, 9))),
        lambda rng: "".join(code_point(rng) for _ in range(rng.randint(1, 8))),
        lambda rng: rng.choice(["\n\n", "\r\n\r\n", "\n \n", "  \n"]) + letters(rng),
    ]


def varied(count, seed, special_texts):
    """`count` strings of zero to twenty pieces; a few are words of thousands of characters."""
    rng = random.Random(seed)
    kinds = pieces(special_texts)
    # Beginnings that a normaliser takes away, puts something in place of, or joins with what follows.
    first = ["", " ", "\0", special_texts[0], "x", "``", "!a", "e\u0301a", "\ufdfa a b", f"x{special_texts[0]}x"]
    yield from first
    for i in range(count - len(first)):
        if i % 500 == 250:
            yield "".join(rng.choices("abcdeé中 " if i % 1000 == 250 else "ab", k=4000))
        else:
            yield "".join(rng.choice(kinds)(rng) for _ in range(rng.randint(1, 20)))


def every_code_point(context, at_once=64):
    """Every code point of the planes that hold characters, set into the context ("a{0} {0}"), many in one string."""
    planes = [(0, 0x32400), (0xE0000, 0xE0200), (0x10FF00, 0x110000)]
    points = [chr(c) for low, high in planes for c in range(low, high) if not 0xD800 <= c <= 0xDFFF]
    for start in range(0, len(points), at_once):
        yield "".join(context.format(c) for c in points[start : start + at_once])
