# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""tools/figures.py: figures of what `tributary export` wrote, whose points are those of the tables."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import ROOT
from report_page import of

TOOL = ROOT / "tools" / "figures.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figures(binary, sweep_file, tmp_path_factory) -> Path:
    """The figures of the sweep."""
    folder = tmp_path_factory.mktemp("figures")
    subprocess.run([binary, "export", sweep_file.parent, "--to", folder / "tables"], check=True, capture_output=True)
    words = [sys.executable, TOOL, folder / "tables", "--to", folder / "figures"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == sorted(map(str, (folder / "figures").iterdir()))
    return folder / "figures"


def texts_of(file: Path) -> list[str]:
    """What stands in an SVG as text."""
    return ["".join(one.itertext()).strip() for one in ET.parse(file).getroot().iter(f"{SVG}text")]


def test_every_figure_is_there_in_both_types(figures, sweep):
    """Curves a data set, a heat map a run; PDF is PDF, and texts are texts."""
    runs = [f"heat-{run}" for run in range(len(of(sweep, "runs")))]
    assert {file.stem for file in figures.iterdir()} == {"curves-0", "curves-1", *runs}
    for file in figures.iterdir():
        assert file.suffix == ".svg" or file.read_bytes().startswith(b"%PDF")
    texts = texts_of(figures / "curves-1.svg")
    assert {"faithfulness", "completeness", "nodes in the circuit", "|Δ|", "relp without norm"} <= set(texts)
    heat = texts_of(figures / "heat-5.svg")
    assert {"layer", "relp", "sum of |score| (logits)"} <= set(heat)
    named = [row for row in of(sweep, "tokens", data=1) if row["position_name"] and row["position_name"].strip()]
    assert len(named) > 3
    assert all(f"{row['position_name'].strip()} {row['position']}" in heat for row in named)


def test_equal_tables_give_equal_files(figures, tmp_path):
    """No time and no chance in them."""
    subprocess.run([sys.executable, TOOL, figures.parent / "tables", "--to", tmp_path], check=True, capture_output=True)
    for file in figures.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_points_of_a_curve_are_those_of_the_table(figures, sweep, monkeypatch):
    """Drawn anew in this process, and the lines read back."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import figures as tool

    kept = []
    monkeypatch.setattr(tool, "save", lambda figure, *_: kept.append(figure) or [])
    tables = tool.read_tables(figures.parent / "tables")
    tool.draw_curves(tables, tables["data"][1], figures, 6.5)
    (figure,) = kept
    for axes, measure in zip(figure.axes, ("faithfulness", "completeness"), strict=True):
        for run, bars in zip(of(sweep, "runs", data=1), axes.containers, strict=True):
            rows = sorted(of(sweep, "curve", run=run["run"]), key=lambda row: row["count"])
            line, _, (segments,) = bars
            assert bars.get_label() == run["method"]
            assert line.get_xdata().tolist() == [row["count"] for row in rows]
            assert line.get_ydata().tolist() == [row[measure] for row in rows]
            for segment, row in zip(segments.get_segments(), rows, strict=True):
                if row[f"{measure}_low"] is None:  # too few resamples said anything
                    assert not math.isfinite(segment[0][1]) or segment[0][1] == segment[1][1] == row[measure]
                    continue
                low, high = sorted((segment[0][1], segment[1][1]))
                assert low == pytest.approx(min(row[f"{measure}_low"], row[measure]), abs=1e-9)
                assert high == pytest.approx(max(row[f"{measure}_high"], row[measure]), abs=1e-9)


def test_nothing_to_draw_from(tmp_path):
    """Which command is missing is said."""
    done = subprocess.run([sys.executable, TOOL, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "tributary export" in done.stderr


def test_a_data_set_without_curves_has_none(figures, tmp_path):
    """Its heat maps are drawn all the same."""
    document = json.loads((figures.parent / "tables" / "tables.json").read_text())
    (curve,) = (table for table in document["tables"] if table["name"] == "curve")
    for column in curve["columns"]:
        column["values"] = []
    (tmp_path / "tables.json").write_text(json.dumps(document))
    subprocess.run([sys.executable, TOOL, tmp_path], check=True, capture_output=True)
    assert not list(tmp_path.glob("curves*")) and len(list(tmp_path.glob("heat-*.pdf"))) == 10
