# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Ablation means of prompts of mixed lengths: a mean over one prompt would be that prompt's own values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from product import read_results
from workbench import Workbench


@pytest.fixture
def mixed(bench: Workbench) -> Workbench:
    """Five training and four held-out pairs of five tokens, and one held-out pair of six."""
    lines = bench.pairs.read_text().splitlines()
    (bench.folder / "train.jsonl").write_text("\n".join(lines[:5]) + "\n")
    (bench.folder / "test.jsonl").write_text("\n".join([*lines[5:9], longer(lines[9])]) + "\n")
    bench.settings["pairs"] = {"train_file": "train.jsonl", "test_file": "test.jsonl"}
    bench.settings["positions"] = "sum"
    return bench


def longer(line: str) -> str:
    """The same pair with one word more."""
    record = json.loads(line)
    return json.dumps(record | {key: "The " + record[key].lower() for key in ("clean_prefix", "patch_prefix")})


def empty_metrics(bench: Workbench, **circuit: object) -> np.ndarray:
    """m of the held-out pairs with every neuron ablated."""
    bench.settings["circuit"] = {"counts": [10], **circuit}
    done = bench.run("--fresh")
    assert done.returncode == 0, done.stderr
    return read_results(bench.out / "results.h5")["/circuit/metric_empty"]


def test_a_length_without_a_mean_is_refused(mixed):
    """With what may be done about it."""
    mixed.refused("circuit.ablation", "of 6 tokens", "resample or zero")
    assert len(empty_metrics(mixed, ablation="resample")) == 5


def test_a_lone_prompt_is_ablated_with_training_prompts(mixed):
    """Not with its own values; the other lengths keep their means."""
    more = [longer(line) for line in mixed.pairs.read_text().splitlines()[:3]]
    with (mixed.folder / "train.jsonl").open("a") as file:
        file.write("\n".join(more) + "\n")
    own, trained = empty_metrics(mixed), empty_metrics(mixed, ablation_pairs="train")
    assert own[4] == trained[4]
    assert (own[:4] != trained[:4]).all()
    assert own[4] != empty_metrics(mixed, ablation="resample")[4]
    done = mixed.run("--fresh")
    assert "ablation" not in done.stderr, "resample averages over nothing"
    empty_metrics(mixed)
    mixed.settings["circuit"] = {"counts": [10]}
    warnings = mixed.run("--fresh").stderr
    assert "over training pairs for held-out prompts of 6 tokens" in warnings
    assert "4 of 5 tokens, 2 of 6 tokens" in warnings or "4 of 5 tokens, 3 of 6 tokens" in warnings
