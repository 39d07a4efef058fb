# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Sweep files: every mistake is named with its place before any work, and the schema that they are checked against."""

from __future__ import annotations

import subprocess

import h5py
import pytest
from workbench import Workbench


def test_every_mistake_of_a_sweep_file_in_one_go(bench):
    """Unknown, duplicate, mistyped, missing and bad values, each with its place."""
    (bench.folder / "bad.yaml").write_text(
        "schema: 1\nname: x\nmodel: {path: model, dtype: float16}\npairs: {file: pairs.jsonl, file: pairs.jsonl}\n"
        "attribution:\n  method: ig-act\n  stpes: 10\n  tolerance: much\n"
    )
    command = [str(bench.binary), "run", "bad.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bench.folder)
    assert done.returncode == 2
    for words in (
        ("bad.yaml:3:", "float16", "bfloat16"),
        ("bad.yaml:4:", "file"),
        ("bad.yaml:6:", "ig-act", "ig-acts"),
        ("bad.yaml:7:3", "stpes", "steps"),
        ("bad.yaml:8:", "tolerance"),
    ):
        assert any(all(word in line for word in words) for line in done.stderr.splitlines()), (words, done.stderr)


def test_methods_that_do_not_fit_their_settings(bench):
    """Checked against the table of methods, with the key's place."""
    bench.settings["attribution"] = {"method": "atp", "quadrature": "right"}
    bench.refused("sweep.yaml:1:", "attribution.quadrature", "atp")
    bench.settings["attribution"] = {"method": "conductance", "direction": "denoise"}
    bench.refused("attribution.direction", "denoise")


def test_a_rule_that_never_fires(binary, tmp_path, tiny_folder):
    """Asked for by name it is an error, in a preset a note."""
    bench = Workbench(binary, tmp_path, tiny_folder("gpt2"))
    bench.settings["attribution"] = {"method": "atp", "rules": {"half": True}}
    bench.refused("half", "gpt2", "0 times")
    bench.settings["attribution"] = {"method": "relp"}
    done = bench.run()
    assert done.returncode == 0 and "half" in done.stderr
    with h5py.File(bench.out / "results.h5") as results:
        assert results["attribution"].attrs["fired_half"] == 0
        assert "half" not in results["attribution"].attrs["rules"]
        assert results["attribution"].attrs["fired_norm"] > 0


def test_the_schema_is_the_table_that_validates(binary):
    """Every key with its type, default and meaning."""
    done = subprocess.run([str(binary), "schema"], capture_output=True, text=True, check=True)
    for key in ("attribution.method", "pairs.unfit", "circuit.ablation", "threads", "batch_rows", "model.dtype"):
        assert key in done.stdout
    assert "relp-jafari" in done.stdout and "resample" in done.stdout


def test_sizes_that_only_the_model_knows(bench):
    """Given values are refused before any work, defaults shrink to the model."""
    bench.settings["circuit"] = {"counts": [10**6]}
    bench.refused("circuit.counts", "sweep.yaml:1:")
    bench.settings["circuit"] = {}
    bench.settings["metric"], bench.settings["metric_top"] = "sum-of-logits", 999
    bench.refused("metric_top", "vocabulary")
    bench.settings["metric_top"] = 3
    bench.settings["attribution"] = {"method": "exact-patching"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    bench.settings["circuit"] = {"ablation_pairs": "train"}
    assert bench.run("--fresh").returncode == 0


def test_a_sweep_is_checked_whole_before_it_starts(bench):
    """A run in the middle that cannot be is named, and nothing is computed."""
    bench.settings["sweep"] = {
        "grid": {"attribution.method": ["atp", "ig-inputs"], "attribution.direction": ["clean", "denoise"]}
    }
    bench.refused("method=ig-inputs,direction=denoise")


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"grid": {"attribution.stpes": [1, 2]}}, ("attribution.stpes", "did you mean 'attribution.steps'")),
        ({"zip": {"pairs.seed": [1, 2], "attribution.method": ["atp"]}}, ("sweep.zip", "equally long")),
        ({"grid": {"pairs.seed": [1, 2]}, "exclude": [{"pairs.seed": 1}, {"pairs.seed": 2}]}, ("leaves no run",)),
        ({"grid": {"pairs.seed": [1]}, "include": [{"pairs.seed": 4}, {"pairs.seed": 4}]}, ("two runs of one name",)),
        ({"grid": {"attribution.method": ["atp", "atp"]}}, ("twice",)),
        ({"grid": []}, ("must be a mapping",)),
    ],
)
def test_sweeps_that_cannot_be(sweep, words, bench):
    """Each mistake of a sweep with its words."""
    bench.settings["sweep"] = sweep
    bench.refused(*words)


def test_a_grid_gives_a_folder_a_run(bench):
    """One run's mistake leaves the others."""
    bench.settings["sweep"] = {"grid": {"attribution.method": ["atp", "relp"], "circuit.counts": [[10], [10**9]]}}
    done = bench.run()
    assert done.returncode == 2 and "1000000000" in done.stderr
    assert sorted(file.parent.parent.name for file in bench.out.rglob("results.h5")) == ["out", "out"]
    page = (bench.out / "report.html").read_text()
    assert "is not finished" in page, "the report is there, and says what is missing"


def test_what_the_terminal_says_of_circuits(bench):
    """Areas without an ideal for CPR, which has no bound; and how far a sample of scores reaches."""
    done = bench.run()
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "CPR" in line)
    assert "0.999" not in line and "ideal" not in line.split("CMD")[0] and "have a score" not in done.stdout
    bench.settings["attribution"] = {"method": "exact-patching", "sample": 20}
    bench.settings["steering"] = {"factors": [2], "top": 30}
    done = bench.run("--fresh")
    assert done.returncode == 0, done.stderr
    assert "20 of 720 nodes have a score" in done.stdout
    assert "steering.top asks for 30 nodes" in done.stderr
