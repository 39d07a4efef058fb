# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Attribution methods for nodes of every kind: the score of a node is the sum over its dims of what neurons get.

One-point methods, with RelP's rules or without: dv * dm/dv at the clean run (denoise: at the counterfactual one).
ig-inputs: dv times the mean gradient along the path of embeddings. conductance: sums over that path's intervals.
ig-acts: a path of one layer's values of one kind, all positions and nodes jointly, everything below as it was.
exact patching: one node set to its baseline. delta: the length of dv.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .attribution import (
    EMBEDDING_PATHS,
    Attributor,
    Method,
    PairScores,
    Scores,
    _conductance,
    _path_points,
    _refuse_meaningless,
)
from .gradients import ROWS, Sweep
from .nodes import NodeModel, NodeSweep, gradients_at_layer, node_metric, node_values, sweep_nodes
from .pairs import Pair
from .quadrature import points_and_weights

Values = dict[str, Tensor]  # by kind [layer, pos, width]


class NodeAttributor(Attributor):
    """Computes methods for nodes of any kind on one list of training pairs; neurons' are what Attributor gives."""

    def __init__(
        self, model: NodeModel, pairs: Sequence[Pair], metric: str = "logit-difference", metric_top: int = 1
    ) -> None:
        super().__init__(model, pairs, metric, metric_top)
        # What several kinds share, computed once.
        self._values: dict[tuple[int, ...], Values] = {}
        self._points: dict[tuple[int, tuple[int, ...], frozenset[str]], Values] = {}
        self._paths: dict[tuple[Method, int], tuple[NodeSweep, Values]] = {}

    def compute_nodes(self, method: Method, kind: str) -> Scores:
        """Scores [layer, pos, node] of every pair."""
        return Scores([self.nodes_of(method, kind, index) for index in range(len(self.pairs))])

    def nodes_of(self, method: Method, kind: str, index: int) -> PairScores:
        """Scores of one pair; the residual is [layer], on embedding paths one number."""
        _refuse_meaningless(method)
        result = PairScores(self._ends(index))
        if method.method in EMBEDDING_PATHS:
            self._node_path(method, kind, index, result)
            return result
        delta = self.values(self.pairs[index].clean)[kind] - self.baseline_values(method.baseline, index)[kind]
        if method.method == "delta":
            result.scores = torch.linalg.vector_norm(self.model.split(kind, delta), dim=-1)
            return result
        result.scores = self._summed(kind, delta * self._node_gradients(method, kind, index, delta))
        effect = self.kind_effects(kind, method.baseline, method.direction, index)
        result.residual = (result.scores.sum((1, 2)) - effect).numpy()
        return result

    def values(self, ids: tuple[int, ...]) -> Values:
        """Values by kind on one prompt."""
        if ids not in self._values:
            found = node_values(self.model, self._embeds(ids))
            self._values[ids] = {kind: value[0] for kind, value in found.items()}
        return self._values[ids]

    def baseline_values(self, baseline: str, index: int) -> Values:
        """Values by kind that a pair's path starts from."""
        values = self.values(self.pairs[index].counterfactual)
        if baseline == "zero":
            return {kind: torch.zeros_like(value) for kind, value in values.items()}
        if baseline == "mean":
            every = [self.values(pair.counterfactual) for pair in self.pairs]
            return {kind: torch.stack([each[kind] for each in every]).mean(0) for kind in values}
        return values

    def kind_effects(self, kind: str, baseline: str, direction: str, index: int) -> Tensor:
        """E_l [layer]: what setting all of layer l's nodes of a kind to the other end does to m.

        clean: m(x) - m(x; do v^l = v'); denoise: m(x'; do v^l = v(x)) - m(x').
        """
        layers = len(self.values(self.pairs[index].clean)[kind])
        everything = [(layer, slice(None), slice(None)) for layer in range(layers)]
        return torch.from_numpy(self.exact(kind, index, everything, baseline, direction))

    def exact(
        self,
        kind: str,
        index: int,
        nodes: Sequence[tuple] | None = None,
        baseline: str = "pair",
        direction: str = "clean",
    ) -> np.ndarray:
        """Effects [node] on m of setting one node at a time to its other end; nodes are (layer, pos, node).

        A place may be a slice: all positions, all nodes. Without `nodes` all of them, as [layer, pos, node].
        """
        pair, target = self.pairs[index], self.targets[index]
        ends = [self.values(pair.clean)[kind], self.baseline_values(baseline, index)[kind]]
        run_ids, other = (pair.clean, ends[1]) if direction == "clean" else (pair.counterfactual, ends[0])
        shape = tuple(self.model.split(kind, other).shape[:3])
        places = list(np.ndindex(shape)) if nodes is None else list(nodes)
        patched = [
            self._patched(kind, places[start : start + ROWS], other, run_ids, target)
            for start in range(0, len(places), ROWS)
        ]
        effects = (node_metric(self.model, run_ids, target) - torch.cat(patched)).numpy()
        effects = effects if direction == "clean" else -effects
        return effects.reshape(shape) if nodes is None else effects

    def _patched(self, kind: str, places: list[tuple], other: Tensor, run_ids: tuple[int, ...], target) -> Tensor:
        """m [row] with one place set in each row to `other` [layer, pos, width]."""
        mask = torch.zeros(len(places), *other.shape, dtype=torch.bool)
        split = self.model.split(kind, mask)  # a view: [row, layer, pos, node, dim]
        for row, place in enumerate(places):
            split[row][place] = True
        other = other.to(self.model.model.dtype)

        def one_each(at: str, layer: int, value: Tensor) -> Tensor:
            return torch.where(mask[:, layer], other[layer], value) if at == kind else value

        return node_metric(self.model, run_ids, target, len(places), one_each)

    def _summed(self, kind: str, products: Tensor) -> Tensor:
        """[layer, pos, width] as [layer, pos, node]."""
        return self.model.split(kind, products).sum(-1)

    def _node_gradients(self, method: Method, kind: str, index: int, delta: Tensor) -> Tensor:
        """(Mean) dm/dv [layer, pos, width] of the methods that live in the kind's own space."""
        pair, target = self.pairs[index], self.targets[index]
        run_ids = pair.clean if method.direction == "clean" else pair.counterfactual
        if method.method != "ig-acts":
            key = (index, run_ids, method.rules)
            if key not in self._points:
                sweep = sweep_nodes(self.model, self._embeds(run_ids), target, method.rules)
                self._points[key] = {name: grads[0] for name, grads in sweep.grads.items()}
            return self._points[key][kind]
        base = self.baseline_values(method.baseline, index)[kind]
        alphas, weights = map(torch.from_numpy, points_and_weights(method.quadrature, method.steps))
        layers = []
        for layer in range(len(delta)):
            points = base[layer] + alphas[:, None, None] * delta[layer]
            grads = gradients_at_layer(self.model, run_ids, (kind, layer), points, target, method.rules)
            layers.append(torch.tensordot(weights, grads, dims=1))
        return torch.stack(layers)

    def _node_path(self, method: Method, kind: str, index: int, result: PairScores) -> None:
        """IG-inputs and conductance: one sweep of e' + alpha (e - e'), shared by all kinds."""
        alphas, weights = map(torch.from_numpy, _path_points(method))
        sweep, ends = self._path(method, index, alphas)
        if method.method == "conductance":
            of_kind = Sweep(sweep.metric, sweep.values[kind], sweep.grads[kind], sweep.grads["embeddings"][:, 0])
            result.scores = self._summed(kind, _conductance(method, of_kind))
        else:
            mean_grads = torch.tensordot(weights, sweep.grads[kind], dims=1)
            result.scores = self._summed(kind, ends[kind] * mean_grads)
        input_grads = torch.tensordot(weights, sweep.grads["embeddings"], dims=1)[0]
        result.inputs = (ends["embeddings"][0] * input_grads).sum(-1)
        result.residual = (result.inputs.sum() - ends["metric"]).numpy()

    def _path(self, method: Method, index: int, alphas: Tensor) -> tuple[NodeSweep, Values]:
        """The sweep, and by kind what lies between its ends [layer, pos, width], with that of m as `metric`.

        The zero embedding is never evaluated: the lower end is the smallest alpha of the sweep, but for the
        embeddings themselves, whose end is known.
        """
        key = (method, index)
        if key not in self._paths:
            e, base = self._embeds(self.pairs[index].clean), self._baseline_embeds(method.baseline, index)
            embeds = base + alphas[:, None, None].to(e.dtype) * (e - base)
            sweep = sweep_nodes(self.model, embeds, self.targets[index], method.rules)
            least = int(alphas.argmin())
            lower = embeds[least : least + 1] if method.baseline == "zero" else base
            ends = sweep_nodes(self.model, torch.cat([e, lower]), self.targets[index])
            between = {name: value[0] - value[1] for name, value in ends.values.items()}
            between["embeddings"] = (e - base).double()
            between["metric"] = ends.metric[0] - ends.metric[1]
            self._paths[key] = sweep, between
        return self._paths[key]
