# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Kills runs at random moments and starts them again until they finish: the results must be those of a run that was
left in peace, and no unit that was journalled may be computed again.

    .venv/bin/python tests/parity/kill_rounds.py --rounds 100 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import h5py
from product import hashes, mpi_environment, processes_of
from tiny_models import save_tiny_model

ROOT = Path(__file__).resolve().parents[2]
METHODS = {
    "ig-acts": {"method": "ig-acts", "quadrature": "right", "steps": 3000},
    "pilot": {"method": "ig-acts", "quadrature": "pilot", "pilot_pairs": 2, "tolerance": 1e-7},
    "conductance": {"method": "conductance", "quadrature": "trapezoid", "steps": 2000},
    "sweep": {"method": "ig-inputs", "quadrature": "right", "steps": 1500},
}


@dataclass
class Tally:
    """What happened over all rounds."""

    rounds: int = 0
    starts: int = 0
    kills: Counter = field(default_factory=Counter)
    units_kept: int = 0

    def text(self) -> str:
        killed = ", ".join(f"{count} x {what}" for what, count in sorted(self.kills.items()))
        return (
            f"{self.rounds} rounds, {self.starts} starts, killed: {killed or 'nothing'}; "
            f"{self.units_kept} units came from journals; all results bit-identical, no unit computed twice"
        )


def journalled_units(out: Path) -> dict[str, set[tuple[int, int]]]:
    """(lane, index) of every unit on the disk, by stage; a packed stage holds its number of units as (-1, i)."""
    found = {}
    for plan in out.glob("journal/*/*/plan.json"):
        units: set[tuple[int, int]] = set()
        for file in plan.parent.glob("*.block"):
            if file.name == "all.block":
                continue
            lane, first, count, _ = file.name.split(".")
            # A block with a failed unit in its middle would not be a run of units; none fails here.
            block = {(int(lane), int(first) + i) for i in range(int(count))}
            assert not units & block, f"{file}: a unit was computed twice"
            units |= block
        if (plan.parent / "all.block").exists():
            units = {(-1, i) for i in range(json.loads(plan.read_text())["units"])}
        found[str(plan.parent.relative_to(out))] = units
    return found


@dataclass
class Start:
    """When a run was started, by the clock of /provenance, and what was journalled then."""

    when: str
    journalled: dict[str, set[tuple[int, int]]]

    def units(self) -> int:
        return sum(map(len, self.journalled.values()))


def utc_now() -> str:
    """As the program writes times: to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Bench:
    """One configuration with the results it must have."""

    def __init__(self, binary: Path, folder: Path, name: str) -> None:
        self.binary, self.folder, self.name = binary, folder, name
        folder.mkdir()
        model = save_tiny_model("llama", folder / "model")
        settings = {
            "schema": 1,
            "name": "kill",
            "model": {"path": str(model), "dtype": "float32"},
            "pairs": {"train_file": str(model / "pairs.jsonl"), "test_file": str(model / "pairs.jsonl")}
            | {"train": 16, "test": 12, "overlap": "allow"},
            "attribution": METHODS[name],
            "unit": {"pairs": 1},
            "threads": 1,
            "circuit": {"counts": [0, 7, 50]},
        }
        if name == "sweep":
            settings["sweep"] = {"grid": {"attribution.method": ["ig-inputs", "conductance", "input-ig"]}}
        self.sweep = folder / "sweep.yaml"
        self.sweep.write_text(json.dumps(settings))
        began = time.monotonic()
        done = subprocess.run(self.command(1, folder / "peace"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.seconds = time.monotonic() - began
        self.expected = self.all_hashes(folder / "peace")

    def command(self, ranks: int, out: Path) -> list[str]:
        run = [str(self.binary), "run", str(self.sweep), "--out", str(out)]
        return ["mpirun", "-n", str(ranks), *run] if ranks > 1 else run

    @staticmethod
    def all_hashes(out: Path) -> dict[str, dict[str, str]]:
        return {str(file.parent.relative_to(out)): hashes(file) for file in sorted(out.rglob("results.h5"))}


def one_round(bench: Bench, number: int, rng: random.Random, tally: Tally) -> None:
    """A fresh folder, kills until it is through."""
    out = bench.folder / f"round-{number}"
    session = bench.folder / f"session-{number}"
    environment = mpi_environment(session)
    kills = rng.randint(1, 4)
    starts: list[Start] = []
    while True:
        starts.append(Start(utc_now(), journalled_units(out)))
        ranks = rng.randint(1, 4)
        tally.starts += 1
        log = (bench.folder / f"log-{number}").open("w+")
        others = set(processes_of(bench.binary))
        running = subprocess.Popen(
            bench.command(ranks, out), env=environment, stdout=log, stderr=log, start_new_session=True
        )
        if kills > 0:
            kills -= 1
            try:
                running.wait(rng.uniform(0.3, bench.seconds + 0.6 * ranks))
            except subprocess.TimeoutExpired:
                ours = [p for p in processes_of(bench.binary) if p not in others]
                victim = rng.choice([running.pid, *ours])
                tally.kills["launcher" if victim == running.pid and ranks > 1 else "rank"] += 1
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        code = running.wait(timeout=300)
        log.seek(0)
        text = log.read()
        if code == 0:
            if "complete already" in text:
                starts.pop()  # ranks that outlived their launcher for a moment had finished before this start came
            check_end(bench, out, starts, tally)
            break
        assert code != 2, text  # whatever dies, the same command goes on
    tally.rounds += 1


def check_end(bench: Bench, out: Path, starts: list[Start], tally: Tally) -> None:
    """Bits of all datasets; and what was journalled before the start that wrote them came from there."""
    found = bench.all_hashes(out)
    assert found == bench.expected, out
    if len(found) == 1:
        with h5py.File(out / "results.h5") as results:
            facts = results["provenance"].attrs
            # The writer is the last start before its ranks' own clock: a later one may have been killed as it waited.
            # Clocks tell whole seconds: of starts in the same second it may be any, or the one before.
            before = [start for start in starts if start.when < facts["started"]]
            beside = [start for start in starts if start.when == facts["started"]]
            kept = min(start.units() for start in [*before[-1:], *beside])
            tally.units_kept += kept
            # Ranks that outlive their launcher for a moment may journal a little more.
            assert facts["units_restored"] >= kept, "journalled units were computed again"
            total = sum(map(len, journalled_units(out).values()))
            assert facts["units_restored"] + facts["units_computed"] == total
    journalled_units(out)


def run_rounds(binary: Path, folder: Path, rounds: int, seed: int) -> Tally:
    """`rounds` rounds over all configurations in turn."""
    rng = random.Random(seed)
    tally = Tally()
    benches = [Bench(binary, folder / name, name) for name in METHODS]
    for number in range(rounds):
        one_round(benches[number % len(benches)], number, rng, tally)
    return tally


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "tributary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tributary-kill-") as folder:
        tally = run_rounds(options.binary.absolute(), Path(folder), options.rounds, options.seed)
    sys.stdout.write(tally.text() + "\n")


if __name__ == "__main__":
    main()
