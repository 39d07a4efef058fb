# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Attribution methods for the features of dictionaries, and for what they leave unexplained.

df = f(x) - f(x'), with a zero baseline f(x), with a mean one f(x) less the mean of f over the counterfactual prompts.
g is the metric's derivative where a dictionary writes, by autograd, passed straight through the dictionary: score_j =
df_j * sum over sites of <W_dec[j], g>. What is left of <dv, g>, v being what the model itself has there, is the
error's. The mean derivative of ig-acts is that on the straight line of what one site has, at all positions jointly,
everything below as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .attribution import Attributor, Method, _path_points, _refuse_meaningless
from .dictionaries import Dictionary
from .pairs import Pair
from .quadrature import points_and_weights
from .sites import Site, SiteModel, going_to, site_gradients, site_metric, site_values


@dataclass
class PairFeatures:
    """One pair's result; the lists go by dictionary."""

    metric: np.ndarray  # [2]
    scores: list[Tensor]  # [pos, feature]
    errors: list[Tensor]  # [pos]
    active: list[Tensor]  # [pos, feature]: differs from the baseline where something reaches the metric
    residual: np.ndarray | None = None  # [dictionary], of ig-acts


@dataclass
class FeatureScores:
    """All pairs of a run."""

    pairs: list[PairFeatures]

    def every(self, name: str, dictionary: int, how: str = "mean", positions: str = "keep") -> np.ndarray:
        """`scores` or `errors` of every pair [pair, pos or 1, ...]; mean-abs: without their signs."""
        values = torch.stack([getattr(pair, name)[dictionary] for pair in self.pairs])
        if positions == "sum":
            values = values.sum(1, keepdim=True)
        return (values.abs() if how == "mean-abs" else values).numpy()

    def aggregate(self, name: str, dictionary: int, how: str = "mean", positions: str = "keep") -> np.ndarray:
        """Their mean over pairs [pos or 1, ...]."""
        return self.every(name, dictionary, how, positions).mean(0)

    def entries(self, dictionary: int, positions: str = "keep") -> np.ndarray:
        """Which features are stored, [pos or 1, feature]: those that are active in some pair."""
        active = torch.stack([pair.active[dictionary] for pair in self.pairs]).any(0)
        return (active.any(0, keepdim=True) if positions == "sum" else active).numpy()


class FeatureAttributor(Attributor):
    """Computes methods for features on one list of training pairs."""

    model: SiteModel

    def __init__(
        self, model: SiteModel, pairs: Sequence[Pair], dictionaries: Sequence[Dictionary], metric="logit-difference"
    ) -> None:
        super().__init__(model, pairs, metric)
        # Several dictionaries in the order of layers; within one as they were given.
        self.dictionaries = sorted(dictionaries, key=lambda one: one.layer)
        self.sites = sorted({site for one in self.dictionaries for site in one.decoders()})
        self._values: dict[tuple[int, ...], dict[Site, Tensor]] = {}

    def compute_features(self, method: Method) -> FeatureScores:
        """Scores of every pair."""
        return FeatureScores([self.features_of(method, index) for index in range(len(self.pairs))])

    def features_of(self, method: Method, index: int) -> PairFeatures:
        """Scores of one pair."""
        _refuse_meaningless(method)
        ends = [self.encoded(self.pairs[index].clean), self.baseline_features(method.baseline, index)]
        between = [clean - other for clean, other in zip(*ends, strict=True)]
        reach = [self._reaches(one, len(df)) for one, df in zip(self.dictionaries, between, strict=True)]
        active = [(df.abs() > 1e-13) & there for df, there in zip(between, reach, strict=True)]
        written = {site: self.written(site, index, method.baseline)[0] for site in self.sites}
        result = PairFeatures(self._ends(index), [], [], active)
        if method.method == "delta":
            result.scores = [df.abs() * there for df, there in zip(between, reach, strict=True)]
            left = [written[one.site] - self.rebuilt(one.site, between) for one in self.dictionaries]
            norms = [torch.linalg.vector_norm(each, dim=-1) for each in left]
            result.errors = [norm * there[:, 0] for norm, there in zip(norms, reach, strict=True)]
            return result
        grads = self._site_gradients(method, index)
        for one, df in zip(self.dictionaries, between, strict=True):
            along = sum(grads[site] @ W_dec.T for site, W_dec in one.decoders().items())  # [pos, feature]
            result.scores.append(df * along)
        for one in self.dictionaries:
            whole = (written[one.site] * grads[one.site]).sum(-1)
            result.errors.append(whole - (self.rebuilt(one.site, between) * grads[one.site]).sum(-1))
        if method.method == "ig-acts":
            result.residual = np.array([self._residual(one.site, method, index, grads) for one in self.dictionaries])
        return result

    def _reaches(self, one: Dictionary, length: int) -> Tensor:
        """Whether a position's value reaches the metric, [pos, 1]: past the last attention only the last one does."""
        there = torch.ones(length, 1, dtype=torch.bool)
        if one.layer == self.model.model.config.num_hidden_layers - 1 and one.hook != "resid_pre":
            there[:-1] = False
        return there

    def values(self, ids: tuple[int, ...]) -> dict[Site, Tensor]:
        """What one prompt has [pos, width] at every site."""
        if ids not in self._values:
            found = site_values(self.model, self._embeds(ids))
            self._values[ids] = {site: value[0] for site, value in found.items()}
        return self._values[ids]

    def encoded(self, ids: tuple[int, ...]) -> list[Tensor]:
        """Activations [pos, feature] by dictionary on one prompt."""
        return [one.encode(self.values(ids)[one.hook, one.layer]) for one in self.dictionaries]

    def baseline_features(self, baseline: str, index: int) -> list[Tensor]:
        """Of the pair's counterfactual prompt, their mean over all of these, or zero, [pos, feature] by dictionary."""
        if baseline == "mean":
            every = [self.encoded(pair.counterfactual) for pair in self.pairs]
            return [torch.stack(acts).mean(0) for acts in zip(*every, strict=True)]
        own = self.encoded(self.pairs[index].counterfactual)
        return own if baseline == "pair" else [torch.zeros_like(acts) for acts in own]

    def written(self, site: Site, index: int, baseline: str) -> tuple[Tensor, Tensor]:
        """What lies between a path's ends at a site, and its start, [pos, width]."""
        clean, base = (self.values(ids)[site] for ids in (self.pairs[index].clean, self.pairs[index].counterfactual))
        if baseline == "mean":
            base = torch.stack([self.values(pair.counterfactual)[site] for pair in self.pairs]).mean(0)
        elif baseline == "zero":
            base = torch.zeros_like(clean)
        return clean - base, base

    def rebuilt(self, site: Site, acts: list[Tensor]) -> Tensor:
        """What activations [pos, feature] of all dictionaries write at a site, [pos, width], without biases."""
        parts = zip(self.dictionaries, acts, strict=True)
        return sum(f @ one.decoders()[site] for one, f in parts if site in one.decoders())

    def effect(self, site: Site, method: Method, index: int) -> float:
        """clean: m(x) - m(x; do v = v'); denoise: m(x'; do v = v(x)) - m(x')."""
        pair, target = self.pairs[index], self.targets[index]
        _, base = self.written(site, index, method.baseline)
        run_ids, other = (pair.clean, base)
        if method.direction == "denoise":
            run_ids, other = pair.counterfactual, self.values(pair.clean)[site]
        embeds = self._embeds(run_ids)
        ends = [site_metric(self.model, embeds, target, add).item() for add in (None, going_to(site, other))]
        return ends[1] - ends[0] if method.direction == "denoise" else ends[0] - ends[1]

    def _residual(self, site: Site, method: Method, index: int, grads: dict[Site, Tensor]) -> float:
        between, _ = self.written(site, index, method.baseline)
        return (between * grads[site]).sum().item() - self.effect(site, method, index)

    def _site_gradients(self, method: Method, index: int) -> dict[Site, Tensor]:
        """The (mean) derivative [pos, width] at every site that is written."""
        pair, target = self.pairs[index], self.targets[index]
        embeds = self._embeds(pair.clean if method.direction == "clean" else pair.counterfactual)
        if method.method == "ig-inputs":
            base = self._baseline_embeds(method.baseline, index)
            alphas, weights = map(torch.from_numpy, _path_points(method))
            embeds = base + alphas[:, None, None] * (embeds - base)
            grads = site_gradients(self.model, embeds, self.sites, target, method.rules)
            return {site: torch.tensordot(weights, grad, dims=1) for site, grad in grads.items()}
        if method.method != "ig-acts":
            grads = site_gradients(self.model, embeds, self.sites, target, method.rules)
            return {site: grad[0] for site, grad in grads.items()}
        alphas, weights = map(torch.from_numpy, points_and_weights(method.quadrature, method.steps))
        found = {}
        for site in self.sites:
            between, base = self.written(site, index, method.baseline)
            points = base + alphas[:, None, None] * between
            rows = embeds.expand(len(points), -1, -1)
            grads = site_gradients(self.model, rows, [site], target, method.rules, going_to(site, points))
            found[site] = torch.tensordot(weights, grads[site], dims=1)
        return found
