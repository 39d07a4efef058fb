# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What sites do to a job: nodes with names of their own, cores and memory that are bound, nodes that are bad."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from product import hashes
from short_run import settings_of
from slurm_lab import Cluster, alone, lab_of, log_of, wait_for_block, write

CONTROL_GROUPS = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of version 1
OWN_NAMES = pytest.mark.skipif(os.geteuid() != 0, reason="nodes have host names of their own where root starts them")

# On the ranks that are named, no file of a run can be made.
BAD_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

int openat(int folder, const char* path, int flags, ...) {
  static int (*next)(int, const char*, int, ...);
  if (!next) next = (int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, "openat");
  va_list more;
  va_start(more, flags);
  const int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  if ((flags & O_CREAT) && strstr(path, ".tributary-")) {
    errno = EIO;
    return -1;
  }
  return next(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));
"""


@pytest.fixture(scope="module")
def cluster(binary) -> Iterator[Cluster]:
    """Cores are bound and memory is a resource; where this machine can, a job's memory is limited too."""
    task = "task/affinity,task/cgroup" if os.access(CONTROL_GROUPS, os.W_OK) else "task/affinity"
    yield from lab_of(binary, f"TaskPlugin={task}", "SelectTypeParameters=CR_Core_Memory", "DefMemPerCPU=900")


@pytest.fixture
def sweep(tiny_folder) -> dict:
    """Settings of some seconds' work in sixteen units; written by `write`."""
    return settings_of(tiny_folder("llama"), "slurm", steps=200)


def run_job(cluster: Cluster, folder: Path, *options: str, more: tuple[str, ...] = ()) -> dict[str, str]:
    """Submits sweep.yaml and waits until it is done; what Slurm knows of it then."""
    job = cluster.submit(folder, "sweep.sbatch", "sweep.yaml", "--out", "out", *more, options=(*options, "--time=10"))
    return cluster.wait_end(job)


def facts_of(folder: Path) -> dict[str, object]:
    with h5py.File(folder / "out" / "results.h5") as results:
        return dict(results["provenance"].attrs) | {"hosts": results["provenance/hosts"].asstr()[()].tolist()}


@OWN_NAMES
def test_nodes_have_names_and_ranks_have_cores(cluster, binary, sweep, tmp_path):
    """--cpus-per-task reaches the ranks, and results name the nodes."""
    write(tmp_path, sweep)
    job = run_job(cluster, tmp_path, "--nodes=2", "--ntasks=2", "--cpus-per-task=2")
    assert job["ExitCode"] == "0:0", log_of(tmp_path)
    assert "bound to fewer cores" not in log_of(tmp_path)
    facts = facts_of(tmp_path)
    assert len(set(facts["hosts"])) == 2 and {name[0] for name in facts["hosts"]} == {"n"}
    assert facts["threads"] == 2
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)


@OWN_NAMES
def test_bad_ranks_leave_their_units_to_others(cluster, binary, sweep, tmp_path):
    """Three of eight ranks cannot write a block: a whole node and one of another."""
    source, shim, wrapper = tmp_path / "bad_disk.c", tmp_path / "bad_disk.so", tmp_path / "on_bad_disk"
    source.write_text(BAD_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True, timeout=60)
    wrapper.write_text(
        f'#!/bin/sh\ncase $SLURM_PROCID in 2|3|5) export LD_PRELOAD="{shim}" ;; esac\nexec "{binary}" "$@"\n'
    )
    wrapper.chmod(0o755)
    write(tmp_path, sweep)
    cluster.configure(f"TRIBUTARY={wrapper}")
    try:
        job = run_job(cluster, tmp_path, "--nodes=4", "--ntasks=8", "--mem-per-cpu=900")
    finally:
        cluster.configure()
    log = log_of(tmp_path)
    assert job["ExitCode"] == "0:0", log
    assert "has failed a unit, which is tried again" in log and "Input/output error" in log
    assert hashes(tmp_path / "out" / "results.h5") == alone(binary, tmp_path)


def test_a_requeued_job_meets_another_processor(cluster, sweep, tmp_path):
    """It goes on with a warning, results name both kinds; finalize as a login node writes them again, and leaves the
    journal as it is for whoever runs the sweep next.
    """
    sweep["attribution"]["steps"] = 20000
    write(tmp_path, sweep)
    cluster.configure("export ATEN_CPU_CAPABILITY=default")
    try:
        job = cluster.submit(
            tmp_path, "sweep.sbatch", "sweep.yaml", "--out", "out", options=("--ntasks=1", "--time=10:00")
        )
        wait_for_block(tmp_path)
    finally:
        cluster.configure()
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    cluster.hurry(job)
    assert cluster.wait_end(job)["ExitCode"] == "0:0", log_of(tmp_path)
    facts = facts_of(tmp_path)
    if len(facts["processors"]) == 1:
        pytest.skip("this processor has no instructions beyond the default ones")
    assert sorted("DEFAULT" in kind for kind in facts["processors"]) == [False, True]
    assert "the last digits depend on who computed what" in log_of(tmp_path)
    before = hashes(tmp_path / "out" / "results.h5")
    (tmp_path / "out" / "results.h5").unlink()
    login = ["unshare", "--uts", "sh", "-c", 'hostname login && exec "$@"', "login"] if os.geteuid() == 0 else []
    finalize = [*login, str(cluster.binary), "finalize", "out"]
    subprocess.run(finalize, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert hashes(tmp_path / "out" / "results.h5") == before
    again = facts_of(tmp_path)
    assert again["hosts"] == facts["hosts"] and "finalized" in again
    (tmp_path / "out" / "results.h5").unlink()
    assert run_job(cluster, tmp_path, "--ntasks=1")["ExitCode"] == "0:0", log_of(tmp_path)
    assert facts_of(tmp_path)["units_computed"] == 0
    assert hashes(tmp_path / "out" / "results.h5") == before
