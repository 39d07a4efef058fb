# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Attribution methods: scores of MLP neurons and of tokens for prompt pairs.

Every score is (v(x) - v(x')) * dm/dv in some average; positive means that the neuron supports the
clean answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .gradients import Sweep, activations, layer_gradients, metric_with, sweep_embeddings
from .metrics import Target, target_of
from .pairs import Pair
from .quadrature import points_and_weights
from .rules import PRESETS
from .tapped import TappedModel

ONE_POINT = ("atp", "gradient-x-activation", "delta")
EMBEDDING_PATHS = ("input-ig", "ig-inputs", "conductance")
METHODS = (*ONE_POINT, *EMBEDDING_PATHS, "ig-acts")


@dataclass(frozen=True)
class Method:
    """What to compute; the field names are the sweep file's keys under `attribution`."""

    method: str = "atp"
    quadrature: str = "right"
    steps: int = 10
    rules: frozenset[str] = frozenset()
    baseline: str = "pair"  # pair | zero | mean
    direction: str = "clean"  # clean | denoise
    form: str = "standard"  # standard | captum, for conductance

    @staticmethod
    def named(name: str, **settings: object) -> Method:
        """A method by name; RelP presets are attribution patching with their rules on."""
        if name in PRESETS:
            return Method("atp", rules=PRESETS[name], **settings)
        if name not in METHODS:
            raise ValueError(f"unknown method {name!r}")
        if name == "gradient-x-activation":
            settings.setdefault("baseline", "zero")
        return Method(name, **settings)


@dataclass
class PairScores:
    """One pair's result, in float64. Fields that a method does not have are None."""

    metric: np.ndarray  # [2]: m on the clean and on the counterfactual prompt
    scores: Tensor | None = None  # [layer, pos, neuron]
    inputs: Tensor | None = None  # [pos], input IG
    # Sum of scores minus the true end-point difference: [layer], on embedding paths one number.
    residual: np.ndarray | None = None


@dataclass
class Scores:
    """All pairs of a run; `pair_scores` is [pair, layer, pos, neuron]."""

    pairs: list[PairScores] = field(default_factory=list)

    def aggregate(self, how: str = "mean", positions: str = "keep") -> np.ndarray:
        """Mean over pairs of signed (or absolute) node scores [layer, pos or 1, neuron]."""
        total = 0.0
        for pair in self.pairs:
            nodes = pair.scores.sum(1, keepdim=True) if positions == "sum" else pair.scores
            total = total + (nodes.abs() if how == "mean-abs" else nodes)
        return (total / len(self.pairs)).numpy()

    def stacked(self, name: str) -> np.ndarray:
        """A field of every pair, stacked along a new first axis [pair, ...]."""
        return np.stack([np.asarray(getattr(pair, name)) for pair in self.pairs])


class Attributor:
    """Computes methods on one list of training pairs (whose mean may be the baseline)."""

    def __init__(
        self,
        model: TappedModel,
        pairs: Sequence[Pair],
        metric: str = "logit-difference",
        metric_top: int = 1,
    ) -> None:
        self.model = model
        self.pairs = list(pairs)
        self.targets = [target_of(model, pair, metric, metric_top) for pair in pairs]
        # What several methods need, computed once: by prompt, by pair, by baseline.
        self._acts: dict[tuple[int, ...], Tensor] = {}
        self._end_metrics: dict[int, np.ndarray] = {}
        self._effects: dict[tuple[str, str, int], Tensor] = {}

    def compute(self, method: Method) -> Scores:
        """Scores of every pair."""
        return Scores([self.one(method, index) for index in range(len(self.pairs))])

    def one(self, method: Method, index: int) -> PairScores:
        """Scores of one pair."""
        _refuse_meaningless(method)
        result = PairScores(self._ends(index))
        if method.method in EMBEDDING_PATHS:
            self._embedding_path(method, index, result)
            return result
        base = self.baseline_acts(method.baseline, index)
        delta = self.acts(self.pairs[index].clean) - base
        if method.method == "delta":
            result.scores = delta.abs()
            return result
        mean_grads = self._neuron_gradients(method, index, base, delta)
        result.scores = delta * mean_grads
        effect = self.layer_effects(method.baseline, method.direction, index)
        result.residual = (result.scores.sum((1, 2)) - effect).numpy()
        return result

    def acts(self, ids: tuple[int, ...]) -> Tensor:
        """Activations [layer, pos, neuron] on one prompt."""
        if ids not in self._acts:
            self._acts[ids] = activations(self.model, ids)
        return self._acts[ids]

    def baseline_acts(self, baseline: str, index: int) -> Tensor:
        """Activations a' [layer, pos, neuron] that a pair's path starts from."""
        if baseline == "mean":
            total = sum(self.acts(pair.counterfactual) for pair in self.pairs)
            return total / len(self.pairs)
        acts = self.acts(self.pairs[index].counterfactual)
        return torch.zeros_like(acts) if baseline == "zero" else acts

    def layer_effects(self, baseline: str, direction: str, index: int) -> Tensor:
        """E_l [layer]: what setting all of layer l's neurons to the other end does to m.

        clean: m(x) - m(x; do a^l = a'); denoise: m(x'; do a^l = a_x) - m(x').
        """
        key = (baseline, direction, index)
        if key not in self._effects:
            self._effects[key] = self._compute_layer_effects(*key)
        return self._effects[key]

    def _compute_layer_effects(self, baseline: str, direction: str, index: int) -> Tensor:
        pair, target = self.pairs[index], self.targets[index]
        clean, base = self.acts(pair.clean), self.baseline_acts(baseline, index)
        run_ids = pair.clean if direction == "clean" else pair.counterfactual
        other = (base if direction == "clean" else clean).to(self.model.model.dtype)

        def row_per_layer(layer: int, a: Tensor) -> Tensor:
            a = a.clone()
            a[layer] = other[layer]
            return a

        unpatched = metric_with(self.model, run_ids, target)
        patched = metric_with(self.model, run_ids, target, len(other), row_per_layer)
        return unpatched - patched if direction == "clean" else patched - unpatched

    def _ends(self, index: int) -> np.ndarray:
        """m on the clean and on the counterfactual prompt, [2]."""
        if index not in self._end_metrics:
            pair, target = self.pairs[index], self.targets[index]
            ends = [metric_with(self.model, p, target) for p in (pair.clean, pair.counterfactual)]
            self._end_metrics[index] = torch.cat(ends).numpy()
        return self._end_metrics[index]

    def _embeds(self, ids: tuple[int, ...]) -> Tensor:
        """Token embeddings [1, pos, d_model] of one prompt."""
        return self.model.embed(torch.tensor([ids]))

    def _neuron_gradients(self, method: Method, index: int, base: Tensor, delta: Tensor) -> Tensor:
        """(Mean) dm/dv [layer, pos, neuron] of the methods that live in neuron space."""
        pair, target = self.pairs[index], self.targets[index]
        run_ids = pair.clean if method.direction == "clean" else pair.counterfactual
        if method.method != "ig-acts":
            sweep = sweep_embeddings(self.model, self._embeds(run_ids), target, method.rules)
            return sweep.grads[0]
        alphas, weights = map(torch.from_numpy, points_and_weights(method.quadrature, method.steps))
        layers = []
        for layer in range(len(delta)):
            points = base[layer] + alphas[:, None, None] * delta[layer]
            grads = layer_gradients(self.model, run_ids, layer, points, target, method.rules)
            layers.append(torch.tensordot(weights, grads, dims=1))
        return torch.stack(layers)

    def _baseline_embeds(self, baseline: str, index: int) -> Tensor:
        """Token embeddings [1, pos, d_model] that a pair's embedding path starts from."""
        if baseline == "mean":
            every = [self._embeds(pair.counterfactual) for pair in self.pairs]
            return torch.cat(every).mean(0, keepdim=True)
        embeds = self._embeds(self.pairs[index].counterfactual)
        return torch.zeros_like(embeds) if baseline == "zero" else embeds

    def _embedding_path(self, method: Method, index: int, result: PairScores) -> None:
        """Input IG, IG-inputs and conductance: one sweep of e' + alpha (e - e')."""
        e = self._embeds(self.pairs[index].clean)
        base = self._baseline_embeds(method.baseline, index)
        alphas, weights = map(torch.from_numpy, _path_points(method))
        embeds = base + alphas[:, None, None].to(e.dtype) * (e - base)
        sweep = sweep_embeddings(self.model, embeds, self.targets[index], method.rules)
        mean_embed_grads = torch.tensordot(weights, sweep.embed_grads, dims=1)
        result.inputs = ((e - base)[0].double() * mean_embed_grads).sum(-1)
        result.residual = result.inputs.sum().numpy() - self._path_effect(base, index)
        if method.method == "conductance":
            result.scores = _conductance(method, sweep)
        elif method.method == "ig-inputs":
            result.scores = self._end_point_delta(method, index, base, alphas, sweep)
            result.scores *= torch.tensordot(weights, sweep.grads, dims=1)

    def _path_effect(self, base: Tensor, index: int) -> np.ndarray:
        """m at e minus m at the baseline embeddings."""
        target, embeds = self.targets[index], self._embeds(self.pairs[index].clean)
        with torch.no_grad():
            at_clean, at_base = (target(self.model.run(embeds=e).logits) for e in (embeds, base))
        return (at_clean.double() - at_base.double())[0].numpy()

    def _end_point_delta(self, method: Method, index: int, base: Tensor, alphas: Tensor, sweep: Sweep) -> Tensor:
        """v at the clean end minus v at the baseline end [layer, pos, neuron].

        The zero embedding is never evaluated: its end point is the smallest alpha of the sweep.
        """
        clean = self.acts(self.pairs[index].clean)
        if method.baseline == "zero":
            return clean - sweep.acts[alphas.argmin()]
        with torch.no_grad():
            return clean - self.model.run(embeds=base).stacked()[0].double()


def _refuse_meaningless(method: Method) -> None:
    """The denoise direction starts where the run is, at a_x': no other baseline, no embeddings."""
    if method.direction == "denoise" and method.method in EMBEDDING_PATHS:
        raise ValueError("direction: denoise has no meaning on embedding paths")
    if method.direction == "denoise" and method.baseline != "pair":
        raise ValueError("direction: denoise needs baseline: pair")


def _path_points(method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Points of an embedding sweep, with the weights of the input IG that it gives."""
    if method.method != "conductance":
        alphas, weights = points_and_weights(method.quadrature, method.steps)
    elif method.form == "captum":
        alphas, weights = points_and_weights(method.quadrature, method.steps + 1)
    else:
        alphas, weights = _conductance_points(method.quadrature, method.steps)
    if method.baseline == "zero":
        if method.method != "conductance" and alphas.min() == 0:
            raise ValueError("alpha = 0 is never evaluated with a zero baseline on embeddings")
        kept = alphas > 0
        alphas, weights = alphas[kept], weights[kept]
    return alphas, weights


def _conductance_points(quadrature: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """alpha_j = j/n for j = 0..n; left and right ignore one end, trapezoid halves both."""
    weights = np.full(n + 1, 1 / n)
    if quadrature == "left":
        weights[-1] = 0
    elif quadrature == "right":
        weights[0] = 0
    elif quadrature == "trapezoid":
        weights[[0, -1]] /= 2
    else:
        raise ValueError(f"conductance has no rule {quadrature!r} outside form: captum")
    return np.arange(n + 1) / n, weights


def _conductance(method: Method, sweep: Sweep) -> Tensor:
    """Sum over intervals of (gradient on the interval) * (v_{j+1} - v_j): [layer, pos, neuron]."""
    steps, g = sweep.acts.diff(dim=0), sweep.grads
    if method.form == "captum" or method.quadrature == "left":
        return (g[:-1] * steps).sum(0)
    if method.quadrature == "right":
        return (g[1:] * steps).sum(0)
    return ((g[:-1] + g[1:]) / 2 * steps).sum(0)


def exact_patching(
    model: TappedModel,
    pair: Pair,
    target: Target,
    neurons: Sequence[tuple[int, int, int]],
    rows: int = 32,
) -> np.ndarray:
    """m(x) - m(x; do v = v(x')) [neuron] for chosen neurons (layer, pos, index)."""
    other = activations(model, pair.counterfactual).to(model.model.dtype)
    effects = []
    for start in range(0, len(neurons), rows):
        chunk = neurons[start : start + rows]

        def one_each(layer: int, a: Tensor, chunk=chunk) -> Tensor:
            a = a.clone()
            for row, (neuron_layer, pos, index) in enumerate(chunk):
                if neuron_layer == layer:
                    a[row, pos, index] = other[layer, pos, index]
            return a

        effects.append(metric_with(model, pair.clean, target, len(chunk), one_each))
    return (metric_with(model, pair.clean, target) - torch.cat(effects)).numpy()
