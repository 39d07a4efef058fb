# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits: rankings, ablation of everything outside, faithfulness, completeness, CPR, CMD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .gradients import activations
from .metrics import target_of
from .pairs import Pair
from .tapped import TappedModel

FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LEAST_RANGE = 0.05  # logits; below it the ratios mean nothing


def ranked(scores: np.ndarray, ranking: str = "abs") -> np.ndarray:
    """Flat node indices, best first, of scores [layer, pos, neuron].

    A stable sort leaves exact ties in (layer, pos, index) order.
    """
    keys = np.abs(scores) if ranking == "abs" else scores
    return np.argsort(-keys.ravel(), kind="stable")


def top_mask(order: np.ndarray, k: int, shape: tuple[int, ...]) -> Tensor:
    """Whether each node [layer, pos, neuron] is among the first k of the order."""
    mask = np.zeros(order.size, dtype=bool)
    mask[order[:k]] = True
    return torch.from_numpy(mask.reshape(shape))


@dataclass
class Curve:
    """Faithfulness and completeness at node counts, with what they are made of."""

    counts: list[int]
    faithfulness: np.ndarray  # [point]
    completeness: np.ndarray  # [point]
    metric_circuit: np.ndarray  # [point, pair]
    metric_complement: np.ndarray  # [point, pair]
    metric_full: np.ndarray  # [pair]
    metric_empty: np.ndarray  # [pair]


class Evaluator:
    """Runs circuits on evaluation pairs of one token length."""

    def __init__(
        self,
        model: TappedModel,
        pairs: Sequence[Pair],
        ablation: str = "mean",
        metric: str = "logit-difference",
        metric_top: int = 1,
        ablation_pairs: Sequence[Pair] | None = None,
    ) -> None:
        self.model = model
        self.pairs = list(pairs)
        self.targets = [target_of(model, pair, metric, metric_top) for pair in pairs]
        self.values = self._ablation_values(ablation, ablation_pairs or pairs)

    def _ablation_values(self, ablation: str, source: Sequence[Pair]) -> Tensor:
        """What ablated nodes are set to: [pair or 1, layer, pos, neuron]."""
        acts = torch.stack([activations(self.model, pair.counterfactual) for pair in source])
        if ablation == "resample":
            return acts.to(self.model.model.dtype)
        mean = acts.mean(0, keepdim=True)
        if ablation == "zero":
            mean = torch.zeros_like(mean)
        elif ablation != "mean":
            raise ValueError(f"unknown ablation {ablation!r}")
        return mean.to(self.model.model.dtype)

    @torch.no_grad()
    def metric(self, keep: Tensor) -> np.ndarray:
        """m [pair] when nodes outside `keep` [layer, pos or 1, neuron] are ablated."""

        def ablate(layer: int, a: Tensor) -> Tensor:
            return torch.where(keep[layer], a, self.values[:, layer])

        logits = self.model.run(ids=torch.tensor([p.clean for p in self.pairs]), do=ablate).logits
        rows = [target(row[None]) for target, row in zip(self.targets, logits, strict=True)]
        return torch.cat(rows).double().numpy()

    def curve(self, scores: np.ndarray, counts: Sequence[int], ranking: str = "abs") -> Curve:
        """Faithfulness and completeness of the top-k circuits of scores [layer, pos, neuron]."""
        order = ranked(scores, ranking)
        masks = [top_mask(order, k, scores.shape) for k in counts]
        circuit = np.stack([self.metric(mask) for mask in masks])
        complement = np.stack([self.metric(~mask) for mask in masks])
        nothing = torch.zeros(scores.shape, dtype=torch.bool)
        full, empty = self.metric(~nothing), self.metric(nothing)
        spread = full.mean() - empty.mean()
        scale = spread if abs(spread) >= LEAST_RANGE else np.nan
        faithfulness = (circuit.mean(1) - empty.mean()) / scale
        completeness = (complement.mean(1) - empty.mean()) / scale
        return Curve(list(counts), faithfulness, completeness, circuit, complement, full, empty)

    def cpr(self, scores: np.ndarray) -> float:
        """Area under faithfulness over the fraction of nodes kept, signed ranking."""
        return self._area(scores, "signed", lambda f: f)

    def cmd(self, scores: np.ndarray) -> float:
        """Area of |1 - faithfulness| over the fraction of nodes kept, abs ranking."""
        return self._area(scores, "abs", lambda f: np.abs(1 - f))

    def _area(self, scores: np.ndarray, ranking: str, height) -> float:
        counts = [int(np.floor(fraction * scores.size)) for fraction in FRACTIONS]
        heights = height(self.curve(scores, counts, ranking).faithfulness)
        return float(np.trapezoid(heights, FRACTIONS))
