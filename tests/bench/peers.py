# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What users have today for the same scores: Captum, and a good hand-written PyTorch script.

Both get what a careful user gives them: frozen weights, logits of the last position only, and all steps of a path in
one batch. Knows nothing about the program.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from captum.attr import LayerConductance, LayerIntegratedGradients
from reference.pairs import Pair
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging


@dataclass(frozen=True)
class Batch:
    """Pairs of one length: prompts [pair, pos], answers [pair]."""

    clean: Tensor
    counterfactual: Tensor
    y: Tensor
    y_prime: Tensor

    @staticmethod
    def of(pairs: Sequence[Pair]) -> Batch:
        """Pairs side by side."""
        prompts = ([pair.clean for pair in pairs], [pair.counterfactual for pair in pairs])
        answers = ([pair.y for pair in pairs], [pair.y_prime for pair in pairs])
        return Batch(*map(torch.tensor, prompts + answers))

    @property
    def answers(self) -> tuple[Tensor, Tensor]:
        return self.y, self.y_prime

    def __len__(self) -> int:
        return len(self.y)


class Peers:
    """The peers on one Hugging Face checkpoint. Every method gives scores [pair, layer, pos, neuron]."""

    def __init__(self, folder: Path) -> None:
        transformers_logging.disable_progress_bar()
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
        self.seconds = [block.mlp.down_proj for block in self.model.model.layers]
        self.embedding = self.model.get_input_embeddings()
        # Captum doubts layers that do not reach its forward function's inputs: here token ids.
        logging.getLogger("captum").setLevel(logging.ERROR)

    def metric(self, y: Tensor, y_prime: Tensor, **inputs: Tensor) -> Tensor:
        """logit_y - logit_y' at the last position, [row]; answers are repeated for every step of a path."""
        logits = self.model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
        times = len(logits) // len(y)
        rows = torch.arange(len(logits))
        return logits[rows, y.repeat(times)] - logits[rows, y_prime.repeat(times)]

    def captum_ig(self, batch: Batch, steps: int = 10) -> Tensor:
        """IG-activations: LayerIntegratedGradients on the input of every down projection, layer by layer."""

        def forward(ids: Tensor, y: Tensor, y_prime: Tensor) -> Tensor:
            return self.metric(y, y_prime, input_ids=ids)

        settings = {"n_steps": steps, "method": "riemann_right", "attribute_to_layer_input": True}
        return self._by_layer(
            lambda second: LayerIntegratedGradients(forward, second).attribute(
                batch.clean, batch.counterfactual, additional_forward_args=batch.answers, **settings
            )
        )

    def captum_conductance(self, batch: Batch, steps: int = 10) -> Tensor:
        """LayerConductance from the embeddings to the input of every down projection, layer by layer."""

        def forward(embeds: Tensor, y: Tensor, y_prime: Tensor) -> Tensor:
            return self.metric(y, y_prime, inputs_embeds=embeds)

        clean, counterfactual = self.embedding(batch.clean), self.embedding(batch.counterfactual)
        settings = {"n_steps": steps, "method": "riemann_right", "attribute_to_layer_input": True}
        return self._by_layer(
            lambda second: LayerConductance(forward, second).attribute(
                clean, counterfactual, additional_forward_args=batch.answers, **settings
            )
        )

    def _by_layer(self, attribute: Callable[[nn.Module], Tensor | tuple[Tensor, ...]]) -> Tensor:
        found = [attribute(second) for second in self.seconds]
        return torch.stack([f[0] if isinstance(f, tuple) else f for f in found], dim=1).detach()

    def script_sweep(self, batch: Batch, steps: int = 10) -> dict[str, Tensor]:
        """Input IG ([pair, pos]), IG-inputs and conductance by the right rule, from one forward and backward."""
        with torch.no_grad():
            e, e_prime = self.embedding(batch.clean), self.embedding(batch.counterfactual)
            with self.tapped() as acts:
                self.metric(*batch.answers, inputs_embeds=e_prime)
        v_prime = torch.stack(acts, dim=1)  # [pair, layer, pos, neuron]
        alphas = torch.arange(1, steps + 1) / steps
        points = torch.cat([e_prime + alpha * (e - e_prime) for alpha in alphas]).requires_grad_()
        with self.tapped() as acts:
            m = self.metric(*batch.answers, inputs_embeds=points)
        embed_grads, *grads = torch.autograd.grad(m.sum(), [points, *acts])
        by_step = (steps, len(batch), len(acts), *acts[0].shape[1:])
        v = torch.stack([a.detach() for a in acts], dim=1).view(by_step)
        g = torch.stack(grads, dim=1).view(by_step)
        mean_embed_grad = embed_grads.view(steps, *e.shape).mean(0)
        return {
            "input-ig": ((e - e_prime) * mean_embed_grad).sum(-1),
            "ig-inputs": (v[-1] - v_prime) * g.mean(0),
            "conductance": (g * torch.cat([v_prime[None], v]).diff(dim=0)).sum(0),
        }

    def script_ig_acts(self, batch: Batch, steps: int = 10, rule: str = "right") -> Tensor:
        """IG-activations by the right or the trapezoid rule: one forward and backward a layer, steps stacked."""
        with torch.no_grad():
            runs = []
            for ids in (batch.clean, batch.counterfactual):
                with self.tapped() as acts:
                    self.metric(*batch.answers, input_ids=ids)
                runs.append(acts)
        if rule == "right":
            alphas, weights = torch.arange(1, steps + 1) / steps, torch.full((steps,), 1 / steps)
        else:
            alphas, weights = torch.linspace(0, 1, steps), torch.full((steps,), 1 / (steps - 1))
            weights[[0, -1]] /= 2
        layers = []
        for second, a, a_prime in zip(self.seconds, *runs, strict=True):
            points = torch.cat([a_prime + alpha * (a - a_prime) for alpha in alphas]).requires_grad_()
            hook = second.register_forward_pre_hook(lambda _, inputs, points=points: (points,))
            m = self.metric(*batch.answers, input_ids=batch.clean.repeat(steps, 1))
            hook.remove()
            (grad,) = torch.autograd.grad(m.sum(), points)
            layers.append((a - a_prime) * torch.tensordot(weights, grad.view(steps, *a.shape), dims=1))
        return torch.stack(layers, dim=1)

    def script_atp(self, batch: Batch) -> Tensor:
        """Attribution patching: a forward on either prompt and a single backward, all layers at once."""
        with torch.no_grad(), self.tapped() as acts_prime:
            self.metric(*batch.answers, input_ids=batch.counterfactual)
        with self.tapped() as acts:
            m = self.metric(*batch.answers, input_ids=batch.clean)
        grads = torch.autograd.grad(m.sum(), acts)
        layers = [(a.detach() - b) * g for a, b, g in zip(acts, acts_prime, grads, strict=True)]
        return torch.stack(layers, dim=1)

    def tapped(self) -> Taps:
        """Collects the activations of every layer while open."""
        return Taps(self.seconds)


class Taps:
    """Pre-hooks on the second matrices; `with` gives the list of activations [row, pos, neuron] that fills."""

    def __init__(self, seconds: Sequence[nn.Module]) -> None:
        self.seconds = seconds

    def __enter__(self) -> list[Tensor]:
        acts: list[Tensor] = []

        def tap(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            a = inputs[0]
            if torch.is_grad_enabled() and not a.requires_grad:
                a.requires_grad_()  # the first layer, when nothing below is differentiated
            acts.append(a)

        self.hooks = [second.register_forward_pre_hook(tap) for second in self.seconds]
        return acts

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()
