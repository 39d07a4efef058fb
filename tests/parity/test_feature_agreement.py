# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Exact patching of features and errors, and the scores of the same nodes pair by pair, against forwards alone.

The networks compute in float64 on both sides; files store float32, so each number is held to 2e-6 of the largest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from feature_cases import items_of, method_of
from node_cases import settings_of
from product import Results, run_sweep
from reference.dictionaries import Dictionary
from reference.features import FeatureAttributor
from reference.sites import SiteModel, site_metric
from test_feature_circuits import MADE

PAIRS, SAMPLE, TOLERANCE = 3, 60, 2e-6
CASES: dict[str, dict] = {
    "atp": {"attribution": {"method": "atp"}},
    "denoise": {"attribution": {"method": "atp", "direction": "denoise"}},
    "zero": {"attribution": {"method": "ig-inputs", "quadrature": "midpoint", "steps": 2, "baseline": "zero"}},
    "mean": {"attribution": {"method": "atp", "baseline": "mean"}},
    "sum": {"attribution": {"method": "relp"}, "positions": "sum"},
}


class Patching:
    """Effects of single features and errors on one list of pairs."""

    def __init__(self, model: SiteModel, pairs: list, dictionaries: list[Dictionary], case: dict) -> None:
        self.model, self.dictionaries = model, dictionaries
        self.attributor = FeatureAttributor(model, pairs, dictionaries)
        self.way = -1 if case.get("direction", "clean") == "clean" else 1
        self.bases, self.differences, self.moved = [], [], []
        baseline = case.get("baseline", "pair")
        for index, pair in enumerate(pairs):
            clean, other = (model.embed(torch.tensor([ids])) for ids in (pair.clean, pair.counterfactual))
            self.bases.append(clean if self.way < 0 else other)
            features = self.attributor.baseline_features(baseline, index)
            own = self.attributor.encoded(pair.clean)
            self.differences.append([(f - other)[None] for f, other in zip(own, features, strict=True)])
            sites = {one.site for one in dictionaries}
            self.moved.append({site: self.attributor.written(site, index, baseline)[0][None] for site in sites})

    def effect(self, pair: int, places: dict) -> float:
        """Of additions by site [1, pos, width]."""
        target, base = self.attributor.targets[pair], self.bases[pair]
        add = lambda site, _: self.way * places[site] if site in places else None  # noqa: E731
        kept = site_metric(self.model, base, target).item()
        return self.way * (site_metric(self.model, base, target, add).item() - kept)

    def feature(self, pair: int, d: int, position: int, feature: int) -> float:
        amounts = self.differences[pair][d][..., feature]  # [1, pos]
        if position >= 0:
            amounts = torch.where(torch.arange(amounts.shape[1]) == position, amounts, 0.0)
        decoders = self.dictionaries[d].decoders()
        return self.effect(pair, {site: amounts[..., None] * rows[feature] for site, rows in decoders.items()})

    def error(self, pair: int, d: int, position: int) -> float:
        site = self.dictionaries[d].site
        left = self.moved[pair][site].clone()
        for f, one in zip(self.differences[pair], self.dictionaries, strict=True):
            if site in one.decoders():
                left -= f @ one.decoders()[site]
        if position >= 0:
            left[:, torch.arange(left.shape[1]) != position] = 0
        return self.effect(pair, {site: left})


def sample_of(results: Results, kind: str) -> list[tuple[int, int, int]]:
    columns = [results[f"/nodes/{kind}/agreement/{name}"] for name in ("dictionary", "position", "index")]
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture(scope="module")
def compared(binary, tiny_folder, tiny_model, tiny_pairs, tmp_path_factory) -> Callable:
    """Results by label, the model, its pairs and the dictionaries: one sweep for each set of them."""
    made: dict[tuple, tuple] = {}

    def of(name: str, which: str) -> tuple:
        if (name, which) not in made:
            model, pairs = SiteModel(tiny_model(name).model), tiny_pairs(name, PAIRS)
            stored, folder = MADE[which](model, pairs), tmp_path_factory.mktemp(f"dictionaries-{name}")
            every = [one.dictionary for one in stored]
            settings = settings_of(tiny_folder(name), PAIRS) | {
                "attribution": {"method": "atp"},
                "nodes": ["features"],
                "features": items_of(stored, folder),
                "agreement": {"sample": SAMPLE},
            }
            found = run_sweep(binary, tmp_path_factory.mktemp(name), settings, list(CASES.values()))
            ordered = sorted(every, key=lambda one: one.layer)
            made[name, which] = (dict(zip(CASES, found, strict=True)), model, pairs, ordered)
        return made[name, which]

    return of


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize(
    ("name", "which"), [("llama", "every site"), ("gemma3_text", "every site"), ("llama", "cross-layer")]
)
def test_exact(name, which, label, compared):
    """Effects and scores of all nodes of both samples, pair by pair."""
    runs, model, pairs, every = compared(name, which)
    results, case = runs[label], CASES[label]["attribution"]
    patching = Patching(model, pairs, every, case)
    scores = FeatureAttributor(model, pairs, every).compute_features(method_of(name, case))
    summed = CASES[label].get("positions") == "sum"
    for kind in ("features", "errors"):
        sample = sample_of(results, kind)
        assert len(sample) >= 3
        exact, own = np.empty((len(pairs), len(sample))), np.empty((len(pairs), len(sample)))
        for i in range(len(pairs)):
            for n, (d, position, index) in enumerate(sample):
                of_pair = getattr(scores.pairs[i], "scores" if kind == "features" else "errors")[d]  # [pos, ...]
                at = of_pair.sum(0) if summed else of_pair[position]
                own[i, n] = at[index] if kind == "features" else at
                position = -1 if summed else position
                exact[i, n] = (
                    patching.feature(i, d, position, index) if kind == "features" else patching.error(i, d, position)
                )
        group = f"/nodes/{kind}/agreement"
        assert np.abs(exact).max() > 1e-3
        for field, expected in (("exact", exact), ("score", own)):
            found = results[f"{group}/{field}"]
            atol = TOLERANCE * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=f"{kind} {field}")
        assert np.isfinite(results[f"{group}/value"]).any()


def test_the_population_is_the_list(compared):
    """Half of the sample are the entries with the largest scores, the others are of the rest, spread over the list."""
    results = compared("llama", "every site")[0]["atp"]
    places = [results[f"/nodes/features/{name}"].tolist() for name in ("dictionary", "position", "feature")]
    entries = list(zip(*places, strict=True))
    group = "/nodes/features/agreement"
    assert results.attributes[group]["population"] == len(entries) > SAMPLE
    sample = sample_of(results, "features")
    assert set(sample) <= set(entries) and len(set(sample)) == len(sample)
    first = np.argsort(-np.abs(results["/nodes/features/score"]), kind="stable")[: SAMPLE // 2]
    assert {entries[i] for i in first} <= set(sample)
    inclusion = results[f"{group}/inclusion"]
    tops = np.array([entries.index(node) in first for node in sample])
    assert (inclusion[tops] == 1).all() and (inclusion[~tops] < 1).all()
    # Horvitz-Thompson: the inclusion probabilities stand for the whole list.
    assert (1 / inclusion[~tops]).sum() + tops.sum() == pytest.approx(len(entries), rel=0.2)
