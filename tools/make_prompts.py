#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Write the prompt pairs of experiments/pairs from the word lists below; the same lists give the same bytes.

hot_or_cold_train.jsonl which of two answers the question about a thing gets; no thing occurs in both files, and the
hot_or_cold_test.jsonl  things were chosen so that SmolLM2-135M answers rightly about every one of them: asked "hot or
                        cold?" it called 27 of 106 cold things cold, asked "cold or hot?" 56
agreement_train.jsonl   does the verb agree with the subject? plain sentences and ones with a second noun between,
agreement_test.jsonl    not picked pair by pair (the model errs on some); no noun occurs in both files

Every file is checked against a tokenizer.json before it is written: one token length, different prompts, answers
that are one token in place. `--check` also asks a model, and reports on how many pairs it is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUT = ROOT / "experiments" / "pairs"
DEFAULT_TOKENIZER = ROOT / "models" / "smollm2-135m" / "tokenizer.json"

TRAIN_HOT = (
    "lava steam flame torch oven volcano summer coffee soup tea pizza furnace stove desert Egypt Dubai curry pepper "
    "sun plasma boiler grill campfire candle charcoal fever radiator noon July jungle sunshine spice fireplace "
    "microwave forge frying Venus explosion Cairo baking"
).split()
TRAIN_COLD = (
    "Antarctica permafrost Pluto Greenland Norway Neptune Canada snow Alaska Sweden Mars glacier Vermont snowfall "
    "Scotland Minnesota Finland Scandinavia iceberg milk Denmark asteroid February Saturn Switzerland Mongolia yogurt "
    "Wisconsin Titan Everest nitrogen tundra river Montana fog Estonia Wyoming lake space Oslo"
).split()
TEST_HOT = (
    "fire magma kettle barbecue summertime Miami chili boiling kiln Sahara August toast stew coal lightning Arizona"
).split()
TEST_COLD = (
    "ice Newfoundland Uranus Maine Siberia Iceland January Europa groundwater Antarctic Belarus Russia wind pond dew "
    "methane"
).split()
TEST_COMBINATIONS = 2  # a held-out thing occurs in this many pairs

VERBS = [("needs", "need"), ("wants", "want"), ("seems", "seem"), ("makes", "make"), ("comes", "come")]
PREPOSITIONS = ["above", "from"]
TRAIN_SUBJECTS = (
    "pilot chef sailor nurse soldier scientist hunter artist judge worker "
    "captain engineer neighbor knight guard dancer tourist painter miner clerk"
).split()
TEST_SUBJECTS = (
    "king student author driver priest prince guest player builder cousin writer editor shepherd chemist".split()
)
TRAIN_PLACES = "boat tent flower river bridge tower hill barn fence statue".split()
TEST_PLACES = "ship rock wall garden train basket bottle mirror door wagon".split()
# Rounds with a second noun (four pairs a round: each number of each noun), then how many of them add two plain pairs.
TRAIN_ROUNDS = (10, 10)
TEST_ROUNDS = (7, 6)


def hot_or_cold(hot_things: list[str], cold_things: list[str], combinations: int) -> list[dict[str, str]]:
    """Each hot thing against so many cold ones, no combination twice, either side clean equally often."""

    def side(thing: str, answer: str) -> tuple[str, str]:
        return f"Question: Is {thing} cold or hot?\nAnswer: {thing} is", f" {answer}"

    pairs = []
    for shift in range(combinations):
        for index, hot in enumerate(hot_things):
            sides = [side(hot, "hot"), side(cold_things[(index + 3 * shift) % len(cold_things)], "cold")]
            if (index + shift) % 2 == 1:
                sides.reverse()
            pairs.append(make_pair(*sides, case=sides[0][1].strip()))
    return pairs


def agreement(subjects: list[str], places: list[str], rounds: tuple[int, int]) -> list[dict[str, str]]:
    """Singular and plural subjects as clean prompt in turn; the case names the clean subject, then the second noun."""
    numbers = ["singular", "plural"]
    with_place, plain = rounds
    pairs = []
    counts = {"with place": 0, "plain": 0}

    def sides(subject: str, rest: str, number: int, verb: tuple[str, str]) -> list[tuple[str, str]]:
        both = [(f"The {subject} {rest}", f" {verb[0]}"), (f"The {subject}s {rest}", f" {verb[1]}")]
        return both if number == 0 else both[::-1]

    for turn in range(with_place):
        for number in (0, 1):
            for place_number in (0, 1):
                k = counts["with place"]
                counts["with place"] += 1
                subject = subjects[(k + k // len(subjects)) % len(subjects)]
                place = places[(3 * k + k // len(subjects)) % len(places)] + ("s" if place_number else "")
                rest = f"{PREPOSITIONS[(k + turn) % len(PREPOSITIONS)]} the {place}"
                two = sides(subject, rest, number, VERBS[k % len(VERBS)])
                pairs.append(make_pair(*two, case=f"{numbers[number]}_{numbers[place_number]}"))
        for number in (0, 1) if turn < plain else ():
            k = counts["plain"]
            counts["plain"] += 1
            two = sides(subjects[3 * k % len(subjects)], "over there now", number, VERBS[(k + turn) % len(VERBS)])
            pairs.append(make_pair(*two, case=numbers[number]))
    return pairs


def make_pair(clean: tuple[str, str], patch: tuple[str, str], case: str) -> dict[str, str]:
    return {
        "clean_prefix": clean[0],
        "patch_prefix": patch[0],
        "clean_answer": clean[1],
        "patch_answer": patch[1],
        "case": case,
    }


def problems_of(pairs: list[dict[str, str]], tokenizer: Tokenizer) -> list[str]:
    """What would make a run refuse or misread the pairs."""
    problems = []
    lengths = set()
    seen = set()
    for pair in pairs:
        prompts = (pair["clean_prefix"], pair["patch_prefix"])
        if frozenset(prompts) in seen or len(set(prompts)) < 2:
            problems.append(f"{prompts}: the same prompts twice")
        seen.add(frozenset(prompts))
        for prompt in prompts:
            ids = tokenizer.encode(prompt).ids
            lengths.add(len(ids))
            for answer in (pair["clean_answer"], pair["patch_answer"]):
                joined = tokenizer.encode(prompt + answer).ids
                if joined[:-1] != ids:
                    problems.append(f"{prompt!r} + {answer!r}: the answer is not one token more")
    if len(lengths) != 1:
        problems.append(f"prompts have different numbers of tokens: {sorted(lengths)}")
    return problems


def check_with_model(folder: Path, files: dict[str, list[dict[str, str]]], tokenizer: Tokenizer) -> None:
    """Print how often the model prefers the right answer on both prompts of a pair, by case."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def metric(prompt: str, pair: dict[str, str]) -> float:
        logits = model(torch.tensor([tokenizer.encode(prompt).ids])).logits[0, -1]
        right, wrong = (tokenizer.encode(prompt + pair[key]).ids[-1] for key in ("clean_answer", "patch_answer"))
        return (logits[right] - logits[wrong]).item()

    for name, pairs in files.items():
        rows = [(metric(p["clean_prefix"], p), metric(p["patch_prefix"], p), p["case"]) for p in pairs]
        by_case = defaultdict(list)
        for clean, patch, case in rows:
            by_case[case].append(clean > 0 > patch)
        right = sum(map(sum, by_case.values()))
        cases = ", ".join(f"{case} {sum(hits)}/{len(hits)}" for case, hits in sorted(by_case.items()))
        means = [sum(row[side] for row in rows) / len(rows) for side in (0, 1)]
        print(f"{name}: right on both prompts {right}/{len(rows)} ({right / len(rows):.1%}): {cases}")
        print(f"    mean metric {means[0]:+.2f} clean, {means[1]:+.2f} counterfactual")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="folder for the files (default: experiments/pairs)"
    )
    parser.add_argument(
        "--tokenizer", type=Path, default=DEFAULT_TOKENIZER, help="tokenizer.json to check the pairs with"
    )
    parser.add_argument("--check", type=Path, metavar="MODEL", help="checkpoint folder to ask as well (needs torch)")
    arguments = parser.parse_args()

    if not arguments.tokenizer.is_file():
        print(f"{arguments.tokenizer}: no such file; run tools/fetch_model.py, or give --tokenizer", file=sys.stderr)
        return 2
    tokenizer = Tokenizer.from_file(str(arguments.tokenizer))
    files = {
        "hot_or_cold_train.jsonl": hot_or_cold(TRAIN_HOT, TRAIN_COLD, 1),
        "hot_or_cold_test.jsonl": hot_or_cold(TEST_HOT, TEST_COLD, TEST_COMBINATIONS),
        "agreement_train.jsonl": agreement(TRAIN_SUBJECTS, TRAIN_PLACES, TRAIN_ROUNDS),
        "agreement_test.jsonl": agreement(TEST_SUBJECTS, TEST_PLACES, TEST_ROUNDS),
    }
    problems = [f"{name}: {problem}" for name, pairs in files.items() for problem in problems_of(pairs, tokenizer)]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, pairs in files.items():
        lines = [json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs]
        (arguments.out / name).write_text("".join(lines), encoding="utf-8")
        print(f"{arguments.out / name}: {len(pairs)} pairs")
    if arguments.check:
        check_with_model(arguments.check, files, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
