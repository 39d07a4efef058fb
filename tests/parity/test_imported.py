# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Method imported: scores of a run, written by other programs in each form, give that run's circuits, byte for byte."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from node_cases import place_of, settings_of
from product import Results, hashes, mpi_environment, mpirun, read_results, run_product
from safetensors.numpy import save_file

PAIRS = 3
ORDER = ["mlps", "heads", "embeddings", "neurons"]
NAMES = {"neurons": "scores", "heads": "heads", "mlps": "mlps", "embeddings": "embeddings"}
Write = Callable[[Results, list[str], Path], None]


def scores_of(results: Results, kinds: list[str]) -> dict[str, np.ndarray]:
    """By the names that arrays of each kind have."""
    return {NAMES[kind]: results[place_of(kind, "scores")] for kind in kinds}


def write_tensors(results: Results, kinds: list[str], file: Path) -> None:
    save_file(scores_of(results, kinds), file)


def write_datasets(results: Results, kinds: list[str], file: Path) -> None:
    with h5py.File(file, "w") as stored:
        for i, (name, scores) in enumerate(scores_of(results, kinds).items()):
            more = {"compression": "gzip", "shuffle": True} if i == 0 and scores.size > 1 else {}
            stored.create_dataset(name, data=scores.astype(np.float64 if i % 2 else np.float32), **more)


def write_array(results: Results, kinds: list[str], file: Path) -> None:
    (scores,) = scores_of(results, kinds).values()
    np.save(file, scores.astype(np.float64))


def write_table(results: Results, kinds: list[str], file: Path) -> None:
    """Nodes of score 0 are left out, the others come in a random order."""
    rows = []
    for kind in kinds:
        scores = results[place_of(kind, "scores")]
        axes = {"mlps": (0, 1), "embeddings": (1,)}.get(kind, (0, 1, 2))
        for place, score in np.ndenumerate(scores):
            node = [0, 0, 0]
            for axis, number in zip(axes, place, strict=True):
                node[axis] = number
            if score != 0:
                rows.append([kind, *node, repr(float(score))])
    if results.attributes["/attribution"]["positions"] == "sum":
        for i, row in enumerate(rows):
            row[2] = ["", -1][i % 2]
    np.random.default_rng(1).shuffle(rows)
    columns = ["score", "kind", "layer", "position", "index"]
    with file.open("w", newline="") as stored:
        writer = csv.writer(stored)
        writer.writerow(columns)
        writer.writerows([[row[4], *row[:4]] for row in rows])


WRITERS: dict[str, Write] = {
    ".npy": write_array,
    ".safetensors": write_tensors,
    ".h5": write_datasets,
    ".csv": write_table,
}
CASES = [
    (".npy", ["neurons"], "keep"),
    (".npy", ["heads"], "sum"),
    (".npy", ["mlps"], "keep"),
    (".npy", ["embeddings"], "keep"),
    (".safetensors", ORDER, "keep"),
    (".safetensors", ["neurons"], "sum"),
    (".h5", ORDER, "keep"),
    (".h5", ["mlps", "heads"], "sum"),
    ("results.h5", ORDER, "keep"),
    ("results.h5", ["neurons"], "sum"),
    (".json", ["heads", "mlps", "embeddings"], "sum"),
    (".json", ["mlps", "heads"], "sum"),
    (".csv", ORDER, "keep"),
    (".csv", ORDER, "sum"),
]


def settings_for(folder: Path, kinds: list[str], positions: str) -> dict:
    """Everything that is evaluated with scores."""
    return settings_of(folder, PAIRS, PAIRS) | {
        "nodes": kinds,
        "positions": positions,
        "attribution": {"method": "relp"},
        "circuit": {"counts": [0, 1, 3], "fractions": [0.25], "mass": [0.5], "ablation": "resample"},
        "agreement": {"sample": 1 if kinds == ["embeddings"] else 2},
        "steering": {"factors": [0, 2], "top": 1},
    }


@pytest.fixture(scope="module")
def relp(binary, tiny_folder, tmp_path_factory) -> Callable[[list[str], str], Path]:
    """The folder of a RelP run."""
    made: dict[tuple, Path] = {}

    def of(kinds: list[str], positions: str) -> Path:
        key = (*kinds, positions)
        if key not in made:
            folder = tmp_path_factory.mktemp("relp")
            run_product(binary, folder, settings_for(tiny_folder("llama"), kinds, positions))
            made[key] = folder / "out"
        return made[key]

    return of


def write_scores(form: str, run: Path, kinds: list[str], folder: Path, binary: Path) -> Path:
    """The scores of a run in one form."""
    if form == "results.h5":
        return run / "results.h5"
    if form == ".json":
        command = [str(binary), "export", str(run), "--format", "mib", "--to", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        return folder / "importances.json"
    file = folder / f"ranking{form}"
    WRITERS[form](read_results(run / "results.h5"), kinds, file)
    return file


@pytest.mark.parametrize(("form", "kinds", "positions"), CASES)
def test_the_run_itself(form, kinds, positions, relp, binary, tiny_folder, tmp_path):
    """Scores, circuits and steering are the same bytes; agreement is that of the mean scores."""
    run = relp(kinds, positions)
    file = write_scores(form, run, kinds, tmp_path, binary)
    settings = settings_for(tiny_folder("llama"), kinds, positions)
    settings["attribution"] = {"method": "imported", "file": str(file)}
    ours, theirs = run_product(binary, tmp_path, settings), read_results(run / "results.h5")
    circuits = [path for path in theirs.datasets if path.startswith(("/circuit/", "/steering/", "/top/"))]
    assert len(circuits) > 20
    for path in [*circuits, "/attribution/metric", *(place_of(kind, "scores") for kind in kinds)]:
        assert ours[path].tobytes() == theirs[path].tobytes(), path
    for kind in kinds:
        group = "" if kind == "neurons" else f"/nodes/{kind}"
        score, exact = ours[f"{group}/agreement/score"], ours[f"{group}/agreement/exact"]
        assert (score == score[0]).all()  # of every pair
        assert exact.tobytes() == theirs[f"{group}/agreement/exact"].tobytes()
        assert score[0].tolist() == [
            ours[place_of(kind, "scores")][place] for place in sampled_places(ours, group, kind, positions)
        ]
    attributes = ours.attributes["/attribution"]
    assert (attributes["method"], attributes["file"]) == ("imported", file.name)
    for absent in ("standard_error", "sign_share", "residual", "linearisation_gap"):
        assert not [path for path in ours.datasets if path.endswith("/" + absent)]


def sampled_places(results: Results, group: str, kind: str, positions: str) -> list[tuple]:
    """Where the sampled nodes of a kind stand among its scores."""
    axes = {"mlps": (0, 1), "embeddings": (1,)}.get(kind, (0, 1, 2))
    index = "neuron" if kind == "neurons" else "index"
    columns = [results[f"{group}/agreement/{name}"] for name in ("layer", "position", index)]
    nodes = [list(node) for node in zip(*columns, strict=True)]
    return [tuple(0 if axis == 1 and positions == "sum" else node[axis] for axis in axes) for node in nodes]


def test_a_mask_from_numpy(binary, tiny_folder, tmp_path):
    """A circuit of chosen neurons is what the curve keeps at their number."""
    settings = settings_for(tiny_folder("llama"), ["neurons"], "keep")
    shape = run_product(binary, tmp_path, settings)["/attribution/scores"].shape
    mask = np.zeros(shape, np.float32)
    chosen = np.random.default_rng(0).choice(mask.size, 5, replace=False)
    mask.ravel()[chosen] = 1
    np.save(tmp_path / "mask.npy", mask)
    (tmp_path / "again").mkdir()
    settings["attribution"] = {"method": "imported", "file": str(tmp_path / "mask.npy")}
    settings["circuit"] = {"counts": [5], "ablation": "zero"}
    kept = run_product(binary, tmp_path / "again", settings)
    np.testing.assert_array_equal(kept["/attribution/scores"], mask)
    layers, positions, neurons = (kept[f"/top/{name}"][:5] for name in ("layer", "position", "neuron"))
    assert set(np.ravel_multi_index((layers, positions, neurons), shape)) == set(chosen)
    # By factors: all other neurons times 0 is the same network.
    others = [f"{i}/{p}/{n}" for i, p, n in np.ndindex(shape) if mask[i, p, n] == 0]
    settings["steering"] = {"factors": [0], "neurons": others}
    (tmp_path / "steered").mkdir()
    steered = run_product(binary, tmp_path / "steered", settings)
    (without,) = steered["/steering/metric"][steered["/steering/factor"] == 0]
    np.testing.assert_allclose(kept["/circuit/metric_circuit"][0], without, rtol=0, atol=1e-6)


def test_magnitudes(relp, binary, tiny_folder, tmp_path):
    """aggregate: mean-abs says that scores are magnitudes: they are compared with those of exact effects."""
    run = relp(["neurons"], "sum")
    settings = settings_for(tiny_folder("llama"), ["neurons"], "sum")
    settings["attribution"] = {"method": "imported", "file": str(run / "results.h5"), "aggregate": "mean-abs"}
    ours, theirs = run_product(binary, tmp_path, settings), read_results(run / "results.h5")
    np.testing.assert_array_equal(ours["/attribution/scores"], np.abs(theirs["/attribution/scores"]))
    np.testing.assert_array_equal(ours["/agreement/exact"], np.abs(theirs["/agreement/exact"]))


def test_the_identity_is_that_of_the_numbers(relp, binary, tiny_folder, tmp_path):
    """The same scores in another form are the same run; others are not, and the results are computed anew."""
    run = relp(["neurons"], "sum")
    settings = settings_for(tiny_folder("llama"), ["neurons"], "sum")
    scores = read_results(run / "results.h5")["/attribution/scores"]
    identities = []
    for name, values in [("a.npy", scores), ("b.h5", scores), ("c.npy", scores[::-1])]:
        file = tmp_path / name
        if name.endswith(".h5"):
            with h5py.File(file, "w") as stored:
                stored["scores"] = values
        else:
            np.save(file, np.ascontiguousarray(values))
        settings["attribution"] = {"method": "imported", "file": str(file)}
        (tmp_path / name[0]).mkdir()
        found = run_product(binary, tmp_path / name[0], settings)
        identities.append(found.attributes["/provenance"]["scores_identity"])
    assert identities[0] == identities[1] != identities[2]


def test_ranks_and_a_file_that_was_replaced(relp, binary, tiny_folder, tmp_path):
    """Three ranks write one rank's bytes. Other scores under the same name are another run, and are told."""
    run, file = relp(ORDER, "keep"), tmp_path / "ranking.safetensors"
    settings = settings_for(tiny_folder("llama"), ORDER, "keep")
    settings["attribution"] = {"method": "imported", "file": str(file)}
    settings["unit"] = {"pairs": 1}
    results = read_results(run / "results.h5")
    write_tensors(results, ORDER, file)
    run_product(binary, tmp_path, settings)
    alone = hashes(tmp_path / "out" / "results.h5")
    command = [*mpirun(3), str(binary), "run", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "three")]
    environment = mpi_environment(tmp_path / "session")
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "three" / "results.h5") == alone
    flipped = {name: -scores[::-1].copy() for name, scores in scores_of(results, ORDER).items()}
    save_file(flipped, file)
    (tmp_path / "out" / "results.h5").rename(tmp_path / "kept.h5")
    done = subprocess.run([str(binary), "finalize", str(tmp_path / "out")], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "other scores of attribution.file" in done.stderr
    (tmp_path / "kept.h5").rename(tmp_path / "out" / "results.h5")
    command = [str(binary), "run", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "(other: the scores of attribution.file)" in done.stderr
    subprocess.run([*command, "--fresh"], check=True, capture_output=True)
    again = read_results(tmp_path / "out" / "results.h5")
    for kind in ORDER:
        np.testing.assert_array_equal(again[place_of(kind, "scores")], flipped[NAMES[kind]])


ROWS = "kind,layer,position,index,score\nheads,0,,0,1\n"


def test_beside_other_methods(bench):
    """One sweep computes both; the report tells files apart, and plan and finalize read the file too."""
    for name in ("a", "b"):
        (bench.folder / f"{name}.csv").write_text(ROWS + f"heads,1,,1,{ord(name) - 96}\n")
    runs = [{"attribution.method": "imported", "attribution.file": f"{name}.csv"} for name in ("a", "b")]
    bench.settings |= {"nodes": ["heads"], "positions": "sum"}
    bench.settings["circuit"] = {"counts": [1]}
    bench.settings["sweep"] = {"include": [{"attribution.method": "relp"}, *runs]}
    bench.settings["attribution"] = {"method": "relp"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    command = [str(bench.binary), "export", str(bench.out), "--to", str(bench.folder / "tables")]
    subprocess.run(command, check=True, capture_output=True)
    with (bench.folder / "tables" / "runs.csv").open() as stored:
        methods = [row["method"] for row in csv.DictReader(stored)]
    assert methods == ["relp", "imported a.csv", "imported b.csv"]
    planned = subprocess.run(
        [str(bench.binary), "plan", "sweep.yaml"], cwd=bench.folder, check=False, capture_output=True, text=True
    )
    assert planned.returncode == 0, planned.stderr
    results = [file for file in bench.out.rglob("results.h5")]
    before = {file: read_results(file)["/circuit/faithfulness"].tobytes() for file in results}
    for file in results:
        file.unlink()
    finalized = subprocess.run(
        [str(bench.binary), "finalize", str(bench.out)], check=False, capture_output=True, text=True
    )
    assert finalized.returncode == 0, finalized.stderr
    assert {file: read_results(file)["/circuit/faithfulness"].tobytes() for file in results} == before
    assert len(json.loads((bench.out / "sweep.json").read_text())["runs"]) == 3
