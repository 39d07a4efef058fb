# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Page, CSV files and summary of runs whose nodes are neurons, heads, MLPs and embeddings: each says of which kind a
node is, and kinds are not mixed where their numbers cannot be."""

from __future__ import annotations

import copy
import csv
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import report_document
from browser import Opened, opened
from product import read_results
from report_page import chart, column, draw_all, of, written
from report_sweep import NODE_RUNS, STEERED, document_of, make_node_sweep

KINDS = NODE_RUNS[0]
NAMES = {"neurons": "neuron", "heads": "head", "mlps": "MLP", "embeddings": "embedding"}
WITH_KIND = ["top", "values", "agreement", "exact", "steered", "cases"]


@dataclass
class Made:
    """A finished sweep, the document of its page and what its runs printed."""

    folder: Path
    document: dict
    printed: str


@pytest.fixture(scope="module")
def made(binary, tiny_folder, tmp_path_factory) -> Made:
    """Runs 0 and 1 score all kinds, 2 and 3 heads."""
    folder, printed = make_node_sweep(binary, tiny_folder("llama"), tmp_path_factory.mktemp("nodes"))
    return Made(folder, document_of(folder / "report.html"), printed)


@pytest.fixture()
def shown(running: object, made: Made) -> Iterator[Opened]:
    with opened(running, made.folder / "report.html") as page:
        draw_all(page)
        yield page
        page.check()


def place_of(row: dict) -> str:
    """As a chart's pointer names it."""
    where = "all positions" if row["position"] == -1 else f"position {row['position']}"
    layer = "" if row["kind"] == "embeddings" else f"layer {row['layer']}, "
    index = f" {row['neuron']}" if row["kind"] in ("neurons", "heads") else ""
    return f"{layer}{where}, {NAMES[row['kind']]}{index}"


def label_of(row: dict) -> str:
    """As an axis names it."""
    numbers = [] if row["kind"] == "embeddings" else [row["layer"]]
    numbers += [row["position"]] + ([row["neuron"]] if row["kind"] in ("neurons", "heads") else [])
    return f"{NAMES[row['kind']]} {'/'.join(map(str, numbers))}"


def shown_rows(page: Opened, name: str) -> list[dict[str, str]]:
    """A table of the page: cells by heading."""
    table = page.page.locator(f"#table-{name}").first
    heads = table.locator("thead button").all_inner_texts()
    cells = table.locator("tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(one => one.innerText))")
    return [dict(zip(heads, row, strict=True)) for row in cells]


def test_the_document_has_every_kind(made: Made) -> None:
    """In each table that speaks of nodes, and the scores are those of results.h5."""
    for name in WITH_KIND:
        assert set(column(of(made.document, name, run=0), "kind")) == set(KINDS), name
        others = set(column(of(made.document, name, run=2), "kind"))
        assert others == (set(KINDS) if name == "steered" else {"heads"}), name
    for run in of(made.document, "runs"):
        results = read_results(made.folder / run["name"] / "results.h5")
        for row in of(made.document, "top", run=run["run"]):
            group = "/attribution" if row["kind"] == "neurons" else f"/nodes/{row['kind']}"
            full = [row["layer"], row["position"], row["neuron"]]
            place = {"mlps": full[:2], "embeddings": full[1:2]}.get(row["kind"], full)
            assert np.float32(row["score"]) == results[f"{group}/scores"][tuple(place)]
            assert np.float32(row["standard_error"]) == results[f"{group}/standard_error"][tuple(place)]


def test_tables_say_of_which_kind_a_node_is(shown: Opened, made: Made) -> None:
    """The kind stands before the place, and the numbers that a kind does not have are left out."""
    for name in ("top", "steered", "cases"):
        rows, expected = shown_rows(shown, name), of(made.document, name, run=0)
        heads = list(rows[0])
        assert heads[heads.index("kind") : heads.index("kind") + 3] == ["kind", "layer", "position"], name
        assert "index" in heads and "neuron" not in heads
        for row, true in zip(rows, expected, strict=True):
            assert row["kind"] == true["kind"]
            assert row["layer"] == ("–" if row["kind"] == "embeddings" else str(true["layer"]))
            assert row["index"] == (str(true["neuron"]) if row["kind"] in ("neurons", "heads") else "–")
    steered = {
        f"{row['kind']}:{row['layer']}/{row['position']}/{row['neuron']}" for row in of(made.document, "steered", run=0)
    }
    assert steered == {*STEERED[:3], f"neurons:{STEERED[3]}"}


def test_charts_name_nodes(shown: Opened, made: Made) -> None:
    """The values' rows, and what the pointer shows on a sampled node; one chart of samples for each kind."""
    for run in (0, 2):
        shown.page.select_option("#run", str(run))
        draw_all(shown)
        rows = {row["rank"]: label_of(row) for row in of(made.document, "values", run=run)}
        ticks = shown.page.evaluate("() => document.getElementById('values').layout.yaxis.ticktext")
        assert ticks == list(rows.values())
        kinds = KINDS if run == 0 else ["heads"]
        charts = shown.page.locator("[id^=scatter]").evaluate_all("all => all.map(one => one.id)")
        assert charts == [f"scatter-{kind}" for kind in kinds]
        for kind in kinds:
            expected = of(made.document, "exact", run=run, kind=kind)
            dots = [
                (x, y, hover.split("<br>")[0])
                for trace in chart(shown, f"scatter-{kind}")
                for x, y, hover in zip(trace["x"], trace["y"], trace["hover"], strict=True)
            ]
            assert sorted(dots) == sorted((row["exact"], row["score"], f"<b>{place_of(row)}</b>") for row in expected)
    assert shown.page.locator("h3", has_text="Score against exact patching: heads").count() == 1


def test_agreement_is_told_for_each_kind(shown: Opened, made: Made) -> None:
    """In a chart of the runs that have the kind, and in columns of the table of runs."""
    runs = of(made.document, "runs")

    def records(kind: str, run: dict, **keys: object) -> list[dict]:
        return of(made.document, "agreement", run=run["run"], kind=kind, **keys)

    charts = shown.page.locator("[id^=agreement-]").evaluate_all("all => all.map(one => one.id)")
    assert charts == [f"agreement-{kind}-0" for kind in KINDS]
    for kind, name in zip(KINDS, charts, strict=True):
        having = [run for run in runs if records(kind, run)]
        assert len(having) == (4 if kind == "heads" else 2)
        statistics = dict.fromkeys(row["statistic"] for run in having for row in records(kind, run))
        for trace, statistic in zip(chart(shown, name), statistics, strict=True):
            assert trace["name"] == statistic
            assert trace["x"] == [records(kind, run, statistic=statistic)[0]["value"] for run in having]
    rows = shown_rows(shown, "runs")
    for name in ("Pearson", "Spearman"):
        heads = {kind: f"{name} ({NAMES[kind]}s)" for kind in KINDS}
        assert [head for head in rows[0] if head.startswith(name)] == list(heads.values())
        for run, row in zip(runs, rows, strict=True):
            for kind, head in heads.items():
                found = records(kind, run, statistic=name.lower())
                value = found[0]["value"] if found else None
                said = row[head].split("[")[0].strip().replace("−", "-")
                assert said == "–" if value is None else float(said) == pytest.approx(value, rel=1e-3)


def test_texts_speak_of_nodes(shown: Opened, made: Made) -> None:
    """And the number of nodes is that of each run."""
    words = shown.page.locator("header").inner_text()
    assert "Which parts of the model make it give this answer" in words
    assert shown.page.locator("h3", has_text="Strongest nodes, and what they do").count() == 1
    captions = shown.page.locator("figcaption, .block > p").all_inner_texts()
    assert len(captions) > 10
    assert not [one for one in captions if "neurons of one layer" in one or "a neuron at a position each" in one]
    fewest, most = sorted({run["nodes"] for run in of(made.document, "runs")})
    assert f"{fewest:,} to {most:,} nodes" in shown.page.locator("#nodes-0 > p").inner_text()


def test_pages_of_single_runs_open(running: object, made: Made) -> None:
    for run in of(made.document, "runs"):
        with opened(running, made.folder / run["name"] / "report.html") as one:
            draw_all(one)
            assert one.page.locator("#table-top thead").inner_text().split()[:2] == ["rank", "kind"]
            one.check()


def test_circuits_of_some_kinds_say_so(running: object, made: Made, tmp_path: Path) -> None:
    """Beside the number of all nodes; the rank of embeddings that are one node is a column of the runs, explained."""
    runs = of(made.document, "runs")
    assert {run["circuit_kinds"] for run in runs} == {"neurons, heads, mlps, embeddings", "heads"}
    assert all(run["circuit_nodes"] == run["nodes"] and run["embeddings_rank"] is None for run in runs)
    document = copy.deepcopy(made.document)
    columns = {c["name"]: c for one in document["tables"] if one["name"] == "runs" for c in one["columns"]}
    columns["circuit_nodes"]["values"] = [1500, 1500, 48, 48]
    columns["circuit_kinds"]["values"] = ["heads, embeddings", "heads, embeddings", "heads", "heads"]
    columns["embeddings_rank"]["values"] = [44, 7, None, None]
    with opened(running, written(document, tmp_path)) as one:
        facts = one.page.locator("#nodes-0 > p").inner_text()
        assert "circuits choose among 1,500 nodes: heads, embeddings, or 48 nodes: heads" in facts
        ranks = [row["rank of the embeddings"] for row in shown_rows(one, "runs")]
        assert ranks == ["44", "7", "–", "–"]
        assert "F(C) = F(∅)" in one.page.locator("#table-runs > p").inner_text()
        one.check()
    with opened(running, made.folder / "report.html") as one:
        assert "F(C) = F(∅)" not in one.page.locator("#table-runs > p").inner_text()
        assert "rank of the embeddings" not in shown_rows(one, "runs")[0]


@pytest.mark.parametrize("kind", ["mlps", "embeddings"])
def test_what_no_node_has_is_no_column(running: object, tmp_path: Path, kind: str) -> None:
    """A run of MLPs alone has no indices, one of embeddings no layers either."""
    document = report_document.run_document()
    for table in document["tables"]:
        for described in table["columns"]:
            if described["name"] == "kind":
                described["values"] = [kind] * len(described["values"])
    with opened(running, written(document, tmp_path)) as one:
        draw_all(one)
        heads = one.page.locator("#table-top thead button").all_inner_texts()
        layer = ["layer"] if kind == "mlps" else []
        assert heads[: 4 + len(layer)] == ["rank", "kind", *layer, "position", "position name"]
        assert one.page.locator("#values .xtitle").text_content() == "norm ÷ largest of the row"
        one.check()


def test_export_has_the_kind_as_last_column(made: Made, binary: Path, tmp_path: Path) -> None:
    subprocess.run([binary, "export", made.folder, "--to", tmp_path / "tables"], check=True, capture_output=True)
    for name in WITH_KIND:
        with (tmp_path / "tables" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0])[-1] == "kind"
        assert column(rows, "kind") == column(of(made.document, name), "kind")


def test_the_summary_names_nodes(made: Made) -> None:
    """As kind:layer/position/index, in the order of the ranking."""
    summaries = re.findall(r"^  rank  node .*\n((?:^ +\d+  \w+:.*\n)+)", made.printed, re.MULTILINE)
    assert len(summaries) == 4
    for run, summary in enumerate(summaries):
        found = [line.split()[1] for line in summary.splitlines()]
        top = of(made.document, "top", run=run)[: len(found)]
        assert found == [f"{row['kind']}:{row['layer']}/{row['position']}/{row['neuron']}" for row in top]
