# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The same bytes whatever is computed together: pairs that share much of their prompts and pairs that share nothing, in
units of any size, in calls of any height, in threads, beside other runs. Prompts of a few tokens and of hundreds.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from product import dotted, hashes
from tiny_models import NOUNS, OBJECTS, PLACES, save_tiny_model

LONG = {"llama": {}, "gpt2": {}, "mistral": {"sliding_window": 70}}
METHODS = [
    {"method": "atp", "keep": "full"},
    {"method": "relp", "aggregate": "mean-abs", "keep": 30},
    {"method": "ig-acts", "quadrature": "adaptive", "max_points": 5, "keep": "full"},
    {"method": "conductance", "quadrature": "adaptive", "max_points": 5, "keep": "full"},
    {"method": "ig-inputs", "quadrature": "right", "steps": 2, "inputs": True},
    {"method": "exact-patching", "sample": 6, "keep": 5},
    {"method": "delta"},
]
ZERO = {"method": "atp", "baseline": "zero"}
VARIANTS = {
    "units of one pair in low calls, in two threads": ["unit.pairs=1", "batch_rows=40", "threads=2"],
    "units of two pairs in calls of another height": ["unit.pairs=2", "batch_rows=1400"],
}


def prompts(length: int, shared: int, draw: random.Random) -> tuple[str, str]:
    """Two prompts of `length` tokens, a word each, that agree in the first `shared` of them and in no other."""
    words = [" " + word for word in (*NOUNS, *PLACES, *OBJECTS)]
    first = ["The" if i == 0 else draw.choice(words) for i in range(length)]
    other = [word if i < shared else draw.choice(list({*words} - {word})) for i, word in enumerate(first)]
    return "".join(first), "".join(other)


def write_pairs(file: Path, cases: list[tuple[int, int]], seed: int = 1) -> Path:
    """A pairs file of prompts by length and shared tokens."""
    draw = random.Random(seed)
    with file.open("w") as lines:
        for length, shared in cases:
            clean, patch = prompts(length, shared, draw)
            record = {"clean_prefix": clean, "patch_prefix": patch, "clean_answer": " is", "patch_answer": " are"}
            lines.write(json.dumps(record) + "\n")
    return file


def settings_of(model: Path, pairs: Path, dtype: str) -> dict:
    """All pairs for training, in one unit a length."""
    count = len(pairs.read_text().splitlines())
    return {
        "schema": 1,
        "name": "bits",
        "model": {"path": str(model), "dtype": dtype},
        "pairs": {"train_file": str(pairs), "train": count, "test": 0},
        "unit": {"pairs": 8},
        "agreement": {"sample": 4},
    }


def run(binary: Path, folder: Path, settings: dict, methods: list[dict], more: list[str]) -> list[dict[str, str]]:
    """One process for all methods; each run's datasets as hashes."""
    folder.mkdir(parents=True)
    sweep, out = folder / "sweep.yaml", folder / "out"
    include = {"sweep": {"include": [dotted({"attribution": method}) for method in methods]}}
    sweep.write_text(json.dumps(settings | {"attribution": {"method": methods[0]["method"]}} | include))
    command = [str(binary), "run", str(sweep), "--out", str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bits depend" not in done.stderr
    names = json.loads((out / "sweep.json").read_text())["runs"]
    return [hashes(out / name / "results.h5") for name in names]


def differing(found: list[dict[str, str]], expected: list[dict[str, str]], methods: list[dict]) -> list[str]:
    """Datasets that differ."""
    names = []
    for one, other, method in zip(found, expected, methods, strict=True):
        assert one.keys() == other.keys()
        names += [f"{method} {name}" for name in one if one[name] != other[name]]
    return names


def compare(binary: Path, folder: Path, settings: dict, methods: list[dict], alone: list[dict]) -> list[str]:
    """What differs from all methods together: in each variant, beside a run of another baseline, and (of the methods in
    `alone`) in a process of its own.
    """
    expected = run(binary, folder / "together", settings, methods, ["threads=1"])
    assert all(one for one in expected)
    found = []
    for i, (name, more) in enumerate(VARIANTS.items()):
        here = run(binary, folder / f"variant{i}", settings, methods, ["threads=1", *more])
        found += [f"{name}: {one}" for one in differing(here, expected, methods)]
    beside = run(binary, folder / "beside", settings, [*methods, ZERO], ["threads=1"])[:-1]
    found += [f"beside zero: {one}" for one in differing(beside, expected, methods)]
    for method in alone:
        here = run(binary, folder / f"alone{methods.index(method)}", settings, [method], ["threads=1"])
        found += [f"alone: {one}" for one in differing(here, [expected[methods.index(method)]], [method])]
    return found


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory):
    """Tiny models that take prompts of 320 tokens, by name."""
    made: dict[str, Path] = {}

    def model(name: str) -> Path:
        if name not in made:
            limit = {"n_positions": 320} if name == "gpt2" else {"max_position_embeddings": 320}
            made[name] = save_tiny_model(name, tmp_path_factory.mktemp("long") / name, **(limit | LONG[name]))
        return made[name]

    return model


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("llama", "float32"), ("llama", "bfloat16"), ("gpt2", "float64"), ("mistral", "float32")],
)
def test_long_prompts(name, dtype, binary, tmp_path, long_model):
    """Pairs of 300 tokens that share all but one, many, some, none: who is in a unit changes none of its bits. Two of
    them in bfloat16, which many processors compute eight times slower.
    """
    cases = [(300, 299), (300, 40)] if dtype == "bfloat16" else [(300, 299), (300, 100), (300, 40), (300, 0)]
    pairs = write_pairs(tmp_path / "pairs.jsonl", cases)
    assert compare(binary, tmp_path, settings_of(long_model(name), pairs, dtype), METHODS, []) == []


def test_prompts_of_many_lengths(binary, tmp_path, long_model):
    """Positions are summed, so that prompts of several lengths go into one run."""
    lengths = {7: (0, 6), 33: (32, 0), 257: (256, 1)}
    cases = [(length, shared) for length, some in lengths.items() for shared in some]
    settings = settings_of(long_model("llama"), write_pairs(tmp_path / "pairs.jsonl", cases), "float64")
    methods = [*METHODS, {"method": "atp", "keep": 7}]
    assert compare(binary, tmp_path, settings | {"positions": "sum"}, methods, METHODS[:1]) == []
