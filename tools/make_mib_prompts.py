#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Write rows in the columns of MIB's ioi and copycolors_mcqa, in sentences of our own, and the pairs that
tools/mib_pairs.py makes of them into experiments/pairs. The same lists and seed give the same bytes.

mib_ioi_train.jsonl    "While Tom and Anna waited near the garden, Tom passed the letter to": the one who was not named
mib_ioi_test.jsonl     twice. Either name first equally often (cases BAB, ABB); no name occurs in both files
mib_mcqa_train.jsonl   the letter of a thing's colour among four; no thing occurs in both files
mib_mcqa_test.jsonl

Counterfactuals are MIB's: for ioi s2_io_flip (the second mention of the subject becomes the indirect object, so the
right answer becomes the subject), for mcqa symbol (the choices are numbered 1 to 4 instead of lettered).

Names, things, places and colours are one token each in every tokenizer that is given, and all prompts of a file have
one token length: that is checked before anything is written. `--rows FOLDER` also writes the rows, as JSON lines with
the folders and names that a download has.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from make_prompts import DEFAULT_OUT, ROOT, check_with_model, problems_of
from mib_pairs import MCQA_FOLDER, convert
from tokenizers import Tokenizer

TOKENIZERS = [ROOT / "models" / name / "tokenizer.json" for name in ("smollm2-135m", "gemma-3-270m")]
SEED = 2025
PAIRS = 60  # of each file

TRAIN_NAMES = (
    "Alice Andrew Ben Brian Carol Daniel Diana Edward Emma Frank George Grace Henry Jack Jane Julia Kevin Laura Leo "
    "Linda Luke Maria Martin Nick"
).split()
TEST_NAMES = (
    "Oliver Oscar Paul Peter Philip Rachel Ralph Robert Rosa Ruth Sarah Simon Sophie Stephen Susan Thomas Victor "
    "Victoria Walter William Anna Charles Helen Lucy"
).split()
PLACES = "garden station market library office museum school hospital kitchen village beach castle".split()
GIFTS = "letter ticket coin lamp book map hammer candle bottle blanket key ring".split()
IOI_TEMPLATES = [
    "While {name_A} and {name_B} waited near the {place}, {name_C} passed the {object} to",
    "When {name_A} and {name_B} met outside the {place}, {name_C} returned the {object} to",
    "Near the {place} {name_A} and {name_B} stopped, and {name_C} handed the {object} to",
    "Because {name_A} and {name_B} shared the {place}, {name_C} brought the old {object} to",
]

TRAIN_THINGS = "kite bowl chair plate boat tent vase wagon bucket shirt coat glove desk gate fence".split()
TEST_THINGS = "wheel helmet bench pillow carpet curtain bicycle toy door roof barn jacket towel kettle ball".split()
COLOURS = "red blue green yellow black white brown pink purple gray orange".split()
MCQA_TEMPLATE = "The {thing} is {colour}. Which color does the {thing} have?\n{choices}\nAnswer:"
LETTERS, NUMBERS = ["A", "B", "C", "D"], [1, 2, 3, 4]


def ioi_row(
    template: str, subject: str, indirect: str, others: list[str], subject_first: bool, rng: random.Random
) -> dict:
    """A row of mib-bench/ioi, with those of its eight counterfactuals that need no name of their own."""
    place, thing = rng.choice(PLACES), rng.choice(GIFTS)
    first, second = (subject, indirect) if subject_first else (indirect, subject)

    def prompt(name_a: str, name_b: str, name_c: str) -> str:
        return template.format(name_A=name_a, name_B=name_b, name_C=name_c, place=place, object=thing)

    def other(text: str, key: int, *more: str) -> dict:
        return {"prompt": text, "choices": [indirect, subject, *more], "answerKey": key}

    random_a, random_b, random_c = others
    return {
        "template": template,
        "metadata": {
            "indirect_object": indirect,
            "subject": subject,
            "object": thing,
            "place": place,
            "random_a": random_a,
            "random_b": random_b,
            "random_c": random_c,
        },
        "prompt": prompt(first, second, subject),
        "choices": [indirect, subject],
        "answerKey": 0,
        "abc_counterfactual": other(prompt(first, second, random_c), -1, random_c),
        "s1_io_flip_counterfactual": other(prompt(second, first, subject), 0),
        "s2_io_flip_counterfactual": other(prompt(first, second, indirect), 1),
    }


def ioi_rows(names: list[str], rng: random.Random) -> list[dict]:
    """Every name is subject in turn; templates and orders go round."""
    rows = []
    for index in range(PAIRS):
        subject = names[index % len(names)]
        indirect, *others = rng.sample([name for name in names if name != subject], 4)
        template = IOI_TEMPLATES[index // 2 % len(IOI_TEMPLATES)]
        rows.append(ioi_row(template, subject, indirect, others, index % 2 == 0, rng))
    return rows


def mcqa_rows(things: list[str], rng: random.Random) -> list[dict]:
    """A row of mib-bench/copycolors_mcqa; the right choice stands at each place equally often."""
    rows = []
    for index in range(PAIRS):
        thing, key = things[index % len(things)], index % len(LETTERS)
        colours = rng.sample(COLOURS, len(LETTERS))

        def asked(labels: list, thing: str = thing, colours: list[str] = colours, key: int = key) -> dict:
            choices = "\n".join(f"{label}. {colour}" for label, colour in zip(labels, colours, strict=True))
            prompt = MCQA_TEMPLATE.format(thing=thing, colour=colours[key], choices=choices)
            return {"prompt": prompt, "choices": {"label": labels, "text": colours}, "answerKey": key}

        question = MCQA_TEMPLATE.partition("\n")[0].format(thing=thing, colour=colours[key])
        rows.append({"idx": index, "question": question} | asked(LETTERS) | {"symbol_counterfactual": asked(NUMBERS)})
    return rows


def data_sets() -> dict[str, list[dict]]:
    """Rows by the place that their file has in a folder of downloads."""
    rng = random.Random(SEED)
    return {
        "ioi/train.jsonl": ioi_rows(TRAIN_NAMES, rng),
        "ioi/test.jsonl": ioi_rows(TEST_NAMES, rng),
        f"copycolors_mcqa/{MCQA_FOLDER}/train.jsonl": mcqa_rows(TRAIN_THINGS, rng),
        f"copycolors_mcqa/{MCQA_FOLDER}/test.jsonl": mcqa_rows(TEST_THINGS, rng),
    }


def write_lines(file: Path, records: list[dict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def make(rows: Path) -> dict[str, list[dict[str, str]]]:
    """Writes the rows below a folder and converts them; pairs by the names of their files."""
    pairs = {}
    for place, records in data_sets().items():
        write_lines(rows / place, records)
        task = "ioi" if place.startswith("ioi") else "mcqa"
        made, left_out, problems = convert([rows / place], task)
        assert len(made) == PAIRS and not left_out and not problems, (place, left_out, problems)
        pairs[f"mib_{task}_{Path(place).name}"] = made
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="folder for the pairs (default: experiments/pairs)"
    )
    parser.add_argument("--rows", type=Path, metavar="FOLDER", help="write the rows that the pairs are made of, too")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        action="append",
        metavar="FILE",
        help="tokenizer.json to check with; again for more (default: those of the demo models)",
    )
    parser.add_argument("--check", type=Path, metavar="MODEL", help="checkpoint folder to ask as well (needs torch)")
    arguments = parser.parse_args()
    files = arguments.tokenizer or [file for file in TOKENIZERS if file.is_file()]
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        print(
            f"{(missing or TOKENIZERS)[0]}: no such file; run tools/fetch_model.py, or give --tokenizer",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        pairs = make(arguments.rows or Path(scratch))
    for file in files:
        tokenizer = Tokenizer.from_file(str(file))
        problems = [f"{name}: {problem}" for name, made in pairs.items() for problem in problems_of(made, tokenizer)]
        if problems:
            print("\n".join([f"with {file}:", *problems]), file=sys.stderr)
            return 1
    for name, made in pairs.items():
        write_lines(arguments.out / name, made)
        print(f"{arguments.out / name}: {len(made)} pairs")
    if arguments.check:
        check_with_model(arguments.check, pairs, Tokenizer.from_file(str(arguments.check / "tokenizer.json")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
