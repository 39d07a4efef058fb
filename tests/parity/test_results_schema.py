# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""results.h5 as the program writes it, seen with h5py, against the table of `tributary schema results`."""

from __future__ import annotations

import json
import subprocess

import h5py
import numpy as np
import pytest
from feature_files import random_dictionary, write_saelens
from product import run_product
from reference.nodes import KINDS
from reference.sites import SiteModel
from results_schema import ResultsSchema, axes_of, printed_schema
from test_tiny_scores import path, settings_of
from tokenizers import Tokenizer

# Together these runs write everything that the table knows.
RUNS = {
    "ig-acts": {
        "attribution": path("ig-acts", "midpoint", 2, keep="full", audit=2),
        "agreement": {"sample": 12},
        "steering": {"factors": [0, 1]},
    },
    "relp": {"attribution": {"method": "relp", "keep": 5, "spread": "skip"}, "top": 7},
    "adaptive": {"attribution": {"method": "ig-acts", "quadrature": "adaptive"}},
    "pilot": {"attribution": {"method": "ig-acts", "quadrature": "pilot", "pilot_pairs": 2}},
    "adaptive ig-inputs": {"attribution": {"method": "ig-inputs", "quadrature": "adaptive"}},
    "ig-inputs": {"attribution": path("ig-inputs", "midpoint", 2, inputs=True), "positions": "sum"},
    "ig-inputs with rules": {"attribution": path("ig-inputs", "midpoint", 2, rules={"norm": True})},
    "input-ig": {"attribution": path("input-ig", "midpoint", 2)},
}
# And with nodes of every kind; "heads" has no neurons.
RUNS |= {f"{name}, nodes": settings | {"nodes": list(KINDS)} for name, settings in RUNS.items() if name != "input-ig"}
RUNS["heads"] = {"attribution": {"method": "relp", "keep": 5}, "nodes": ["heads"]}
RUNS["imported"] = {"attribution": {"method": "imported", "file": "scores.csv"}, "circuit": {"counts": [0, 1]}}
RUNS |= {
    f"features, {name}": {"attribution": attribution, "nodes": ["features"]}
    for name, attribution in {
        "relp": {"method": "relp", "keep": "full"},
        "adaptive": {"method": "ig-acts", "quadrature": "adaptive", "keep": 3},
        "ig-inputs": path("ig-inputs", "midpoint", 2),
        "adaptive ig-inputs": {"method": "ig-inputs", "quadrature": "adaptive"},
        "ig-inputs with rules": path("ig-inputs", "midpoint", 2, rules={"norm": True}),
    }.items()
}
RUNS["features, relp"] |= {"agreement": {"sample": 12}, "steering": {"factors": [0, 1]}}


@pytest.fixture(scope="module")
def schema(binary) -> ResultsSchema:
    """The printed table."""
    return printed_schema(binary)


@pytest.fixture(scope="module")
def files(binary, tiny_folder, tiny_model, tiny_pairs, tmp_path_factory) -> dict[str, h5py.File]:
    """results.h5 of every run, open."""
    folder = tmp_path_factory.mktemp("schema")
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()
    pairs = folder / "pairs.jsonl"
    records = [json.loads(line) | {"case": "odd" if i % 2 else "even"} for i, line in enumerate(lines)]
    pairs.write_text("".join(json.dumps(record) + "\n" for record in records))
    opened = {}
    for name, settings in RUNS.items():
        whole = settings_of(tiny_folder("llama"), circuit={"counts": [0, 10]}) | settings
        whole["pairs"] = {"train_file": str(pairs), "test_file": str(pairs), "train": 4, "test": 3, "overlap": "allow"}
        if name == "relp":
            whole["pairs"]["positions_names"] = ["The", "who", "where", "", "what"]
        place = folder / name
        place.mkdir()
        if name == "imported":
            (place / "scores.csv").write_text("kind,layer,position,index,score\nneurons,0,0,1,0.5\n")
        if name.startswith("features"):
            model = SiteModel(tiny_model("llama").model)
            one = random_dictionary(model, tiny_pairs("llama", 2), "resid_post", 0)
            whole["features"] = [{"path": str(write_saelens(place / "sae", one))}]
        run_product(binary, place, whole)
        opened[name] = h5py.File(place / "out" / "results.h5")
    yield opened
    for file in opened.values():
        file.close()


def datasets_of(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All but the scales that only count."""
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            counts = item.is_scale and item.attrs["long_name"].startswith("index along ")
            if not counts:
                found["/" + name] = item

    file.visititems(visit)
    return found


def type_of(dataset: h5py.Dataset) -> str:
    """The table's word for a dataset's type."""
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is not None:
        assert kind.encoding == "utf-8" and kind.length is not None
        return "text"
    return {"<f4": "float32", "<f8": "float64", "<i8": "int64"}[dataset.dtype.str]


def attribute_type(value: object) -> str:
    """The table's word for an attribute's type."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, np.ndarray):
        return {"O": "texts", "i": "integers", "f": "numbers"}[value.dtype.kind]
    return {"<i8": "integer", "<f8": "number"}[value.dtype.str]


def attributes_of(file: h5py.File) -> dict[tuple[str, str], object]:
    """Attributes of groups, and those of datasets that the file format does not bring along."""
    ours = {("/", key): value for key, value in file.attrs.items()}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Group):
            ours.update({("/" + name, key): value for key, value in item.attrs.items()})

    file.visititems(visit)
    known = {"long_name", "units", "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS"}
    for name, dataset in datasets_of(file).items():
        ours |= {(name, key): value for key, value in dataset.attrs.items() if key not in known}
    return ours


def test_every_dataset_is_as_its_row_says(files, schema):
    """Type, unit, axes and description; and some run has written each row, with each of its lists of axes."""
    rows = {row[0]: row[1:] for row in schema.datasets}
    seen = set()
    for name, file in files.items():
        for path_, dataset in datasets_of(file).items():
            assert path_ in rows, f"{name}: {path_}"
            type_, unit, axes, _, what = rows[path_]
            assert type_of(dataset) == type_, f"{name}: {path_}"
            assert dataset.attrs.get("units", "-") == unit, f"{name}: {path_}"
            assert dataset.attrs["long_name"] == what, f"{name}: {path_}"
            labels = [dimension.label for dimension in dataset.dims]
            assert labels in axes_of(axes), f"{name}: {path_}"
            if not dataset.is_scale:  # "/steering/factor" scales the axis `factor`
                scales = [dimension[0].shape for dimension in dataset.dims]
                assert scales == [(n,) for n in dataset.shape], f"{name}: {path_}"
            seen.add((path_, *labels))
    assert seen == {(row[0], *axes) for row in schema.datasets for axes in axes_of(row[3])}


def test_what_has_one_condition_is_there_together(files, schema):
    """Everything with the same words under "when", or nothing of it; "always" means every run."""
    conditions = {row[4] for row in schema.datasets}
    assert "always" in conditions and len(conditions) > 8
    met: dict[str, set[str]] = {condition: set() for condition in conditions}
    for name, file in files.items():
        present = datasets_of(file)
        for condition in conditions:
            paths = {row[0] for row in schema.datasets if row[4] == condition}
            found = paths & present.keys()
            assert found in (set(), paths), f"{name}: {condition}"
            if found:
                met[condition].add(name)
    assert met.pop("always") == RUNS.keys()
    assert all(set() != names != RUNS.keys() for names in met.values()), met


def test_every_attribute_is_as_its_row_says(files, schema):
    """No attribute without a row, except facts of /provenance; and some run has written each row."""
    rows = {(row[0], row[1]): row[2] for row in schema.attributes}
    seen = set()
    for name, file in files.items():
        for key, value in attributes_of(file).items():
            if key[0] == "/provenance" and key not in rows:
                continue
            assert rows[key] == attribute_type(value), f"{name}: {key}"
            seen.add(key)
    assert seen == rows.keys()


def test_axes_have_the_lengths_that_the_table_says(files, schema):
    """The rows of /pairs of a split, those of another group, or a number."""
    met = set()
    for name, file in files.items():
        lengths = {}
        for path_, dataset in datasets_of(file).items():
            group = path_.rsplit("/", 1)[0]
            lengths |= {(group, axis.label): n for axis, n in zip(dataset.dims, dataset.shape, strict=True)}
        splits = file["/pairs/split"][()].tolist()
        for group, axis, length, _ in schema.axes:
            if (group, axis) not in lengths:
                continue
            met.add((group, axis))
            found = lengths[group, axis]
            if length.startswith("as in "):
                assert found == lengths[length.removeprefix("as in "), axis], f"{name}: {group} {axis}"
            elif " with split " in length:
                assert found == splits.count(length.rsplit(" ", 1)[1].encode()), f"{name}: {group} {axis}"
            elif length != "any":
                assert found == int(length), f"{name}: {group} {axis}"
    assert met == {(group, axis) for group, axis, _, _ in schema.axes}


def test_the_file_says_what_it_is(files, binary):
    """Attributes of the root: the table's version, the program's, and the run's name."""
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    for name, file in files.items():
        wanted = {"schema": 1, "Conventions": "tributary-1", "program": f"tributary {version}", "title": "parity"}
        assert dict(file.attrs) == wanted, name


def test_sums_of_a_pair_have_two_axes_in_every_method(files):
    """One column for each layer, or a single one where the path moves embeddings and all layers with them."""
    assert files["ig-acts"]["/attribution/residual"].shape == (4, files["ig-acts"]["/attribution/scores"].shape[0])
    for name in ("ig-inputs", "input-ig"):
        assert files[name]["/attribution/residual"].shape == (4, 1), name
    assert files["ig-inputs with rules"]["/attribution/linearisation_gap"].shape == (4, 1)


def test_pair_scales_hold_the_rows_of_pairs(files, schema):
    """Wherever an axis counts pairs, its scale names their rows in /pairs: values of one prompt then meet."""
    for name, file in files.items():
        splits = file["/pairs/split"].asstr()[()]
        for group, axis, length, _ in schema.axes:
            if axis == "pair" and " with split " in length and group in file:
                rows = file[group]["pair"][()]
                assert set(splits[rows]) == {length.rsplit(" ", 1)[1]}, f"{name}: {group}"
                assert len(rows) == len(set(rows)), f"{name}: {group}"
    file = files["ig-acts"]
    whole = file["/pairs/metric"][()]
    np.testing.assert_array_equal(whole[file["/attribution/pair"][()]], file["/attribution/metric"][()])
    np.testing.assert_allclose(whole[file["/circuit/pair"][()], 0], file["/circuit/metric_full"][()], rtol=1e-6)
    steered = file["/steering/metric"][1]  # times 1
    np.testing.assert_allclose(whole[file["/steering/pair"][()], 0], steered, rtol=1e-6)


def test_backward_passes_are_counted_as_they_are(files):
    """One backward pass serves all layers; on a path of its own every layer takes its points for itself."""
    layers = files["relp"]["/attribution/scores"].shape[0]
    assert files["relp"]["/attribution/passes"][()].tolist() == [1] * 4
    assert files["ig-inputs"]["/attribution/passes"][()].tolist() == [2] * 4
    assert files["input-ig"]["/attribution/passes"][()].tolist() == [2] * 4
    assert files["ig-acts"]["/attribution/passes"][()].tolist() == [2 * layers] * 4


def test_what_made_the_numbers_is_noted(files, tiny_folder):
    """Facts of /provenance that somebody needs who wants to make the numbers again."""
    noted = dict(files["relp"]["provenance"].attrs)
    assert json.loads(noted["config_json"]) == json.loads((tiny_folder("llama") / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(tiny_folder("llama") / "tokenizer.json"))
    assert noted["prefix_ids"].tolist() == tokenizer.encode("").ids
    assert noted["prefix_tokens"].tolist() == [tokenizer.id_to_token(id_) for id_ in noted["prefix_ids"]]
    assert len(noted["tokenizer_hash"]) == 32
    assert noted["blas"] and noted["onednn"] and noted["commit"]
    assert [kind.startswith(noted["cpu"]) for kind in noted["processors"]] == [True]
    assert "MKL_CBWR=AUTO,STRICT" in noted["environment"].tolist()
