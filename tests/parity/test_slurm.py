# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The job scripts on a real Slurm: four nodes on this machine, started for these tests and ended with them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest
from conftest import ROOT
from product import hashes, processes_of

LAB = ROOT / "slurm" / "lab"
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}


def require_slurm() -> None:
    """Skips only where it cannot be: no sockets. Missing programs are an error: ./run installs them."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        pytest.skip(f"no sockets on loopback here: {error}")
    assert shutil.which("slurmctld"), "slurmctld is not installed: ./run setup does"


class Cluster:
    """A lab with a folder of jobs."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.lab = folder / "lab"
        subprocess.run([str(LAB), "start", str(self.lab)], check=True, timeout=120)
        self.environment = os.environ | {"SLURM_CONF": str(self.lab / "slurm.conf")}
        self.site = folder / "site.env"
        self.site.write_text(
            # All nodes share one host's name, and with it the names of shared-memory segments.
            "export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo OMP_WAIT_POLICY=PASSIVE\n"
            "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n"
            f"TRIBUTARY={binary}\n"
        )
        self.environment["TRIBUTARY_SITE"] = str(self.site)

    def call(self, *command: str, folder: Path | None = None, variables: dict[str, str] | None = None) -> str:
        environment = self.environment | (variables or {})
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def submit(
        self,
        folder: Path,
        template: str,
        *more: str,
        options: tuple[str, ...] = (),
        variables: dict[str, str] | None = None,
    ) -> str:
        """`template` is one of the project's, or a path of one's own."""
        file = template if "/" in template else str(ROOT / "slurm" / template)
        words = ("sbatch", "--parsable", *options, file, *more)
        return self.call(*words, folder=folder, variables=variables).strip()

    def facts(self, job: str) -> dict[str, str]:
        """What Slurm knows of a job."""
        shown = self.call("scontrol", "--oneliner", "show", "job", job)
        return dict(field.split("=", 1) for field in shown.splitlines()[0].split() if "=" in field)

    def wait(self, job: str, until: Callable[[dict[str, str]], bool], seconds: float = 120) -> dict[str, str]:
        deadline = time.monotonic() + seconds
        while not until(facts := self.facts(job)):
            assert time.monotonic() < deadline, f"{facts}\n{Path(facts['StdOut']).read_text()}"
            time.sleep(0.3)
        return facts

    def wait_end(self, job: str) -> dict[str, str]:
        return self.wait(job, lambda facts: facts["JobState"] in ENDED)

    def hurry(self, job: str) -> None:
        """Slurm holds a requeued job for two minutes."""
        self.wait(job, lambda facts: facts["JobState"] == "PENDING" and int(facts["Restarts"]) > 0)
        time.sleep(5)  # until the nodes have cleared the step of the first start: the second has its number again
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now")

    def stop(self) -> None:
        subprocess.run([str(LAB), "stop", str(self.lab)], check=True, timeout=60)
        assert not self.lab.exists()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, binary) -> Iterator[Cluster]:
    """One lab for all tests of this file."""
    require_slurm()
    folder = Path("/tmp") / f"tributary-slurm-{os.getpid()}"  # short, and others may enter: munge's socket lies below
    folder.mkdir(mode=0o755)
    lab = Cluster(folder, binary)
    yield lab
    lab.stop()
    shutil.rmtree(folder)


@pytest.fixture
def sweep(tmp_path, tiny_folder) -> dict:
    """Settings of some seconds' work in sixteen units; written by `write`."""
    model = tiny_folder("llama")
    pairs = str(model / "pairs.jsonl")
    return {
        "schema": 1,
        "name": "slurm",
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"train_file": pairs, "test_file": pairs, "train": 16, "test": 8, "overlap": "allow"},
        "attribution": {"method": "ig-acts", "quadrature": "right", "steps": 200},
        "unit": {"pairs": 1},
        "circuit": {"counts": [3, 30]},
    }


def write(folder: Path, settings: dict) -> None:
    (folder / "sweep.yaml").write_text(json.dumps(settings))


def alone(binary: Path, folder: Path, *more: str) -> dict[str, str]:
    """The hashes of a run on one rank, without Slurm."""
    command = [str(binary), "run", "sweep.yaml", "--out", "alone", "threads=1", *more]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return hashes(folder / "alone" / "results.h5")


def log_of(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.glob("tributary-*.log")))


def wait_for_block(folder: Path) -> None:
    """Until something of a job is in its journal."""
    deadline = time.monotonic() + 60
    while not list((folder / "out").glob("journal/*/*/*.block")):
        assert time.monotonic() < deadline, log_of(folder)
        time.sleep(0.1)


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
    with h5py.File(tmp_path / "out" / "results.h5") as results:
        assert results["provenance"].attrs["units_restored"] > 0
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)


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


def ranks_on(binary: Path, node: str) -> list[int]:
    """Processes of the program on a node of the lab."""
    return [p for p in processes_of(binary) if f"SLURMD_NODENAME={node}\0" in Path(f"/proc/{p}/environ").read_text()]


def send(number: signal.Signals, binary: Path, processes: list[int]) -> None:
    """To those that are still there: Slurm may have ended them."""
    for process in set(processes) & set(processes_of(binary)):
        os.kill(process, number)


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
