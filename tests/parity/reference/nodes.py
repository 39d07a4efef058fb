# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Nodes of every kind in a tapped model: their values, the metric's derivatives, and setting them where asked.

| kind | value | dims of one node |
|---|---|---|
| neurons | a, what enters the second matrix of the MLP | 1 |
| heads | z, what enters the attention's output matrix | a head's d_head |
| mlps, added | what a block adds to the stream: behind a norm of the output and the residual multiplier | d_model |
| mlps, written | W a + b, what the second matrix gives | d_model |
| embeddings | the token embedding with its multiplier, without a position embedding | d_model |

Every value is kept as [layer, pos, width], the width being that of all of a layer's nodes at one position side by side;
embeddings have one layer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .gradients import ROWS
from .metrics import Target
from .rules import replacement_rules
from .tapped import Intervention, Run, TappedModel

KINDS = ("neurons", "heads", "mlps", "embeddings")
SIDES = ("added", "written")
# do(kind, layer, value) with value [batch, pos, width] gives the value to go on with.
NodeIntervention = Callable[[str, int, Tensor], Tensor]


@dataclass
class NodeRun:
    """What one forward gives."""

    logits: Tensor  # [batch, vocabulary], last position
    values: dict[str, list[Tensor]]  # by kind: layers of [batch, pos, width], after the intervention


@dataclass
class NodeSweep:
    """Metric, values and gradients at n network inputs, in float64, by kind."""

    metric: Tensor  # [n]
    values: dict[str, Tensor]  # [n, layer, pos, width]
    grads: dict[str, Tensor]  # [n, layer, pos, width], dm/dv


class NodeModel(TappedModel):
    """A tapped model that knows nodes of every kind; embeddings are those behind their multiplier."""

    def __init__(self, model: nn.Module, side: str = "added") -> None:
        super().__init__(model)
        if side not in SIDES:
            raise ValueError(f"unknown side {side!r}; the sides are {', '.join(SIDES)}")
        config = model.config.get_text_config()
        self.side = side
        self.head_count = config.num_attention_heads
        # Granite multiplies behind the embedding, Gemma in it.
        self.embedding_multiplier = getattr(config, "embedding_multiplier", 1.0)
        self.residual_multiplier = getattr(config, "residual_multiplier", 1.0)
        self.post_norms = [m for name, m in model.named_modules() if name.endswith("post_feedforward_layernorm")]
        if self.post_norms and len(self.post_norms) != len(self.seconds):
            raise ValueError(f"found {len(self.post_norms)} norms behind {len(self.seconds)} MLPs")
        added = side == "added"
        self.mlp_outputs = self.post_norms if added and self.post_norms else self.seconds
        self.mlp_multiplier = self.residual_multiplier if added else 1.0

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [batch, pos, d_model] of ids [batch, pos], behind their multiplier."""
        return super().embed(ids) * self.embedding_multiplier

    def run(self, ids: Tensor | None = None, embeds: Tensor | None = None, do: Intervention | None = None) -> Run:
        """As TappedModel's; embeds are those behind their multiplier."""
        before = None if embeds is None else embeds / self.embedding_multiplier
        return super().run(ids, before, do)

    def run_nodes(self, embeds: Tensor, do: NodeIntervention | None = None) -> NodeRun:
        """One forward from token embeddings [batch, pos, d_model]."""
        values: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}

        def tap(kind: str, value: Tensor) -> Tensor:
            if do is not None:
                value = do(kind, len(values[kind]), value)
            values[kind].append(value)
            return value

        def mlp_hook(_: nn.Module, __: tuple[Tensor], output: Tensor) -> Tensor:
            return tap("mlps", output * self.mlp_multiplier) / self.mlp_multiplier

        embeds = tap("embeddings", embeds)
        with ExitStack() as hooks:
            for output in self.attention_outputs:
                head_hook = output.register_forward_pre_hook(lambda _, inputs: (tap("heads", inputs[0]),))
                hooks.callback(head_hook.remove)
            for output in self.mlp_outputs:
                hooks.callback(output.register_forward_hook(mlp_hook).remove)
            run = self.run(embeds=embeds, do=lambda _, a: tap("neurons", a))
        return NodeRun(run.logits, values)

    def nodes_at(self, kind: str, width: int) -> int:
        """How many nodes of a kind lie side by side in a value of so many dims."""
        return {"neurons": width, "heads": self.head_count}.get(kind, 1)

    def split(self, kind: str, values: Tensor) -> Tensor:
        """[..., width] as [..., node, dim]."""
        return values.unflatten(-1, (self.nodes_at(kind, values.shape[-1]), -1))


def per_kind(layers: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """Layers of [batch, pos, width] as one detached tensor [batch, layer, pos, width] a kind, in float64."""
    return {kind: torch.stack([v.detach() for v in found], dim=1).double() for kind, found in layers.items()}


@torch.no_grad()
def node_values(model: NodeModel, embeds: Tensor) -> dict[str, Tensor]:
    """Values by kind [batch, layer, pos, width] in float64 from embeddings [batch, pos, d_model]."""
    return per_kind(model.run_nodes(embeds).values)


@torch.no_grad()
def node_metric(
    model: NodeModel, ids: tuple[int, ...], target: Target, rows: int = 1, do: NodeIntervention | None = None
) -> Tensor:
    """m [rows] in float64 on `rows` copies of one prompt under an intervention."""
    embeds = model.embed(torch.tensor([ids])).expand(rows, -1, -1)
    return target(model.run_nodes(embeds, do).logits).double()


def sweep_nodes(model: NodeModel, embeds: Tensor, target: Target, rules: frozenset[str] = frozenset()) -> NodeSweep:
    """One forward and one backward from each of the embeddings [n, pos, d_model]."""
    parts = [_sweep_chunk(model, chunk, target, rules) for chunk in embeds.split(ROWS)]
    joined = [{kind: torch.cat([part[i][kind] for part in parts]) for kind in KINDS} for i in (1, 2)]
    return NodeSweep(torch.cat([part[0] for part in parts]), *joined)


def _sweep_chunk(model: NodeModel, embeds: Tensor, target: Target, rules: frozenset[str]) -> tuple:
    leaf = embeds.detach().clone().requires_grad_()
    with replacement_rules(model.model, rules):
        run = model.run_nodes(leaf)
    metric = target(run.logits)
    places = [(kind, value) for kind in KINDS for value in run.values[kind]]
    found = torch.autograd.grad(metric.sum(), [value for _, value in places])
    grads: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}
    for (kind, _), grad in zip(places, found, strict=True):
        grads[kind].append(grad)
    return metric.detach().double(), per_kind(run.values), per_kind(grads)


def gradients_at_layer(
    model: NodeModel,
    ids: tuple[int, ...],
    place: tuple[str, int],
    points: Tensor,
    target: Target,
    rules: frozenset[str] = frozenset(),
) -> Tensor:
    """dm/dv [n, pos, width] in float64 with do v = each of points [n, pos, width] at a kind and layer."""
    parts = []
    for chunk in points.split(ROWS):
        leaf = chunk.to(model.model.dtype).detach().clone().requires_grad_()

        def at_place(kind: str, layer: int, value: Tensor, leaf: Tensor = leaf) -> Tensor:
            return leaf if (kind, layer) == place else value

        embeds = model.embed(torch.tensor([ids])).expand(len(chunk), -1, -1)
        with replacement_rules(model.model, rules):
            run = model.run_nodes(embeds, at_place)
        (grad,) = torch.autograd.grad(target(run.logits).sum(), leaf)
        parts.append(grad.double())
    return torch.cat(parts)
