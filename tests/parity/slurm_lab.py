# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A real Slurm of four nodes on this machine, started for a test file and ended with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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

    def __init__(self, folder: Path, binary: Path, *settings: str) -> None:
        self.lab = folder / "lab"
        subprocess.run([str(LAB), "start", str(self.lab), *settings], check=True, timeout=120)
        self.environment = os.environ | {"SLURM_CONF": str(self.lab / "slurm.conf")}
        self.site = folder / "site.env"
        self.binary = binary
        self.configure()
        self.environment["TRIBUTARY_SITE"] = str(self.site)

    def configure(self, *lines: str) -> None:
        """What the site adds to the job scripts' environment."""
        common = (
            # Not as root, all nodes share one host's name, and with it the names of shared-memory segments.
            "export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo OMP_WAIT_POLICY=PASSIVE",
            "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
            f"TRIBUTARY={self.binary}",
        )
        self.site.write_text("\n".join((*common, *lines)) + "\n")

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


def lab_of(binary: Path, *settings: str) -> Iterator[Cluster]:
    """One lab for all tests of a file; settings: of slurm.conf, in place of the lab's own."""
    require_slurm()
    folder = Path(tempfile.mkdtemp(prefix="tributary-slurm-", dir="/tmp"))  # short: munge's socket lies below
    folder.chmod(0o755)  # others may enter
    lab = Cluster(folder, binary, *settings)
    yield lab
    lab.stop()
    shutil.rmtree(folder)


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


def ranks_on(binary: Path, node: str) -> list[int]:
    """Processes of the program on a node of the lab."""
    return [p for p in processes_of(binary) if f"SLURMD_NODENAME={node}\0" in Path(f"/proc/{p}/environ").read_text()]


def send(number: signal.Signals, binary: Path, processes: list[int]) -> None:
    """To those that are still there: Slurm may have ended them."""
    for process in set(processes) & set(processes_of(binary)):
        os.kill(process, number)
