# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark: what the program runs, what it is compared with, and the targets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agreement import Errors, overlap, pearson
from peer_times import PeerTimes
from product_runs import START, Product, Run
from report import Check, Row
from user_rows import billion, long_prompts, whole_command

RIGHT_10 = {"quadrature": "right", "steps": 10}
ADAPTIVE = {"method": "ig-acts", "quadrature": "adaptive", "tolerance": 0.01}
ACTS_RIGHT = {"method": "ig-acts", **RIGHT_10}
SHARED_SWEEP = ["input-ig", "ig-inputs", "conductance"]
SIX = {"ig-acts": ADAPTIVE, "atp": {"method": "atp"}, "relp": {"method": "relp"}} | {
    method: {"method": method, **RIGHT_10} for method in SHARED_SWEEP
}
COUNTS = [round(10 ** (1 + 4 * i / 19)) for i in range(20)]
LAYOUTS = {
    "1 rank x 1 thread": {"ranks": 1, "threads": 1},
    "2 ranks x 1 thread": {"ranks": 2, "threads": 1},
    "1 rank x 2 threads": {"ranks": 1, "threads": 2},
}
CAPTUM_IG, CAPTUM_CONDUCTANCE = "Captum LayerIntegratedGradients", "Captum LayerConductance"


@dataclass
class Bench:
    """What rows are made from."""

    product: Product
    peers: PeerTimes
    errors: Errors
    peak: dict[str, float]  # GFLOP/s by dtype
    pairs: int
    scaling_seconds: float  # least time of the run that scaling is measured on

    def folder(self, name: str) -> Path:
        """An empty folder beside that of the other runs."""
        made = self.product.folder.with_name(name)
        made.mkdir()
        return made

    def row(self, name: str, run: Run, seconds: float | None = None, dtype: str = "float32") -> Row:
        """A row on the attribution of a run."""
        # The pilot of a bfloat16 run is float32: it counts in the time, not in the rate.
        rate = run.gflops("attribution", "pilot") if dtype == "float32" else run.gflops("attribution")
        per_pair = run.attribution_per_pair if seconds is None else seconds / run.pairs
        return Row(name, per_pair, run.estimated, rate and rate / self.peak[dtype])

    def against(self, row: Row, peer: str, at_least: float | None = None) -> None:
        """How many times the peer takes: one pair at a time against the target, in batches to compare."""
        for peer_time in self.peers[peer].times:
            other = peer_time.seconds_per_pair
            what = f"{peer}, {peer_time.label}"
            target = at_least if peer_time.batch == 1 else None
            row.checks.append(Check(what, other / row.seconds_per_pair, target, form="{:.2f} x", other=other))


def ig_acts_adaptive(bench: Bench) -> list[Row]:
    run = bench.product.run("ig-acts adaptive", ADAPTIVE)
    row = bench.row("ig-acts, adaptive 1 %, float32", run)
    bench.against(row, CAPTUM_IG, at_least=12)
    errors = bench.errors
    ours = errors.of("ig-acts adaptive", errors.product_scores("ig-acts adaptive", ADAPTIVE))
    theirs = errors.of(CAPTUM_IG, errors.peer_scores(CAPTUM_IG))
    what = f"relative L1 to 65 points, {errors.pairs} pairs (limit: Captum's)"
    row.checks.append(Check(what, ours, at_most=theirs, form="{:.5f}"))
    residual = abs(run.results[0]["/attribution/residual"]).mean()
    evaluations = run.results[0]["/attribution/evaluations"].mean()
    row.notes.append(f"mean |residual| {residual:.5f} logits; {evaluations:.2f} gradients a pair and layer")
    row.notes.append(f"65 points agree with the script's to {errors.of_reference():.1e} (relative L1, one pair)")
    return [row]


def ig_acts_bfloat16(bench: Bench) -> list[Row]:
    reference = bench.product.run("ig-acts adaptive", ADAPTIVE)
    run = bench.product.run("ig-acts adaptive bfloat16", ADAPTIVE, dtype="bfloat16")
    row = bench.row("ig-acts, adaptive 1 %, bfloat16", run, dtype="bfloat16")
    bench.against(row, CAPTUM_IG, at_least=30)
    found, expected = run.scores(), reference.scores()
    what = "Pearson with float32 adaptive"
    row.checks.append(Check(what, pearson(found, expected), at_least=0.995, form="{:.5f}"))
    what = "top-100 in common with float32"
    row.checks.append(Check(what, overlap(found, expected, 100), at_least=95, form="{:.0f}"))
    return [row]


def ig_acts_right(bench: Bench) -> list[Row]:
    run = bench.product.run("ig-acts right 10", ACTS_RIGHT)
    row = bench.row("ig-acts, right 10, float32", run)
    bench.against(row, CAPTUM_IG, at_least=3.5)
    bench.against(row, "script, IG-activations")
    if row.of_peak is not None:
        row.checks.append(Check("of the float32 matrix peak", row.of_peak, at_least=0.75))
    return [row]


def embedding_path(bench: Bench) -> list[Row]:
    settings = {"method": SHARED_SWEEP[0], **RIGHT_10}
    run = bench.product.run("embedding sweep", settings, sweep={"grid": {"attribution.method": SHARED_SWEEP}})
    row = bench.row("input-ig + ig-inputs + conductance, right 10", run, run.after_start)
    bench.against(row, CAPTUM_CONDUCTANCE, at_least=30)
    bench.against(row, "script, one sweep", at_least=1.3)
    return [row]


def single_backward(bench: Bench) -> list[Row]:
    rows = []
    for method in ("atp", "relp"):
        run = bench.product.run(method, {"method": method, "linearisation_gap": "skip"})
        row = bench.row(method, run)
        bench.against(row, "script, single backward", at_least=2)
        by_default = bench.product.run(f"{method}, by default", {"method": method}).attribution_per_pair
        batch = bench.peers["script, single backward"].one_batch
        what = "script, one batch of all pairs; by default"
        row.checks.append(Check(what, batch / by_default, at_least=1.5, form="{:.2f} x", other=batch))
        for gap, setting in (("the gap of all", {"linearisation_gap": "all"}),):
            measured = bench.product.run(f"{method}, {gap}", {"method": method} | setting)
            row.notes.append(f"{measured.attribution_per_pair:.4f} s a pair {gap}")
        rows.append(row)
    return rows


def curve(bench: Bench) -> list[Row]:
    settings = {"method": "atp", "linearisation_gap": "skip"}
    circuit = {"counts": COUNTS, "ranking": "abs", "ablation": "mean"}
    run = bench.product.run("curve", settings, circuit=circuit, pairs_test=bench.pairs)
    row = Row(f"circuit curve, {len(COUNTS)} counts", estimated=run.estimated)
    seconds = run.provenance("seconds")
    if seconds is None:
        row.seconds_per_pair = (run.attribution - bench.product.run("atp", settings).attribution) / bench.pairs
    else:
        row.seconds_per_pair = seconds["circuits"] / bench.pairs
    rate = run.gflops("circuits")
    if rate is not None:
        row.of_peak = rate / bench.peak["float32"]
        row.checks.append(Check("of the float32 matrix peak", row.of_peak, at_least=0.65))
    return [row]


def six_methods(bench: Bench) -> list[Row]:
    settings = {"linearisation_gap": "skip"}
    name = "six methods in one sweep"
    include = [{f"attribution.{key}": value for key, value in method.items()} for method in SIX.values()]
    cases = {name: {"method": "atp", **settings, "more": {"sweep": {"include": include}}}}
    cases |= {f"{method} alone": {**own, **settings} for method, own in SIX.items()}
    runs = bench.product.in_turn(cases)
    sweep = runs.pop(name)
    total = sum(run.after_start for run in runs.values()) + min(run.start for run in runs.values())
    row = bench.row(name, sweep, sweep.wall)
    what = "share of the six alone, start-up counted once"
    row.checks.append(Check(what, sweep.wall / total, at_most=0.75, other=total / bench.pairs))
    row.notes.append("ig-acts adaptive, the three on the embedding path by the right rule with 10 points")
    return [row]


def scaling(bench: Bench) -> list[Row]:
    single, *layouts = LAYOUTS
    trial = bench.product.run("scaling, trial", ACTS_RIGHT, 1, **LAYOUTS[single])
    growth = max(1.0, 1.2 * bench.scaling_seconds / trial.attribution)
    attribution = ACTS_RIGHT | {"steps": math.ceil(ACTS_RIGHT["steps"] * growth)}
    runs = bench.product.in_turn({f"scaling, {name}": attribution | {"more": LAYOUTS[name]} for name in LAYOUTS})
    one = runs[f"scaling, {single}"]
    row = Row(f"ig-acts, right {attribution['steps']}, {single}", one.attribution_per_pair, one.estimated)
    for layout in layouts:
        run = runs[f"scaling, {layout}"]
        ratio = one.attribution / run.attribution
        row.checks.append(Check(layout, ratio, at_least=1.9, form="{:.2f} x", other=run.attribution_per_pair))
    row.notes.append(f"attribution takes {one.attribution:.1f} s")
    return [row]


def start(bench: Bench) -> list[Row]:
    run = bench.product.run(START, {"method": "delta"}, pairs=1)
    started = run.wall if run.estimated else run.start
    reading = min(_read_time(bench.product.model / "model.safetensors") for _ in range(3))
    row = Row("start to first unit", estimated=run.estimated)
    what = f"seconds, without {reading:.2f} s to read the model"
    row.checks.append(Check(what, started - reading, at_most=1.5, form="{:.2f} s"))
    return [row]


def _read_time(file: Path) -> float:
    """Seconds to read a file that the operating system holds in memory."""
    buffer = memoryview(bytearray(1 << 24))
    began = time.perf_counter()
    with file.open("rb", buffering=0) as stored:
        while stored.readinto(buffer):
            pass
    return time.perf_counter() - began


ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "ig-acts-adaptive": ig_acts_adaptive,
    "ig-acts-bfloat16": ig_acts_bfloat16,
    "ig-acts-right": ig_acts_right,
    "embedding-path": embedding_path,
    "single-backward": single_backward,
    "curve": curve,
    "six-methods": six_methods,
    "scaling": scaling,
    "start": start,
    "whole-command": whole_command,
    "billion": billion,
    "long-prompts": long_prompts,
}
WITHOUT_PEERS = {"curve", "six-methods", "scaling", "start", "whole-command", "billion", "long-prompts"}
