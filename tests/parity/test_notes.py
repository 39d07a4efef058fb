# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What the program says of settings that are no mistake but do nothing, and of mistakes: all at once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest
from product import read_results
from workbench import Workbench


def notes_of(bench: Workbench, *more: str) -> list[str]:
    """What a run that goes through remarks."""
    done = bench.run(*more, "--fresh")
    assert done.returncode == 0, done.stderr
    start = "tributary: note: "
    return [line.removeprefix(start) for line in done.stderr.splitlines() if line.startswith(start)]


def nodes_of(bench: Workbench) -> int:
    """How many nodes the workbench's runs score."""
    notes_of(bench)
    return read_results(bench.out / "results.h5")["/attribution/scores"].size


@pytest.mark.parametrize(
    ("method", "why"),
    [("exact-patching", "the exact effects that scores are compared with"), ("input-ig", "which scores tokens")],
)
def test_keys_that_a_method_does_not_use(method, why, bench):
    """Named, each with the method that leaves it out; keys that it does use are not."""
    bench.settings["attribution"] = {"method": method}
    bench.settings["agreement"] = {"sample": 20}
    bench.settings["top"] = 5
    unused = [note for note in notes_of(bench) if "is not used by" in note]
    named = ["agreement"] if method == "exact-patching" else ["agreement", "top", "circuit"]
    assert [note.split()[0] for note in unused] == named
    assert all(f"is not used by '{method}', {why}" in note for note in unused)
    bench.settings["attribution"] = {"method": "atp"}
    assert not [note for note in notes_of(bench) if "is not used by" in note]


def test_pairs_skipped_for_their_length(bench):
    """How many, which length is taken and who has decided it, from every command; nothing where the file says it."""

    def lengthen(lines: list[str]) -> None:
        for i in range(0, len(lines), 2):
            pair = json.loads(lines[i])
            for key in ("clean_prefix", "patch_prefix"):
                pair[key] += " the the"
            lines[i] = json.dumps(pair)

    bench.edit_pairs(lengthen)
    bench.settings["pairs"]["unfit"] = "skip"
    bench.settings["circuit"] = {"counts": [10], "ablation": "zero"}
    (said,) = [note for note in notes_of(bench) if "token length" in note]
    assert re.match(r"\d+ pairs? that fits? otherwise (is|are) skipped for (its|their) token length: ", said)
    with h5py.File(bench.out / "results.h5") as results:
        length = len(results["pairs/clean_ids"][0])
        skipped = results["pairs"].attrs["skipped"]
    assert said.startswith(f"{skipped} ")
    assert f"here {length} (that of " in said and "after the shuffle by pairs.seed" in said
    for command in ("plan", "validate"):
        ran = subprocess.run(
            [bench.binary, command, "sweep.yaml"], capture_output=True, text=True, check=True, cwd=bench.folder
        )
        assert ran.stdout.count(f"note: {said}\n") == 1
    bench.settings["pairs"]["length"] = length
    assert not [note for note in notes_of(bench) if "token length" in note]


def test_numbers_without_an_interval(bench):
    """A dash in the table with the reason below it, and the reason on the page."""
    bench.settings["pairs"]["test"] = 1
    bench.settings["circuit"] = {"counts": [10], "ablation": "zero"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    reason = "no interval of faithfulness and completeness: there is a single held-out pair"
    assert "nan to nan" not in done.stdout
    assert re.search(rf"^ +10 +\S+  – +\S+  –\n  {reason}", done.stdout, re.MULTILINE), done.stdout
    assert reason in (bench.out / "report.html").read_text()


def test_top_of_more_nodes_than_have_a_score(bench):
    """Said where it was asked for; the default is no wish."""
    nodes = nodes_of(bench)
    assert f"top asks for {nodes + 1} nodes, and {nodes} have a score" in notes_of(bench, f"top={nodes + 1}")
    assert not [note for note in notes_of(bench, f"top={nodes}") if note.startswith("top ")]
    sampled = {"method": "exact-patching", "sample": 20}
    bench.settings["attribution"] = sampled
    assert "top asks for 21 nodes, and 20 have a score" in notes_of(bench, "top=21")
    assert not [note for note in notes_of(bench) if note.startswith("top ")]


@pytest.mark.parametrize(
    ("nodes", "behind"),
    [
        (["neurons"], "MLP"),
        (["heads"], "attention"),
        (["heads", "neurons"], "attention and MLP"),
        (["mlps"], None),
        (["embeddings"], None),
    ],
)
def test_norms_behind_what_is_scored_against_zero(nodes, behind, binary, tmp_path, tiny_folder):
    """Each sub-layer that the run's nodes write through is named; the rule norm, or another baseline, says nothing."""
    bench = Workbench(binary, tmp_path, tiny_folder("gemma3_text"))
    bench.settings |= {"nodes": nodes, "circuit": {}}
    bench.settings["attribution"] = {"method": "atp", "baseline": "zero"}
    told = [note for note in notes_of(bench) if "whatever its size" in note]
    if behind is None:
        assert not told
    else:
        assert len(told) == 1 and told[0].startswith(f"a norm stands behind each {behind}, ")
    for other in ({"method": "atp"}, {"method": "relp", "baseline": "zero"}):
        bench.settings["attribution"] = other
        assert not [note for note in notes_of(bench) if "whatever its size" in note]
    if behind is not None:
        bench.settings["attribution"] = {"method": "ig-acts", "baseline": "zero"}
        shutil.rmtree(bench.out)
        bench.refused(f"a norm stands behind each {behind}: ")


def test_bad_neurons_to_steer_are_named_together(bench):
    """Those that are no neurons' names; and those that the model or the prompts do not have."""
    bench.settings["steering"] = {"factors": [2], "neurons": ["x", "0/0/1", "1/y"]}
    bench.refused("'x' names no neuron", "'1/y' names no neuron")
    bench.settings["steering"]["neurons"] = ["3/0", "0/99/9", "1/48", "0/0/1"]
    said = bench.refused("there is no layer 3", "there is no position 99", "there is no neuron 48")
    assert said.count("steering.neurons: there is no") == 3


def test_sizes_that_do_not_fit_are_named_together(bench):
    """Each with its key."""
    bench.settings |= {"circuit": {"counts": [10, 99999]}, "agreement": {"sample": 9998}}
    bench.settings["attribution"]["keep"] = 99997
    bench.refused(
        "circuit.counts: asks for 99999 nodes", "agreement.sample: asks for 9998", "attribution.keep: asks for 99997"
    )


def test_scores_that_are_all_zero_have_no_first_ones(bench):
    """Every down projection is zero: no neuron is called one of the strongest, and nothing is said to agree."""
    header, data = bench.weights()
    for name, entry in header.items():
        if "down_proj" in name:
            first, end = entry["data_offsets"]
            data = data[:first] + bytes(end - first) + data[end:]
    bench.write_weights(header, data)
    bench.settings["agreement"] = {"sample": 40}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    results = read_results(bench.out / "results.h5")
    assert f"all {results['/attribution/scores'].size} scores are 0" in done.stdout
    assert "  rank  layer" not in done.stdout
    for name in ("value", "value_low", "value_high"):
        assert np.isnan(results[f"/agreement/{name}"]).all(), name
