# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Prompts on which the network overflows: the runs that need them fail and name them, the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from tokenizers import Tokenizer
from workbench import Workbench

POISON = " girl"


@pytest.fixture
def poisoned(binary: Path, tmp_path: Path, tiny_folder) -> Workbench:
    """A Llama without the norms' epsilon, whose embedding of one word is zero: its norm divides by zero."""
    bench = Workbench(binary, tmp_path, tiny_folder("llama"))
    bench.edit_config(rms_norm_eps=0.0)
    header, data = bench.weights()
    row = Tokenizer.from_file(str(bench.model / "tokenizer.json")).token_to_id("Ġ" + POISON.strip())
    place = header["model.embed_tokens.weight"]
    width = place["shape"][1] * 8
    start = place["data_offsets"][0] + row * width
    bench.write_weights(header, data[:start] + bytes(width) + data[start + width :])
    good = [line for line in bench.pairs.read_text().splitlines() if "girl" not in line]
    bad = next(line for line in bench.pairs.read_text().splitlines() if POISON + " " in line)
    files = {"good": good[:3], "bad": [*good[:2], bad, good[2]], "test": good[3:6], "bad_test": [*good[3:5], bad]}
    for name, lines in files.items():
        (bench.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    bench.settings["pairs"] = {"train_file": "good.jsonl", "test_file": "test.jsonl"}
    return bench


def methods_with_results(bench: Workbench) -> list[str]:
    """The methods of the runs that have results."""
    found = []
    for file in bench.out.rglob("results.h5"):
        with h5py.File(file) as results:
            found.append(results["attribution"].attrs["method"])
    return sorted(found)


def test_a_training_pair(poisoned):
    """The pair and its layers are named; a run of the sweep without the pair has its results."""
    poisoned.settings["sweep"] = {
        "include": [{"pairs.train_file": "bad.jsonl", "attribution.method": "relp"}, {"attribution.method": "atp"}]
    }
    done = poisoned.run()
    assert done.returncode == 3, done.stderr
    assert "training pair 2 (bad.jsonl:3" in done.stderr.replace(str(poisoned.folder) + "/", ""), done.stderr
    assert "layers 0 to 2" in done.stderr and f"The{POISON}" in done.stderr
    assert methods_with_results(poisoned) == ["atp"]
    again = poisoned.run()
    assert again.returncode == 3 and "training pair 2" in again.stderr, "and it says so again"


def test_a_prompt_of_the_baseline(poisoned):
    """Of two runs that are computed together the one with the overflowing mean fails."""
    prompts = [
        {"clean_prefix": json.loads(line)["clean_prefix"], "clean_answer": json.loads(line)["clean_answer"]}
        for line in (poisoned.folder / "bad.jsonl").read_text().splitlines()
    ]
    (poisoned.folder / "baseline.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    poisoned.settings["sweep"] = {
        "include": [
            {
                "attribution.method": "gradient-x-activation",
                "attribution.baseline": "mean",
                "attribution.baseline_file": "baseline.jsonl",
            },
            {"attribution.method": "atp"},
        ]
    }
    done = poisoned.run()
    assert done.returncode == 3, done.stderr
    assert "baseline means over prompts of 5 tokens are not finite from layer 0" in done.stderr
    assert methods_with_results(poisoned) == ["atp"]


def test_a_held_out_pair(poisoned):
    """Circuits need it: the run fails and names it."""
    poisoned.settings["pairs"]["test_file"] = "bad_test.jsonl"
    poisoned.settings["circuit"] = {"counts": [10], "ablation": "zero"}
    done = poisoned.run()
    assert done.returncode == 3, done.stderr
    assert "held-out pair 2" in done.stderr and "with nothing ablated" in done.stderr
    assert methods_with_results(poisoned) == []
