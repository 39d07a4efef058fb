# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The table that `tributary schema results` prints, read back."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

TITLES = {
    "datasets": ["dataset", "type", "unit", "axes", "when"],
    "attributes": ["attribute of", "name", "type", "when", "what"],
    "axes": ["axis in", "name", "length", "what it counts"],
}


@dataclass
class ResultsSchema:
    """Rows of cells, in the order of TITLES; a dataset's row ends with what it is."""

    datasets: list[list[str]]
    attributes: list[list[str]]
    axes: list[list[str]]


def printed_schema(binary: Path) -> ResultsSchema:
    """What the program prints: three tables in aligned columns, lines about a row being indented."""
    text = subprocess.run([binary, "schema", "results"], capture_output=True, text=True, check=True).stdout
    tables: dict[str, list[list[str]]] = {}
    for name, part in zip(TITLES, text.split("\n\n"), strict=True):
        rows: list[list[str]] = []
        for line in part.strip("\n").split("\n"):
            if line.startswith("    "):
                rows[-1].append(line.strip())
            else:
                rows.append(re.split(r" {2,}", line))
        assert rows[0][: len(TITLES[name])] == TITLES[name]
        tables[name] = rows[1:]
        assert {len(row) for row in rows} == {len(rows[0])}, name
    return ResultsSchema(**tables)


def axes_of(cell: str) -> list[list[str]]:
    """ "pair, layer; pair where …": the usual axes, and the other ones where there are some."""
    return [words.split(" where ")[0].split(", ") for words in cell.split("; ")]
