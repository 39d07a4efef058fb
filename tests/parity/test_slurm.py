# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The job scripts on a real Slurm: four nodes on this machine, started for these tests and ended with them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import h5py
import pytest
from conftest import ROOT
from product import hashes
from short_run import settings_of
from slurm_lab import LAB, Cluster, alone, lab_of, log_of, ranks_on, send, wait_for_block, write


@pytest.fixture(scope="module")
def cluster(binary) -> Iterator[Cluster]:
    """One lab for all tests of this file."""
    yield from lab_of(binary)


@pytest.fixture
def sweep(tiny_folder) -> dict:
    """Settings of some seconds' work in sixteen units; written by `write`."""
    return settings_of(tiny_folder("llama"), "slurm", steps=200)


@pytest.mark.parametrize(("mpi", "protocol"), [("openmpi", "pmix"), ("mpich", "pmi2")])
def test_ranks_on_several_nodes_give_the_same_bits(mpi, protocol, cluster, binary, sweep, tmp_path):
    """Eight ranks on four nodes, started by srun: Open MPI with PMIx, MPICH with PMI."""
    if not (binary.parent / "lib" / "tributary" / f"{mpi}.so").exists():
        pytest.skip(f"the program was built without {mpi}")
    write(tmp_path, sweep)
    job = cluster.submit(
        tmp_path,
        *("sweep.sbatch", "sweep.yaml", "--out", "out"),
        options=("--nodes=4", "--ntasks=8", "--time=10:00"),
        variables={"TRIBUTARY_LAUNCHER": f"srun --mpi={protocol} --kill-on-bad-exit=0"},
    )
    facts = cluster.wait_end(job)
    assert facts["ExitCode"] == "0:0", log_of(tmp_path)
    with h5py.File(tmp_path / "out" / "results.h5") as results:
        assert results["provenance"].attrs["ranks"] == 8
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)


def test_a_job_out_of_time_is_requeued_and_finishes(cluster, binary, sweep, tmp_path):
    """USR1 before the limit, exit 75, back into the queue, and the same bits in the end."""
    sweep["attribution"]["steps"] = 20000
    write(tmp_path, sweep)
    job = cluster.submit(
        tmp_path, "sweep.sbatch", "sweep.yaml", "--out", "out", options=("--nodes=2", "--ntasks=2", "--time=10:00")
    )
    wait_for_block(tmp_path)
    cluster.call("scancel", "--batch", "--signal=USR1", job)  # what --signal=B:USR1@120 does
    cluster.hurry(job)
    facts = cluster.wait_end(job)
    assert (facts["ExitCode"], facts["Restarts"]) == ("0:0", "1"), log_of(tmp_path)
    log = log_of(tmp_path)
    assert "back into the queue" in log and "start 1" in log
    assert re.search(r"start 0, on \S+, (10:00|9:5\d) left", log), "Slurm no longer says how much time is left"
    with h5py.File(tmp_path / "out" / "results.h5") as results:
        assert results["provenance"].attrs["units_restored"] > 0
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)


def test_starts_that_finish_nothing_end(cluster, sweep, tmp_path):
    """A unit that takes longer than any start: put back once, in case the start was slow, and not for ever."""
    sweep["attribution"]["steps"] = 10**5
    sweep["unit"]["pairs"] = 16
    write(tmp_path, sweep)
    more = ("sweep.yaml", "--out", "out", "--time", "3s")
    job = cluster.submit(tmp_path, "sweep.sbatch", *more, options=("--ntasks=1", "--time=10:00"))
    cluster.hurry(job)
    facts = cluster.wait_end(job)
    assert (facts["ExitCode"], facts["Restarts"]) == ("76:0", "1"), log_of(tmp_path)
    assert "two starts in a row have finished nothing" in log_of(tmp_path)
    assert not list(tmp_path.glob(".tributary-*"))


def test_an_array_with_an_element_that_fails(cluster, sweep, tmp_path):
    """One element a run; what is wrong with one leaves the others whole."""
    sweep["sweep"] = {"grid": {"circuit.counts": [[3], [10**9], [7]]}}
    write(tmp_path, sweep)
    job = cluster.submit(
        tmp_path, "array.sbatch", "sweep.yaml", "--out", "out", options=("--array=0-2", "--ntasks=1", "--time=5:00")
    )
    codes = [cluster.wait_end(f"{job}_{element}")["ExitCode"] for element in range(3)]
    assert codes == ["0:0", "2:0", "0:0"], log_of(tmp_path)
    assert len(list((tmp_path / "out").rglob("results.h5"))) == 2


def test_tasks_that_cannot_find_each_other(cluster, binary, sweep, tmp_path):
    """srun without PMIx and PMI starts them all the same: each would compute everything."""
    write(tmp_path, sweep)
    job = cluster.submit(
        tmp_path,
        *("sweep.sbatch", "sweep.yaml", "--out", "out"),
        options=("--nodes=1", "--ntasks=2", "--time=10:00"),
        variables={"TRIBUTARY_LAUNCHER": "srun --mpi=none"},
    )
    assert cluster.wait_end(job)["ExitCode"] == "2:0", log_of(tmp_path)
    assert "srun has started 2 processes" in log_of(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("template", "option"), [("sweep", "--requeue"), ("array", "--array=0")])
def test_an_installed_template_finds_what_belongs_to_it(template, option, cluster, tmp_path):
    """Program and site.env, wherever the job is submitted from; and each task gets the cores that were asked for."""
    prefix, elsewhere = tmp_path / "an installation", tmp_path / "elsewhere"
    scripts = prefix / "share" / "tributary" / "slurm"
    shutil.copytree(ROOT / "slurm", scripts, ignore=shutil.ignore_patterns("site.env"))
    (scripts / "site.env").write_text("export SITE=found\n")
    (prefix / "bin").mkdir()
    program = prefix / "bin" / "tributary"
    program.write_text('#!/bin/sh\necho "site $SITE, cores $SRUN_CPUS_PER_TASK, words $*"\n')
    program.chmod(0o755)
    elsewhere.mkdir()
    job = cluster.submit(
        elsewhere,
        f"../an installation/share/tributary/slurm/{template}.sbatch",
        *("sweep.yaml", "a=b c"),
        options=(option, "--ntasks=1", "--cpus-per-task=2", "--time=5:00"),
        variables={"TRIBUTARY_SITE": ""},
    )
    element = f"{job}_0" if template == "array" else job
    assert cluster.wait_end(element)["ExitCode"] == "0:0", log_of(elsewhere)
    assert "site found, cores 2, words run sweep.yaml a=b c" in log_of(elsewhere)


def test_a_node_that_dies_leads_to_a_requeue(cluster, binary, sweep, tmp_path):
    """Slurm puts the job back within its timeout; the second start keeps what was journalled and ends with the same
    bits, though a rank of the first one comes back to life meanwhile.
    """
    sweep["attribution"]["steps"] = 5000
    write(tmp_path, sweep)
    job = cluster.submit(
        tmp_path, "sweep.sbatch", "sweep.yaml", "--out", "out", options=("--nodes=2", "--ntasks=2", "--time=10:00")
    )
    wait_for_block(tmp_path)
    second = cluster.call("scontrol", "show", "hostnames", cluster.facts(job)["NodeList"]).split()[1]
    lost = ranks_on(binary, second)
    assert lost, log_of(tmp_path)
    try:
        send(signal.SIGSTOP, binary, lost)  # what a dead node computes reaches nobody: the job cannot end
        subprocess.run([str(LAB), "kill-node", str(cluster.lab), second], check=True, timeout=30)
        cluster.hurry(job)
        cluster.wait(job, lambda facts: facts["JobState"] == "RUNNING")
        send(signal.SIGCONT, binary, lost)
        facts = cluster.wait_end(job)
        assert (facts["ExitCode"], facts["Restarts"]) == ("0:0", "1"), log_of(tmp_path)
    finally:
        send(signal.SIGKILL, binary, lost)
    assert second not in facts["NodeList"]
    with h5py.File(tmp_path / "out" / "results.h5") as results:
        assert results["provenance"].attrs["units_restored"] > 0
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)
