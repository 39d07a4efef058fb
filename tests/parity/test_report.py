# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Report and export: the numbers of the page, CSV and JSON are those of results.h5, also of half-finished sweeps."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from product import Results, read_results
from report_sweep import document_of
from report_tables import TABLES
from test_tiny_scores import settings_of

METHODS = ["atp", "relp", "input-ig", "ig-inputs", "random"]


def tributary(binary: Path, *words: object, code: int = 0) -> subprocess.CompletedProcess:
    """Runs the program and expects an exit code."""
    done = subprocess.run([str(w) for w in (binary, *words)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def rows_of(document: dict, name: str) -> list[dict]:
    """A table's rows."""
    table = next(table for table in document["tables"] if table["name"] == name)
    names = [column["name"] for column in table["columns"]]
    values = zip(*(column["values"] for column in table["columns"]), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


@pytest.fixture(scope="module")
def sweep(binary, tiny_folder, tmp_path_factory) -> Path:
    """A finished sweep of a tiny model with everything a report can show."""
    folder = tmp_path_factory.mktemp("sweep")
    model = tiny_folder("llama")
    records = [json.loads(line) for line in (model / "pairs.jsonl").read_text().splitlines()]
    pairs = folder / "tiny_pairs.jsonl"
    labelled = [record | {"case": "a<b" if i % 2 else 'c,"d"'} for i, record in enumerate(records)]
    pairs.write_text("".join(json.dumps(record) + "\n" for record in labelled))
    settings = settings_of(model, attribution={"method": "atp", "keep": 30})
    settings["pairs"] = {"train_file": str(pairs), "test_file": str(pairs), "train": 8, "test": 6, "overlap": "allow"}
    settings |= {"schema": 1, "name": "tiny", "agreement": {"sample": 40}, "steering": {"factors": [-1, 0, 1, 2]}}
    settings |= {"sweep": {"grid": {"attribution.method": METHODS}}}
    (folder / "sweep.yaml").write_text(json.dumps(settings))
    tributary(binary, "run", folder / "sweep.yaml", "--out", folder / "out")
    return folder


def results_by_name(out: Path) -> dict[str, Results]:
    """Results of all runs by folder."""
    return {file.parent.name: read_results(file) for file in out.glob("*/results.h5")}


def same(found: object, stored: float | np.floating) -> bool:
    """Whether a number of a table is a stored one, to its last bit; null is NaN."""
    if found is None:
        return bool(np.isnan(stored))
    return type(stored)(found) == stored


def test_a_run_ends_with_its_reports(sweep):
    """One page a run and one for the sweep."""
    for page in [sweep / "out" / "report.html", *(sweep / "out" / f"method={m}" / "report.html" for m in METHODS)]:
        assert page.is_file()
    document = document_of(sweep / "out" / "report.html")
    assert (document["schema"], document["kind"], document["title"]) == (1, "sweep", "tiny")
    assert [note for note in document["notes"] if "the model is right on only" not in note] == []
    assert [row["method"] for row in rows_of(document, "runs")] == METHODS
    assert document_of(sweep / "out" / "method=atp" / "report.html")["kind"] == "run"


def test_numbers_are_those_of_the_results(sweep):
    """Curves, agreement, steering, top neurons, inputs and cases against results.h5."""
    document = document_of(sweep / "out" / "report.html")
    stored = results_by_name(sweep / "out")
    runs = {row["run"]: stored[row["name"]] for row in rows_of(document, "runs")}
    scored = len(METHODS) - 1  # input-ig scores tokens
    sizes = {"curve": 4, "agreement": 6, "steering": 4, "top": 50, "values": 10 * 8, "cases": 2 * 20}  # rows a run
    assert {name: len(rows_of(document, name)) for name in sizes} == {name: scored * n for name, n in sizes.items()}
    # A node that is drawn and among the first is in a sample of 40 once.
    samples = [results["/agreement/layer"].size for results in runs.values() if "/agreement/layer" in results]
    assert len(samples) == scored and all(35 <= n <= 40 for n in samples)
    assert len(rows_of(document, "exact")) == sum(samples)
    for row in rows_of(document, "curve"):
        results = runs[row["run"]]
        i = results["/circuit/count"].tolist().index(row["count"])
        for name in ("faithfulness", "completeness"):
            for end in ("", "_low", "_high"):
                assert same(row[name + end], results[f"/circuit/{name}{end}"][i])
    for row in rows_of(document, "agreement"):
        results = runs[row["run"]]
        i = results["/agreement/statistic"].tolist().index(row["statistic"].encode())
        for name, path in (("value", "value"), ("low", "value_low"), ("high", "value_high")):
            assert same(row[name], results[f"/agreement/{path}"][i])
    for row in rows_of(document, "steering"):
        results = runs[row["run"]]
        f = results["/steering/factor"].tolist().index(row["factor"])
        for name, path in (("metric_low", "metric_low"), ("metric_high", "metric_high")):
            assert same(row[name], results[f"/steering/{path}"][f])
        for name, path in (("metric", "metric"), ("kl", "divergence"), ("clean_probability", "clean_probability")):
            assert row[name] == pytest.approx(results[f"/steering/{path}"][f].astype(float).mean(), rel=1e-12)
    for row in rows_of(document, "top"):
        scores = runs[row["run"]]["/attribution/scores"]
        score = scores[row["layer"], row["position"], row["neuron"]]
        assert same(row["score"], score)
        assert (np.abs(scores) > np.abs(score)).sum() < row["rank"]
        for name in ("standard_error", "sign_share"):
            assert same(
                row[name], runs[row["run"]][f"/attribution/{name}"][row["layer"], row["position"], row["neuron"]]
            )
        assert row["share"] == pytest.approx(np.abs(score) / np.abs(scores.astype(float)).sum(), rel=1e-6)
        at = set(runs[row["run"]]["/pairs/clean_tokens"][:, row["position"]].tolist())
        assert row["position_name"] == (at.pop().decode() if len(at) == 1 else None)
        for name, column in (("clean_value", 0), ("counterfactual_value", 1)):
            stored_values = runs[row["run"]]["/top/value"][row["rank"] - 1, :, column].astype(float)
            assert row[name] == pytest.approx(stored_values.mean(), rel=1e-6, abs=1e-12)
    for row in rows_of(document, "values"):
        results = runs[row["run"]]
        i = results["/top/pair"].tolist().index(row["pair"])
        for name, column in (("clean", 0), ("counterfactual", 1)):
            assert same(row[name], results["/top/value"][row["rank"] - 1, i, column])
    for row in rows_of(document, "inputs"):
        assert same(row["score"], runs[row["run"]]["/attribution/inputs"][row["pair"], row["position"]])
    assert {row["run"] for row in rows_of(document, "inputs")} == {METHODS.index("input-ig")}
    for row in rows_of(document, "cases"):
        results = runs[row["run"]]
        place = (
            results["/cases/label"].tolist().index(row["case"].encode()),
            row["layer"],
            row["position"],
            row["neuron"],
        )
        assert same(row["auroc"], results["/cases/auroc"][place])
        assert same(row["score"], results["/cases/mean"][place])
    for row in rows_of(document, "exact"):
        results = runs[row["run"]]
        columns = [results[f"/agreement/{name}"] == row[name] for name in ("layer", "position", "neuron")]
        i = int(np.flatnonzero(np.logical_and.reduce(columns))[0])
        assert row["exact"] == pytest.approx(results["/agreement/exact"][:, i].astype(float).mean(), rel=1e-12)
        assert row["score"] == pytest.approx(results["/agreement/score"][:, i].astype(float).mean(), rel=1e-12)


def test_summary_columns_are_what_they_say(sweep):
    """What the table of runs derives from curves and scores."""
    document = document_of(sweep / "out" / "report.html")
    stored = results_by_name(sweep / "out")
    for row in rows_of(document, "runs"):
        results = stored[row["name"]]
        assert row["evaluations"] == results["/attribution/passes"].sum()
        for name, value in (("full", "mean_full"), ("empty", "mean_empty")):
            assert row[name] == results.attributes.get("/circuit", {}).get(value)
        if "/circuit/count" not in results:
            assert row["faithful_at"] is None
            continue
        counts = results["/circuit/count"]
        for name, good in (
            ("faithful_at", results["/circuit/faithfulness"] >= 0.8),
            ("complete_at", results["/circuit/completeness"] <= 0.2),
        ):
            assert row[name] == (int(counts[good].min()) if good.any() else None)
        assert row["cpr"] == results.attributes["/circuit"]["cpr"] or np.isnan(results.attributes["/circuit"]["cpr"])
    methods = {(row["run_a"], row["run_b"]): row for row in rows_of(document, "methods")}
    atp, random = (stored[f"method={m}"]["/attribution/scores"].astype(float).ravel() for m in ("atp", "random"))
    row = methods[METHODS.index("atp"), METHODS.index("random")]
    assert row["pearson"] == pytest.approx(np.corrcoef(atp, random)[0, 1], abs=1e-9)
    top = [set(np.lexsort((np.arange(v.size), -np.abs(v)))[:100].tolist()) for v in (atp, random)]
    assert row["overlap"] == pytest.approx(len(top[0] & top[1]) / 100)
    heat = [row for row in rows_of(document, "heat") if row["run"] == 0]
    sums = np.abs(stored["method=atp"]["/attribution/scores"].astype(float)).sum(2)
    assert len(heat) == sums.size
    for row in heat:
        assert row["magnitude"] == pytest.approx(sums[row["layer"], row["position"]], rel=1e-6)


def test_seconds_add_up(sweep):
    """What runs share is counted once over the sweep, and each run tells its own stages apart."""
    stored = results_by_name(sweep / "out")
    rows = rows_of(document_of(sweep / "out" / "report.html"), "runs")
    shared = [json.loads(stored[row["name"]].attributes["/provenance"]["seconds_shared"]) for row in rows]
    assert all(one == shared[0] for one in shared) and "attribution" in shared[0]
    assert [row["together"] for row in rows] == [len(METHODS)] * len(METHODS)
    total = sum(shared[0].values()) + sum(row["own_seconds"] for row in rows)
    assert sum(row["seconds"] for row in rows) == pytest.approx(total)
    for row in rows:
        whole = json.loads(stored[row["name"]].attributes["/provenance"]["seconds"])
        assert row["own_seconds"] + row["shared_seconds"] == pytest.approx(sum(whole.values()))
        assert "circuits" not in shared[0] and ("circuits" in whole) == ("/circuit/count" in stored[row["name"]])


def test_the_models_own_performance_stands_first(sweep, binary):
    """Accuracy and mean metric in the page's data table, and the summary's first lines; both warn of a low one."""
    stored = results_by_name(sweep / "out")["method=atp"]
    (row,) = rows_of(document_of(sweep / "out" / "report.html"), "data")
    split = stored["/pairs/split"]
    for which, prefix in ((b"train", ""), (b"test", "test_")):
        assert row[f"{prefix}accuracy"] == stored["/pairs/correct"][split == which].mean()
        other = stored["/pairs/correct_counterfactual"][split == which].mean()
        assert row[f"counterfactual_{prefix}accuracy"] == other
    means = stored["/pairs/metric"][split == b"test"].astype(float).mean(0)
    assert [row["test_metric"], row["counterfactual_test_metric"]] == pytest.approx(means.tolist(), rel=1e-6)
    lines = tributary(binary, "run", sweep / "sweep.yaml", "--out", sweep / "out").stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("method "))
    assert lines[first - 2].startswith("mean m ") or lines[first - 1].startswith("mean m ")
    low = min(row[name] for name in row if name.endswith("accuracy")) < 0.8
    notes = document_of(sweep / "out" / "report.html")["notes"]
    assert any("the model is right on only" in note for note in notes) == low
    assert any("warning: the model is right on only" in line for line in lines) == low


def test_made_up_documents_have_the_programs_tables(sweep):
    """The documents with which the page is tested in a browser: the same tables, columns, types and units."""
    tables = document_of(sweep / "out" / "report.html")["tables"]
    ours = {table["name"]: [(c["name"], (c["type"], c["unit"])) for c in table["columns"]] for table in tables}
    assert {name: [*columns.items()] for name, (_, columns) in TABLES.items()} == ours


def check_names(table: dict, lines: list[list[str]], page: dict) -> None:
    """Columns that a CSV file has beside its table's say in words what the numbers of runs and data sets mean."""
    names = {"run": {"run_name": "name", "method": "method"}, "run_a": {"method_a": "method"}}
    names |= {"run_b": {"method_b": "method"}, "data": {"data_name": "name"}}
    more = [name for name in lines[0] if name not in [column["name"] for column in table["columns"]]]
    if table["name"] in ("runs", "data"):
        assert more == (["data_name"] if table["name"] == "runs" else [])
    numbered = [column["name"] for column in table["columns"] if column["name"] in names]
    wanted = [name for number in numbered for name in names[number] if table["name"] not in ("runs", "data")]
    assert more == wanted or table["name"] in ("runs", "data")
    for number in numbered:
        known = {
            row["data" if number == "data" else "run"]: row
            for row in rows_of(page, "data" if number == "data" else "runs")
        }
        place = lines[0].index(number)
        for name, key in names[number].items():
            if name in more:
                assert lines[0].index(name) - place in (1, 2)
                assert all(line[lines[0].index(name)] == known[int(line[place])][key] for line in lines[1:])


def test_export_is_the_page_as_files(sweep, binary, tmp_path):
    """CSV and JSON hold what the page holds, cell by cell."""
    tributary(binary, "export", sweep / "out", "--to", tmp_path / "tables")
    exported = json.loads((tmp_path / "tables" / "tables.json").read_text())
    page = document_of(sweep / "out" / "report.html")
    assert exported["tables"] == page["tables"]
    assert {file.stem for file in (tmp_path / "tables").glob("*.csv")} == {t["name"] for t in page["tables"]}
    for table in page["tables"]:
        with (tmp_path / "tables" / f"{table['name']}.csv").open(newline="") as file:
            lines = list(csv.reader(file))
        check_names(table, lines, page)
        own = [column["name"] for column in table["columns"]]
        assert [name for name in lines[0] if name in own] == own
        for column in table["columns"]:
            cells = [line[lines[0].index(column["name"])] for line in lines[1:]]
            kind = {"text": str, "integer": int, "number": float}[column["type"]]
            empty = "" if column["type"] == "text" else None
            assert [kind(cell) if cell else empty for cell in cells] == [
                empty if value is None else value for value in column["values"]
            ]


def test_a_half_finished_folder_says_what_is_missing(sweep, binary, tmp_path):
    """The page is made of what is there, and names the rest; damaged results are not read."""
    out = tmp_path / "half"
    shutil.copytree(sweep / "out", out)
    (out / "method=relp" / "results.h5").unlink()
    damaged = out / "method=random" / "results.h5"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done = tributary(binary, "report", out)
    assert "run 'method=relp' is not finished" in done.stdout
    document = document_of(out / "report.html")
    assert [row["method"] for row in rows_of(document, "runs")] == ["atp", "input-ig", "ig-inputs"]
    assert "method=relp" in document["notes"][0]
    assert "method=random" in document["notes"][1]
    assert "cannot be read" in document["notes"][1] and "tributary finalize" in document["notes"][1]


def test_results_of_another_layout_are_named(sweep, binary, tmp_path):
    """A file that is not as the program writes them does not keep the others from being shown."""
    out = tmp_path / "old"
    shutil.copytree(sweep / "out", out)
    driver = binary.parent / "tests" / "results_driver"
    (out / "method=atp" / "results.h5").unlink()
    subprocess.run([driver, "write", out / "method=atp" / "results.h5", "another"], check=True, capture_output=True)
    done = tributary(binary, "report", out)
    assert "run 'method=atp' cannot be read: " in done.stdout
    assert "not as this program writes them" in done.stdout and " is missing; " in done.stdout
    document = document_of(out / "report.html")
    assert [row["method"] for row in rows_of(document, "runs")] == METHODS[1:]


def test_nothing_to_report_on(binary, tmp_path):
    """Folders that are not there or hold nothing: exit 2."""
    assert "no such folder" in tributary(binary, "report", tmp_path / "nowhere", code=2).stderr
    assert "holds no results" in tributary(binary, "export", tmp_path, code=2).stderr


def test_again_does_nothing_and_grown_does_the_new_run_only(sweep, binary):
    """A finished sweep leaves its files alone; with one more run only that one is computed, and the page has it."""
    out = sweep / "out"
    times = {file: file.stat().st_mtime_ns for file in out.glob("**/*.h5")}
    page = (out / "report.html").stat().st_mtime_ns
    tributary(binary, "run", sweep / "sweep.yaml", "--out", out)
    assert (out / "report.html").stat().st_mtime_ns == page
    methods = ", ".join([*METHODS, "delta"])
    tributary(binary, "run", sweep / "sweep.yaml", f"sweep.grid.attribution.method=[{methods}]", "--out", out)
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert [row["method"] for row in rows_of(document_of(out / "report.html"), "runs")] == [*METHODS, "|Δ|"]
