# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Timed runs of the program, each in an empty folder, and what it says about its own times."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from product import Results, read_results

START = "start"  # the run that shows how long it takes to get to work
MPIRUN = ("mpirun", "--bind-to", "none", "--oversubscribe", "-n")


@dataclass(frozen=True)
class PairFiles:
    """The pairs of every run."""

    train: Path
    test: Path


@dataclass
class Run:
    """One run of the program: wall seconds of the process, and the results of every run of its sweep."""

    name: str
    pairs: int
    wall: float
    results: list[Results]
    start_up: float  # seconds that are taken for `start` where the program does not say
    walls: list[float] = field(default_factory=list)

    def provenance(self, key: str) -> dict | int | None:
        """A JSON or number attribute of /provenance; None where this version of the program does not write it."""
        value = self.results[0].attributes["/provenance"].get(key)
        if value is None:
            return None
        return json.loads(value) if isinstance(value, (str, bytes)) else int(value)

    @property
    def estimated(self) -> bool:
        """Whether times of stages are not the program's own."""
        return self.provenance("seconds") is None

    @property
    def start(self) -> float:
        """Process start to first unit."""
        return self.start_up if self.estimated else self.provenance("seconds")["start"]

    @property
    def after_start(self) -> float:
        """All but the start, as seen from outside: also what is written, which is right for whole sweeps."""
        return self.wall - self.start

    @property
    def attribution(self) -> float:
        """Seconds of attribution, with the pilot's."""
        seconds = self.provenance("seconds")
        return self.after_start if seconds is None else seconds["attribution"] + seconds.get("pilot", 0.0)

    @property
    def attribution_per_pair(self) -> float:
        return self.attribution / self.pairs

    def gflops(self, *stages: str) -> float | None:
        """Needed GFLOP of these stages by the seconds they took; a sweep's methods share theirs, so it has no rate."""
        seconds, flops = self.provenance("seconds"), self.provenance("flops")
        if not seconds or not flops or len(self.results) > 1:
            return None
        needed = (flops.get(stage, 0) for stage in stages)
        total = sum(f["needed"] if isinstance(f, dict) else f for f in needed)
        spent = sum(seconds.get(stage, 0.0) for stage in stages)
        return total / spent / 1e9 if spent > 0 else None

    def measured(self, more: dict) -> float:
        """What makes one of several equal runs the fastest: the stage that it is run for."""
        seconds = self.provenance("seconds")
        if "circuit" in more and seconds is not None:
            return seconds["circuits"]
        return self.wall if "sweep" in more or "circuit" in more else self.attribution

    def scores(self, method: int = 0) -> np.ndarray:
        """Mean scores [layer, pos, neuron] of one run of the sweep."""
        return self.results[method]["/attribution/scores"]

    def facts(self) -> dict:
        """What goes into the JSON file."""
        own = {key: self.provenance(key) for key in ("seconds", "flops", "peak_bytes", "expected_peak_bytes")}
        found = {"pairs": self.pairs, "wall": self.wall, "walls": self.walls, "estimated": self.estimated}
        return found | own | {"start": self.start, "attribution": self.attribution}


class Product:
    """Runs the program; every run is remembered by its name."""

    def __init__(self, binary: Path, model: Path, files: PairFiles, folder: Path, pairs: int) -> None:
        self.binary, self.model, self.files, self.folder, self.pairs = binary, model, files, folder, pairs
        self.runs: dict[str, Run] = {}

    @cached_property
    def start_up(self) -> float:
        """Wall seconds of the smallest run there is: an upper bound of what any run spends outside of its work."""
        return min(self._once(START, {"method": "delta"}, {"pairs": 1}).wall for _ in range(2))

    def run(self, name: str, attribution: dict, repeats: int = 2, **more: object) -> Run:
        """The fastest of equal runs. `more`: pairs, pairs_test, dtype, sweep, circuit, threads, ranks, positions."""
        return self.in_turn({name: attribution | {"more": more}}, repeats)[name]

    def in_turn(self, cases: dict[str, dict], repeats: int = 2) -> dict[str, Run]:
        """The fastest of some equal runs of each case; cases take turns, so that a slow minute hits all of them.

        A case is its attribution settings, with what else `run` takes under "more".
        """
        found: dict[str, list[Run]] = {name: [] for name in cases if name not in self.runs}
        for name in list(found) * repeats:
            attribution = {key: value for key, value in cases[name].items() if key != "more"}
            found[name].append(self._once(name, attribution, cases[name].get("more", {})))
        for name, runs in found.items():
            self.runs[name] = min(runs, key=lambda run, name=name: run.measured(cases[name].get("more", {})))
            self.runs[name].walls = [run.wall for run in runs]
        return {name: self.runs[name] for name in cases}

    def _once(self, name: str, attribution: dict, more: dict) -> Run:
        start_up = 0.0 if name == START else self.start_up
        work = self.folder / f"{len(list(self.folder.iterdir())):03}"
        work.mkdir()
        pairs = more.get("pairs", self.pairs)
        settings = {
            "schema": 1,
            "name": "bench",
            "model": {"path": str(self.model), "dtype": more.get("dtype", "float32")},
            "pairs": {"train_file": str(self.files.train), "test_file": str(self.files.test), "train": pairs}
            | {"test": more.get("pairs_test", 0), "unfit": "skip", "overlap": "allow", "length": "first"},
            "metric": "logit-difference",
            "attribution": attribution,
            "threads": more.get("threads", 2),
        }
        if "positions" in more:
            settings["positions"] = more["positions"]
        if "circuit" in more:
            settings["circuit"] = more["circuit"]
        if "sweep" in more:
            settings["sweep"] = more["sweep"]
        sweep, out = work / "sweep.yaml", work / "out"
        sweep.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        command = [str(self.binary), "run", str(sweep), "--out", str(out)]
        if "ranks" in more:
            command = [*MPIRUN, str(more["ranks"]), *command]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=work, env=_environment())
        wall = time.perf_counter() - began
        if done.returncode != 0:
            raise RuntimeError(f"{name}: exit {done.returncode}\n{sweep.read_text()}\n{done.stderr}")
        return Run(name, pairs, wall, _results(out), start_up)


def _results(out: Path) -> list[Results]:
    """Results of all runs, by the names of their folders."""
    return [read_results(file) for file in sorted(out.rglob("results.h5"))]


def _environment() -> dict[str, str]:
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    return os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | allowed
