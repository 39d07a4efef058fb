# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits of edges between neurons in a model whose patterns and norms are frozen, and one edge patched exactly.

The *frozen model* of a prompt: attention patterns and the denominators (rms or sigma) of all norms are those of the
clean run, LayerNorm's mean is recomputed. In it the pre-activations of every MLP, and the logits in front of a
soft-cap, are affine in the neurons below and in the embeddings.

A circuit of edges has K neurons, which are sources and targets, and the metric as a further target. A target sees a
source at the value that the circuit gives it where their edge is kept, and at its ablation value where it is cut.
Neurons outside the K are seen by all at one value, clean or ablated. Embeddings are clean unless they are given
ablation values: then they are sources as well. The circuit's metric is found in two ways:

- by hooks: for each target a forward of its own with all lower neurons set to what this target sees;
- by differences: z_t = z_t(x) + sum_s J_{s->t} (seen_s - v_s(x)) of pre-activations z and their derivatives J, then the
  true non-linearity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from .edges import METRIC, Neuron, To, cut_run, derivatives
from .metrics import Target
from .nodes import NodeModel, node_values
from .rules import _attribute, is_rms_norm
from .tapped import SECOND_MATRICES, Intervention, Run

REST = ("clean", "ablated")
FUSED = "gate_up_proj"  # the gate's rows, then those of up
FIRST_MATRICES = ("gate_proj", "up_proj", FUSED, "c_fc", "dense_h_to_4h")
ACTIVATIONS = ("act_fn", "activation_fn", "act")
EMBEDDING = -1  # the layer of an embedding, and its index
Edge = tuple[Neuron, To]


def _denominator(norm: nn.Module, x: Tensor) -> Tensor:
    """rms or sigma [..., 1] of a norm's input [..., d]."""
    epsilon = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
    if not is_rms_norm(norm):
        x = x - x.mean(-1, keepdim=True)
    return (x.square().mean(-1, keepdim=True) + epsilon).sqrt()


class FrozenModel(NodeModel):
    """The frozen model of one prompt: it computes as NodeModel does, with that prompt's patterns and denominators."""

    def __init__(self, model: nn.Module, ids: tuple[int, ...]) -> None:
        super().__init__(model)
        self._norms = [m for m in model.modules() if is_rms_norm(m) or isinstance(m, nn.LayerNorm)]
        self._denominators: dict[nn.Module, Tensor] = {}
        self._patterns: list[Tensor] = []
        with torch.no_grad(), self._recording():
            super().run(ids=torch.tensor([ids]))

    def run(self, ids: Tensor | None = None, embeds: Tensor | None = None, do: Intervention | None = None) -> Run:
        """As NodeModel's, frozen."""
        with self._replaying():
            return super().run(ids, embeds, do)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        softmax = nn.functional.softmax

        def keep_pattern(*arguments: object, **named: object) -> Tensor:
            self._patterns.append(softmax(*arguments, **named))
            return self._patterns[-1]

        def keep_denominator(norm: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
            if norm in self._denominators:
                raise ValueError("a norm that is called twice in a forward cannot be frozen")
            self._denominators[norm] = _denominator(norm, inputs[0])

        with self._patched(keep_pattern, keep_denominator):
            yield

    @contextmanager
    def _replaying(self) -> Iterator[None]:
        patterns = iter(self._patterns)

        def kept_pattern(scores: Tensor, *_: object, **__: object) -> Tensor:
            return next(patterns).expand(scores.shape)

        def kept_denominator(norm: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            # The norm's own output, divided by the old denominator in place of today's; the shift stays.
            shift = 0.0 if getattr(norm, "bias", None) is None else norm.bias
            return shift + (output - shift) * (_denominator(norm, inputs[0]) / self._denominators[norm])

        with self._patched(kept_pattern, kept_denominator):
            yield

    @contextmanager
    def _patched(self, softmax: Callable, norm_hook: Callable) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(_attribute(nn.functional, "softmax", softmax))
            for norm in self._norms:
                stack.callback(norm.register_forward_hook(norm_hook).remove)
            yield


class PreActivations:
    """Where a model's pre-activations are: outputs of its MLPs' first matrices, and logits in front of a soft-cap."""

    def __init__(self, model: NodeModel) -> None:
        self.model = model
        named = [name for name, _ in model.model.named_modules() if name.endswith(SECOND_MATRICES)]
        self.mlps = [model.model.get_submodule(name.rsplit(".", 1)[0]) for name in named]
        config = model.model.config.get_text_config()
        self.cap = getattr(config, "final_logit_softcapping", None)
        self.logits_scaling = getattr(config, "logits_scaling", 1.0)

    def firsts(self, layer: int) -> list[nn.Module]:
        """The gate's and the up matrix, or the only one there is."""
        return [getattr(self.mlps[layer], name) for name in FIRST_MATRICES if hasattr(self.mlps[layer], name)]

    @contextmanager
    def tapped(self, found: dict[nn.Module, Tensor]) -> Iterator[None]:
        """While this is open, forwards leave the outputs of those matrices in `found`."""

        def keep(module: nn.Module, _: tuple, output: Tensor) -> None:
            found[module] = output

        with ExitStack() as hooks:
            for layer in range(len(self.mlps)):
                for first in self.firsts(layer):
                    hooks.callback(first.register_forward_hook(keep).remove)
            hooks.callback(self.model.model.get_output_embeddings().register_forward_hook(keep).remove)
            yield

    def of(self, found: dict[nn.Module, Tensor], to: To, target: Target) -> list[Tensor]:
        """The numbers z that one target is made of: [gate, up], [the only one], or the metric's logits."""
        if to == METRIC:
            logits = found[self.model.model.get_output_embeddings()][0, -1]
            return [logits[token] for token in target.ids]
        layer, pos, index = to
        parts = 2 if hasattr(self.mlps[layer], FUSED) else 1
        return [part[index] for first in self.firsts(layer) for part in found[first][0, pos].chunk(parts)]

    def value(self, z: list[Tensor], to: To, target: Target) -> Tensor:
        """v_t or m of its z."""
        if to == METRIC:
            logits = [one / self.logits_scaling for one in z]
            if self.cap is not None:
                logits = [self.cap * torch.tanh(one / self.cap) for one in logits]
            return sum(sign * one for sign, one in zip(target.signs, logits, strict=True))
        mlp = self.mlps[to[0]]
        act = next(getattr(mlp, name) for name in ACTIVATIONS if hasattr(mlp, name))(z[0])
        return act if len(z) == 1 else act * z[1]


class EdgeCircuits:
    """Metrics of circuits of edges on one prompt."""

    def __init__(
        self,
        model: NodeModel,
        ids: tuple[int, ...],
        target: Target,
        neurons: Iterable[Neuron],
        ablated: Tensor,
        rest: str = "clean",
        ablated_embeddings: Tensor | None = None,
    ) -> None:
        """With ablation values `ablated` [layer, pos, neuron], and [pos, d_model] where embeddings are sources."""
        if rest not in REST:
            raise ValueError(f"unknown rest {rest!r}; it is {' or '.join(REST)}")
        self.frozen = FrozenModel(model.model, ids)
        self.target = target
        self.chosen = sorted(neurons)
        self.embeds = self.frozen.embed(torch.tensor([ids]))[0]
        self.clean = node_values(self.frozen, self.embeds[None])["neurons"][0]
        self.ablated = ablated
        self.ablated_embeddings = ablated_embeddings
        self.rest = self.clean if rest == "clean" else ablated
        self._linear: dict[To, tuple[list[float], list[dict[str, Tensor]]]] = {}

    def sources_of(self, to: To) -> list[Neuron]:
        """What may have an edge to a target: chosen neurons below it, embeddings where they are sources."""
        layer, pos = (len(self.clean), len(self.embeds) - 1) if to == METRIC else to[:2]
        embeddings = [] if self.ablated_embeddings is None else range(len(self.embeds))
        every = [*((EMBEDDING, q, EMBEDDING) for q in embeddings), *self.chosen]
        return [source for source in every if source[0] < layer and source[1] <= pos]

    def universe(self) -> list[Edge]:
        """All edges, those to the metric last."""
        return [(source, to) for to in (*self.chosen, METRIC) for source in self.sources_of(to)]

    def seen(self, to: To, kept: set[Edge], running: Tensor) -> tuple[Tensor, Tensor]:
        """Neurons [layer, pos, neuron] and embeddings [pos, d_model] as one target sees them.

        `running` are the circuit's own values of its neurons, with the others at the value that all see.
        """
        neurons, embeds = running.clone(), self.embeds.clone()
        for source in self.sources_of(to):
            if (source, to) in kept:
                continue
            if source[0] == EMBEDDING:
                embeds[source[1]] = self.ablated_embeddings[source[1]]
            else:
                neurons[source] = self.ablated[source]
        return neurons, embeds

    def metric(self, kept: Iterable[Edge]) -> float:
        """m of the circuit with these edges, by hooks."""
        return self._metric(set(kept), self._forwards)

    def metric_by_differences(self, kept: Iterable[Edge]) -> float:
        """m of the circuit with these edges, in the difference form."""
        return self._metric(set(kept), self._differences)

    def _metric(self, kept: set[Edge], values_of: Callable) -> float:
        running = self.rest.clone()
        for layer in range(len(self.clean)):
            # All of a layer's targets, of which none sees another.
            targets = [neuron for neuron in self.chosen if neuron[0] == layer]
            found = values_of(targets, [self.seen(to, kept, running) for to in targets])
            for neuron, value in zip(targets, found, strict=True):
                running[neuron] = value
        return values_of([METRIC], [self.seen(METRIC, kept, running)])[0]

    @torch.no_grad()
    def _forwards(self, targets: Sequence[To], seen: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
        """Values of targets, each from a forward in which all neurons are what it sees."""
        if not targets:
            return []
        neurons, embeds = (torch.stack(column) for column in zip(*seen, strict=True))
        computed: list[Tensor] = []  # layers of [target, pos, neuron], before they are set

        def as_seen(layer: int, a: Tensor) -> Tensor:
            computed.append(a)
            return neurons[:, layer].contiguous()  # which GPT-2 asks for

        metrics = self.target(self.frozen.run(embeds=embeds, do=as_seen).logits)
        return [
            (metrics[row] if to == METRIC else computed[to[0]][row, to[1], to[2]]).item()
            for row, to in enumerate(targets)
        ]

    def _differences(self, targets: Sequence[To], seen: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
        """Values of targets by z_t = z_t(x) + sum_s J (seen_s - v_s(x))."""
        values = []
        pre = PreActivations(self.frozen)
        for to, (neurons, embeds) in zip(targets, seen, strict=True):
            at_clean, rows = self.linear(to)
            moved = [
                z + (row["neurons"] * (neurons - self.clean)).sum() + (row["embeddings"] * (embeds - self.embeds)).sum()
                for z, row in zip(at_clean, rows, strict=True)
            ]
            values.append(pre.value(moved, to, self.target).item())
        return values

    def linear(self, to: To) -> tuple[list[float], list[dict[str, Tensor]]]:
        """z_t(x), and J of each of them: neurons [layer, pos, neuron] and embeddings [1, pos, d_model]."""
        if to not in self._linear:
            pre, found = PreActivations(self.frozen), {}
            with pre.tapped(found):
                cut = cut_run(self.frozen, self.embeds[None], self.target)
            z = pre.of(found, to, self.target)
            self._linear[to] = [one.item() for one in z], [derivatives(cut, one) for one in z]
        return self._linear[to]


@torch.no_grad()
def exact_edge(
    model: NodeModel, ids: tuple[int, ...], target: Target, source: Neuron, to: To, value: Tensor | float
) -> float:
    """m(x) - m(x; do v_t = v_t*), v_t* being t with v_s = `value` and all other neurons as on the clean prompt.

    Patterns and norms are live, on the way from s to t as behind t. With t the metric, m* in place of m(x; do ...).
    A source of layer -1 is an embedding, its value [d_model].
    """
    embeds = model.embed(torch.tensor([ids]))
    held, changed = node_values(model, embeds)["neurons"][0], embeds.clone()
    metric = target(model.run(embeds=embeds).logits).item()
    if source[0] == EMBEDDING:
        changed[0, source[1]] = value
    else:
        held[source] = value
    seen = cut_run(model, changed, target, held=held).value(to).item()
    if to == METRIC:
        return metric - seen

    def set_target(layer: int, a: Tensor) -> Tensor:
        if layer == to[0]:
            a = a.clone()
            a[0, to[1], to[2]] = seen
        return a

    return metric - target(model.run(embeds=embeds, do=set_target).logits).item()
