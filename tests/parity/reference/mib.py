# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""MIB's evaluation of circuits of nodes (Mueller et al. 2025), by hooks on a transformers model.

Nodes are the token embeddings as one (`input`), attention heads (`a{layer}.h{head}`) and MLPs (`m{layer}`): N = 1 +
L (H + 1). A circuit keeps some; the outputs of all others are those of the counterfactual prompt's run, at every
position. What a kept node reads follows from that. So without `input` every node computes what it does on the
counterfactual prompt, whatever else is kept, and F is F(∅) = mean m(x').

Circuits are the first int(p · N) nodes of a ranking for p = .001 … 1. Faithfulness is (F(C) − F(∅)) / (F(M) − F(∅)), F
the mean of m over the pairs. CPR is the area under it over p, nodes ranked by their importance; CMD that of
|1 − faithfulness|, ranked by absolute importance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .pairs import Pair
from .tapped import TappedModel

SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ORDER = ("heads", "mlps", "embeddings")


def names_of(kind: str, layers: int, heads: int) -> list[str]:
    """MIB's names of one kind of node, by layer, then index."""
    if kind == "embeddings":
        return ["input"]
    if kind == "mlps":
        return [f"m{layer}" for layer in range(layers)]
    if kind == "heads":
        return [f"a{layer}.h{head}" for layer in range(layers) for head in range(heads)]
    raise ValueError(f"unknown kind {kind!r}")


def ranked(importances: Mapping[str, float], names: Sequence[str], absolute: bool) -> list[str]:
    """Most important first; equal ones in the order of `names`."""
    return sorted(names, key=lambda name: -(abs(importances[name]) if absolute else importances[name]))


@dataclass(frozen=True)
class Outputs:
    """What the nodes of one run wrote."""

    input: Tensor  # [pair, position, d_model]
    heads: list[Tensor]  # layers of [pair, position, head * d_head], before the output matrix
    mlps: list[Tensor]  # layers of [pair, position, d_model]


@dataclass(frozen=True)
class Curve:
    """Circuits of one ranking."""

    counts: list[int]
    faithfulness: np.ndarray  # [size]

    def area(self, height: Callable[[np.ndarray], np.ndarray] = lambda f: f) -> float:
        """By trapezoids over the fraction of nodes."""
        heights, area = height(self.faithfulness), 0.0
        for i in range(len(SIZES) - 1):
            area += (SIZES[i + 1] - SIZES[i]) * (heights[i] + heights[i + 1]) / 2
        return float(area)


class MibEvaluator:
    """Runs circuits of nodes on pairs of any token lengths, those of one length together."""

    def __init__(self, model: TappedModel, pairs: Sequence[Pair], order: Sequence[str] = ORDER) -> None:
        config = model.model.config.get_text_config()
        self.model, self.heads = model.model, config.num_attention_heads
        self.embedding, self.attention_outputs = model.embedding, model.attention_outputs
        self.mlps = [self._parent_of(second) for second in model.seconds]
        self.names = [name for kind in order for name in names_of(kind, len(self.mlps), self.heads)]
        self.groups = [[pair for pair in pairs if pair.length == n] for n in sorted({pair.length for pair in pairs})]
        self.sources = [self._outputs([pair.counterfactual for pair in group]) for group in self.groups]
        self.full, self.empty = self.metric(self.names).mean(), self.metric([]).mean()

    def _parent_of(self, module: nn.Module) -> nn.Module:
        name = next(name for name, found in self.model.named_modules() if found is module)
        return self.model.get_submodule(name.rpartition(".")[0])

    @torch.no_grad()
    def _outputs(self, prompts: Sequence[Sequence[int]]) -> Outputs:
        found = Outputs(torch.empty(0), [], [])
        embedded: list[Tensor] = []
        with ExitStack() as hooks:
            hooks.callback(self.embedding.register_forward_hook(lambda *call: embedded.append(call[2])).remove)
            for module in self.attention_outputs:
                hooks.callback(module.register_forward_pre_hook(lambda _, inputs: found.heads.append(inputs[0])).remove)
            for module in self.mlps:
                hooks.callback(module.register_forward_hook(lambda *call: found.mlps.append(call[2])).remove)
            self.model(input_ids=torch.tensor(prompts), logits_to_keep=1, use_cache=False)
        return Outputs(embedded[0], found.heads, found.mlps)

    def _patches(self, source: Outputs, outside: set[str]) -> Iterable[torch.utils.hooks.RemovableHandle]:
        """Hooks that write the source's output in place of every node outside."""
        if "input" in outside:
            yield self.embedding.register_forward_hook(lambda *_: source.input)
        for layer, (attention, mlp) in enumerate(zip(self.attention_outputs, self.mlps, strict=True)):
            if f"m{layer}" in outside:
                yield mlp.register_forward_hook(lambda *_, layer=layer: source.mlps[layer])
            gone = [f"a{layer}.h{head}" in outside for head in range(self.heads)]

            def patch_heads(_: nn.Module, inputs: tuple[Tensor], layer: int = layer, gone: list[bool] = gone):
                theirs = source.heads[layer].unflatten(-1, (self.heads, -1))
                ours = inputs[0].unflatten(-1, (self.heads, -1))
                return (torch.where(torch.tensor(gone)[:, None], theirs, ours).flatten(-2),)

            if any(gone):
                yield attention.register_forward_pre_hook(patch_heads)

    @torch.no_grad()
    def metric(self, inside: Iterable[str]) -> np.ndarray:
        """m [pair] of the circuit with these nodes, pairs by their token length."""
        outside = set(self.names) - set(inside)
        values: list[float] = []
        for group, source in zip(self.groups, self.sources, strict=True):
            with ExitStack() as hooks:
                for hook in self._patches(source, outside):
                    hooks.callback(hook.remove)
                ids = torch.tensor([pair.clean for pair in group])
                last = self.model(input_ids=ids, logits_to_keep=1, use_cache=False).logits[:, -1].double()
            values += [(row[pair.y] - row[pair.y_prime]).item() for row, pair in zip(last, group, strict=True)]
        return np.array(values)

    def curve(self, importances: Mapping[str, float], absolute: bool) -> Curve:
        """Faithfulness at MIB's ten sizes."""
        order = ranked(importances, self.names, absolute)
        counts = [int(size * len(order)) for size in SIZES]
        means = np.array([self.metric(order[:count]).mean() for count in counts])
        return Curve(counts, (means - self.empty) / (self.full - self.empty))

    def cpr(self, importances: Mapping[str, float]) -> float:
        """Area under faithfulness, signed ranking."""
        return self.curve(importances, absolute=False).area()

    def cmd(self, importances: Mapping[str, float]) -> float:
        """Area of |1 − faithfulness|, absolute ranking."""
        return self.curve(importances, absolute=True).area(lambda f: np.abs(1 - f))
