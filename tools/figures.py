#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Figures for papers, as SVG and PDF, from the tables that `tributary export` has written.

Usage: figures.py TABLES [--to FOLDER] [--width INCHES]. TABLES is the folder with tables.json. Of every data set it
draws curves (faithfulness and completeness of growing circuits with 95 % intervals, one line a run), and of every run a
heat map (sum of |score| by layer and position). Needs matplotlib: `./run setup` or `pip install matplotlib`.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import cycle
from pathlib import Path

try:
    import matplotlib as mpl
except ImportError:
    sys.exit("figures.py: matplotlib is not installed; ./run setup installs it, or pip install matplotlib")
mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

# The hues of Okabe and Ito, which remain distinct to colour-blind readers, as on the page.
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c1e21")
MARKERS = ("o", "s", "D", "^", "P", "X", "v", "*", "p", "h", "d")
TYPES = ("svg", "pdf")
STYLE = {
    "svg.fonttype": "none",  # text stays text, which can be searched and edited
    "pdf.fonttype": 42,
    "svg.hashsalt": "tributary",  # equal tables give equal files
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a token may be "$"
}

Row = dict[str, object]


def read_tables(folder: Path) -> dict[str, list[Row]]:
    """The rows of every table by name."""
    file = folder / "tables.json"
    if not file.is_file():
        sys.exit(f"figures.py: {file} is not there; `tributary export RESULTS --to {folder}` writes it")
    tables: dict[str, list[Row]] = {}
    for table in json.loads(file.read_text(encoding="utf-8"))["tables"]:
        names = [column["name"] for column in table["columns"]]
        columns = (column["values"] for column in table["columns"])
        tables[table["name"]] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return tables


def save(figure: plt.Figure, folder: Path, name: str) -> list[Path]:
    """The figure in every type, without a time of making in it."""
    files = [folder / f"{name}.{kind}" for kind in TYPES]
    for file in files:
        nothing = {"Date": None} if file.suffix == ".svg" else {"CreationDate": None}
        figure.savefig(file, metadata=nothing, bbox_inches="tight")
    plt.close(figure)
    return files


def draw_curve(axes: plt.Axes, rows: list[Row], measure: str, label: str, look: tuple[str, str]) -> None:
    """One run's line, with its intervals as bars."""
    known = [row for row in rows if row[measure] is not None and row["count"]]
    if not known:
        return
    values = [row[measure] for row in known]
    ends = [(row[f"{measure}_low"], row[f"{measure}_high"]) for row in known]
    bars = [
        [max(0.0, v - low) if low is not None else 0.0 for v, (low, _) in zip(values, ends, strict=True)],
        [max(0.0, high - v) if high is not None else 0.0 for v, (_, high) in zip(values, ends, strict=True)],
    ]
    colour, marker = look
    axes.errorbar(
        *([row["count"] for row in known], values, bars),
        **{"color": colour, "marker": marker, "markersize": 3.5, "linewidth": 1.1},
        **{"elinewidth": 0.8, "capsize": 1.5, "label": label},
    )


def draw_curves(tables: dict[str, list[Row]], data: Row, folder: Path, width: float) -> list[Path]:
    """Faithfulness and completeness of the runs of one data set side by side."""
    figure, both = plt.subplots(1, 2, figsize=(width, 0.42 * width), sharex=True)
    runs = [run for run in tables["runs"] if run["data"] == data["data"]]
    looks = zip(cycle(HUES), cycle(MARKERS), strict=False)
    for run, look in zip(runs, looks, strict=False):
        rows = sorted((row for row in tables["curve"] if row["run"] == run["run"]), key=lambda row: row["count"])
        for axes, measure in zip(both, ("faithfulness", "completeness"), strict=True):
            draw_curve(axes, rows, measure, str(run["method"]), look)
    if not both[0].get_legend_handles_labels()[0]:
        plt.close(figure)
        return []
    for axes, measure, ideal in zip(both, ("faithfulness", "completeness"), (1, 0), strict=True):
        axes.axhline(ideal, color="#565c63", linewidth=0.7, zorder=0)
        axes.set(xscale="log", xlabel="nodes in the circuit", ylabel=measure)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))  # powers would want mathtext
        axes.xaxis.set_minor_formatter(NullFormatter())
    handles, labels = both[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, frameon=False, bbox_to_anchor=(0.5, 0.0))
    figure.tight_layout()
    return save(figure, folder, f"curves-{data['data']}")


def draw_heat(tables: dict[str, list[Row]], run: Row, folder: Path, width: float) -> list[Path]:
    """Where the scores of a run are."""
    rows = [row for row in tables["heat"] if row["run"] == run["run"]]
    if not rows:
        return []
    layers = 1 + max(row["layer"] for row in rows)
    positions = 1 + max(row["position"] for row in rows)
    cells = [[float("nan")] * positions for _ in range(layers)]
    for row in rows:
        cells[row["layer"]][row["position"]] = row["magnitude"]
    names = {row["position"]: row["position_name"] for row in tables["tokens"] if row["data"] == run["data"]}
    ticks = [f"{(names.get(p) or '').strip()} {p}".strip() for p in range(positions)]
    figure, axes = plt.subplots(figsize=(0.6 * width, 0.45 * width))
    image = axes.imshow(cells, origin="lower", aspect="auto", cmap="Blues", interpolation="nearest")
    axes.set_xticks(range(positions), ticks, rotation=60, ha="right", rotation_mode="anchor")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(ylabel="layer", title=str(run["method"]))
    figure.colorbar(image, label="sum of |score| (logits)")
    return save(figure, folder, f"heat-{run['run']}")


def draw_all(tables: dict[str, list[Row]], folder: Path, width: float) -> list[Path]:
    """All figures that the tables have numbers for."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        files = [file for data in tables["data"] for file in draw_curves(tables, data, folder, width)]
        return files + [file for run in tables["runs"] for file in draw_heat(tables, run, folder, width)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, help="folder with tables.json, from `tributary export`")
    parser.add_argument("--to", type=Path, help="folder of the figures (default: TABLES)")
    parser.add_argument("--width", type=float, default=6.5, help="inches, of both curves side by side (default: 6.5)")
    arguments = parser.parse_args()
    for file in draw_all(read_tables(arguments.tables), arguments.to or arguments.tables, arguments.width):
        print(file)


if __name__ == "__main__":
    main()
