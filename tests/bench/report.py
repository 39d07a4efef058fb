# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of the benchmark's table: what was measured against what, and whether it meets its target."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Check:
    """One number with its target; without a limit it is for information."""

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    form: str = "{:.2f}"
    other: float | None = None  # seconds a pair of what it is compared with

    @property
    def verdict(self) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        low = self.at_least is not None and not self.value >= self.at_least
        high = self.at_most is not None and not self.value <= self.at_most
        return "MISSED" if low or high else "met"

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return ">= " + self.form.format(self.at_least)
        return "" if self.at_most is None else "<= " + self.form.format(self.at_most)


@dataclass
class Row:
    """One thing the program does, with everything it is held against."""

    name: str
    seconds_per_pair: float | None = None
    estimated: bool = False
    of_peak: float | None = None
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict:
        checks = [vars(check) | {"verdict": check.verdict} for check in self.checks]
        return vars(self) | {"checks": checks}


HEADINGS = ("row", "product s/pair", "against", "s/pair", "found", "target", "", "of peak")
RIGHT = (False, True, False, True, True, True, False, True)


def _lines(row: Row) -> list[tuple[str, ...]]:
    seconds = "" if row.seconds_per_pair is None else ("~" if row.estimated else "") + f"{row.seconds_per_pair:.4f}"
    peak = "" if row.of_peak is None else f"{row.of_peak:.0%}"
    lines = []
    for check in row.checks or [Check("", float("nan"))]:
        other = "" if check.other is None else f"{check.other:.4f}"
        found = check.form.format(check.value) if check.what else ""
        first = ("", "", "") if lines else (row.name, seconds, peak)
        lines.append((first[0], first[1], check.what, other, found, check.target, check.verdict, first[2]))
    return lines


def table(rows: list[Row]) -> str:
    """The rows as text, their notes below."""
    lines = [HEADINGS, *(line for row in rows for line in _lines(row))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = []
    for line in lines:
        if line[0]:
            text.append("")
        cells = (cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(line, widths, RIGHT, strict=True))
        text.append("  ".join(cells).rstrip())
    notes = [f"{row.name}: {note}" for row in rows for note in row.notes]
    return "\n".join([*text[1:], "", *notes])
