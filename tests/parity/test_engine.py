# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What the engine saves must not show: runs of a sweep computed together, memory planned and halved, shared weights."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest
import torch
from conftest import ROOT
from product import hashes, mpi_environment, processes_of
from safetensors.torch import load_file, save_file

MODEL = ROOT / "models" / "smollm2-135m"
PAIRS = ROOT / "experiments" / "pairs"
needs_demo = pytest.mark.skipif(not MODEL.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
SIX = ["ig-acts", "ig-inputs", "conductance", "input-ig", "atp", "relp"]


def write_sweep(folder: Path, settings: dict) -> Path:
    """A sweep file."""
    sweep = folder / "sweep.yaml"
    sweep.write_text(json.dumps({"schema": 1, "name": "engine"} | settings))
    return sweep


def run(binary: Path, sweep: Path, out: Path, *more: str, **keywords: object) -> subprocess.CompletedProcess[str]:
    """`tributary run`."""
    command = [str(binary), "run", str(sweep), "--out", str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **keywords)


def provenance(out: Path) -> dict[str, object]:
    """Attributes of /provenance."""
    with h5py.File(out / "results.h5") as results:
        return dict(results["provenance"].attrs)


def tiny(folder: Path, attribution: dict) -> dict:
    """Some pairs of a tiny model, float32."""
    return {
        "model": {"path": str(folder), "dtype": "float32"},
        "pairs": {"file": str(folder / "pairs.jsonl"), "train": 6, "test": 3},
        "attribution": attribution,
        "circuit": {"counts": [5, 20]},
    }


def demo(attribution: dict, dtype: str = "float32", train: int = 8, test: int = 0) -> dict:
    """The demo model on the agreement pairs."""
    files = {"train_file": str(PAIRS / "agreement_train.jsonl"), "test_file": str(PAIRS / "agreement_test.jsonl")}
    return {
        "model": {"path": str(MODEL), "dtype": dtype},
        "pairs": files | {"train": train, "test": test},
        "attribution": attribution,
    }


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_methods_of_a_sweep_get_the_bits_they_get_alone(name, binary, tmp_path, tiny_folder):
    """Six methods share runs, sweeps and the backward pass at the clean end; none of it shows."""
    settings = tiny(tiny_folder(name), {"method": "atp"})
    sweep = write_sweep(tmp_path, settings | {"sweep": {"grid": {"attribution.method": SIX}}})
    done = run(binary, sweep, tmp_path / "together")
    assert done.returncode == 0, done.stderr
    single = write_sweep(tmp_path, settings)
    for method in SIX:
        alone = tmp_path / method
        done = run(binary, single, alone, f"attribution.method={method}")
        assert done.returncode == 0, done.stderr
        together = tmp_path / "together" / f"method={method}"
        assert provenance(together)["runs_computed_together"] == len(SIX)
        assert provenance(alone)["runs_computed_together"] == 1
        assert hashes(together / "results.h5") == hashes(alone / "results.h5"), method


def test_runs_of_other_models_and_pairs_are_not_mixed(binary, tmp_path, tiny_folder):
    """The grid's order does not matter: what can be computed together is found, and nothing else."""
    settings = tiny(tiny_folder("llama"), {"method": "atp"})
    grid = {"attribution.method": ["atp", "relp"], "pairs.train": [4, 6]}
    sweep = write_sweep(tmp_path, settings | {"sweep": {"grid": grid}})
    done = run(binary, sweep, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folders = sorted(path.parent for path in (tmp_path / "out").rglob("results.h5"))
    assert len(folders) == 4
    for folder in folders:
        assert provenance(folder)["runs_computed_together"] == 2
        with h5py.File(folder / "results.h5") as results:
            assert results["attribution/metric"].shape[0] == int(re.search(r"train=(\d)", folder.name)[1])


@needs_demo
@pytest.mark.parametrize(
    ("attribution", "dtype", "train", "more"),
    [
        ({"method": "ig-acts"}, "float32", 3, []),
        ({"method": "ig-acts", "tolerance": 1e-6}, "float32", 2, []),  # nearly all layers at the finest level
        ({"method": "ig-inputs", "tolerance": 1e-6}, "float32", 4, []),
        ({"method": "conductance", "tolerance": 1e-6}, "float32", 2, []),
        ({"method": "atp"}, "float32", 8, ["threads=1"]),
        ({"method": "conductance", "steps": 10}, "float32", 4, []),
        ({"method": "ig-inputs", "quadrature": "right", "steps": 4}, "bfloat16", 2, []),
        ({"method": "transluce-ig-acts"}, "float32", 2, ["batch_rows=128"]),
        ({"method": "relp"}, "float32", 8, ["pairs.test=8"]),
    ],
)
def test_the_expected_peak_is_kept(attribution, dtype, train, more, binary, tmp_path):
    """Reality stays below what `plan` prints, and above half of it."""
    sweep = write_sweep(tmp_path, demo(attribution, dtype, train))
    plan = subprocess.run(
        [str(binary), "plan", str(sweep), *more], capture_output=True, text=True, check=True, timeout=120
    )
    amount, unit = re.search(r"takes at most ([\d.]+) (MiB|GiB)", plan.stdout).groups()
    printed = float(amount) * {"MiB": 2**20, "GiB": 2**30}[unit]
    done = run(binary, sweep, tmp_path / "out", *more)
    assert done.returncode == 0, done.stderr
    facts = provenance(tmp_path / "out")
    assert facts["peak_bytes"] <= facts["expected_peak_bytes"] <= 2 * facts["peak_bytes"]
    assert printed == pytest.approx(facts["expected_peak_bytes"], rel=0.1)


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
@pytest.mark.parametrize("capability", ["avx2", "the machine's"])
def test_auto_is_the_fastest_dtype(capability, stored, binary, tmp_path, tiny_folder):
    """bfloat16 where it is stored and has instructions; the choice is said, kept, and no different from saying it."""
    model = tmp_path / "model"
    shutil.copytree(tiny_folder("llama"), model)
    weights = load_file(model / "model.safetensors")
    weights = {name: tensor.to(getattr(torch, stored)) for name, tensor in weights.items()}
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    environment = os.environ | ({"ATEN_CPU_CAPABILITY": "avx2"} if capability == "avx2" else {})
    fast = capability != "avx2" and "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    expected = "bfloat16" if fast and stored == "bfloat16" else "float32"
    settings = tiny(model, {"method": "atp"})
    settings["model"]["dtype"] = "auto"
    sweep = write_sweep(tmp_path, settings)
    done = run(binary, sweep, tmp_path / "auto", env=environment)
    assert done.returncode == 0, done.stderr
    planned = [str(binary), "plan", str(sweep), "--out", str(tmp_path / "auto")]
    plan = subprocess.run(planned, capture_output=True, text=True, check=True, env=environment).stdout
    for said in (plan, done.stderr):
        assert f"model.dtype: auto is {expected} here: " in said
    assert " yes " in plan, "its own results are there"
    assert provenance(tmp_path / "auto")["dtype"] == expected
    assert f"dtype: {expected}" in provenance(tmp_path / "auto")["configuration"]
    assert run(binary, sweep, tmp_path / "said", f"model.dtype={expected}", env=environment).returncode == 0
    assert hashes(tmp_path / "auto" / "results.h5") == hashes(tmp_path / "said" / "results.h5")
    assert "complete already" in run(binary, sweep, tmp_path / "said", env=environment).stdout


@needs_demo
def test_memory_bounds_the_batch(binary, tmp_path):
    """Less memory, smaller calls, the same bits; too little is refused before any work."""
    sweep = write_sweep(tmp_path, demo({"method": "transluce-ig-acts", "steps": 10}, train=1))
    assert run(binary, sweep, tmp_path / "free", "threads=1").returncode == 0
    free = provenance(tmp_path / "free")
    less = int(free["expected_peak_bytes"]) // 2**20 - 100
    done = run(binary, sweep, tmp_path / "tight", "threads=1", f"memory={less} MiB")
    assert done.returncode == 0, done.stderr
    tight = provenance(tmp_path / "tight")
    assert tight["batch_rows"] < free["batch_rows"]
    assert tight["peak_bytes"] <= less * 2**20
    assert hashes(tmp_path / "tight" / "results.h5") == hashes(tmp_path / "free" / "results.h5")
    refused = run(binary, sweep, tmp_path / "none", "memory=50 MiB")
    assert refused.returncode == 2
    assert "memory: 50 MiB are not enough" in refused.stderr
    assert not (tmp_path / "none" / "results.h5").exists()


@pytest.mark.parametrize("value", ["8", "lots", "8 gib", "-1 GiB", "0 GiB"])
def test_sizes_that_are_none(value, binary, tmp_path, tiny_folder):
    """A size has a number and a unit."""
    sweep = write_sweep(tmp_path, tiny(tiny_folder("llama"), {"method": "atp"}) | {"memory": value})
    done = run(binary, sweep, tmp_path / "out")
    assert done.returncode == 2
    assert "memory" in done.stderr


@needs_demo
def test_running_out_of_memory_halves_the_rows(binary, tmp_path):
    """Under a limit on the address space the first calls fail; the retried ones give the same bits."""
    method = {"method": "ig-inputs", "quadrature": "right", "steps": 300}
    sweep = write_sweep(tmp_path, demo(method, train=1))
    assert run(binary, sweep, tmp_path / "free", "threads=1").returncode == 0
    most = 6 * 2**28
    done = run(
        binary,
        sweep,
        tmp_path / "limited",
        "threads=1",
        "batch_rows=1000000",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    )
    assert done.returncode == 0, done.stderr
    assert provenance(tmp_path / "limited")["batch_rows_halved"] > 0
    assert hashes(tmp_path / "limited" / "results.h5") == hashes(tmp_path / "free" / "results.h5")


def weight_mappings(process: int) -> tuple[int, int]:
    """Pss and size in bytes of a process's mappings of weights: the checkpoint, and the node's shared memory."""
    pss = size = 0
    for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{process}/smaps").read_text()):
        if "model.safetensors" in block or "tributary-weights" in block:
            pss += int(re.search(r"(?m)^Pss:\s+(\d+)", block)[1]) * 1024
            size += int(re.search(r"(?m)^Size:\s+(\d+)", block)[1]) * 1024
    return pss, size


@needs_demo
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ranks_share_one_copy_of_the_weights(dtype, binary, tmp_path):
    """Over three ranks, what they hold of the weights is one copy (in bfloat16: one of each of the two networks)."""
    sweep = write_sweep(tmp_path, demo({"method": "transluce-ig-acts", "steps": 60}, dtype, train=24))
    one_copy = (MODEL / "model.safetensors").stat().st_size * (1.5 if dtype == "bfloat16" else 1)
    before = set(processes_of(binary))
    command = ["mpirun", "-n", "3", str(binary), "run", str(sweep), "--out", str(tmp_path / "out"), "threads=1"]
    progress = tmp_path / "progress"
    with (
        progress.open("w") as written,
        subprocess.Popen(
            command, env=mpi_environment(tmp_path / "session"), stdout=subprocess.DEVNULL, stderr=written
        ) as running,
    ):
        try:
            most = 0
            polls = 0
            while polls < 10:  # until the ranks have been at their first units for two seconds
                assert running.poll() is None, progress.read_text()
                polls += "attribution 0/" in progress.read_text()
                time.sleep(0.2)
                ranks = set(processes_of(binary)) - before
                try:
                    most = max(most, sum(weight_mappings(rank)[0] for rank in ranks))
                except OSError:
                    continue
            assert len(ranks) == 3
            held = sum(weight_mappings(rank)[0] for rank in ranks)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(timeout=120)
    assert 0.4 * one_copy < held <= 1.15 * one_copy, (held, one_copy)
    assert most <= 1.15 * one_copy * (2 if dtype == "bfloat16" else 1)  # while it is being converted, the file as well
