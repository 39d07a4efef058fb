# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Features: the same bytes for any number of ranks, threads, rows and units; and what features cannot be used with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from feature_cases import dictionaries_of
from feature_files import random_dictionary, write_saelens
from product import dotted, hashes, mpi_environment, mpirun
from reference.sites import SiteModel
from safetensors.torch import load_file, save_file
from short_run import Work

METHODS = [
    {"method": "relp", "keep": "full"},
    {"method": "atp", "aggregate": "mean-abs", "baseline": "zero"},
    {"method": "ig-acts", "quadrature": "adaptive", "max_points": 5, "keep": 7},
    {"method": "ig-inputs", "quadrature": "right", "steps": 2},
    {"method": "delta"},
    {"method": "random", "keep": "full"},
]
VARIANTS = {
    "2 ranks": (2, ["threads=1"]),
    "3 ranks": (3, ["threads=1", "batch_rows=8"]),
    "4 ranks, shuffled": (4, ["threads=1", "--hand-out", "shuffled", "--hand-out-seed", "5"]),
    "2 threads": (1, ["threads=2"]),
    "low batches": (1, ["threads=1", "batch_rows=8"]),
    "units of one pair": (1, ["threads=1", "unit.pairs=1"]),
    "units of eight pairs in high batches": (1, ["threads=1", "unit.pairs=8", "batch_rows=640"]),
}


@pytest.fixture(scope="module")
def items(tiny_model, tiny_pairs, tmp_path_factory) -> list[dict]:
    """Dictionaries of tiny Llama as a sweep has them."""
    model, folder = SiteModel(tiny_model("llama").model), tmp_path_factory.mktemp("dictionaries")
    stored = dictionaries_of(model, tiny_pairs("llama", 4))
    return [one.write(folder / str(i)) for i, one in enumerate(stored)]


def settings_of(folder: Path, items: list[dict], dtype: str = "float32", pairs: int = 10) -> dict:
    """Pairs of a tiny model in small units, with features beside neurons, and all that is evaluated."""
    return {
        "schema": 1,
        "name": "features",
        "model": {"path": str(folder), "dtype": dtype},
        "pairs": {"file": str(folder / "pairs.jsonl"), "train": pairs, "test": 6},
        "attribution": {"method": "relp"},
        "unit": {"pairs": 4},
        "nodes": ["features", "neurons"],
        "features": items,
        "circuit": {"counts": [0, 10, 300]},
        "agreement": {"sample": 20},
        "steering": {"factors": [0, 2]},
    }


def run(binary: Path, folder: Path, settings: dict, ranks: int, more: list[str]) -> list[dict[str, str]]:
    """Each run's datasets as hashes."""
    folder.mkdir()
    sweep, out = folder / "sweep.yaml", folder / "out"
    sweep.write_text(json.dumps(settings))
    command = [*(mpirun(ranks) if ranks > 1 else []), str(binary), "run", str(sweep), "--out", str(out), *more]
    environment = mpi_environment(folder / "session")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "bits depend" not in done.stderr
    names = json.loads((out / "sweep.json").read_text())["runs"]
    return [hashes(out / name / "results.h5") for name in names]


@pytest.fixture(scope="module")
def alone(binary, items, tiny_folder, tmp_path_factory) -> list[dict[str, str]]:
    """All methods in one process with one thread."""
    settings = with_methods(settings_of(tiny_folder("llama"), items))
    return run(binary, tmp_path_factory.mktemp("bits") / "alone", settings, 1, ["threads=1"])


def with_methods(settings: dict, methods: list[dict] | None = None) -> dict:
    """A sweep over methods, with the ways of ablation in turn."""
    ways = ("mean", "resample", "zero")
    place_of = lambda method: METHODS.index(method) if method in METHODS else 0  # noqa: E731
    each = [
        dotted({"attribution": method, "circuit": {"ablation": ways[place_of(method) % len(ways)]}})
        for method in methods or METHODS
    ]
    return settings | {"sweep": {"include": each}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_bytes(variant, binary, items, tiny_folder, tmp_path, alone):
    """Of every dataset."""
    ranks, more = VARIANTS[variant]
    found = run(binary, tmp_path / "run", with_methods(settings_of(tiny_folder("llama"), items)), ranks, more)
    for method, one, other in zip(METHODS, found, alone, strict=True):
        assert one.keys() == other.keys() and "nodes/features/score" in one and "nodes/errors/scores" in one
        assert ("nodes/features/kept_score" in one) == ("keep" in method and method["method"] != "random")
        assert [name for name in one if one[name] != other[name]] == [], method


@pytest.mark.parametrize("nodes", [["features"], ["heads", "features", "mlps"]], ids=" ".join)
def test_features_do_not_depend_on_their_company(nodes, binary, items, tiny_folder, tmp_path, alone):
    """Alone, or beside other kinds: the same bytes, seeded noise too."""
    settings = with_methods(settings_of(tiny_folder("llama"), items)) | {"nodes": nodes}
    found = run(binary, tmp_path / "run", settings, 1, ["threads=1"])
    for method, one, other in zip(METHODS, found, alone, strict=True):
        names = [name for name in other if name.startswith(("nodes/features", "nodes/errors"))]
        assert len(names) >= 6
        assert [name for name in names if one.get(name) != other[name]] == [], method


def test_methods_alone(binary, items, tiny_folder, tmp_path, alone):
    """A method by itself has the bytes that it has beside the others."""
    for i in (0, 2, 3):
        settings = with_methods(settings_of(tiny_folder("llama"), items), [METHODS[i]])
        (found,) = run(binary, tmp_path / str(i), settings, 1, ["threads=1"])
        assert found == alone[i], METHODS[i]


def test_a_killed_run_goes_on(binary, items, tiny_folder, tmp_path):
    """What single pairs keep comes from the journal with the rest."""
    works = []
    for name in ("killed", "peace"):
        (tmp_path / name).mkdir()
        works.append(Work(binary, tmp_path / name, tiny_folder("llama")))
        path = {"method": "ig-acts", "quadrature": "right", "steps": 200, "keep": "full"}
        changes = {"attribution": path, "unit": {"pairs": 1}, "threads": 1}
        works[-1].settings = settings_of(tiny_folder("llama"), items) | changes
        works[-1].write()
    work, peace = works
    kept = work.killed_after(2)
    assert work.run().returncode == 0
    assert 2 <= kept <= work.facts()["units_restored"] < 10
    assert hashes(work.out / "results.h5") == peace.finished()


def test_a_sweep_has_a_report(binary, items, tiny_folder, tmp_path):
    """Runs with other entries stand beside each other."""
    methods = [{"method": "relp"}, {"method": "atp", "baseline": "zero"}]
    run(binary, tmp_path / "run", with_methods(settings_of(tiny_folder("llama"), items), methods), 1, [])
    assert (tmp_path / "run" / "out" / "report.html").is_file()


REFUSED: dict[str, tuple[dict, str]] = {
    "no dictionaries": ({"features": []}, "features"),
    "dictionaries without their kind": ({"nodes": ["neurons"]}, "features"),
    "conductance": ({"attribution": {"method": "conductance", "quadrature": "left", "steps": 2}}, "conductance"),
    "exact patching": ({"attribution": {"method": "exact-patching", "sample": 5}}, "exact-patching"),
    "pilot": ({"attribution": {"method": "ig-acts", "quadrature": "pilot"}}, "pilot"),
    "audits": (
        {"nodes": ["features"], "attribution": {"method": "ig-acts", "quadrature": "right", "steps": 2, "audit": 1}},
        "audit",
    ),
    "a hook of the file that is none": (
        {"features": [{"config": {"metadata": {"hook_name": "attn.hook_q"}}}]},
        "hook_q",
    ),
    "cards": ({"model": {"path": "m", "device": "cuda"}}, "model.device"),
    "a layer that is none": ({"features": [{"layer": 7}]}, "7"),
    "a hook that is none": ({"features": [{"hook": "resid"}]}, "resid"),
    "an autoencoder of what the MLP reads": (
        {"features": [{"hook": "mlp_in"}]},
        "is an autoencoder that reads at mlp_in",
    ),
    "a transcoder that reads behind where it writes": (
        {
            "features": [
                {
                    "hook": "resid_post",
                    "config": {
                        "architecture": "transcoder",
                        "hook_name": "blocks.1.mlp.hook_in",
                        "hook_name_out": "blocks.1.hook_mlp_out",
                        "d_out": 32,
                    },
                }
            ]
        },
        "reads at resid_post, which is not before mlp_out",
    ),
    "another width": ({"features": [{"hook": "mlp_out", "config": {"d_in": 31}}]}, "d_in"),
    "activations that are normalised": (
        {"features": [{"config": {"normalize_activations": "layer_norm"}}]},
        "layer_norm",
    ),
    "rescaled activations": (
        {"features": [{"config": {"normalize_activations": "constant_norm_rescale"}}]},
        "constant_norm_rescale",
    ),
    "an average norm": (
        {"features": [{"config": {"normalize_activations": "expected_average_only_in"}}]},
        "expected_average_only_in",
    ),
    "an architecture that is not known": ({"features": [{"config": {"architecture": "gated"}}]}, "gated"),
    "all layers at one path": ({"features": [{"layer": "all"}]}, "{layer}"),
    "no such folder": ({"features": [{"path": "nowhere"}]}, "nowhere"),
    "a tensor missing": ({"features": [{"without": "b_enc"}]}, "b_enc"),
    "a tokens' method": ({"attribution": {"method": "input-ig", "quadrature": "right", "steps": 2}}, "nodes"),
    "denoise on embeddings' path": (
        {"attribution": {"method": "ig-inputs", "quadrature": "right", "steps": 2, "direction": "denoise"}},
        "denoise",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """With exit 2 and the key or the word that is wrong, before anything is written."""
    more, word = REFUSED[what]
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", 2)
    items = []
    for change in more.get("features", [{}]):
        folder = tmp_path / "sae"
        write_saelens(folder, random_dictionary(model, pairs, "resid_post", 1), **change.get("config", {}))
        weights = load_file(folder / "sae_weights.safetensors")
        if missing := change.get("without"):
            del weights[missing]
        save_file(weights, folder / "sae_weights.safetensors")
        keys = {key: value for key, value in change.items() if key in ("path", "hook", "layer")}
        items.append({"path": str(folder)} | keys)
    settings = settings_of(tiny_folder("llama"), items, "float64", 2) | {**more, "features": items}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps(settings))
    command = [binary, "run", sweep, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert word in done.stderr and "unknown key" not in done.stderr
    assert not list((tmp_path / "out").rglob("results.h5"))
