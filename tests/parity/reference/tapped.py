# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A transformers causal model with taps on its MLP neurons.

A neuron's activation is what enters the second matrix of the MLP: act(gate) * up for gated MLPs,
act(W h + b) for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from .double import lift_to_float64
from .rules import ATTENTION

SECOND_MATRICES = ("mlp.down_proj", "mlp.c_proj", "mlp.dense_4h_to_h")
# do(layer, a) with a [batch, pos, neuron] gives the activations to go on with.
Intervention = Callable[[int, Tensor], Tensor]


@dataclass
class Run:
    """What one forward gives."""

    logits: Tensor  # [batch, vocabulary], last position
    acts: list[Tensor]  # layers of [batch, pos, neuron], after the intervention

    def stacked(self) -> Tensor:
        """Activations as one detached tensor [batch, layer, pos, neuron]."""
        return torch.stack([a.detach() for a in self.acts], dim=1)


class TappedModel:
    """Runs the model on ids or embeddings, reads its neurons, and sets them where asked."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval().requires_grad_(False)
        self.model.set_attn_implementation(ATTENTION)
        self.seconds = [m for n, m in model.named_modules() if n.endswith(SECOND_MATRICES)]
        if len(self.seconds) != model.config.num_hidden_layers:
            raise ValueError(f"found {len(self.seconds)} MLPs")
        self.embedding = model.get_input_embeddings()

    @staticmethod
    def load(folder: Path, dtype: torch.dtype = torch.float32) -> TappedModel:
        """Open a checkpoint folder; float64 lifts rotary tables and norms too."""
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        return TappedModel(lift_to_float64(model) if dtype == torch.float64 else model)

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [batch, pos, d_model] of ids [batch, pos], as the blocks' path uses."""
        return self.embedding(ids).detach()

    def run(
        self,
        ids: Tensor | None = None,
        embeds: Tensor | None = None,
        do: Intervention | None = None,
    ) -> Run:
        """One forward from ids [batch, pos] or token embeddings [batch, pos, d_model]."""
        acts: list[Tensor] = []

        def tap(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            a = inputs[0] if do is None else do(len(acts), inputs[0])
            acts.append(a)
            return (a,)

        hooks = [second.register_forward_pre_hook(tap) for second in self.seconds]
        try:
            output = self.model(input_ids=ids, inputs_embeds=embeds, logits_to_keep=1, use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return Run(output.logits[:, -1], acts)
