# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What a user waits for: single-backward methods and whole commands against a script that puts all pairs in one batch,
on the demo model, on a random model of a billion parameters and on prompts of 400 tokens."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from peer_times import PeerTimes
from product_runs import Product
from reference.pairs import fitting_pairs
from report import Check, Row
from settings import LONG, long_pairs, random_billion
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from rows import Bench

SKIP = {"linearisation_gap": "skip"}


def _add(row: Row, what: str, ours: float, theirs: float, at_least: float | None) -> None:
    row.checks.append(Check(what, theirs / ours, at_least=at_least, form="{:.2f} x", other=theirs))


def _commands(name: str, product: Product, at_most: float) -> Row:
    """Wall seconds of the whole command against the script's, the faster of two each."""
    run = product.run(f"{name}, relp by default", {"method": "relp"})
    command = [sys.executable, str(Path(__file__).with_name("script_command.py"))]
    arguments = [str(product.model), str(product.files.train), str(product.pairs)]
    script = []
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([*command, *arguments], check=True, capture_output=True)
        script.append(time.perf_counter() - began)
    row = Row(f"whole command, {name}", min(run.walls) / product.pairs)
    what = "share of the script's, imports and loading included"
    row.checks.append(Check(what, min(run.walls) / min(script), at_most=at_most, other=min(script) / product.pairs))
    row.notes.append(f"{min(run.walls):.2f} s, of which start {run.start:.2f}; the script {min(script):.2f} s")
    return row


def whole_command(bench: Bench) -> list[Row]:
    return [_commands("demo model", bench.product, at_most=0.35)]


def billion(bench: Bench) -> list[Row]:
    model = random_billion(bench.product.folder.with_name("billion"), bench.product.model)
    product = Product(
        bench.product.binary, model, bench.product.files, bench.folder("billion-runs"), min(8, bench.pairs)
    )
    row = Row("relp, random billion, one batch of pairs")
    row.seconds_per_pair = product.run("relp, gap skipped", {"method": "relp"} | SKIP).attribution_per_pair
    by_default = product.run("billion, relp by default", {"method": "relp"}).attribution_per_pair
    command = _commands("billion", product, at_most=0.5)  # while no other copy of the model is loaded
    pairs = fitting_pairs(product.files.train, Tokenizer.from_file(str(model / "tokenizer.json")), product.pairs)
    script = PeerTimes(model, pairs)["script, single backward"].one_batch
    _add(row, "script, one batch; gap skipped", row.seconds_per_pair, script, 1.5)
    _add(row, "script, one batch; by default", by_default, script, 1.2)
    return [row, command]


def long_prompts(bench: Bench) -> list[Row]:
    tokenizer = Tokenizer.from_file(str(bench.product.model / "tokenizer.json"))
    folder = bench.folder("long-runs")
    files = long_pairs(folder.with_suffix(".jsonl"), bench.product.files.train, tokenizer, min(8, bench.pairs))
    pairs = fitting_pairs(files.train, tokenizer)
    product = Product(bench.product.binary, bench.product.model, files, folder, len(pairs))
    script = PeerTimes(bench.product.model, pairs)["script, single backward"].one_batch
    row = Row(f"relp, {LONG} tokens")
    summed = product.run("relp, positions summed", {"method": "relp"} | SKIP, positions="sum")
    row.seconds_per_pair = summed.attribution_per_pair
    _add(row, "script, one batch; positions: sum", row.seconds_per_pair, script, 1.3)
    each = product.run("relp, each position", {"method": "relp"} | SKIP)
    _add(row, "script, one batch; each position", each.attribution_per_pair, script, 1.3)
    row.notes.append("each position: sums, squares and signs of 18 million nodes are folded and journalled")
    return [row]
