# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""`export --format mib`: which runs it writes, which it leaves out or refuses, and what it takes from the model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from node_cases import settings_of
from product import read_results, run_sweep

ALL = ["heads", "mlps", "embeddings"]
RUNS: list[dict] = [
    {"nodes": ALL, "positions": "sum"},
    {"nodes": ["neurons", "mlps", "heads"], "positions": "sum"},
    {"nodes": ALL, "positions": "keep"},
    {"nodes": ["neurons"], "positions": "sum"},
    {"nodes": ALL, "positions": "sum", "attribution": {"method": "exact-patching", "sample": 2}},
]


@pytest.fixture(scope="module")
def sweep(binary, tiny_folder, tmp_path_factory) -> tuple[Path, list[str]]:
    """A sweep's folder, and the names of its runs."""
    folder = tmp_path_factory.mktemp("mib-sweep")
    # Attention and MLP of a Pythia read the same stream.
    run_sweep(binary, folder, settings_of(tiny_folder("gpt_neox")), RUNS)
    return folder / "out", json.loads((folder / "out" / "sweep.json").read_text())["runs"]


def export(binary: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary), "export", str(folder), "--format", "mib", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_runs_that_can_be_written(sweep, binary, tmp_path):
    """Each in a folder of its name; the others are named with why."""
    out, names = sweep
    done = export(binary, out, "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = {file.parent.name for file in tmp_path.rglob("importances.json")}
    assert written == set(names[:2])
    left_out = [line for line in done.stdout.splitlines() if "left out: " in line]
    assert [name in line for name, line in zip(names[2:], left_out, strict=True)] == [True] * 3
    for line, reason in zip(left_out, ["positions: sum", "no scores of heads", "attribution.sample"], strict=True):
        assert reason in line


def test_nodes_and_model(sweep, binary, tmp_path, tiny_model):
    """Blocks side by side are told; neurons are left out; without embeddings `input` has score 0."""
    out, names = sweep
    assert export(binary, out, "--to", str(tmp_path)).returncode == 0
    config = tiny_model("gpt_neox").model.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    for name in names[:2]:
        document = json.loads((tmp_path / name / "importances.json").read_text())
        results = read_results(out / name / "results.h5")
        cfg = {"n_layers": layers, "n_heads": heads, "parallel_attn_mlp": True, "d_model": config.hidden_size}
        assert document["cfg"] == cfg
        nodes = document["nodes"]
        assert len(nodes) == layers * (heads + 1) + 2
        scores = [[nodes[f"a{i}.h{j}"]["score"] for j in range(heads)] for i in range(layers)]
        np.testing.assert_array_equal(np.float32(scores), results["/nodes/heads/scores"][:, 0])
        mlps = [nodes[f"m{i}"]["score"] for i in range(layers)]
        np.testing.assert_array_equal(np.float32(mlps), results["/nodes/mlps/scores"][:, 0])
        whole = "/nodes/embeddings/scores" in results
        assert np.float32(nodes["input"]["score"]) == (results["/nodes/embeddings/scores"][0] if whole else 0)


def test_a_run_alone_is_refused(sweep, binary, tmp_path):
    """Exit 2, with the run, why, and what to do."""
    out, names = sweep
    for name, words in zip(names[2:], ["positions: sum", "nodes: [heads, mlps, embeddings]", "sample"], strict=True):
        done = export(binary, out / name, "--to", str(tmp_path))
        assert done.returncode == 2
        assert words in done.stderr and name in done.stderr
    assert not list(tmp_path.rglob("*"))


def test_formats(sweep, binary, tmp_path):
    """Tables are the default; other words are refused."""
    out, _ = sweep
    command = [str(binary), "export", str(out), "--to", str(tmp_path)]
    subprocess.run([*command, "--format", "tables"], check=True, capture_output=True)
    assert (tmp_path / "tables.json").is_file()
    done = subprocess.run([*command, "--format", "csv"], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "tables" in done.stderr
