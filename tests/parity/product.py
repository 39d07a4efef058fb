# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Runs the program on a sweep file and reads what it wrote."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest


@dataclass
class Results:
    """results.h5 in memory: datasets by path, and attributes of groups by group path."""

    datasets: dict[str, np.ndarray]
    attributes: dict[str, dict[str, object]]

    def __getitem__(self, path: str) -> np.ndarray:
        return self.datasets[path]

    def __contains__(self, path: str) -> bool:
        return path in self.datasets


def read_results(file: Path) -> Results:
    """Everything in a results file."""
    results = Results({}, {})

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            results.datasets["/" + name] = item[()]
        else:
            results.attributes["/" + name] = dict(item.attrs)

    with h5py.File(file) as stored:
        stored.visititems(visit)
    return results


def mpi_environment(session: Path) -> dict[str, str]:
    """The environment of ranks that share one machine; Open MPI's session files go into a folder that is made here."""
    session.mkdir()
    return os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_orte_tmpdir_base": str(session),
        "OMPI_MCA_btl_vader_backing_directory": str(session),
    }


def mpirun(ranks: int, mpi: str = "") -> list[str]:
    """The words that start so many ranks: with the plain mpirun, or with that of an MPI ("openmpi", "mpich"), which on
    Debian, where several are installed, bears its name. Skips the test where that MPI is not installed.
    """
    if not mpi:
        return ["mpirun", "-n", str(ranks)]
    found = shutil.which(f"mpirun.{mpi}")
    if found is None and (plain := shutil.which("mpirun")):
        told = subprocess.run([plain, "--version"], capture_output=True, text=True, check=False).stdout
        found = plain if {"openmpi": "Open MPI", "mpich": "HYDRA"}[mpi] in told else None
    if found is None:
        pytest.skip(f"{mpi} is not installed: neither mpirun.{mpi} nor a plain mpirun of it is in PATH")
    return [found, "-n", str(ranks)]


def hashes(file: Path) -> dict[str, str]:
    """SHA-256 of the raw values of every dataset outside /provenance."""
    found: dict[str, str] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("provenance"):
            found[name] = hashlib.sha256(np.ascontiguousarray(item[()]).tobytes()).hexdigest()

    with h5py.File(file) as results:
        results.visititems(visit)
    return found


def processes_of(binary: Path) -> list[int]:
    """Processes that run this binary, started by this test process (others may test beside it)."""
    ours = os.environ.get("PYTEST_XDIST_WORKER", "")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "exe").resolve() != binary.resolve():
                continue
            environment = (folder / "environ").read_bytes().split(b"\0")
            if not ours or f"PYTEST_XDIST_WORKER={ours}".encode() in environment:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def run_product(binary: Path, folder: Path, settings: dict) -> Results:
    """`tributary run` on `settings` (JSON is YAML too) in an empty folder of its own."""
    sweep = folder / "sweep.yaml"
    out = folder / "out"
    sweep.write_text(json.dumps({"schema": 1, "name": "parity"} | settings, indent=1))
    command = [str(binary), "run", str(sweep), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, f"exit {done.returncode}\n{sweep.read_text()}\n{done.stderr}"
    return read_results(out / "results.h5")


def dotted(settings: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings as keys of a sweep's `include`: {"a": {"b": 1}} is {"a.b": 1}."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def run_sweep(binary: Path, folder: Path, settings: dict, runs: list[dict]) -> list[Results]:
    """One process for runs that differ from `settings`; their results in order."""
    sweep, out = folder / "sweep.yaml", folder / "out"
    include = {"sweep": {"include": [dotted(run) for run in runs]}}
    sweep.write_text(json.dumps({"schema": 1, "name": "parity"} | settings | include, indent=1))
    command = [str(binary), "run", str(sweep), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, f"exit {done.returncode}\n{sweep.read_text()}\n{done.stderr}"
    names = json.loads((out / "sweep.json").read_text())["runs"]
    assert len(names) == len(runs)
    return [read_results(out / name / "results.h5") for name in names]


def assert_close(ours: np.ndarray, expected: np.ndarray, relative: float, what: str) -> None:
    """Largest difference at most `relative` of the largest expected magnitude."""
    assert ours.shape == expected.shape, f"{what}: shape {ours.shape}, expected {expected.shape}"
    scale = np.abs(expected).max()
    worst = np.abs(ours - expected).max() / scale
    assert worst <= relative, f"{what}: off by {worst:.2e} of the largest value {scale:.3g}"
