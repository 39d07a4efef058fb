# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Reads a report page that is open in a browser, and the document that it was made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import report_document
from browser import Opened
from report_document import table

# What the chart holds, without Plotly's own additions; texts as they are shown.
READ_CHART = """id => document.getElementById(id).data.map(trace => ({
  name: trace.name, x: trace.x, y: trace.y, z: trace.z, interval: trace.customdata, hover: trace.hovertext,
  upper: (trace.error_x ?? trace.error_y)?.array, lower: (trace.error_x ?? trace.error_y)?.arrayminus}))"""


def written(document: dict, folder: Path) -> Path:
    file = folder / "report.html"
    file.write_text(report_document.assemble(document), encoding="utf-8")
    return file


def draw_all(shown: Opened) -> None:
    shown.page.evaluate("tributary.drawAll()")


def chart(shown: Opened, name: str) -> list[dict]:
    return shown.page.evaluate(READ_CHART, name)


def of(document: dict, name: str, **keys: object) -> list[dict]:
    return [row for row in table(document, name) if all(row[key] == value for key, value in keys.items())]


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something that the page does by itself; the bound is for a page that never does it."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


def intervals(rows: list[dict], name: str = "") -> list[list]:
    low, high = (f"{name}_low", f"{name}_high") if name else ("low", "high")
    return [[row[low], row[high]] for row in rows]
