# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Edges between MLP neurons: what one neuron does to another on paths that meet no MLP in between.

D_{s->t} = dv_t/dv_s with what enters every MLP's second matrix made a leaf, so that derivatives go through the residual
stream and attention only, by the rules of the run. A target t is a neuron or the metric m. A source s is a neuron of a
lower layer at the same or an earlier position, a token embedding, or a head's z in front of the attention's output
matrix. With g_t = dm/dv_t, the whole gradient, and g_m = 1:

- flow(s->t) = dv_s * D_{s->t} * g_t;
- outgoing, for any rules: score_s = flow(s->m) + sum over all neurons t of flow(s->t), for sources of each kind;
- incoming, for all of RelP's rules: sum_s v_s D_{s->t} over neurons, the same over embeddings, and <b, dv_t/db> over
  all additive constants b, learned positions among them, give v_t. Heads are no part of it: what they pass on is
  counted where it comes from.

One backward for each target and point; plain rather than fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attribution import Method, _path_points
from .metrics import Target
from .node_scores import NodeAttributor, Values
from .nodes import NodeModel, sweep_nodes
from .rules import replacement_rules

SOURCES = ("neurons", "heads", "embeddings")
METHODS = ("atp", "gradient-x-activation", "ig-inputs")
METRIC = "metric"
Neuron = tuple[int, int, int]  # layer, position, index
To = Neuron | str  # where an edge ends: a neuron or METRIC


@dataclass
class CutRun:
    """One forward with every neuron cut off from what computes it, with its graph; the batch is one."""

    values: list[Tensor]  # layers of [1, pos, neuron]: what a layer's neurons would be, of the leaves below
    leaves: list[Tensor]  # layers of [1, pos, neuron]: what the second matrices read
    heads: list[Tensor]  # layers of [1, pos, head * d_head]
    stream: Tensor  # [1, pos, d_model], what block 0 reads: its derivative is the embeddings'
    metric: Tensor  # [1]

    def value(self, to: To) -> Tensor:
        """v_t or m, a number with its graph."""
        if to == METRIC:
            return self.metric[0]
        layer, pos, index = to
        return self.values[layer][0, pos, index]


def cut_run(
    model: NodeModel,
    embeds: Tensor,
    target: Target,
    rules: frozenset[str] = frozenset(),
    held: Tensor | None = None,
) -> CutRun:
    """A cut forward from token embeddings [1, pos, d_model].

    The leaves have the values that the model computes, or those of `held` [layer, pos, neuron].
    """
    values: list[Tensor] = []
    leaves: list[Tensor] = []

    def cut(layer: int, a: Tensor) -> Tensor:
        values.append(a)
        leaf = a if held is None else held[layer][None]
        leaves.append(leaf.detach().clone().requires_grad_())
        return leaves[-1]

    leaf = embeds.detach().clone().requires_grad_()
    with replacement_rules(model.model, rules):
        run = model.run(embeds=leaf, do=cut)
    return CutRun(values, leaves, run.heads, run.stream, target(run.logits))


def derivatives(cut: CutRun, value: Tensor) -> Values:
    """D_{s->t} [layer, pos, width] of a target's value from all sources, by kind; zero where no path leads."""
    places = {"neurons": cut.leaves, "heads": cut.heads, "embeddings": [cut.stream]}
    wanted = [place for kind in SOURCES for place in places[kind]]
    found = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
    grads = iter(torch.zeros_like(v) if g is None else g for v, g in zip(wanted, found, strict=True))
    return {kind: torch.cat([next(grads) for _ in places[kind]]).double() for kind in SOURCES}


@dataclass
class _Point:
    """What flows are made of at one point of a method's path."""

    weight: float
    cut: CutRun
    grads: Tensor  # [layer, pos, neuron], g_t


class EdgeAttributor(NodeAttributor):
    """Flows of the methods that have a gradient at every neuron at once: one-point methods and ig-inputs."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self._cut: dict[tuple[Method, int], list[_Point]] = {}

    def flows(self, method: Method, index: int, to: To) -> Values:
        """flow(s->t) [layer, pos, node] of one pair from every source to one target, by kind.

        ig-inputs: dv_s * sum_k w_k D_{s->t}(alpha_k) g_t(alpha_k), the product taken at each point.
        """
        total = {kind: 0.0 for kind in SOURCES}
        for point in self._points_of(method, index):
            gradient = 1.0 if to == METRIC else point.grads[to].item()
            for kind, derivative in derivatives(point.cut, point.cut.value(to)).items():
                total[kind] = total[kind] + point.weight * gradient * derivative
        delta = self._deltas(method, index)
        return {kind: self._summed(kind, delta[kind] * total[kind]) for kind in SOURCES}

    def outgoing(self, method: Method, index: int, neurons: Sequence[Neuron] | None = None) -> tuple[Values, Values]:
        """Scores, and flow(s->m) + sum_t flow(s->t), each [layer, pos, node] by kind; t are all neurons unless given.

        With all neurons the two are equal. With some, the difference is what goes through neurons that are none of
        the targets.
        """
        chosen = self.neurons(index) if neurons is None else neurons
        scores = {kind: self.nodes_of(method, kind, index).scores for kind in SOURCES}
        total = self.flows(method, index, METRIC)
        for neuron in chosen:
            for kind, flow in self.flows(method, index, neuron).items():
                total[kind] = total[kind] + flow
        return scores, total

    def neurons(self, index: int) -> list[Neuron]:
        """All neurons of a pair's prompts."""
        shape = self.values(self.pairs[index].clean)["neurons"].shape
        return [tuple(place) for place in torch.cartesian_prod(*map(torch.arange, shape)).tolist()]

    def _points_of(self, method: Method, index: int) -> list[_Point]:
        if (method, index) not in self._cut:
            target, points = self.targets[index], []
            for weight, embeds in self._weights_and_embeds(method, index):
                grads = sweep_nodes(self.model, embeds, target, method.rules).grads["neurons"][0]
                points.append(_Point(weight, cut_run(self.model, embeds, target, method.rules), grads))
            self._cut[method, index] = points
        return self._cut[method, index]

    def _weights_and_embeds(self, method: Method, index: int) -> list[tuple[float, Tensor]]:
        """w_k and embeddings [1, pos, d_model] of the points of a method."""
        if method.method not in METHODS:
            raise ValueError(f"{method.method} has no edges: it has no one state of the model with its gradients")
        pair = self.pairs[index]
        if method.method != "ig-inputs":
            return [(1.0, self._embeds(pair.clean if method.direction == "clean" else pair.counterfactual))]
        e, base = self._embeds(pair.clean), self._baseline_embeds(method.baseline, index)
        return [(w, base + alpha * (e - base)) for alpha, w in zip(*_path_points(method), strict=True)]

    def _deltas(self, method: Method, index: int) -> Values:
        """dv [layer, pos, width] by kind, as the scores have it."""
        if method.method == "ig-inputs":
            return self._path(method, index, torch.from_numpy(_path_points(method)[0]))[1]
        clean, base = self.values(self.pairs[index].clean), self.baseline_values(method.baseline, index)
        return {kind: clean[kind] - base[kind] for kind in SOURCES}


@dataclass
class Incoming:
    """The parts that a target's value is made of under RelP's rules."""

    neurons: float  # sum_s v_s D_{s->t}
    embeddings: float  # sum_q e_q . D_{q->t}, token embeddings with their multiplier
    positions: float  # the same of learned positions, which block 0 reads too
    biases: float  # sum_b <b, dv_t/db>, norms' shifts among them
    value: float  # v_t, or m

    def total(self) -> float:
        """What the value should be."""
        return self.neurons + self.embeddings + self.positions + self.biases


def incoming(model: NodeModel, ids: tuple[int, ...], target: Target, to: To, rules: frozenset[str]) -> Incoming:
    """Values times derivatives of all that reaches one target on one prompt."""
    embeds = model.embed(torch.tensor([ids]))
    biases = [parameter for name, parameter in model.model.named_parameters() if name.endswith("bias")]
    for bias in biases:
        bias.requires_grad_()
    try:
        cut = cut_run(model, embeds, target, rules)
        by_kind = derivatives(cut, cut.value(to))
        shares = _products(cut.value(to), biases)
    finally:
        for bias in biases:
            bias.requires_grad_(False)
    values = torch.cat([leaf.detach() for leaf in cut.leaves])
    positions = cut.stream.detach() - embeds
    return Incoming(
        (values * by_kind["neurons"]).sum().item(),
        (embeds * by_kind["embeddings"]).sum().item(),
        (positions * by_kind["embeddings"]).sum().item(),
        shares,
        cut.value(to).item(),
    )


def _products(value: Tensor, biases: list[nn.Parameter]) -> float:
    """Sum of <b, d value/db>; those of frozen attention's queries and keys, and those above, reach nothing."""
    if not biases:
        return 0.0
    grads = torch.autograd.grad(value, biases, retain_graph=True, allow_unused=True)
    return sum((b * g).sum().item() for b, g in zip(biases, grads, strict=True) if g is not None)
