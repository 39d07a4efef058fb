# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Report documents with made-up numbers, and the page that shows them, put together as the program does it."""

from __future__ import annotations

import html
import importlib.util
import json
import math
import random
import re
from pathlib import Path

from report_tables import TABLES

PAGE = Path(__file__).resolve().parents[2] / "io" / "page"
SCRIPTS = ["document", "tables", "charts", "report"]  # as CMakeLists.txt joins them
MARKUP = "Is <i>fire</i> hot?\n</script><b>Answer & %{x}</b>: {{script}} fire is"
STATISTICS = [
    "pearson",
    "pearson without the largest",
    "spearman",
    "pearson of the random nodes",
    "spearman of the random nodes",
    "top-10 overlap in the sample",
]
METHODS = ["relp", "relp without norm", "ig-acts right 10", "atp", "|Δ|"]
HOT = ["Question", ":", " Is", " fire", " hot", " or", " cold", "?", "\n", "Answer", ":", " fire", " is"]
ICE = [" ice" if token == " fire" else token for token in HOT]
KEYS, KEY = ["The", " keys", " near", " the", " box"], ["The", " key", " near", " the", " box"]
TEXTS = [("hot-or-cold", HOT, ICE, " hot", " cold"), ("agreement", KEYS, KEY, " are", " is")]
COUNTS = [10, 30, 100, 300, 1000, 3000, 10000, 30000]


class Rows:
    """Rows of all tables, then the document made of them."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple]] = {name: [] for name in TABLES}

    def add(self, table: str, *values: object) -> None:
        assert len(values) == len(TABLES[table][1]), table
        self.of[table].append(values)

    def document(self, kind: str, title: str, notes: list[str]) -> dict:
        tables = []
        for name, (meaning, columns) in TABLES.items():
            values = zip(*self.of[name], strict=True) if self.of[name] else [[] for _ in columns]
            described = [
                {"name": column, "type": type_, "unit": unit, "meaning": f"{column.replace('_', ' ')}", "values": [*v]}
                for (column, (type_, unit)), v in zip(columns.items(), values, strict=True)
            ]
            tables.append({"name": name, "meaning": meaning, "columns": described})
        made = {"generator": "tributary 0.1.0", "made": "2026-11-23T18:00:00Z", "notes": notes, "tables": tables}
        return {"schema": 1, "kind": kind, "title": title} | made


def _add_run(rows: Rows, run: int, data: int, method: str, counts: list[int], exact: int, top: int, name: str) -> None:
    noise = random.Random(1000 + run)
    tokens = TEXTS[data][1]
    quality = 1.6 - 0.3 * (run % 5)
    adds_up = method.startswith("ig-acts")
    faithful = complete = None
    for count in counts:
        kept = 1.06 / (1 + math.exp(-1.7 * (math.log10(count) - 3.2 + quality))) + noise.gauss(0, 0.015)
        left = 0.95 / (1 + math.exp(2.1 * (math.log10(count) - 2.6 + quality))) + noise.gauss(0, 0.01)
        faithful = count if faithful is None and kept >= 0.8 else faithful
        complete = count if complete is None and left <= 0.2 else complete
        wide = 0.02 + 0.05 * noise.random()
        rows.add("curve", run, count, kept, kept - wide, kept + 1.2 * wide, left, left - 0.7 * wide, left + wide)
    residual, gap = (0.0123 + 0.001 * run, None) if adds_up else (None, 0.31 + 0.01 * run)
    rules = "norm ×61, activation ×30, half ×30, attention ×30" if method.startswith("relp") else ""
    nodes = 30 * len(tokens) * 1536
    shares = 0.5 - 0.04 * (run % 5)
    rows.add(
        *("runs", run, name, data, method, "pair", rules, "mean", nodes, nodes, "neurons", None),
        24 * (10 if adds_up else 1),
        *(4.2 + 13.7 * run, 2.2, 10 + 68.5 * run, 5, faithful, complete, 2.75 + data, 0.125, 1),
        *(
            0.97 - 0.02 * (run % 5),
            0.04 + 0.015 * (run % 5),
            residual,
            gap,
            *(None if gap is None else value for value in (0.02, 2)),
            shares,
        ),
    )
    for rank in range(1, top + 1):
        at = noise.randrange(len(tokens))
        score = noise.choice([-1, 1, 1]) * 0.9 / rank**0.8
        where = (noise.randrange(30), at, tokens[at], noise.randrange(1536))
        says = ("' hot', ' warm', ' heat', '\\n', ' fire'", "' cold', ' ice', ' cool', ' the', '.'")
        rows.add(
            *("top", run, rank, *where, score, 0.1 * abs(score), 1 - 0.01 * rank, 3.0 / rank, *says),
            *(2.5 / rank, -0.5 / rank, abs(score) / 20, None, "neurons"),
        )
        for pair in range(24 if rank <= 10 else 0):
            value = noise.gauss(0, 1)
            rows.add("values", run, rank, where[0], at, where[3], pair, value + 2 / rank, value, None, "neurons")
    for layer in range(30):
        for position in range(len(tokens)):
            bump = math.exp(-(((layer - 22) / 6) ** 2)) * (position + 1) / len(tokens)
            rows.add("heat", run, layer, position, bump * (1 + 0.6 * noise.random()) + 0.02)
        error = 10 ** -(1.5 + 2 * noise.random())
        parts = (error, None, noise.randint(2, 6) + 0.25) if adds_up else (None, 10 * error, 1.0)
        rows.add("layers", run, layer, 0.4 + noise.random(), *parts)
    for pair in range(3):
        for position, token in enumerate(tokens):
            rows.add("inputs", run, pair, position, token, noise.gauss(0, 0.2) + (1.5 if position == 3 - data else 0))
    for i, statistic in enumerate(STATISTICS):
        value = 0.98 - 0.07 * (run % 5) - 0.05 * i
        rows.add("agreement", run, statistic, value, value - 0.06, min(1.0, value + 0.03), "neurons")
    for i in range(exact):
        stratum, inclusion = [("top", 1), ("random", 0.01), ("top and random", 1)][i % 3]
        truth = noise.gauss(0, [0.3, 0.03, 0.1][i % 3])
        where = (noise.randrange(30), noise.randrange(len(tokens)), noise.randrange(1536))
        score = truth * (0.7 + 0.1 * (run % 5)) + noise.gauss(0, 0.03)
        rows.add("exact", run, *where, stratum, inclusion, truth, score, None, "neurons")
    for factor in range(-4, 5):
        metric = 3.5 * math.tanh(0.9 * factor) + noise.gauss(0, 0.1)
        clean = 0.5 / (1 + math.exp(-metric))
        rows.add(
            "steering", run, factor, metric, metric - 0.5, metric + 0.4, clean, 0.5 - clean, 0.11 * (factor - 1) ** 2
        )
        for rank, token in enumerate([TEXTS[data][3], TEXTS[data][4], " the", "\n"][:: 1 if factor > 0 else -1], 1):
            rows.add("steering_tokens", run, factor, rank, token, 17 - 4 * rank, 0.5 / rank)
    for neuron in range(12):
        rows.add("steered", run, 28 - neuron % 4, len(tokens) - 1, 17 + 101 * neuron, None, "neurons")
    for rank in range(1, 7):
        for case in ("fire", "ice"):
            where = (20 + rank, 3, 40 * rank)
            rows.add("cases", run, case, 12, 12, rank, *where, 1 - 0.05 * rank, 0.3 / rank, None, "neurons")
    settings = f"schema: 1\nname: {TEXTS[data][0]}\nattribution: {{method: {method}}}\n# <b>not bold</b>\n"
    for key, value in {"version": "0.1.0", "host": "node 3", "seconds": "4.2", "configuration": settings}.items():
        rows.add("provenance", run, key, value)


def _add_data(rows: Rows, data: int, runs: list[int]) -> None:
    noise = random.Random(data)
    name, tokens, other, clean, patch = TEXTS[data]
    rows.add(
        *(
            "data",
            data,
            name,
            "smollm2-135m",
            "float32",
            "logit-difference",
            "whole",
            24,
            16,
            2,
            0,
            26,
            4,
            30 * len(tokens) * 1536,
        ),
        *(2.8125 + data, -2.4375 - data, 2.75 + data, -2.5 - data, 23 / 24, 1.0, 0.9375, None),
    )
    for position, (token, counterpart) in enumerate(zip(tokens, other, strict=True)):
        rows.add("tokens", data, position, token, token, counterpart)
    for pair in range(40):
        prefix = MARKUP if pair == 0 else "".join(tokens)
        case = "fire" if pair % 2 else "ice"
        rows.add("pairs", data, pair, "train" if pair < 24 else "test", case, prefix, "".join(other), clean, patch)
    for i, a in enumerate(runs):
        for b in runs[i + 1 :]:
            alike = 0.95 - 0.09 * (b - a) + 0.02 * noise.random()
            rows.add("methods", data, a, b, alike, alike - 0.2, max(0.0, alike - 0.4))


def sweep_document() -> dict:
    """Two data sets, five methods on each, every table filled, some values missing."""
    rows = Rows()
    for data, (name, *_) in enumerate(TEXTS):
        runs = [5 * data + i for i in range(5)]
        _add_data(rows, data, runs)
        for run, method in zip(runs, METHODS, strict=True):
            _add_run(rows, run, data, method, COUNTS, 90, 50, f"method={method},file={name}")
    lost = rows.of["curve"][2]
    rows.of["curve"][2] = (*lost[:3], None, None, *lost[5:])
    place = list(TABLES["runs"][1]).index("faithful_at")
    rows.of["runs"][1] = (*rows.of["runs"][1][:place], None, *rows.of["runs"][1][place + 1 :])
    note = "run 'method=atp,file=agreement' is not finished: 12 of 30 units are done"
    return rows.document("sweep", "hot-or-cold & agreement", [note])


def run_document(without: tuple[str, ...] = ()) -> dict:
    """One run; the tables named are absent."""
    rows = Rows()
    _add_data(rows, 1, [0])
    _add_run(rows, 0, 1, "relp", COUNTS, 60, 30, ".")
    document = rows.document("run", "agreement", [])
    document["tables"] = [table for table in document["tables"] if table["name"] not in without]
    return document


def large_document() -> dict:
    """Fifty runs, half of them on each data set."""
    rows = Rows()
    counts = [round(10 * 1.4**i) for i in range(25)]
    for data in range(2):
        runs = [25 * data + i for i in range(25)]
        _add_data(rows, data, runs)
        for run in runs:
            method = f"{METHODS[run % 5]}, setting {run % 25 // 5 + 1}"
            _add_run(rows, run, data, method, counts, 300, 50, f"run={run}")
    return rows.document("sweep", "fifty runs", [])


def table(document: dict, name: str) -> list[dict]:
    """A table's rows; none if the table is absent."""
    columns = next((one["columns"] for one in document["tables"] if one["name"] == name), [])
    values = zip(*(column["values"] for column in columns), strict=True)
    return [dict(zip([column["name"] for column in columns], row, strict=True)) for row in values]


def plotly_script() -> str:
    """Plotly's own script, as the PyPI package ships it."""
    package = importlib.util.find_spec("plotly")
    assert package and package.origin, "the plotly package is not installed: ./run setup"
    return (Path(package.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def assemble(document: dict) -> str:
    """The page: all markers are replaced in one pass, because the texts put in may hold markers themselves."""
    parts = {
        "title": html.escape(document["title"]),
        "style": (PAGE / "report.css").read_text(encoding="utf-8"),
        "plotly": f"<script>{plotly_script()}</script>",
        "script_files": "",
        "data": json.dumps(document, ensure_ascii=False).replace("<", "\\u003c"),
        "script": "".join((PAGE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
    }
    page = (PAGE / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(title|style|script_files|plotly|data|script)\}\}", lambda marker: parts[marker[1]], page)
