# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Places of a model that dictionaries of features read and write, and what is added there on the way.

| site | value |
|---|---|
| resid_pre, resid_mid, resid_post | the stream before a block, behind what its attention adds, behind the block |
| z | what enters the attention's output matrix |
| mlp_in | what the MLP reads: behind the norm and its gain |
| mlp_in_normed | behind the norm's division, before its gain; only read |
| mlp_written | what the MLP's last matrix writes: in front of a norm of the output |
| mlp_out | what the MLP adds to the stream: behind a norm of the output and the residual multiplier |

Nothing is ever set, only added to: adding zero leaves every bit of the model as it is, and a zero that is added is a
place to take a derivative at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .metrics import Target
from .nodes import NodeModel
from .rules import is_rms_norm, replacement_rules

SITES = ("resid_pre", "resid_mid", "resid_post", "z", "mlp_in", "mlp_in_normed", "mlp_written", "mlp_out")
NORMS_BEFORE_MLP = ("pre_feedforward_layernorm", "ln_2", "post_attention_layernorm")
Site = tuple[str, int]  # the name and the layer
# add(site, value) with value [batch, pos, width] gives what is added to it, or nothing.
Addition = Callable[[Site, Tensor], Tensor | None]


@dataclass
class SiteRun:
    """What one forward gives."""

    logits: Tensor  # [batch, vocabulary], last position
    values: dict[Site, Tensor]  # [batch, pos, width], with what was added


def divided(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm's input [..., d] after its division, without gain and shift."""
    epsilon = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
    if not is_rms_norm(norm):
        x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt()


class SiteModel(NodeModel):
    """A tapped model with sites; its blocks are sequential."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        if getattr(model.config.get_text_config(), "use_parallel_residual", False):
            raise ValueError("parallel blocks have no stream between attention and MLP")
        place = next(name for name, module in model.named_modules() if module is self.first_block)
        self.blocks = list(model.get_submodule(place.rsplit(".", 1)[0]))

    def run_sites(self, embeds: Tensor, add: Addition | None = None) -> SiteRun:
        """One forward from token embeddings [batch, pos, d_model]."""
        values: dict[Site, Tensor] = {}

        def reach(name: str, layer: int, value: Tensor) -> Tensor | float:
            more = None if add is None else add((name, layer), value)
            values[name, layer] = value if more is None else value + more
            return 0.0 if more is None else more

        with ExitStack() as hooks:
            for layer in range(len(self.blocks)):
                for handle in self._hooks_of(layer, reach, values):
                    hooks.callback(handle.remove)
            run = self.run(embeds=embeds)
        return SiteRun(run.logits, values)

    def _hooks_of(self, layer: int, reach: Callable, values: dict[Site, Tensor]) -> list:
        """Hooks at a block's sites; each adds to what flows what `reach` says."""
        block, mlp = self.blocks[layer], self.blocks[layer].mlp

        def before(name: str) -> Callable:
            return lambda _, inputs: (inputs[0] + reach(name, layer, inputs[0]), *inputs[1:])

        def behind_attention(_: nn.Module, __: tuple, output: Tensor) -> Tensor:
            stream = values["resid_pre", layer] + output * self.residual_multiplier
            return output + reach("resid_mid", layer, stream) / self.residual_multiplier

        def before_norm(norm: nn.Module, inputs: tuple[Tensor]) -> None:
            reach("mlp_in_normed", layer, divided(norm, inputs[0]))

        def behind_matrix(_: nn.Module, __: tuple, output: Tensor) -> Tensor:
            return output + reach("mlp_written", layer, output)

        def behind_mlp(_: nn.Module, __: tuple, output: Tensor) -> Tensor:
            return output + reach("mlp_out", layer, output * self.mlp_multiplier) / self.mlp_multiplier

        def behind_block(_: nn.Module, __: tuple, output: Tensor | tuple) -> Tensor | tuple:
            if isinstance(output, tuple):
                return (output[0] + reach("resid_post", layer, output[0]), *output[1:])
            return output + reach("resid_post", layer, output)

        attention = block.post_attention_layernorm if self.post_norms else self.attention_outputs[layer]
        handles = [
            block.register_forward_pre_hook(before("resid_pre")),
            self.attention_outputs[layer].register_forward_pre_hook(before("z")),
            attention.register_forward_hook(behind_attention),
            mlp.register_forward_pre_hook(before("mlp_in")),
            self.seconds[layer].register_forward_hook(behind_matrix),  # first, where it is the same module
            self.mlp_outputs[layer].register_forward_hook(behind_mlp),
            block.register_forward_hook(behind_block),
        ]
        if norm := self.norm_before_mlp(layer):
            handles.append(norm.register_forward_pre_hook(before_norm))
        return handles

    def norm_before_mlp(self, layer: int) -> nn.Module | None:
        """The norm whose output the MLP reads; there may be none."""
        names = NORMS_BEFORE_MLP[:2] if self.post_norms else NORMS_BEFORE_MLP
        found = [getattr(self.blocks[layer], name) for name in names if hasattr(self.blocks[layer], name)]
        return found[0] if found else None


@torch.no_grad()
def site_values(model: SiteModel, embeds: Tensor) -> dict[Site, Tensor]:
    """Values [batch, pos, width] in float64 at every site, from embeddings [batch, pos, d_model]."""
    return {site: value.double() for site, value in model.run_sites(embeds).values.items()}


@torch.no_grad()
def site_metric(model: SiteModel, embeds: Tensor, target: Target, add: Addition | None = None) -> Tensor:
    """m [batch] in float64 with additions."""
    return target(model.run_sites(embeds, add).logits).double()


def going_to(place: Site, points: Tensor) -> Addition:
    """The addition that makes a site's value `points` [batch, pos, width]."""
    return lambda site, value: points - value if site == place else None


def site_gradients(
    model: SiteModel,
    embeds: Tensor,
    sites: Iterable[Site],
    target: Target,
    rules: frozenset[str] = frozenset(),
    add: Addition | None = None,
) -> dict[Site, Tensor]:
    """dm/d(value) [n, pos, width] in float64 at sites, at each of the embeddings [n, pos, d_model], behind `add`."""
    leaves: dict[Site, Tensor] = {site: torch.empty(0) for site in sites}

    def with_leaf(site: Site, value: Tensor) -> Tensor | None:
        more = None if add is None else add(site, value)
        if site not in leaves:
            return more
        leaves[site] = torch.zeros_like(value).requires_grad_()
        return leaves[site] if more is None else more.detach() + leaves[site]

    with replacement_rules(model.model, rules):
        run = model.run_sites(embeds, with_leaf)
    grads = torch.autograd.grad(target(run.logits).sum(), list(leaves.values()))
    return {site: grad.double() for site, grad in zip(leaves, grads, strict=True)}
