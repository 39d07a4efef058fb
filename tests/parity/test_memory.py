# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What `plan` promises of memory is kept by every rank, and the limits of a job are seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from conftest import ROOT
from product import hashes, mpi_environment

MODEL = ROOT / "models" / "smollm2-135m"
PAIRS = ROOT / "experiments" / "pairs"
MIB = 2**20
UNITS = {"MiB": MIB, "GiB": 2**30}
pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")

# Starts a rank, and writes the most it held to a file: the operating system's own count, up to the process's end.
WATCH = """
import os, sys
process = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(process, 0)
with open(f"{sys.argv[1]}.{os.environ.get('OMPI_COMM_WORLD_RANK', '0')}", "w") as file:
    file.write(str(usage.ru_maxrss * 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def demo(folder: Path, attribution: dict, train: int = 8, test: int = 0, **more: object) -> Path:
    """A sweep file: the demo model on the agreement pairs."""
    settings = {
        "schema": 1,
        "name": "memory",
        "model": {"path": str(MODEL), "dtype": "float32"},
        "pairs": {
            "train_file": str(PAIRS / "agreement_train.jsonl"),
            "test_file": str(PAIRS / "agreement_test.jsonl"),
            "train": train,
            "test": test,
        },
        "attribution": attribution,
        "threads": 1,
    }
    sweep = folder / "sweep.yaml"
    sweep.write_text(json.dumps(settings | more))
    return sweep


def promised(binary: Path, sweep: Path, *more: str, **environment: str) -> dict[str, int]:
    """What `plan` says: bytes of rank 0 and of others, rows of a call, MiB to ask Slurm for."""
    command = [str(binary), "plan", str(sweep), *more]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=os.environ | environment
    )
    size = r"([\d.]+) (MiB|GiB)"
    others = re.search(rf"takes at most {size}", done.stdout)
    first = re.search(rf"rank 0 at most {size}", done.stdout) or others
    return {
        "others": int(float(others[1]) * UNITS[others[2]]),
        "first": int(float(first[1]) * UNITS[first[2]]),
        "rows": int(re.search(r"\((\d+) rows", done.stdout)[1]),
        "mem": int(re.search(r"--mem=(\d+)M ", done.stdout)[1]),
    }


def peaks(binary: Path, sweep: Path, out: Path, *more: str, ranks: int = 1, **environment: str) -> list[int]:
    """Runs a sweep; the most bytes that each rank held."""
    watch = out.with_suffix(".py")
    watch.write_text(WATCH)
    command = [sys.executable, str(watch), str(out.with_suffix(".peak")), str(binary), "run", str(sweep)]
    command += ["--out", str(out), *more]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    own = mpi_environment(out.with_suffix(".session")) | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, env=own)
    assert done.returncode == 0, done.stderr
    return [int(Path(f"{out.with_suffix('.peak')}.{rank}").read_text()) for rank in range(ranks)]


CONDUCTANCE = {"method": "conductance", "steps": 20}
ADAPTIVE = {"method": "conductance", "quadrature": "adaptive", "tolerance": 1e-4}
CASES = {
    "weights that are converted": (({"method": "atp"}, 2), ["model.dtype=float64", "batch_rows=16"], 1),
    "conductance of many calls": ((CONDUCTANCE, 16), ["batch_rows=64", "unit.pairs=8"], 1),
    "adaptive conductance": ((ADAPTIVE, 4), ["batch_rows=256", "unit.pairs=4"], 1),
    "ig-acts": (({"method": "ig-acts"}, 4), [], 1),
    "scores of every pair": (({"method": "atp", "keep": "full"}, 200), [], 1),
    "scores of every pair on three ranks": (({"method": "atp", "keep": "full"}, 200), [], 3),
    "circuits of many pairs": (
        ({"method": "atp"}, 8, 32),
        [
            "circuit.counts=" + str(list(range(100, 2000, 100))),
            "circuit.ablation=resample",
            "unit.pairs=32",
            "batch_rows=64",
        ],
        1,
    ),
    "sums of many pairs": (({"method": "atp"}, 200), ["unit.pairs=1"], 1),
    "sums of many pairs on three ranks": (({"method": "atp"}, 200), ["unit.pairs=1"], 3),
}


@pytest.mark.parametrize("case", CASES)
def test_every_rank_keeps_what_plan_promises(case, binary, tmp_path):
    """Half of it at least, so that no memory is asked for in vain, and never more."""
    settings, more, ranks = CASES[case]
    sweep = demo(tmp_path, *settings)
    plan = promised(binary, sweep, *more, "--ranks", str(ranks))
    first, *others = peaks(binary, sweep, tmp_path / "out", *more, ranks=ranks)
    assert plan["first"] / 2 <= first <= plan["first"]
    for other in others:
        assert plan["others"] / 2 <= other <= plan["others"]


def test_less_memory_changes_no_number(binary, tmp_path):
    """Conductance of many points in a tight place: smaller calls, the same bits."""
    sweep = demo(tmp_path, CONDUCTANCE)
    free = promised(binary, sweep)
    tight = free["first"] // MIB - 100
    (held,) = peaks(binary, sweep, tmp_path / "tight", f"memory={tight} MiB")
    assert held <= tight * MIB
    peaks(binary, sweep, tmp_path / "free")
    with h5py.File(tmp_path / "tight" / "results.h5") as results:
        assert results["provenance"].attrs["batch_rows"] < free["rows"]
    assert hashes(tmp_path / "tight" / "results.h5") == hashes(tmp_path / "free" / "results.h5")


LIMIT = 900
TIGHT = {"method": "ig-inputs", "quadrature": "right", "steps": 130}


def test_the_memory_that_a_slurm_job_asked_for(binary, tmp_path):
    """A plan stays below it, and so does the run; what `plan` says to ask for lets a job compute as planned."""
    sweep = demo(tmp_path, TIGHT, 1)
    free = promised(binary, sweep)
    assert free["first"] > LIMIT * MIB
    assert promised(binary, sweep, SLURM_MEM_PER_NODE=str(free["mem"]))["rows"] == free["rows"]
    for variables in (
        {"SLURM_MEM_PER_NODE": str(LIMIT)},
        {"SLURM_MEM_PER_CPU": str(LIMIT // 3), "SLURM_CPUS_ON_NODE": "3"},
    ):
        plan = promised(binary, sweep, **variables)
        assert plan["first"] < LIMIT * MIB
        assert plan["rows"] < free["rows"]
    (held,) = peaks(binary, sweep, tmp_path / "out", SLURM_MEM_PER_NODE=str(LIMIT))
    assert held < LIMIT * MIB


def other_machine(folder: Path, mounts: str, group: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command that sees other control groups: files of its own lie over those of the system."""
    (folder / "mountinfo").write_text(mounts)
    (folder / "cgroup").write_text(group)
    script = (
        f"mount --bind {folder}/mountinfo /proc/$$/mountinfo && mount --bind {folder}/cgroup /proc/$$/cgroup && "
        f'mount --bind {folder}/groups /sys/fs/cgroup && exec "$0" "$@"'
    )
    shell = ["unshare", "--mount", "bash", "-c", script]
    try:
        allowed = subprocess.run([*shell, "true"], capture_output=True, text=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("no mounts of one's own here")
    return subprocess.run([*shell, *command], capture_output=True, text=True, check=False, timeout=600)


def test_too_little_memory_is_said_before_the_weights_are_read(binary, tmp_path):
    """By plan and run, which name no limit above the real one."""
    sweep = demo(tmp_path, {"method": "atp"}, train=2)
    command = [str(binary), "plan", str(sweep), "model.dtype=float64"]
    small = os.environ | {"SLURM_MEM_PER_NODE": "300"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=small)
    limit = re.search(r"should not take more than ([0-9.]+) MiB", done.stdout)
    assert limit and float(limit[1]) <= 300, done.stdout
    command = [str(binary), "run", str(sweep), "model.dtype=float64", "--out", str(tmp_path / "out"), "--time", "60s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=small)
    assert "the weights take" in done.stderr.split("this rank may take")[0], done.stderr


def test_ranks_that_share_a_node_share_its_memory(binary, tmp_path):
    """Also where plan is not told how many nodes there will be: one thread each fits all of them onto one like this."""
    sweep = demo(tmp_path, {"method": "atp"}, train=2)
    alone = promised(binary, sweep, "--ranks", "1", SLURM_MEM_PER_NODE="1400")
    shared = promised(binary, sweep, "--ranks", "2", SLURM_MEM_PER_NODE="1400")
    assert shared["rows"] < alone["rows"]


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_nested_control_group(version, binary, tmp_path):
    """As a batch system makes one for a job: what its step may take is less than what the node has."""
    sweep = demo(tmp_path, TIGHT, 1)
    free = promised(binary, sweep)
    top = tmp_path / "groups" / ("memory" if version == 1 else "")
    step = top / "slurm" / "job_7" / "step_0"
    step.mkdir(parents=True)
    limit, taken = ("limit_in_bytes", "usage_in_bytes") if version == 1 else ("max", "current")
    none = str(2**63 - 4096) if version == 1 else "max"
    for place, most in ((top, none), (top / "slurm", none), (step.parent, str(LIMIT * MIB)), (step, none)):
        (place / f"memory.{limit}").write_text(most + "\n")
        (place / f"memory.{taken}").write_text(str(10 * MIB) + "\n")
    mounts = {
        1: "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        2: "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    }
    group = {1: "4:memory:/slurm/job_7/step_0\n0::/\n", 2: "0::/slurm/job_7/step_0\n"}
    command = [str(binary), "plan", str(sweep)]
    done = other_machine(tmp_path, mounts[version], group[version], command)
    assert done.returncode == 0, done.stderr
    amount, unit, rows = re.search(r"takes at most ([\d.]+) (MiB|GiB) \((\d+) rows", done.stdout).groups()
    assert float(amount) * UNITS[unit] < LIMIT * MIB
    assert int(rows) < free["rows"]
