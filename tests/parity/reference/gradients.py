# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Gradients of the metric by autograd, at one or many points of a path."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .metrics import Target
from .rules import replacement_rules
from .tapped import TappedModel

ROWS = 32  # points in one network call


@dataclass
class Sweep:
    """Metric, activations and gradients at n network inputs, in float64."""

    metric: Tensor  # [n]
    acts: Tensor  # [n, layer, pos, neuron]
    grads: Tensor  # [n, layer, pos, neuron], dm/dv
    embed_grads: Tensor  # [n, pos, d_model], dm/de


def sweep_embeddings(model: TappedModel, embeds: Tensor, target: Target, rules: frozenset[str] = frozenset()) -> Sweep:
    """One forward and one backward from each of the embeddings [n, pos, d_model]."""
    parts = [_sweep_chunk(model, chunk, target, rules) for chunk in embeds.split(ROWS)]
    return Sweep(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _sweep_chunk(model: TappedModel, embeds: Tensor, target: Target, rules: frozenset[str]) -> tuple[Tensor, ...]:
    leaf = embeds.detach().clone().requires_grad_()
    with replacement_rules(model.model, rules):
        run = model.run(embeds=leaf)
    metric = target(run.logits)
    *grads, embed_grads = torch.autograd.grad(metric.sum(), [*run.acts, leaf])
    stacked = torch.stack(grads, dim=1)
    return metric.detach().double(), run.stacked().double(), stacked.double(), embed_grads.double()


def layer_gradients(
    model: TappedModel,
    ids: tuple[int, ...],
    layer: int,
    points: Tensor,
    target: Target,
    rules: frozenset[str] = frozenset(),
) -> Tensor:
    """dm/da^l [n, pos, neuron] in float64 with do a^l = each of points [n, pos, neuron]."""
    parts = []
    for chunk in points.split(ROWS):
        leaf = chunk.to(model.model.dtype).detach().clone().requires_grad_()
        batch = torch.tensor([ids]).expand(len(chunk), -1)

        def at_layer(index: int, a: Tensor, leaf: Tensor = leaf) -> Tensor:
            return leaf if index == layer else a

        with replacement_rules(model.model, rules):
            run = model.run(ids=batch, do=at_layer)
        (grad,) = torch.autograd.grad(target(run.logits).sum(), leaf)
        parts.append(grad.double())
    return torch.cat(parts)


@torch.no_grad()
def activations(model: TappedModel, ids: tuple[int, ...]) -> Tensor:
    """Neuron activations [layer, pos, neuron] in float64 on one prompt."""
    return model.run(ids=torch.tensor([ids])).stacked()[0].double()


@torch.no_grad()
def metric_with(model: TappedModel, ids: tuple[int, ...], target: Target, rows: int = 1, do=None) -> Tensor:
    """m [rows] in float64 on `rows` copies of one prompt under an intervention."""
    batch = torch.tensor([ids]).expand(rows, -1)
    return target(model.run(ids=batch, do=do).logits).double()


@dataclass
class Nodes:
    """Values, or derivatives of the metric, at every node of one prompt, in float64."""

    neurons: Tensor  # [layer, pos, neuron]
    heads: Tensor  # [layer, pos, head * d_head], what enters the attention's output matrix
    embeddings: Tensor  # [pos, d_model], what block 0 reads


def node_gradients(
    model: TappedModel, ids: tuple[int, ...], target: Target, rules: frozenset[str] = frozenset()
) -> tuple[Nodes, Nodes]:
    """Values and dm/dv of neurons, heads and embeddings on one prompt."""
    leaf = model.embed(torch.tensor([ids])).requires_grad_()
    with replacement_rules(model.model, rules):
        run = model.run(embeds=leaf)
    values = [*run.acts, *run.heads, run.stream]
    grads = torch.autograd.grad(target(run.logits).sum(), values)
    return _nodes([value.detach() for value in values]), _nodes(list(grads))


def _nodes(tensors: list[Tensor]) -> Nodes:
    """Of neurons, then heads, a layer each, and the stream, [1, pos, width] all of them."""
    layers = len(tensors) // 2
    rows = [tensor[0].double() for tensor in tensors]
    return Nodes(torch.stack(rows[:layers]), torch.stack(rows[layers:-1]), rows[-1])


def bias_share(model: TappedModel, ids: tuple[int, ...], target: Target, rules: frozenset[str]) -> float:
    """Sum over all biases b of <b, dm/db>: what RelP leaves in additive constants."""
    biases = [parameter for name, parameter in model.model.named_parameters() if name.endswith("bias")]
    for bias in biases:
        bias.requires_grad_()
    try:
        with replacement_rules(model.model, rules):
            run = model.run(ids=torch.tensor([ids]))
        metric = target(run.logits).sum()
        if not biases or not metric.requires_grad:
            return 0.0
        # Those of a vision tower, or of frozen attention's queries and keys, reach nothing.
        grads = torch.autograd.grad(metric, biases, allow_unused=True)
        return sum((b * g).sum().item() for b, g in zip(biases, grads, strict=True) if g is not None)
    finally:
        for bias in biases:
            bias.requires_grad_(False)
