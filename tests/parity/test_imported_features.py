# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Method imported with features and errors: scores of a run, listed in a table, give its circuits, byte for byte.
Tables that do not fit the dictionaries are refused with their line.
"""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from feature_files import random_dictionary, write_saelens
from node_cases import place_of, settings_of
from product import Results, hashes, read_results, run_product
from reference.sites import SiteModel
from test_features_bits import run
from test_imported import write_table

PAIRS, FEATURES = 3, 40
SITES = [("resid_post", 1), ("resid_pre", 1), ("resid_post", 0)]  # results have them by layer: 0, and 1 twice
LAYERS = [0, 1, 1]


@pytest.fixture(scope="module")
def items(tiny_model, tiny_pairs, tmp_path_factory) -> list[dict]:
    """Dictionaries of tiny Llama as a sweep has them."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", 4)
    made = []
    for hook, layer in SITES:
        one = random_dictionary(model, pairs, hook, layer, FEATURES)
        made.append({"path": str(write_saelens(tmp_path_factory.mktemp("saes") / "sae", one))})
    return made


def settings_for(folder: Path, items: list[dict], kinds: list[str], positions: str) -> dict:
    """Everything that is evaluated with scores."""
    return settings_of(folder, PAIRS, PAIRS) | {
        "nodes": kinds,
        "features": items,
        "positions": positions,
        "attribution": {"method": "relp"},
        "circuit": {"counts": [0, 1, 7, 30], "fractions": [0.25], "mass": [0.5], "ablation": "resample"},
        "agreement": {"sample": 12},
        "steering": {"factors": [0, 2], "top": 2},
    }


@pytest.fixture(scope="module")
def relp(binary, tiny_folder, items, tmp_path_factory) -> Callable[[list[str], str], Results]:
    """A RelP run."""
    made: dict[tuple, Results] = {}

    def of(kinds: list[str], positions: str) -> Results:
        key = (*kinds, positions)
        if key not in made:
            settings = settings_for(tiny_folder("llama"), items, kinds, positions)
            made[key] = run_product(binary, tmp_path_factory.mktemp("relp"), settings)
        return made[key]

    return of


def rows_of(results: Results, layers: bool = True) -> list[list]:
    """Features and errors as a table has them; of an error of score 0 nothing. `layers`: beside the dictionaries."""
    read = lambda name: results[f"/nodes/features/{name}"].tolist()  # noqa: E731
    rows = []
    for d, layer, position, feature, score in zip(
        read("dictionary"), read("layer"), read("position"), read("feature"), read("score"), strict=True
    ):
        assert layer == LAYERS[d]
        rows.append(["features", d, layer if layers else "", position, feature, repr(score)])
    summed = results.attributes["/attribution"]["positions"] == "sum"
    for (d, position), score in np.ndenumerate(results["/nodes/errors/scores"]):
        if score != 0:
            rows.append(["errors", d, LAYERS[d] if layers else "", "" if summed else position, 0, repr(float(score))])
    return rows


def write_rows(rows: list[list], results: Results, kinds: list[str], file: Path) -> Path:
    """A table of these rows and of the other kinds' nodes, shuffled."""
    others = [kind for kind in kinds if kind != "features"]
    if others:
        write_table(results, others, file)
        with file.open() as stored:
            for row in csv.DictReader(stored):
                names = ("kind", "layer", "position", "index", "score")
                kind, *rest = (row[name] for name in names)
                rows = [*rows, [kind, "", *rest]]
    order = np.random.default_rng(1).permutation(len(rows))
    with file.open("w", newline="") as stored:
        writer = csv.writer(stored)
        writer.writerow(["kind", "dictionary", "layer", "position", "index", "score"])
        writer.writerows([rows[i] for i in order])
    return file


def imported(settings: dict, file: Path, **more: object) -> dict:
    return settings | {"attribution": {"method": "imported", "file": str(file)} | more}


CASES = [
    (["features"], "keep"),
    (["features"], "sum"),
    (["neurons", "features"], "keep"),
    (["features", "heads", "mlps"], "sum"),
]


@pytest.mark.parametrize(("kinds", "positions"), CASES)
def test_the_run_itself(kinds, positions, relp, binary, items, tiny_folder, tmp_path):
    """Entries, scores, circuits and steering are the same bytes; agreement is that of the mean scores."""
    theirs = relp(kinds, positions)
    file = write_rows(rows_of(theirs), theirs, kinds, tmp_path / "ranking.csv")
    ours = run_product(binary, tmp_path, imported(settings_for(tiny_folder("llama"), items, kinds, positions), file))
    places = [f"/nodes/features/{name}" for name in ("dictionary", "layer", "position", "feature", "score")]
    circuits = [path for path in theirs.datasets if path.startswith(("/circuit/", "/steering/", "/top/"))]
    assert len(circuits) > 20 and theirs[places[0]].size > 20
    others = [place_of(kind, "scores") for kind in kinds if kind != "features"]
    for path in [*circuits, *places, *others, "/nodes/errors/scores"]:
        assert ours[path].tobytes() == theirs[path].tobytes(), path
    scores = {}
    for d, position, feature, score in zip(*(ours[places[i]] for i in (0, 2, 3, 4)), strict=True):
        scores["features", d, position, feature] = score
    for (d, position), score in np.ndenumerate(ours["/nodes/errors/scores"]):
        scores["errors", d, -1 if positions == "sum" else position, 0] = score
    for kind in ("features", "errors"):
        group = f"/nodes/{kind}/agreement"
        assert ours[f"{group}/exact"].tobytes() == theirs[f"{group}/exact"].tobytes()
        columns = [ours[f"{group}/{name}"] for name in ("dictionary", "position", "index")]
        given = [scores[(kind, *node)] for node in zip(*columns, strict=True)]
        assert len(given) == columns[0].size > 2
        assert (ours[f"{group}/score"] == np.array(given)).all()  # of every pair
    attributes = ours.attributes["/attribution"]
    assert (attributes["method"], attributes["file"]) == ("imported", file.name)
    for absent in ("standard_error", "sign_share", "residual", "linearisation_gap", "kept_score"):
        assert not [path for path in ours.datasets if path.endswith("/" + absent)]


def test_other_orders_and_names_are_the_same_run(relp, binary, items, tiny_folder, tmp_path):
    """Rows in another order, without the layers, and where a layer has one dictionary without that: same identity."""
    theirs = relp(["features"], "keep")
    settings = settings_for(tiny_folder("llama"), items, ["features"], "keep")
    rows = rows_of(theirs)
    only = [[row[0], "" if row[1] == 0 else row[1], *row[2:]] for row in rows]
    changed = [list(row) for row in rows]
    changed[3][5] = "0.125"
    identities = []
    for i, table in enumerate([rows, rows[::-1], rows_of(theirs, layers=False), only, changed, rows[1:]]):
        (tmp_path / str(i)).mkdir()
        file = write_rows(table, theirs, ["features"], tmp_path / f"{i}.csv")
        found = run_product(binary, tmp_path / str(i), imported(settings, file))
        identities.append(found.attributes["/provenance"]["scores_identity"])
    assert identities[0] == identities[1] == identities[2] == identities[3]
    assert len(set(identities)) == 3


def test_what_is_listed_are_the_nodes(relp, binary, items, tiny_folder, tmp_path):
    """A feature that no training pair has and one of score 0 are entries; the errors are all there, with 0."""
    length = relp(["features"], "keep")["/nodes/errors/scores"].shape[1]
    table = [
        ["features", 1, 1, 0, 3, "-2"],  # at the first token, which all prompts share
        ["features", 0, 0, length - 1, 0, "1"],
        ["features", 2, 1, 1, 39, "0"],
        ["errors", 2, "", 2, 0, "0.5"],
    ]
    file = write_rows(table, relp(["features"], "keep"), ["features"], tmp_path / "ranking.csv")
    settings = settings_for(tiny_folder("llama"), items, ["features"], "keep")
    settings["circuit"] = {"counts": [0, 2, 3, 1000], "ablation": "mean"}
    settings["agreement"] = {"sample": 3}
    found = run_product(binary, tmp_path, imported(settings, file))
    nodes = zip(
        *(found[f"/nodes/features/{name}"].tolist() for name in ("dictionary", "position", "feature")), strict=True
    )
    assert list(nodes) == [(0, length - 1, 0), (1, 0, 3), (2, 1, 39)]
    assert found["/nodes/features/score"].tolist() == [1, -2, 0]
    errors = np.zeros((3, length), np.float32)
    errors[2, 2] = 0.5
    np.testing.assert_array_equal(found["/nodes/errors/scores"], errors)
    nodes = 3 + errors.size
    assert found.attributes["/circuit"]["nodes"] == nodes
    assert found["/circuit/count"].tolist() == [0, 2, 3, nodes]
    np.testing.assert_array_equal(found["/circuit/metric_circuit"][3], found["/circuit/metric_full"])
    assert found["/top/kind"][:3].tolist() == [b"features", b"features", b"errors"]
    (tmp_path / "again").mkdir()
    settings["circuit"] = {"counts": [1], "ablation": "zero"}
    settings["attribution"] = {"method": "imported", "file": str(file), "aggregate": "mean-abs"}
    again = run_product(binary, tmp_path / "again", settings)
    assert again["/nodes/features/score"].tolist() == [1, 2, 0]


@pytest.mark.parametrize("positions", ["keep", "sum"])
def test_errors_alone(positions, binary, items, tiny_folder, tmp_path):
    """A table that lists no feature: the errors are all that is ranked."""
    position = "0" if positions == "keep" else ""
    (tmp_path / "ranking.csv").write_text(f"kind,layer,position,index,score\nerrors,0,{position},0,1\n")
    settings = settings_for(tiny_folder("llama"), items, ["features"], positions)
    settings["agreement"] = {"sample": 2}
    settings["circuit"] = {"counts": [0, 1], "ablation": "zero"}
    found = run_product(binary, tmp_path, imported(settings, tmp_path / "ranking.csv"))
    assert found["/nodes/features/score"].size == 0 and "/nodes/features/agreement/exact" not in found
    assert found["/nodes/errors/agreement/exact"].shape[1] > 0
    assert found["/nodes/errors/scores"].ravel()[0] == 1 and found["/nodes/errors/scores"].sum() == 1
    assert found.attributes["/circuit"]["nodes"] == found["/nodes/errors/scores"].size


VARIANTS = {
    "2 ranks": (2, ["threads=1"]),
    "3 ranks, shuffled": (3, ["threads=1", "--hand-out", "shuffled", "--hand-out-seed", "5"]),
    "2 threads, low batches": (1, ["threads=2", "batch_rows=8"]),
    "units of a pair": (1, ["threads=1", "unit.pairs=1"]),
}


def test_same_bytes(relp, binary, items, tiny_folder, tmp_path):
    """For any number of ranks, threads, rows and units; beside a method that computes its scores, too."""
    theirs = relp(["neurons", "features"], "keep")
    file = write_rows(rows_of(theirs), theirs, ["neurons", "features"], tmp_path / "ranking.csv")
    settings = {"schema": 1, "name": "imported"} | settings_for(
        tiny_folder("llama"), items, ["neurons", "features"], "keep"
    )
    (alone,) = run(binary, tmp_path / "alone", imported(settings, file), 1, ["threads=1"])
    for name, (ranks, more) in VARIANTS.items():
        (found,) = run(binary, tmp_path / name.replace(" ", "-"), imported(settings, file), ranks, more)
        assert found == alone, name
    methods = [{"attribution.method": "relp"}, {"attribution.method": "imported", "attribution.file": str(file)}]
    beside = run(binary, tmp_path / "sweep", settings | {"sweep": {"include": methods}}, 2, [])
    assert beside[1] == alone and beside[0] != alone
    assert (tmp_path / "sweep" / "out" / "report.html").is_file()


ROWS = "kind,dictionary,layer,position,index,score\nfeatures,1,1,0,3,1\n"
REFUSED: dict[str, tuple[str, list[str]]] = {
    "a feature that is none": ("features,1,1,0,40,1\n", ["r.csv:3:", "no index 40", "these dictionaries"]),
    "a position that is none": ("features,1,1,99,4,1\n", ["r.csv:3:", "no position 99"]),
    "no position": ("features,1,1,,4,1\n", ["r.csv:3:", "names no position"]),
    "a dictionary that is none": ("features,3,1,0,4,1\n", ["r.csv:3:", "no dictionary 3", "3 are there"]),
    "a layer without one": ("features,,2,0,4,1\n", ["r.csv:3:", "no dictionary reads layer 2", "they read 0, 1"]),
    "a layer with two": ("features,,1,0,4,1\n", ["r.csv:3:", "2 dictionaries read layer 1 (1, 2)", "in a column"]),
    "another layer": ("errors,2,0,0,0,1\n", ["r.csv:3:", "dictionary 2 reads layer 1", "says layer 0"]),
    "neither": ("features,,,0,4,1\n", ["r.csv:3:", "layer is ''"]),
    "a feature twice": ("features,1,,0,3,2\n", ["r.csv:3:", "features:1/0/3", "second time"]),
    "an error twice": ("errors,0,,0,0,2\nerrors,,0,0,0,2\n", ["r.csv:4:", "errors:0/0/0", "second time"]),
    "a second error": ("errors,0,,0,1,2\n", ["r.csv:3:", "no index 1 of errors"]),
    "no finite score": ("features,1,1,0,4,nan\n", ["r.csv:3:", "'nan'"]),
    "no score in float32": ("features,1,1,0,4,1e39\n", ["r.csv:3:", "features:1/0/4", "finite in float32"]),
    "a head of a dictionary": ("heads,0,0,0,0,1\n", ["r.csv:3:", "heads are of none"]),
    "a kind that is not scored": ("mlps,,0,0,0,1\n", ["r.csv:3:", "add mlps to nodes"]),
}


def refuse_file(bench, items: list[dict], file: str, *words: str, nodes: list[str]) -> None:
    bench.settings |= {"nodes": nodes, "attribution": {"method": "imported", "file": file}}
    if "features" in nodes:
        bench.settings["features"] = items
    bench.refused(file, *words)


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, bench, items):
    """With the line, why, and what to do."""
    row, words = REFUSED[what]
    (bench.folder / "r.csv").write_text(ROWS + row)
    refuse_file(bench, items, "r.csv", *words, nodes=["features", "heads"])


def test_features_are_read_from_tables_alone(bench, items, relp):
    """Arrays and MIB's circuits are refused at the file; so are features in a table where they are no nodes."""
    np.save(bench.folder / "r.npy", np.ones((3, 4, FEATURES), np.float32))
    (bench.folder / "r.json").write_text('{"nodes": {"a0.h0": {"score": 1}}}')
    refuse_file(bench, items, "r.npy", "has no features", "write a .csv", nodes=["features"])
    refuse_file(bench, items, "r.npy", "has no features", "write a .csv", nodes=["features", "heads"])
    bench.settings["positions"] = "sum"
    refuse_file(bench, items, "r.json", "has no features", "write a .csv", nodes=["heads", "features"])
    del bench.settings["features"]
    (bench.folder / "r.csv").write_text("kind,layer,position,index,score\nheads,0,,0,1\nerrors,0,,0,1\n")
    refuse_file(bench, items, "r.csv", "r.csv:3:", "add features to nodes", nodes=["heads"])


def test_a_file_that_was_changed(relp, bench, items):
    """Another score of one feature is another run, and is told; plan reads the table as well."""
    rows = rows_of(relp(["features"], "sum"))
    bench.settings |= {"nodes": ["features"], "positions": "sum", "features": items}
    bench.settings["attribution"] = {"method": "imported", "file": "r.csv"}
    write_rows(rows, relp(["features"], "sum"), ["features"], bench.folder / "r.csv")
    done = bench.run()
    assert done.returncode == 0, done.stderr
    before = hashes(bench.out / "results.h5")
    command = [str(bench.binary), "plan", "sweep.yaml"]
    planned = subprocess.run(command, cwd=bench.folder, check=False, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    rows[0][5] = "7"
    write_rows(rows, relp(["features"], "sum"), ["features"], bench.folder / "r.csv")
    done = bench.run()
    assert done.returncode == 2 and "(other: the scores of attribution.file)" in done.stderr
    done = bench.run("--fresh")
    assert done.returncode == 0, done.stderr
    assert hashes(bench.out / "results.h5") != before
    assert read_results(bench.out / "results.h5")["/nodes/features/score"][0] == 7
