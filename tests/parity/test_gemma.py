# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Gemma 3 270M as tools/fetch_model.py makes it: ids of the published tokenizer, logits and scores in float32."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import ROOT
from product import assert_close, run_sweep
from reference.attribution import Attributor, Method
from reference.pairs import fitting_pairs
from reference.tapped import TappedModel
from tokenizers import Tokenizer

MODEL = ROOT / "models" / "gemma-3-270m"
TRAIN = ROOT / "experiments" / "pairs" / "agreement_train.jsonl"
TEST = ROOT / "experiments" / "pairs" / "agreement_test.jsonl"

pytestmark = pytest.mark.skipif(
    not MODEL.is_dir(), reason=f"{MODEL} is not there: `tools/fetch_model.py gemma-3-270m` makes it (on request only)"
)

# What others have published of this vocabulary: ids of Gemma 3's and Gemma 4's own tokenizers, without <bos>.
PUBLISHED = {
    "hello": [23391],
    "hello world": [23391, 1902],
    "Hello, World!": [9259, 236764, 4109, 236888],
    " hello": [29104],
    "  hello": [138, 23391],
    "hello  world": [23391, 138, 12392],
    "   ": [139],
    "      ": [142],
    "multiple    spaces": [43819, 140, 35220],
    "ąęśćżźółń": [237198, 237202, 14732, 237277, 238992, 24875, 238041],
    "Zażółć gęślą jaźń": [236953, 40512, 24875, 237289, 549, 237202, 62081, 237198, 4828, 238992, 238041],
    "café résumé naïve": [123125, 236859, 118515, 120362],
    "L'élève a mangé": [236798, 236789, 161654, 496, 14695, 236859],
    "über Straße Größe": [28223, 80176, 112880],
    "ĀāĂăĄą": [241920, 237448, 241645, 237106, 243514, 237198],
    "你好世界": [144626, 12811],
    "こんにちは": [85141],
    "hello ąęść world café 你好": [23391, 236743, 237198, 237202, 14732, 1902, 33443, 43758, 237389],
    "\n\n": [108],
    "\t\t": [255969],
    "def foo(x): return x + 1": [2063, 46293, 236769, 236781, 1473, 994, 1123, 900, 236743, 236770],
    '{"key": "value"}': [14937, 2478, 1083, 623, 2394, 25938],
    "aaaaaa": [50354, 9236],
    "hello 👋 world": [23391, 155818, 1902],
    "12345": [236770, 236778, 236800, 236812, 236810],
    "3.14159": [236800, 236761, 236770, 236812, 236770, 236810, 236819],
    "<start_of_turn>user\nhello<end_of_turn>\n<start_of_turn>model\n": [
        105,
        2364,
        107,
        23391,
        106,
        107,
        105,
        4368,
        107,
    ],
    # A run is taken 31 spaces at a time, as SentencePiece does.
    "x" + " " * 40 + "y": [236781, 167, 145, 236762],
}
PROMPTS = [
    "The teachers near the desk",
    "The capital of France is",
    "Question: Is fire hot or cold?\nAnswer: fire is",
    "12 345 and 6",
    "def area(radius):\n    return",
    "Once upon a time there was a",
    "E = m c^2 is due to",
    "Der Hund schläft in",
    "Le chat est sur la",
    "東京は日本の",
    "<start_of_turn>user\nName a colour.<end_of_turn>\n<start_of_turn>model\n",
    "the " * 40,
    "A",
    "   indented   text   ",
    "x\ty\tz",
    "The keys to the cabinet",
    "In 1969 people first",
    '{"name": "Ada", "born":',
    "To be, or not to be, that is the",
    # Longer than the window of 512 tokens.
    "One day a fox met a crow that had a piece of cheese. " * 40 + "The crow had a piece of",
]


def inspect(binary: Path, prompt: str, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and logits [position, vocabulary] of a prompt."""
    command = [str(binary), "inspect", str(MODEL), "--prompt", prompt, "--logits", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with h5py.File(out) as file:
        return file["ids"][()], file["logits"][()]


def test_ids_of_the_published_tokenizer() -> None:
    """In tokenizer.json as it is made, and <bos> before each; test_tokenizer.py compares the program with that file."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    found = {text: tokenizer.encode(text).ids for text in PUBLISHED}
    assert found == {text: [2, *ids] for text, ids in PUBLISHED.items()}


@pytest.fixture(scope="module")
def gemma() -> TappedModel:
    """The model, tapped, in float32."""
    return TappedModel.load(MODEL, torch.float32)


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
def test_logits(prompt: str, binary: Path, gemma: TappedModel, tmp_path: Path) -> None:
    """1e-4 of the largest logit, at every position."""
    ids, logits = inspect(binary, prompt, tmp_path / "logits.h5")
    with torch.no_grad():
        expected = gemma.model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


CASES = [{"method": "atp"}, {"method": "relp"}, {"method": "ig-acts", "quadrature": "midpoint", "steps": 3}]


def test_scores(binary: Path, gemma: TappedModel, tmp_path: Path) -> None:
    """AtP, RelP with all its rules and IG-activations on two agreement pairs, within 1e-4 of the largest score."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    attributor = Attributor(gemma, fitting_pairs(TRAIN, tokenizer, 2))
    settings = {
        "model": {"path": str(MODEL), "dtype": "float32"},
        "pairs": {"train_file": str(TRAIN), "test_file": str(TEST), "train": 2, "test": 2},
        "metric": "logit-difference",
        "attribution": {"method": "atp"},
        "positions": "keep",
    }
    results = run_sweep(binary, tmp_path, settings, [{"attribution": case} for case in CASES])
    for case, found in zip(CASES, results, strict=True):
        options = {key: value for key, value in case.items() if key != "method"}
        scores = attributor.compute(Method.named(case["method"], **options))
        np.testing.assert_allclose(found["/attribution/metric"], scores.stacked("metric"), rtol=0, atol=5e-4)
        assert_close(found["/attribution/scores"], scores.aggregate(), 1e-4, case["method"])
