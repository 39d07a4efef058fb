# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Files of scores that cannot be imported: each is refused with its place, why, and what to do."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

GOOD_ROWS = "kind,layer,position,index,score\nheads,0,,0,1\n"


class Refusals:
    """A run of a tiny model whose file of scores is broken."""

    def __init__(self, bench) -> None:
        self.bench, self.folder = bench, bench.folder
        bench.settings |= {"nodes": ["heads"], "positions": "sum"}

    def refused(self, file: str, *words: str, **settings: object) -> None:
        self.bench.settings |= settings
        self.bench.settings["attribution"] = {"method": "imported", "file": file}
        self.bench.refused(file, *words)


@pytest.fixture
def refusals(bench) -> Refusals:
    return Refusals(bench)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind,layer,index,score\nheads,0,0,1\n", ["r.csv:1:", "kind, layer, position, index and score"]),
        ("", ["is empty"]),
        (GOOD_ROWS.splitlines()[0], ["lists no node"]),
        (GOOD_ROWS + "heads,0,,0,2\n", ["r.csv:3:", "second time"]),
        (GOOD_ROWS + "heads,0,,99,2\n", ["r.csv:3:", "no index 99"]),
        (GOOD_ROWS + "heads,-1,,0,2\n", ["r.csv:3:", "no layer -1"]),
        (GOOD_ROWS + "heads,0,3,1,2\n", ["r.csv:3:", "positions are summed"]),
        (GOOD_ROWS + "head,0,,1,2\n", ["r.csv:3:", "did you mean 'heads'"]),
        (GOOD_ROWS + "mlps,0,,0,2\n", ["r.csv:3:", "add mlps to nodes"]),
        (GOOD_ROWS + "heads,0,,1,nan\n", ["r.csv:3:", "'nan'"]),
        (GOOD_ROWS + "heads,0,,1,inf\n", ["r.csv:3:", "'inf'"]),
        (GOOD_ROWS + "heads,0,,1,1e300\n", ["r.csv:3:", "finite in float32"]),
        (GOOD_ROWS + "heads,0.5,,1,1\n", ["r.csv:3:", "'0.5'"]),
        (GOOD_ROWS + "heads,0,,1\n", ["r.csv:3:", "4 cells"]),
        (GOOD_ROWS + "heads,0,,1,\nheads,x,,1,2\n", ["r.csv:3:", "r.csv:4:"]),
        (GOOD_ROWS.replace("heads", "\udcff"), ["UTF-8"]),
    ],
)
def test_bad_tables(text, words, refusals):
    (refusals.folder / "r.csv").write_bytes(text.encode(errors="surrogateescape"))
    refusals.refused("r.csv", *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"nodes": {"a0.h0": {"score": 1}, "a0.h9": {"score": 1}}}', ["a0.h9", "no index 9"]),
        ('{"nodes": {"a0.h0": {"score": 1}, "m0": {"score": 1}}}', ["m0", "add mlps to nodes"]),
        ('{"nodes": {"a0.h0": {"in_graph": true}}}', ["a0.h0", "circuits of edges"]),
        ('{"nodes": {"a0.h0": {"score": NaN}}}', ["r.json:1:"]),
        ('{"nodes": {"a0.h0": {"score": 1}, "a00.h0": {"score": 1}}}', ["second time"]),
        ('{"nodes": {"a0.h0": {"score": 1}, "a0.h0": {"score": 1}}}', ["r.json:1:"]),
        ('{"nodes": {"b0": {"score": 1}}}', ["b0", "names no node"]),
        ('{"nodes": {}}', ["lists no node"]),
        ('{"edges": {}}', ["nodes"]),
        ('{"cfg": {"n_heads": 99}, "nodes": {"a0.h0": {"score": 1}}}', ["99", "take the scores of this model"]),
    ],
)
def test_bad_circuits(text, words, refusals):
    (refusals.folder / "r.json").write_text(text)
    refusals.refused("r.json", *words)


def test_circuits_have_no_positions(refusals):
    (refusals.folder / "r.json").write_text('{"nodes": {"a0.h0": {"score": 1}}}')
    refusals.refused("r.json", "positions: sum", positions="keep")


def test_bad_arrays(refusals, tiny_model):
    config = tiny_model("llama").model.config
    good = np.zeros((config.num_hidden_layers, 1, config.num_attention_heads), np.float32)
    good[0, 0, 0] = 1
    missing = good.copy()
    missing[1, 0, 1] = np.nan
    overflowing = good.astype(np.float64)
    overflowing[0, 0, 1] = 1e300
    for scores, words in [
        (good[:1], ["[1, 1,", "(layer, position, head)"]),
        (np.repeat(good, 3, axis=1), ["add the positions up"]),
        (missing, ["heads:1/1", "nan"]),
        (overflowing, ["heads:0/1", "1e+300"]),
        (good.astype(np.float16), ["'<f2'", "astype(numpy.float32)"]),
        (good.astype(">f4"), ["'>f4'"]),
        (np.asfortranarray(good), ["Fortran"]),
        (good.astype(np.int64), ["'<i8'"]),
    ]:
        np.save(refusals.folder / "r.npy", scores)
        refusals.refused("r.npy", *words)
    np.save(refusals.folder / "r.npy", good)
    refusals.refused("r.npy", "positions: sum", positions="keep")
    refusals.refused("r.npy", "several kinds", positions="sum", nodes=["heads", "mlps"])
    save_file({"heads": good}, refusals.folder / "r.safetensors")
    refusals.refused("r.safetensors", "no scores of mlps")
    refusals.refused("r.safetensors", "no scores of neurons", "has scores of heads", nodes=["neurons"])
    save_file({"heads": good.astype(np.float16)}, refusals.folder / "r.safetensors")
    refusals.refused("r.safetensors", "F16", nodes=["heads"])
    save_file({"other": good}, refusals.folder / "r.safetensors")
    refusals.refused("r.safetensors", "no array of scores")


def test_bad_hdf5(refusals, tiny_model):
    config = tiny_model("llama").model.config
    good = np.ones((config.num_hidden_layers, 1, config.num_attention_heads), np.float32)
    file = refusals.folder / "r.h5"
    with h5py.File(file, "w") as stored:
        stored["heads"] = good.astype(np.int64)
    refusals.refused("r.h5", "neither float32 nor float64")
    with h5py.File(file, "w") as stored:
        stored["heads"] = good
        stored["nodes/heads/scores"] = good
    refusals.refused("r.h5", "twice")
    with h5py.File(file, "w") as stored:
        stored["heads"] = h5py.ExternalLink("other.h5", "/heads")
    refusals.refused("r.h5", "link")
    with h5py.File(file, "w") as stored:
        stored["heads"] = good
    file.write_bytes(file.read_bytes()[:-16])
    refusals.refused("r.h5", "cannot open it as an HDF5 file")
    file.write_bytes(b"not HDF5")
    refusals.refused("r.h5", "cannot open it as an HDF5 file")


def test_results_that_were_changed(refusals):
    """Our own file is held against its hash before HDF5 sees it."""
    assert refusals.bench.run().returncode == 0
    damaged = bytearray((refusals.bench.out / "results.h5").read_bytes())
    shutil.rmtree(refusals.bench.out)
    damaged[-5] ^= 1
    (refusals.folder / "r.h5").write_bytes(damaged)
    refusals.refused("r.h5", "do not match their hash")


def test_settings_that_do_not_fit(refusals):
    (refusals.folder / "r.csv").write_text(GOOD_ROWS)
    bench = refusals.bench
    for attribution, words in [
        ({"method": "imported"}, ["attribution.file"]),
        ({"method": "relp", "file": "r.csv"}, ["method imported only"]),
        ({"method": "imported", "file": "missing.csv"}, ["missing.csv"]),
        ({"method": "imported", "file": "r.csv", "rules": "relp"}, ["takes no gradient"]),
        ({"method": "imported", "file": "r.csv", "quadrature": "left"}, ["takes no quadrature"]),
        ({"method": "imported", "file": "r.csv", "steps": 3}, ["takes no steps"]),
        ({"method": "imported", "file": "r.csv", "baseline_file": "pairs.jsonl"}, ["baseline: mean"]),
        ({"method": "imported", "file": "r.csv", "audit": 1}, ["audit"]),
    ]:
        bench.settings["attribution"] = attribution
        bench.refused(*words)
    (refusals.folder / "r.txt").write_text(GOOD_ROWS)
    refusals.refused("r.txt", ".npy, .safetensors, .h5, .json or .csv")
