# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Steering of features and errors by the program, against forwards with hooks on tiny float64 models."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from feature_cases import FEATURES, items_of
from node_cases import settings_of
from product import run_sweep
from reference.dictionaries import Dictionary
from reference.metrics import target_of
from reference.sites import SiteModel
from test_feature_circuits import MADE

PAIRS, TOLERANCE = 3, 2e-6
FACTORS = [-2, 0, 0.5, 1, 3]
Node = tuple[str, int, int, int]  # kind, dictionary, position or -1, index


def steered(model: SiteModel, pairs: list, every: list[Dictionary], nodes: list[Node], factor: float) -> np.ndarray:
    """m [pair] while each node's value is multiplied."""
    embeds = model.embed(torch.tensor([pair.clean for pair in pairs]))
    length = embeds.shape[1]
    factors = {
        (kind, d): torch.ones(length, FEATURES if kind == "features" else 1, dtype=torch.float64)
        for kind in ("features", "errors")
        for d in range(len(every))
    }
    for kind, d, position, index in nodes:
        factors[kind, d][slice(None) if position < 0 else position, index] = factor
    acts: dict[int, torch.Tensor] = {}
    own = {one.site: d for d, one in enumerate(every)}

    def add(site: tuple, value: torch.Tensor) -> torch.Tensor | None:
        for d, one in enumerate(every):
            if (one.hook, one.layer) == site:
                acts[d] = one.encode(value)
        writers = [(d, one.decoders()[site]) for d, one in enumerate(every) if site in one.decoders()]
        if not writers:
            return None
        more = sum(((factors["features", d] - 1) * acts[d]) @ rows for d, rows in writers)
        error = value - sum(acts[d] @ rows for d, rows in writers) - every[own[site]].b_dec
        return more + (factors["errors", own[site]] - 1) * error

    logits = model.run_sites(embeds, add).logits
    targets = [target_of(model, pair, "logit-difference") for pair in pairs]
    return torch.cat([target(row[None]) for target, row in zip(targets, logits, strict=True)]).detach().numpy()


@pytest.mark.parametrize("how", ["list", "ranking", "ranking, sum"])
@pytest.mark.parametrize(("name", "which"), [("gemma3_text", "every site"), ("llama", "cross-layer")])
def test_steering(name, which, how, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Of listed nodes, and of the first ones of a ranking."""
    model, pairs = SiteModel(tiny_model(name).model), tiny_pairs(name, PAIRS)
    stored = MADE[which](model, pairs)
    every = sorted((one.dictionary for one in stored), key=lambda one: one.layer)
    settings = settings_of(tiny_folder(name), PAIRS, PAIRS) | {
        "attribution": {"method": "relp"},
        "positions": "sum" if how.endswith("sum") else "keep",
        "nodes": ["features"],
        "features": items_of(stored, tmp_path),
        "steering": {"factors": FACTORS, "top": 12},
    }
    if how == "list":
        on = torch.stack([one.encode(torch.zeros(one.W_enc.shape[0], dtype=torch.float64)) for one in every]) != 0
        first = [int(row.nonzero()[0]) if row.any() else 0 for row in on]
        nodes = [("features", d, -1, index) for d, index in enumerate(first)]
        nodes += [("features", 0, position, (first[0] + 1 + position) % FEATURES) for position in range(3)]
        nodes += [("errors", 1, -1, 0), ("errors", 2, 3, 0)]
        texts = [f"{k}:{d}/{i}" if position < 0 else f"{k}:{d}/{position}/{i}" for k, d, position, i in nodes]
        settings["steering"] = {"factors": FACTORS, "nodes": texts}
    (results,) = run_sweep(binary, tmp_path, settings, [{"attribution": {"method": "relp"}}])
    names = ("kind", "dictionary", "position", "neuron")
    found = list(zip(*(results[f"/steering/{column}"].tolist() for column in names), strict=True))
    found = [(kind.decode() if isinstance(kind, bytes) else kind, *place) for kind, *place in found]
    if how == "list":
        assert found == nodes
    else:
        assert len(found) == 12 and {kind for kind, *_ in found} <= {"features", "errors"}
    expected = np.stack([steered(model, pairs, every, found, factor) for factor in FACTORS])
    assert np.ptp(expected, axis=0).min() > 1e-3
    atol = TOLERANCE * np.abs(expected).max()
    np.testing.assert_allclose(results["/steering/metric"], expected, rtol=0, atol=atol)


def test_nodes_that_are_not_there(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Dictionaries and their features are counted before anything is computed."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", PAIRS)
    items = [one.write(tmp_path / str(i)) for i, one in enumerate(MADE["behind the MLP"](model, pairs))]
    file = str(tiny_folder("llama") / "pairs.jsonl")
    settings = {
        "model": {"path": str(tiny_folder("llama"))},
        "pairs": {"train_file": file, "test_file": file, "train": PAIRS, "test": PAIRS, "overlap": "allow"},
        "attribution": {"method": "atp"},
        "nodes": ["features"],
        "features": items,
    }
    for text, problem in (
        ("features:3/0", "there is no dictionary 3"),
        (f"features:0/{FEATURES}", f"there is no feature {FEATURES} (dictionary 0 has {FEATURES}"),
        ("errors:0/1", "there is no error 1"),
        ("features:0/99/1", "there is no position 99"),
    ):
        asked = settings | {"steering": {"factors": [0], "nodes": [text]}}
        with pytest.raises(AssertionError, match="steering.nodes") as refused:
            run_sweep(binary, tmp_path, asked, [{"attribution": {"method": "relp"}}])
        assert problem in str(refused.value)
    twice = [dict(items[0], path=str(shutil.copytree(items[0]["path"], tmp_path / "twice"))), items[0]]
    shared = settings | {"features": twice, "steering": {"factors": [0], "nodes": ["errors:1/0"]}}
    with pytest.raises(AssertionError, match=r"that of dictionary 0; write errors:0"):
        run_sweep(binary, tmp_path, shared, [{"attribution": {"method": "relp"}}])
    beyond = settings | {"steering": {"factors": [0, 1e300], "nodes": ["features:0/1"]}}
    with pytest.raises(AssertionError, match=r"steering.factors: has a factor beyond 1e6"):
        run_sweep(binary, tmp_path, beyond, [{"attribution": {"method": "relp"}}])
