# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Who started the program, and with which MPI: without any it works alone, and many never work each for themselves.
(What the launchers' environments mean is tested in tests/runner/mpi; that they give the same bits, in test_ranks.py.)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from product import hashes, mpi_environment, mpirun

NAMES = {"openmpi": "Open MPI", "mpich": "MPICH"}
LAUNCHED = ("OMPI_", "PMI", "PALS_", "MV2_", "FLUX_", "JSM_", "SLURM_", "I_MPI_", "MPI_LOCAL", "TRIBUTARY_")


def unlaunched() -> dict[str, str]:
    """The environment of a process that no launcher has started."""
    return {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}


@pytest.fixture
def sweep(tmp_path, tiny_folder) -> Path:
    """A sweep file of a moment's work."""
    model = tiny_folder("llama")
    pairs = str(model / "pairs.jsonl")
    settings = {
        "schema": 1,
        "name": "launched",
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"train_file": pairs, "test_file": pairs, "train": 4, "test": 2, "overlap": "allow"},
        "attribution": {"method": "atp"},
        "threads": 1,
    }
    (tmp_path / "sweep.yaml").write_text(json.dumps(settings))
    return tmp_path / "sweep.yaml"


def run(command: list[str], sweep: Path, out: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [*command, "run", str(sweep), "--out", str(sweep.parent / out)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=120)


def layers_of(binary: Path) -> list[Path]:
    return sorted((binary.parent / "lib" / "tributary").glob("*.so"))


@pytest.fixture
def copied(binary, tmp_path) -> Path:
    """The program by itself, in a folder for layers that is empty."""
    (tmp_path / "moved" / "lib" / "tributary").mkdir(parents=True)
    return Path(shutil.copy(binary, tmp_path / "moved"))


def test_the_program_links_no_mpi(binary):
    """Not even by way of another library; but of its layers each has its own."""
    found = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    if "libhdf5_openmpi" in found or "libhdf5_mpich" in found:
        pytest.skip("the program was built with a parallel HDF5, which brings its MPI along")
    assert not [line for line in found.splitlines() if "libmpi" in line or "open-rte" in line or "pmi" in line.lower()]
    for layer in layers_of(binary):
        assert "libmpi" in subprocess.run(["ldd", str(layer)], capture_output=True, text=True, check=True).stdout


def test_alone_it_needs_none(binary, copied, sweep):
    """The same results as the program that could have had one."""
    for program, out in ((binary, "with"), (copied, "without")):
        done = run([str(program)], sweep, out, unlaunched())
        assert done.returncode == 0, done.stderr
    assert hashes(sweep.parent / "with" / "results.h5") == hashes(sweep.parent / "without" / "results.h5")


@pytest.mark.parametrize("mpi", NAMES)
def test_a_launcher_whose_mpi_was_not_built(mpi, copied, sweep):
    done = run([*mpirun(2, mpi), str(copied)], sweep, "out", mpi_environment(sweep.parent / "session"))
    assert done.returncode == 2
    assert f"built without {NAMES[mpi]}" in done.stderr and "2 processes" in done.stderr
    assert str(copied.parent / "lib" / "tributary" / f"{mpi}.so") in done.stderr
    assert not (sweep.parent / "out").exists()


@pytest.mark.parametrize("mpi", NAMES)
def test_a_layer_whose_mpi_is_not_installed_any_more(mpi, binary, copied, sweep):
    """A library is missing that the layer names; the message says which."""
    layer = binary.parent / "lib" / "tributary" / f"{mpi}.so"
    if not layer.exists():
        pytest.skip(f"the program was built without {NAMES[mpi]}")
    damaged = layer.read_bytes().replace(b"\0libmpi", b"\0libgon")
    (copied.parent / "lib" / "tributary" / f"{mpi}.so").write_bytes(damaged)
    done = run([*mpirun(2, mpi), str(copied)], sweep, "out", mpi_environment(sweep.parent / "session"))
    assert done.returncode == 2
    assert f"{NAMES[mpi]} cannot be loaded (libgon" in done.stderr and "No such file" in done.stderr
    assert not (sweep.parent / "out").exists()


@pytest.mark.parametrize("mpi", NAMES)
def test_a_layer_of_another_build(mpi, binary, copied, sweep):
    layer = binary.parent / "lib" / "tributary" / f"{mpi}.so"
    if not layer.exists():
        pytest.skip(f"the program was built without {NAMES[mpi]}")
    other = layer.read_bytes().replace(b"tributary_mpi_layer_", b"tributary_mpi_lover_")
    (copied.parent / "lib" / "tributary" / f"{mpi}.so").write_bytes(other)
    done = run([*mpirun(2, mpi), str(copied)], sweep, "out", mpi_environment(sweep.parent / "session"))
    assert done.returncode == 2
    assert "belongs to another version of the program" in done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PMI_RANK": "0", "PMI_SIZE": "4"}, "speaks PMI (srun --mpi=pmi2) has started 4 processes"),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "4"}, "speaks PMIx (srun --mpi=pmix) has started 4 processes"),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, "Open MPI's mpirun has started 3 processes"),
        ({"SLURM_STEP_NUM_TASKS": "4"}, "start it with `srun --mpi=pmix` (Open MPI) or `srun --mpi=pmi2` (MPICH)"),
        ({"PALS_RANKID": "0", "PMI_SIZE": "4"}, "Cray PALS (mpiexec, aprun) has started 4 processes"),
        ({"I_MPI_HYDRA_UUID": "9d26", "PMI_RANK": "0", "PMI_SIZE": "4"}, "Intel MPI's mpirun has started 4 processes"),
        ({"MV2_COMM_WORLD_RANK": "0", "MV2_COMM_WORLD_SIZE": "4"}, "MVAPICH's mpirun_rsh has started 4 processes"),
        ({"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "4"}, "flux run -o pmi=pmix"),
        ({"TRIBUTARY_MPI": "lam"}, "give one of none, openmpi, mpich"),
    ],
)
def test_many_that_cannot_find_each_other_are_refused(variables, said, binary, sweep):
    """None of them begins to work: where a layer is there and finds only itself, as where there is none."""
    done = run([str(binary)], sweep, "out", unlaunched() | variables)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (sweep.parent / "out").exists()


def test_told_to_run_alone_it_does(binary, sweep):
    """In a shell that srun has opened for several tasks, say."""
    variables = {"SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "0", "TRIBUTARY_MPI": "none"}
    assert run([str(binary)], sweep, "out", unlaunched() | variables).returncode == 0
    assert (sweep.parent / "out" / "results.h5").exists()
