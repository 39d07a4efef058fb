# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits of features and errors by the program, against the reference's on tiny float64 models.

The networks compute in float64 on both sides; files store float32, so each number is held to 2e-6 of the largest.
Features that no training pair has are no nodes: a circuit has them when it has every node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from feature_cases import FEATURES, MODELS, Stored, before_the_outputs_norm, behind_the_mlp, dictionaries_of, items_of
from feature_files import random_dictionary, weights_of
from node_cases import settings_of
from product import Results, run_sweep
from reference.dictionaries import Dictionary
from reference.feature_circuits import FeatureEvaluator
from reference.sites import SiteModel, site_values
from safetensors.torch import save_file

TRAIN, TEST, TOLERANCE = 2, 4, 2e-6
COUNTS = [0, 1, 5, 40, 200]
SUMMED = {"positions": "sum"}
CIRCUITS: dict[str, dict] = {
    "resample": {"circuit": {"ablation": "resample"}},
    "mean": {"circuit": {"ablation": "mean"}},
    "zero": {"circuit": {"ablation": "zero"}},
    "signed": {"circuit": {"ranking": "signed", "ablation": "resample"}},
    "sum": SUMMED | {"circuit": {"ablation": "resample"}},
    "sum, zero": SUMMED | {"circuit": {"ablation": "zero"}},
    "sum, mean": SUMMED | {"circuit": {"ablation": "mean"}},
}


def cross_layer(model: SiteModel, pairs: list) -> list[Stored]:
    """A cross-layer transcoder of all layers."""
    return [
        Stored(random_dictionary(model, pairs, "mlp_in", layer, FEATURES, 5, kind="cross_layer", activation="jumprelu"))
        for layer in range(len(model.blocks))
    ]


MADE: dict[str, Callable[..., list[Stored]]] = {
    "every site": dictionaries_of,
    "behind the MLP": behind_the_mlp,
    "before the output's norm": before_the_outputs_norm,
    "cross-layer": cross_layer,
}


@dataclass
class Lab:
    """A tiny model's circuits by the program, and what the reference needs."""

    results: dict[str, Results]  # by label
    model: SiteModel
    pairs: list  # held out
    dictionaries: list[Dictionary]


@pytest.fixture(scope="module")
def lab(binary, tiny_folder, tiny_model, tiny_pairs, tmp_path_factory) -> Callable[[str, str], Lab]:
    """One sweep for each model and set of dictionaries."""
    made: dict[tuple, Lab] = {}

    def of(name: str, which: str) -> Lab:
        if (name, which) not in made:
            model, pairs = SiteModel(tiny_model(name).model), tiny_pairs(name, TRAIN + TEST)
            stored, folder = MADE[which](model, pairs), tmp_path_factory.mktemp(f"dictionaries-{name}")
            every = [one.dictionary for one in stored]
            settings = settings_of(tiny_folder(name), TRAIN, TEST) | {
                "attribution": {"method": "relp"},
                "nodes": ["features"],
                "features": items_of(stored, folder),
                "circuit": {"counts": COUNTS},
            }
            found = run_sweep(binary, tmp_path_factory.mktemp(name), settings, list(CIRCUITS.values()))
            held_out = tiny_pairs(name, TEST)
            made[name, which] = Lab(dict(zip(CIRCUITS, found, strict=True)), model, held_out, every)
        return made[name, which]

    return of


def kept_of(
    results: Results, evaluator: FeatureEvaluator, inside: np.ndarray, everything: bool, length: int
) -> tuple[list[torch.Tensor], dict]:
    """What a circuit of the nodes `inside` [entries, then errors by dictionary and position] keeps, as the reference
    has it."""
    entries = results["/nodes/features/score"].size
    places = [results[f"/nodes/features/{name}"] for name in ("dictionary", "position", "feature")]
    keep = [torch.full((length, FEATURES), everything) for _ in evaluator.dictionaries]
    for d, position, feature, kept in zip(*places, inside[:entries], strict=True):
        keep[d][max(position, 0), feature] = bool(kept)
    errors = torch.tensor(inside[entries:]).view(len(evaluator.dictionaries), length)
    return keep, {one.site: errors[d] for d, one in enumerate(evaluator.dictionaries)}


def places_of(scores: np.ndarray) -> np.ndarray:
    """Of each node in the ranking, equal ones in their order."""
    place = np.empty(scores.size, dtype=int)
    place[np.argsort(-scores, kind="stable")] = np.arange(scores.size)
    return place


CASES = [(name, "every site", label) for name in MODELS for label in CIRCUITS]
CASES += [("llama", which, label) for which in ("behind the MLP", "cross-layer") for label in CIRCUITS]
CASES += [("gemma3_text", "before the output's norm", label) for label in CIRCUITS]


@pytest.mark.parametrize(("name", "which", "label"), CASES)
def test_circuits(name, which, label, lab):
    """What is left of the metric in circuits, and outside them, that the program's own scores give."""
    here = lab(name, which)
    results, circuit = here.results[label], CIRCUITS[label]["circuit"]
    evaluator = FeatureEvaluator(here.model, here.pairs, here.dictionaries, circuit["ablation"])
    scores = np.concatenate([results["/nodes/features/score"], results["/nodes/errors/scores"].ravel()])
    length = results["/nodes/errors/scores"].shape[1]
    place = places_of(scores if circuit.get("ranking") == "signed" else np.abs(scores))
    assert results.attributes["/circuit"]["nodes"] == scores.size

    def metric(count: int, inside: bool) -> np.ndarray:
        whole = count >= scores.size
        kept = (place < count) == inside
        return evaluator.metric(*kept_of(results, evaluator, kept, whole == inside, length))

    counts = [min(count, scores.size) for count in COUNTS]
    assert results["/circuit/count"].tolist() == counts
    full, empty = metric(scores.size, True), metric(0, True)
    expected = {
        "metric_circuit": np.stack([metric(count, True) for count in counts]),
        "metric_complement": np.stack([metric(count, False) for count in counts]),
        "metric_full": full,
        "metric_empty": empty,
    }
    scale = max(np.abs(value).max() for value in expected.values())
    for field, value in expected.items():
        found = results[f"/circuit/{field}"]
        np.testing.assert_allclose(found, value, rtol=0, atol=TOLERANCE * scale, err_msg=field)
    assert np.ptp(expected["metric_circuit"], axis=0).max() > 1e-3


@pytest.mark.parametrize(("name", "which"), [("gemma3_text", "every site"), ("llama", "cross-layer")])
def test_everything_is_the_model(name, which, lab):
    """The circuit of all nodes, and the complement of none, are the model bit for bit."""
    for label, results in lab(name, which).results.items():
        last = results["/circuit/metric_circuit"][-1]
        if results["/circuit/count"][-1] == results.attributes["/circuit"]["nodes"]:
            np.testing.assert_array_equal(last, results["/circuit/metric_full"], err_msg=label)
        np.testing.assert_array_equal(results["/circuit/metric_complement"][0], results["/circuit/metric_full"])
        np.testing.assert_array_equal(results["/circuit/metric_circuit"][0], results["/circuit/metric_empty"])


@pytest.mark.parametrize("positions", ["keep", "sum"])
@pytest.mark.parametrize("order", [["heads", "features"], ["features", "heads"]], ids=" ".join)
def test_beside_heads(positions, order, binary, tmp_path, lab, tiny_folder):
    """One ranking of heads, features and errors, in the order of `nodes`; both are set on the way up."""
    here = lab("qwen3", "behind the MLP")
    settings = settings_of(tiny_folder("qwen3"), TRAIN, TEST) | {
        "attribution": {"method": "relp"},
        "positions": positions,
        "nodes": order,
        "features": items_of([Stored(one) for one in here.dictionaries], tmp_path),
        "circuit": {"ablation": "resample"},
    }
    counts = [0, 3, 20, 100]
    (results,) = run_sweep(binary, tmp_path, settings, [{"circuit": {"counts": counts}}])
    heads = results["/nodes/heads/scores"]  # [layer, pos, head]
    length = heads.shape[1]
    features = np.concatenate([results["/nodes/features/score"], results["/nodes/errors/scores"].ravel()])
    first = order[0] == "heads"
    place = places_of(np.abs(np.concatenate([heads.ravel(), features] if first else [features, heads.ravel()])))
    of_heads, of_features = (
        (place[: heads.size], place[heads.size :]) if first else (place[features.size :], place[: features.size])
    )
    evaluator = FeatureEvaluator(here.model, here.pairs, here.dictionaries, "resample")
    values = site_values(here.model, here.model.embed(torch.tensor([pair.counterfactual for pair in here.pairs])))

    def metric(count: int, inside: bool) -> np.ndarray:
        keep_heads = torch.tensor((of_heads < count) == inside).view(heads.shape)

        def also(site: tuple, value: torch.Tensor) -> torch.Tensor | None:
            if site[0] != "z":
                return None
            kept = keep_heads[site[1]].repeat_interleave(value.shape[-1] // heads.shape[2], dim=-1)
            return torch.where(kept, 0.0, values[site] - value)

        kept = (of_features < count) == inside
        return evaluator.metric(*kept_of(results, evaluator, kept, (count >= place.size) == inside, length), also)

    for side, inside in (("circuit", True), ("complement", False)):
        expected = np.stack([metric(count, inside) for count in counts])
        found = results[f"/circuit/metric_{side}"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=side)
    assert {True, False} == set(np.unique(of_heads < 20)) == set(np.unique(of_features < 20))


def test_transcoders_that_write_in_front_of_the_outputs_norm(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Where no norm stands there, circuit-tracer's mlp.hook_out is the same place as hook_mlp_out."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", TRAIN + TEST)
    file = str(tiny_folder("llama") / "pairs.jsonl")
    found = []
    for out in ("hook_mlp_out", "mlp.hook_out"):
        folder = tmp_path / out / "transcoders"
        folder.mkdir(parents=True)
        says = f"model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: {out}\n"
        (folder / "config.yaml").write_text(says)
        for layer in range(len(model.blocks)):
            weights = weights_of(random_dictionary(model, pairs, "mlp_in", layer, FEATURES, 3, kind="transcoder"))
            save_file(weights | {"W_enc": weights["W_enc"].T.contiguous()}, folder / f"layer_{layer}.safetensors")
        settings = {
            "model": {"path": str(tiny_folder("llama")), "dtype": "float64"},
            "pairs": {"train_file": file, "test_file": file, "train": TRAIN, "test": TEST, "overlap": "allow"},
            "attribution": {"method": "relp"},
            "nodes": ["features"],
            "features": [{"path": str(folder)}],
            "agreement": {"sample": 20},
            "steering": {"factors": [0, 2], "top": 5},
        }
        runs = [{"circuit": {"ablation": ablation, "counts": COUNTS}} for ablation in ("mean", "resample", "zero")]
        found.append(run_sweep(binary, folder.parent, settings, runs))
    names = ("/nodes/features/score", "/circuit/metric_circuit", "/nodes/features/agreement/exact", "/steering/metric")
    for one, other in zip(*found, strict=True):
        assert np.ptp(one["/circuit/faithfulness"]) > 1e-3 and np.abs(one["/nodes/features/agreement/exact"]).max() > 0
        for name in names:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12, err_msg=name)
