# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits of nodes of several kinds: one ranking over all of them, everything outside ablated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .circuits import Evaluator, ranked, top_mask
from .nodes import NodeModel, node_values
from .pairs import Pair


class NodeEvaluator(Evaluator):
    """Runs circuits of chosen kinds; scores and masks are one flat vector, a kind after the other.

    Within a kind the order is that of [layer, pos, node], so a stable sort leaves exact ties in the order
    (kind, layer, pos, node). A kind that is not chosen is left alone.
    """

    def __init__(
        self,
        model: NodeModel,
        pairs: Sequence[Pair],
        kinds: Sequence[str],
        ablation: str = "mean",
        positions: str = "keep",
        metric: str = "logit-difference",
        metric_top: int = 1,
        ablation_pairs: Sequence[Pair] | None = None,
    ) -> None:
        self.kinds = tuple(kinds)
        super().__init__(model, pairs, ablation, metric, metric_top, ablation_pairs)
        self.shapes: dict[str, tuple[int, int, int]] = {}
        for kind in self.kinds:
            layers, length, nodes = model.split(kind, self.values[kind]).shape[1:4]
            self.shapes[kind] = (layers, length if positions == "keep" else 1, nodes)

    def _ablation_values(self, ablation: str, source: Sequence[Pair]) -> dict[str, Tensor]:
        """What ablated nodes are set to, by kind: [pair or 1, layer, pos, width]."""
        embeds = self.model.embed(torch.tensor([pair.counterfactual for pair in source]))
        every = node_values(self.model, embeds)
        return {kind: self._ablation_value(ablation, every[kind]) for kind in self.kinds}

    def _ablation_value(self, ablation: str, values: Tensor) -> Tensor:
        if ablation == "mean":
            values = values.mean(0, keepdim=True)
        elif ablation == "zero":
            values = torch.zeros_like(values[:1])
        elif ablation != "resample":
            raise ValueError(f"unknown ablation {ablation!r}")
        return values.to(self.model.model.dtype)

    def flat(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        """Scores by kind, whatever axes of length one they lack, as the vector that is ranked."""
        return np.concatenate([np.asarray(scores[kind]).reshape(self.shapes[kind]).ravel() for kind in self.kinds])

    def split(self, keep: Tensor) -> dict[str, Tensor]:
        """A flat vector by kind [layer, pos or 1, node]."""
        sizes = [int(np.prod(self.shapes[kind])) for kind in self.kinds]
        parts = keep.split(sizes)
        return {kind: part.reshape(self.shapes[kind]) for kind, part in zip(self.kinds, parts, strict=True)}

    def circuit(self, flat: np.ndarray, k: int, ranking: str = "abs") -> Tensor:
        """The flat mask of the first k nodes."""
        return top_mask(ranked(flat, ranking), k, flat.shape)

    @torch.no_grad()
    def metric(self, keep: Tensor) -> np.ndarray:
        """m [pair] when nodes outside the flat mask `keep` are ablated."""
        by_kind = self.split(keep)

        def ablate(kind: str, layer: int, value: Tensor) -> Tensor:
            if kind not in by_kind:
                return value
            ablated = self.model.split(kind, self.values[kind][:, layer])
            kept = torch.where(by_kind[kind][layer][..., None], self.model.split(kind, value), ablated)
            return kept.flatten(-2)

        embeds = self.model.embed(torch.tensor([pair.clean for pair in self.pairs]))
        logits = self.model.run_nodes(embeds, ablate).logits
        rows = [target(row[None]) for target, row in zip(self.targets, logits, strict=True)]
        return torch.cat(rows).double().numpy()
