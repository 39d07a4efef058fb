# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Dictionaries of features: sparse autoencoders, transcoders, cross-layer transcoders, with the weights of their files.

f = act(W_enc (x - b_in) + b_enc), what is rebuilt is W_dec f + b_dec (+ W_skip x). relu: max(z, 0); jumprelu: z above a
threshold, else 0; topk: the k largest pre-activations, of them max(z, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .sites import Site

ACTIVATIONS = ("relu", "jumprelu", "topk")


@dataclass(frozen=True)
class Dictionary:
    """The features that read at one site, in float64."""

    hook: str  # where they read
    layer: int
    W_enc: Tensor  # [d_in, d_sae]
    b_enc: Tensor  # [d_sae]
    W_dec: Tensor  # [d_sae, d_out]; cross_layer: [d_sae, layers from its own on, d_out]
    b_dec: Tensor  # [d_out], of what is written at the layer
    kind: str = "sae"  # sae | transcoder | cross_layer
    writes: str = "mlp_out"  # a transcoder: mlp_out | mlp_written
    activation: str = "relu"
    k: int = 0
    threshold: Tensor | None = None  # [d_sae], of jumprelu
    W_skip: Tensor | None = None  # [d_out, d_in]
    apply_b_dec_to_input: bool = False
    rescale: bool = False  # pre-activations times the norms of W_dec's rows, activations divided by them

    @property
    def site(self) -> Site:
        """Where they write; a cross-layer transcoder also behind it."""
        return (self.hook if self.kind == "sae" else self.writes, self.layer)

    def norms(self) -> Tensor:
        """[d_sae], what `rescale` speaks of."""
        return self.W_dec.norm(dim=-1) if self.rescale else torch.ones_like(self.b_enc)

    def decoders(self) -> dict[Site, Tensor]:
        """What one unit of each feature writes, [d_sae, d_out], by site."""
        W_dec = self.W_dec / self.norms()[:, None] if self.rescale else self.W_dec
        if self.kind != "cross_layer":
            return {self.site: W_dec}
        return {("mlp_out", self.layer + i): W_dec[:, i] for i in range(W_dec.shape[1])}

    def encode(self, x: Tensor) -> Tensor:
        """Activations [..., d_sae] of what is read [..., d_in]."""
        read = x - self.b_dec if self.apply_b_dec_to_input else x
        z = (read @ self.W_enc + self.b_enc) * self.norms()
        if self.activation == "jumprelu":
            return torch.where(z > self.threshold, z.clamp(min=0), 0.0)
        if self.activation == "topk":
            best = z.topk(self.k, dim=-1)
            return torch.zeros_like(z).scatter(-1, best.indices, best.values.clamp(min=0))
        return z.clamp(min=0)
