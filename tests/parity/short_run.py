# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A run of a few seconds that can be killed, stopped and gone on with."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import h5py
from kill_rounds import journalled_units
from product import hashes, mpirun


def settings_of(model: Path, name: str, steps: int) -> dict:
    """Of some seconds' work in sixteen units."""
    pairs = str(model / "pairs.jsonl")
    return {
        "schema": 1,
        "name": name,
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"train_file": pairs, "test_file": pairs, "train": 16, "test": 8, "overlap": "allow"},
        "attribution": {"method": "ig-acts", "quadrature": "right", "steps": steps},
        "unit": {"pairs": 1},
        "circuit": {"counts": [3, 30]},
    }


class Work:
    """A run of a few seconds in sixteen units."""

    def __init__(self, binary: Path, folder: Path, model: Path) -> None:
        self.binary, self.folder = binary, folder
        self.settings = settings_of(model, "crash", steps=4000) | {"threads": 1}
        self.out = folder / "out"
        self.write()

    def write(self) -> None:
        (self.folder / "sweep.yaml").write_text(json.dumps(self.settings))

    def command(self, *more: str, ranks: int = 1, mpi: str = "") -> list[str]:
        command = [str(self.binary), "run", "sweep.yaml", "--out", str(self.out), *more]
        return [*mpirun(ranks, mpi), *command] if ranks > 1 else command

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*more), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )

    def start(self, *more: str, ranks: int = 1, mpi: str = "", **keywords: object) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command(*more, ranks=ranks, mpi=mpi), cwd=self.folder, **pipes, **keywords)

    def finished(self) -> dict[str, str]:
        """The hashes of its results, when nothing disturbs it."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        return hashes(self.out / "results.h5")

    def tool(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """`tributary status` or `finalize`."""
        command = [str(self.binary), name, str(self.out), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def units(self) -> int:
        return sum(map(len, journalled_units(self.out).values()))

    def wait_for_units(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.units() < count:
            assert time.monotonic() < deadline, "no units within a minute"
            time.sleep(0.05)

    def killed_after(self, count: int) -> int:
        """Kills a run that has journalled some units; how many there are then."""
        running = self.start()
        self.wait_for_units(count)
        running.kill()
        running.communicate()
        return self.units()

    def facts(self) -> dict[str, object]:
        with h5py.File(self.out / "results.h5") as results:
            return dict(results["provenance"].attrs)


def blocks_of(work: Work) -> list[Path]:
    return sorted(work.out.glob("journal/*/*/*.block"))
