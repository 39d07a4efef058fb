# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A sweep of a tiny model whose report has everything that a page can show: what is tested in the browser."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tiny_models import tiny_pairs

# Before every prompt of the second data set: what neither browser, Plotly nor the page's template may take for theirs.
MARKUP = "</script><b>A & %{x}</b>: {{script}}\n"
METHODS = ["relp", "relp without norm", "ig-acts right 10", "ig-inputs", "|Δ|"]  # as the report calls them
_RUNS: list[dict[str, object]] = [
    {"attribution.method": "relp"},
    {"attribution.method": "no-norm"},
    {"attribution.method": "ig-acts", "attribution.quadrature": "right", "attribution.steps": 10},
    {"attribution.method": "ig-inputs", "attribution.inputs": True},
    {"attribution.method": "delta"},
]
DATA = ["plain", "marked"]
NODE_RUNS = [["neurons", "heads", "mlps", "embeddings"], ["heads"]]
STEERED = ["heads:2/3/1", "mlps:1/2/0", "embeddings:0/1/0", "2/3/5"]


def _write_pairs(file: Path, prefix: str) -> None:
    records = []
    for i, record in enumerate(tiny_pairs()):
        prompts = {key: prefix + record[key] for key in ("clean_prefix", "patch_prefix")}
        records.append(record | prompts | {"case": "<i>odd</i>" if i % 2 else "even"})
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def make_sweep(binary: Path, model: Path, folder: Path) -> Path:
    """Runs it; the folder of its results."""
    for name, prefix in zip(DATA, ("", MARKUP), strict=True):
        _write_pairs(folder / f"{name}.jsonl", prefix)
    settings = {
        "schema": 1,
        "name": "hot-or-cold & <i>agreement</i>",
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"train": 14, "test": 10, "unfit": "skip", "overlap": "allow"},
        "attribution": {"method": "relp", "keep": 20},
        "circuit": {"counts": [1, 3, 10, 30, 100, 300]},
        "agreement": {"sample": 40},
        "steering": {"factors": [-2, 0, 2]},
        "sweep": {"include": [run | {"pairs.file": f"{name}.jsonl"} for name in DATA for run in _RUNS]},
    }
    run_file(binary, folder, settings)
    return folder / "out"


def make_node_sweep(binary: Path, model: Path, folder: Path) -> tuple[Path, str]:
    """Two methods on nodes of every kind and on heads alone; the folder of the results, and what the runs print."""
    _write_pairs(folder / "pairs.jsonl", "")
    settings = {
        "schema": 1,
        "name": "nodes",
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"file": "pairs.jsonl", "train": 10, "test": 8, "unfit": "skip", "overlap": "allow"},
        "attribution": {"method": "relp", "keep": 8},
        "circuit": {"counts": [1, 3, 10, 30]},
        "agreement": {"sample": 24},
        "steering": {"factors": [0, 2], "nodes": STEERED},
        "top": 200,
        "sweep": {"grid": {"nodes": NODE_RUNS, "attribution.method": ["relp", "ig-acts"]}},
    }
    return folder / "out", run_file(binary, folder, settings)


def make_feature_sweep(binary: Path, model: Path, folder: Path, dictionaries: list[dict]) -> tuple[Path, str]:
    """Two methods on features, and on neurons beside them; the folder of the results, and what the runs print."""
    _write_pairs(folder / "pairs.jsonl", "")
    settings = {
        "schema": 1,
        "name": "features",
        "model": {"path": str(model), "dtype": "float32"},
        "pairs": {"file": "pairs.jsonl", "train": 10, "test": 8, "unfit": "skip", "overlap": "allow"},
        "attribution": {"method": "relp", "keep": "full"},
        "features": dictionaries,
        "agreement": {"sample": 20},
        "steering": {"factors": [0, 2], "top": 6},
        "top": 200,
        "sweep": {
            "grid": {"nodes": [["features"], ["neurons", "features"]], "attribution.method": ["relp", "ig-acts"]}
        },
    }
    return folder / "out", run_file(binary, folder, settings)


def run_file(binary: Path, folder: Path, settings: dict) -> str:
    """Runs a sweep file in a folder into its folder out; what is printed."""
    (folder / "sweep.yaml").write_text(json.dumps(settings))
    words = [str(binary), "run", "sweep.yaml", "--out", "out"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def document_of(page: Path) -> dict:
    """The JSON that a page holds."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert text is not None
    return json.loads(text.group(1))
