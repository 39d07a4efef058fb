# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics m: signed sums of a few logits at the last position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .pairs import Pair
from .tapped import TappedModel

METRICS = ("logit-difference", "logit", "sum-of-logits")


@dataclass(frozen=True)
class Target:
    """m = sum_k sign_k * logit[id_k] for one pair."""

    ids: tuple[int, ...]
    signs: tuple[float, ...]

    def __call__(self, logits: Tensor) -> Tensor:
        """m [batch] of logits [batch, vocabulary]."""
        signs = torch.tensor(self.signs, dtype=logits.dtype)
        return (logits[:, list(self.ids)] * signs).sum(-1)


def target_of(model: TappedModel, pair: Pair, metric: str, top: int = 1) -> Target:
    """The metric for one pair; sum-of-logits takes the `top` best tokens of the clean run."""
    if metric == "logit-difference":
        return Target((pair.y, pair.y_prime), (1.0, -1.0))
    if metric == "logit":
        return Target((pair.y,), (1.0,))
    if metric == "sum-of-logits":
        with torch.no_grad():
            best = model.run(ids=torch.tensor([pair.clean])).logits[0].topk(top).indices
        return Target(tuple(best.tolist()), (1.0,) * top)
    raise ValueError(f"unknown metric {metric!r}; the metrics are {', '.join(METRICS)}")
