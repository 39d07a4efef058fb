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
from product import dotted, hashes, mpi_environment, mpirun

MODEL = ROOT / "models" / "smollm2-135m"
PAIRS = ROOT / "experiments" / "pairs"
VARIANTS = {
    "2 ranks": (2, []),
    "3 ranks": (3, []),
    "4 ranks": (4, []),
    "2 threads": (1, ["threads=2"]),
    "2 ranks of 2 threads, shuffled": (2, ["threads=2", "--hand-out", "shuffled", "--hand-out-seed", "5"]),
    "2 ranks of 2 threads, shuffled, batches of 8 rows": (2, ["threads=2", "batch_rows=8", "--hand-out", "shuffled"]),
    "batches of 8 rows": (1, ["batch_rows=8"]),
    "batches of 64 rows": (2, ["batch_rows=64"]),
    "shuffled": (1, ["--hand-out", "shuffled", "--hand-out-seed", "11"]),
    "units of one pair": (2, ["unit.pairs=1"]),
    "units of eight pairs": (1, ["unit.pairs=8"]),
}
SOME = ["3 ranks", "2 ranks of 2 threads, shuffled, batches of 8 rows"]
METHODS = {
    "relp": {"method": "relp", "keep": 20},
    "ig-acts": {"method": "ig-acts", "quadrature": "adaptive"},
    "ig-inputs": {"method": "ig-inputs", "quadrature": "right", "steps": 3, "inputs": True},
    "conductance": {"method": "conductance", "quadrature": "trapezoid", "steps": 3},
    "pilot": {"method": "ig-acts", "quadrature": "pilot", "pilot_pairs": 2, "tolerance": 0.2},
}


def run(binary: Path, sweep: Path, out: Path, ranks: int, more: list[str], mpi: str = "") -> dict[str, dict[str, str]]:
    """The hashes of each run of a sweep on so many ranks (of this MPI, then on one too), by its method."""
    environment = mpi_environment(out.parent / f"{out.name}-session")
    command = [str(binary), "run", str(sweep), "--out", str(out), *more]
    if ranks > 1 or mpi:
        command = [*mpirun(ranks, mpi), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    found = {}
    for file in out.rglob("results.h5"):
        with h5py.File(file) as results:
            assert results["provenance"].attrs["ranks"] == ranks
            assert results["provenance"].attrs["bits_hold"] == 1
        found[str(file.parent.relative_to(out))] = hashes(file)
        assert "attribution/scores" in found[str(file.parent.relative_to(out))]
    return found


def write(folder: Path, settings: dict) -> Path:
    """A sweep file in a folder that is made for it."""
    folder.mkdir(exist_ok=True)
    (folder / "sweep.yaml").write_text(json.dumps({"schema": 1, "name": "ranks"} | settings))
    return folder / "sweep.yaml"


def compare(binary: Path, folder: Path, settings: dict, variants: list[str]) -> None:
    """One rank, one thread, against each variant."""
    sweep = write(folder, settings)
    expected = run(binary, sweep, folder / "one", 1, ["threads=1"])
    assert expected
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


@pytest.fixture(scope="module")
def alone(binary, tiny_folder, tmp_path_factory) -> dict[str, dict[str, str]]:
    """The hashes of each of METHODS by itself, on one rank with one thread."""
    folder = tmp_path_factory.mktemp("alone")
    found = {}
    for name, method in METHODS.items():
        sweep = write(folder / name, tiny_settings(tiny_folder("llama"), method, "float32"))
        (found[name],) = run(binary, sweep, folder / name / "out", 1, ["threads=1"]).values()
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_tiny_models(variant, binary, alone, tmp_path, tiny_folder):
    """Every kind of stage, in every way to run it: all methods in one sweep, with the bits that each has alone."""
    settings = tiny_settings(tiny_folder("llama"), {"method": "relp"}, "float32")
    settings["sweep"] = {"include": [dotted({"attribution": method}) for method in METHODS.values()]}
    ranks, more = VARIANTS[variant]
    found = run(binary, write(tmp_path, settings), tmp_path / "out", ranks, more)
    names = json.loads((tmp_path / "out" / "sweep.json").read_text())["runs"]
    assert dict(zip(METHODS, (found[name] for name in names), strict=True)) == alone


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("mpi", ["openmpi", "mpich"])
def test_each_mpi(mpi, ranks, binary, alone, tmp_path, tiny_folder):
    """One program under the launchers of both, all of its stages."""
    settings = tiny_settings(tiny_folder("llama"), METHODS["relp"], "float32")
    (found,) = run(binary, write(tmp_path, settings), tmp_path / "out", ranks, ["threads=1"], mpi).values()
    assert found == alone["relp"]


@pytest.mark.parametrize("keep", [25, "full"])
def test_layers_of_a_unit(keep, binary, tmp_path, tiny_folder):
    """Methods that go layer by layer may be cut there too, and with them the scores of single pairs."""
    settings = tiny_settings(tiny_folder("llama"), METHODS["ig-acts"] | {"keep": keep}, "float32")
    sweep = write(tmp_path, settings)
    whole = run(binary, sweep, tmp_path / "whole", 1, ["unit.layers=100"])
    assert run(binary, sweep, tmp_path / "one", 2, ["unit.layers=1"]) == whole


@pytest.mark.parametrize("name", ["gpt2", "mistral"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_types_and_families(name, dtype, binary, tmp_path, tiny_folder):
    """The other number types, on odd widths and other blocks."""
    compare(binary, tmp_path, tiny_settings(tiny_folder(name), METHODS["ig-acts"], dtype), SOME)


@pytest.mark.skipif(not MODEL.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
@pytest.mark.parametrize(
    ("dtype", "steps", "train", "test", "variants"), [("float32", 2, 4, 1, SOME), ("bfloat16", 1, 2, 0, ["2 ranks"])]
)
def test_demo_model(dtype, steps, train, test, variants, binary, tmp_path):
    """A real model's shapes, where the arithmetic libraries choose other kernels. In bfloat16, which many processors
    compute eight times slower, only as much as two ranks need to share work, and no circuits.
    """
    settings = {
        "model": {"path": str(MODEL), "dtype": dtype},
        "pairs": {"train_file": str(PAIRS / "agreement_train.jsonl"), "train": train}
        | {"test_file": str(PAIRS / "agreement_test.jsonl"), "test": test},
        "attribution": {"method": "ig-inputs", "quadrature": "right", "steps": steps},
        "unit": {"pairs": 1},
        "circuit": {"counts": [100]},
    }
    compare(binary, tmp_path, settings, variants)
