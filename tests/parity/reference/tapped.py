# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A transformers causal model with taps on its MLP neurons, its heads and what its first block reads.

A neuron's activation is what enters the second matrix of the MLP: act(gate) * up for gated MLPs,
act(W h + b) for the others. A head's output z is its part of what enters the attention's output matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from .double import lift_to_float64

SECOND_MATRICES = ("mlp.down_proj", "mlp.c_proj", "mlp.dense_4h_to_h")
ATTENTION_OUTPUTS = ("self_attn.o_proj", "attn.c_proj", "attention.dense")
# do(layer, a) with a [batch, pos, neuron] gives the activations to go on with.
Intervention = Callable[[int, Tensor], Tensor]


@dataclass
class Run:
    """What one forward gives."""

    logits: Tensor  # [batch, vocabulary], last position
    acts: list[Tensor]  # layers of [batch, pos, neuron], after the intervention
    heads: list[Tensor]  # layers of [batch, pos, head * d_head]
    stream: Tensor  # [batch, pos, d_model], what block 0 reads: with multipliers and learned positions

    def stacked(self) -> Tensor:
        """Activations as one detached tensor [batch, layer, pos, neuron]."""
        return torch.stack([a.detach() for a in self.acts], dim=1)


class TappedModel:
    """Runs the model on ids or embeddings, reads its neurons, and sets them where asked."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval().requires_grad_(False)
        self.model.set_attn_implementation("eager")
        self.seconds = self._one_a_layer(SECOND_MATRICES)
        self.attention_outputs = self._one_a_layer(ATTENTION_OUTPUTS)
        self.embedding = model.get_input_embeddings()
        first = next(name for name, module in model.named_modules() if module is self.seconds[0])
        self.first_block = model.get_submodule(first.rsplit(".", 2)[0])

    def _one_a_layer(self, endings: tuple[str, ...]) -> list[nn.Module]:
        found = [module for name, module in self.model.named_modules() if name.endswith(endings)]
        if len(found) != self.model.config.get_text_config().num_hidden_layers:
            raise ValueError(f"found {len(found)} of {', '.join(endings)}")
        return found

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
        heads: list[Tensor] = []
        stream: list[Tensor] = []

        def tap(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            a = inputs[0] if do is None else do(len(acts), inputs[0])
            acts.append(a)
            return (a,)

        with ExitStack() as hooks:
            for second in self.seconds:
                hooks.callback(second.register_forward_pre_hook(tap).remove)
            for output in self.attention_outputs:
                hooks.callback(output.register_forward_pre_hook(lambda _, inputs: heads.append(inputs[0])).remove)
            block = self.first_block.register_forward_pre_hook(lambda _, inputs: stream.append(inputs[0]))
            hooks.callback(block.remove)
            output = self.model(input_ids=ids, inputs_embeds=embeds, logits_to_keep=1, use_cache=False)
        return Run(output.logits[:, -1], acts, heads, stream[0])
