# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The same bits for any number of ranks, threads and rows per batch, any order of hand-out and cut into units."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import h5py
import pytest
from conftest import ROOT
from product import hashes, mpi_environment

MODEL = ROOT / "models" / "smollm2-135m"
PAIRS = ROOT / "experiments" / "pairs"
VARIANTS = {
    "2 ranks": (2, []),
    "3 ranks": (3, []),
    "4 ranks": (4, []),
    "2 threads": (1, ["threads=2"]),
    "2 ranks of 2 threads, shuffled": (2, ["threads=2", "--hand-out", "shuffled", "--hand-out-seed", "5"]),
    "batches of 8 rows": (1, ["batch_rows=8"]),
    "batches of 64 rows": (2, ["batch_rows=64"]),
    "shuffled": (1, ["--hand-out", "shuffled", "--hand-out-seed", "11"]),
    "units of one pair": (2, ["unit.pairs=1"]),
    "units of eight pairs": (1, ["unit.pairs=8"]),
}
METHODS = {
    "relp": {"method": "relp", "keep": 20},
    "ig-acts": {"method": "ig-acts", "quadrature": "adaptive"},
    "ig-inputs": {"method": "ig-inputs", "quadrature": "right", "steps": 3, "inputs": True},
    "conductance": {"method": "conductance", "quadrature": "trapezoid", "steps": 3},
    "pilot": {"method": "ig-acts", "quadrature": "pilot", "pilot_pairs": 2, "tolerance": 0.2},
}


def run(binary: Path, sweep: Path, out: Path, ranks: int, more: list[str]) -> dict[str, str]:
    """The hashes of a run on so many ranks."""
    environment = mpi_environment(out.parent / f"{out.name}-session")
    command = [str(binary), "run", str(sweep), "--out", str(out), *more]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    with h5py.File(out / "results.h5") as results:
        assert results["provenance"].attrs["ranks"] == ranks
        assert results["provenance"].attrs["bits_hold"] == 1
    return hashes(out / "results.h5")


def compare(binary: Path, folder: Path, settings: dict, variants: list[str]) -> None:
    """One rank, one thread, against each variant."""
    sweep = folder / "sweep.yaml"
    sweep.write_text(json.dumps({"schema": 1, "name": "ranks"} | settings))
    expected = run(binary, sweep, folder / "one", 1, ["threads=1"])
    assert "attribution/scores" in expected
    for name in variants:
        ranks, more = VARIANTS[name]
        found = run(binary, sweep, folder / name.replace(" ", "-").replace(",", ""), ranks, more)
        assert found == expected, name


def tiny_settings(folder: Path, method: dict, dtype: str) -> dict:
    """Ten training and five held-out pairs of a tiny model, in small units."""
    files = {"train_file": str(folder / "pairs.jsonl"), "test_file": str(folder / "pairs.jsonl")}
    return {
        "model": {"path": str(folder), "dtype": dtype},
        "pairs": files | {"train": 10, "test": 5, "overlap": "allow"},
        "attribution": method,
        "unit": {"pairs": 4},
        "circuit": {"counts": [0, 7, 50]},
        "agreement": {"sample": 40},
        "steering": {"factors": [-1, 0, 2], "top": 3},
    }


@pytest.mark.parametrize("method", METHODS)
def test_tiny_models(method, binary, tmp_path, tiny_folder):
    """Every kind of stage, in every way to run it."""
    compare(binary, tmp_path, tiny_settings(tiny_folder("llama"), METHODS[method], "float32"), list(VARIANTS))


@pytest.mark.parametrize("keep", [25, "full"])
def test_layers_of_a_unit(keep, binary, tmp_path, tiny_folder):
    """Methods that go layer by layer may be cut there too, and with them the scores of single pairs."""
    sweep = tmp_path / "sweep.yaml"
    settings = tiny_settings(tiny_folder("llama"), METHODS["ig-acts"] | {"keep": keep}, "float32")
    sweep.write_text(json.dumps({"schema": 1, "name": "ranks"} | settings))
    whole = run(binary, sweep, tmp_path / "whole", 1, ["unit.layers=100"])
    assert run(binary, sweep, tmp_path / "one", 2, ["unit.layers=1"]) == whole


@pytest.mark.parametrize("name", ["gpt2", "mistral"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_types_and_families(name, dtype, binary, tmp_path, tiny_folder):
    """The other number types, on odd widths and other blocks."""
    some = ["3 ranks", "2 ranks of 2 threads, shuffled", "batches of 8 rows"]
    compare(binary, tmp_path, tiny_settings(tiny_folder(name), METHODS["ig-acts"], dtype), some)


@pytest.mark.skipif(not MODEL.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_demo_model(dtype, binary, tmp_path):
    """A real model's shapes, where the arithmetic libraries choose other kernels."""
    settings = {
        "model": {"path": str(MODEL), "dtype": dtype},
        "pairs": {"train_file": str(PAIRS / "agreement_train.jsonl"), "train": 4}
        | {"test_file": str(PAIRS / "agreement_test.jsonl"), "test": 2},
        "attribution": {"method": "ig-inputs", "quadrature": "right", "steps": 3},
        "unit": {"pairs": 1},
        "circuit": {"counts": [100]},
    }
    compare(binary, tmp_path, settings, ["3 ranks", "2 ranks of 2 threads, shuffled", "batches of 8 rows"])
