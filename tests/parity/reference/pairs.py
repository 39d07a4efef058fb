# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Prompt pairs: which lines of a pairs file fit a tokenizer, in file order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer


@dataclass(frozen=True)
class Pair:
    """Clean prompt x, counterfactual prompt x', and the ids of their answers y and y'."""

    clean: tuple[int, ...]
    counterfactual: tuple[int, ...]
    y: int
    y_prime: int
    line: int = 0

    @property
    def length(self) -> int:
        """Token length T, the same for both prompts."""
        return len(self.clean)


def answer_in_place(tokenizer: Tokenizer, prompt: str, answer: str) -> int | None:
    """The one token that `answer` adds after `prompt`; None when it is not exactly one."""
    before = tokenizer.encode(prompt).ids
    after = tokenizer.encode(prompt + answer).ids
    if after[:-1] != before:
        return None
    return after[-1]


def tokenise(tokenizer: Tokenizer, record: dict[str, str], line: int = 0) -> Pair | None:
    """One record of a pairs file as token ids; None when it cannot be used."""
    prompts = (record["clean_prefix"], record["patch_prefix"])
    clean, counterfactual = (tuple(tokenizer.encode(p).ids) for p in prompts)
    if len(clean) != len(counterfactual):
        return None
    answers = []
    for answer in (record["clean_answer"], record["patch_answer"]):
        found = {answer_in_place(tokenizer, prompt, answer) for prompt in prompts}
        if len(found) != 1 or None in found:
            return None
        answers.append(found.pop())
    return Pair(clean, counterfactual, answers[0], answers[1], line)


def fitting_pairs(file: Path, tokenizer: Tokenizer, count: int | None = None, length: int | None = None) -> list[Pair]:
    """The first `count` fitting pairs of one token length, in file order.

    Without `length` the first fitting pair decides it. `count` None takes all.
    """
    chosen: list[Pair] = []
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if count is not None and len(chosen) == count:
            break
        if not text.strip():
            continue
        pair = tokenise(tokenizer, json.loads(text), number)
        if pair is None or (length is not None and pair.length != length):
            continue
        length = pair.length
        chosen.append(pair)
    if count is not None and len(chosen) < count:
        raise ValueError(f"{file} has {len(chosen)} fitting pairs, not {count}")
    return chosen
