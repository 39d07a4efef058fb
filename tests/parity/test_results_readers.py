# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""results.h5 in other people's hands: xarray and pandas read every group of it; h5py may open it for writing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
import xarray
from product import hashes
from test_tiny_scores import path, settings_of

GROUPS = ["agreement", "attribution", "cases", "circuit", "pairs", "provenance", "steering", "top"]


@pytest.fixture(scope="module")
def sweep(binary, tiny_folder, tmp_path_factory) -> Path:
    """A folder with two finished runs: one of every group, and one on the embedding path."""
    folder = tmp_path_factory.mktemp("readers")
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()
    records = [json.loads(line) | {"case": "odd" if i % 2 else "even"} for i, line in enumerate(lines)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = settings_of(tiny_folder("llama"), attribution=path("ig-acts", "midpoint", 2, keep="full"))
    settings |= {"schema": 1, "name": "readers", "agreement": {"sample": 12}, "steering": {"factors": [0, 1]}}
    settings["pairs"] = {"file": str(folder / "pairs.jsonl"), "train": 5, "test": 3}
    settings["sweep"] = {"grid": {"attribution.method": ["ig-acts", "ig-inputs"]}}
    (folder / "sweep.yaml").write_text(json.dumps(settings))
    run(binary, folder, "run", folder / "sweep.yaml", "--out", folder / "out")
    return folder


def run(binary: Path, folder: Path, *words: object, code: int = 0) -> subprocess.CompletedProcess:
    """The program, with an exit code that is expected."""
    done = subprocess.run([str(w) for w in (binary, *words)], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def files_of(sweep: Path) -> list[Path]:
    """Both results files."""
    files = sorted((sweep / "out").glob("*/results.h5"))
    assert len(files) == 2
    return files


def test_xarray_opens_every_group_with_its_axes(sweep):
    """Variables, coordinates, units and attributes are those that h5py shows."""
    for file in files_of(sweep):
        with h5py.File(file) as stored:
            assert sorted(stored) == GROUPS
            for group in GROUPS:
                with xarray.open_dataset(file, engine="h5netcdf", group=group) as opened:
                    assert {*opened.variables} == {*stored[group]}, group
                    assert {*opened.attrs} == {*stored[group].attrs}, group
                    for name, variable in opened.variables.items():
                        raw = stored[group][name]
                        assert list(variable.dims) == [axis.label for axis in raw.dims], f"{group}/{name}"
                        assert variable.attrs["long_name"] == raw.attrs["long_name"], f"{group}/{name}"
                        if raw.dtype.kind == "f":
                            np.testing.assert_array_equal(variable.values, raw[()])
                        elif raw.dtype.kind == "S":
                            assert variable.values.astype("S").tolist() == raw[()].tolist()


def test_xarray_opens_the_whole_tree(sweep):
    """Groups as nodes, the file's own attributes at the root; pairs join by the numbers that their axis holds."""
    for file in files_of(sweep):
        with xarray.open_datatree(file, engine="h5netcdf") as tree:
            assert sorted(tree.children) == GROUPS
            assert tree.attrs["schema"] == 1 and tree.attrs["Conventions"] == "tributary-1"
            pairs = tree["pairs"].to_dataset()
            for group, split in (
                ("attribution", b"train"),
                ("top", b"train"),
                ("circuit", b"test"),
                ("steering", b"test"),
            ):
                joined = pairs.sel(pair=tree[group]["pair"])
                assert set(joined["split"].values.tolist()) == {split}
            joined = pairs["metric"].sel(run=0, pair=tree["circuit"]["pair"])
            np.testing.assert_allclose(joined, tree["circuit"]["metric_full"], rtol=1e-6)


def test_pandas_joins_pairs_by_their_index(sweep):
    """A table of held-out pairs with their prompts, from h5py's arrays alone."""
    with h5py.File(files_of(sweep)[0]) as results:
        full = pandas.DataFrame({"full": results["circuit/metric_full"][:]}, index=results["circuit/pair"][:])
        columns = {name: results["pairs"][name].asstr()[:] for name in ("split", "clean_prefix")}
        prompts = pandas.DataFrame(columns | {"m": results["pairs/metric"][:, 0]})
        joined = full.join(prompts)
    assert joined["split"].tolist() == ["test"] * 3
    np.testing.assert_allclose(joined["full"], joined["m"], rtol=1e-6)


@pytest.mark.parametrize("note", [None, "mine"])
def test_a_file_that_was_opened_for_writing_is_not_lost(note, sweep, binary, tmp_path):
    """Its bytes are others then. The program says how it comes back, which costs no computing; the file is kept."""
    folder = tmp_path / "again"
    shutil.copytree(sweep, folder)
    file = folder / "out" / "attribution.method=ig-acts" / "results.h5"
    if not file.exists():
        file = files_of(folder)[0]
    before, bytes_before = hashes(file), file.read_bytes()
    with h5py.File(file, "r+") as opened:
        if note:
            opened.attrs["note"] = note
    if file.read_bytes() == bytes_before:
        pytest.skip("this HDF5 changes no byte by opening alone")
    edited = file.read_bytes()
    done = run(binary, folder, "run", folder / "sweep.yaml", "--out", folder / "out", code=2)
    back = f"`tributary finalize {folder / 'out'}`"
    assert "opens it for writing" in done.stderr and back in done.stderr
    assert back in run(binary, folder, "report", folder / "out").stdout
    done = run(binary, folder, "finalize", folder / "out")
    assert "is kept as" in done.stderr
    assert hashes(file) == before
    assert file.with_suffix(".h5.changed").read_bytes() == edited
    with h5py.File(file, "r+") as opened:  # once more: the first one stays what it was
        opened.attrs["note"] = "another"
    again = file.read_bytes()
    done = run(binary, folder, "finalize", folder / "out")
    assert f"is kept as {file}.changed.2" in done.stderr
    assert hashes(file) == before
    assert file.with_suffix(".h5.changed").read_bytes() == edited
    assert file.with_suffix(".h5.changed.2").read_bytes() == again
    assert "complete already" in run(binary, folder, "run", folder / "sweep.yaml", "--out", folder / "out").stdout
