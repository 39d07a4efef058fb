# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""RelP's replacement rules: forward values stay, derivatives change.

Each rule replaces the forward method of the modules it concerns by one in which some tensors are
detached, for as long as the context manager is open.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from .double import is_rms_norm, rms_epsilon, rms_gain

ALL_RULES = frozenset({"norm", "activation", "half", "attention"})
PRESETS = {
    "relp": ALL_RULES,
    "relp-jafari": frozenset({"norm", "activation", "half"}),
    "relp-transluce-release": frozenset({"norm", "activation", "half"}),
    "no-half": frozenset({"norm", "activation", "attention"}),
}
ATTENTION = "tributary_reference"


def _gelu_tanh_share(z: Tensor) -> Tensor:
    return (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2


# act(z) / z, written without the division.
ACTIVATION_SHARE: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": torch.sigmoid,
    "gelu": lambda z: (1 + torch.erf(z / math.sqrt(2))) / 2,
    "gelu_new": _gelu_tanh_share,
    "gelu_pytorch_tanh": _gelu_tanh_share,
    "relu": lambda z: (z > 0).to(z.dtype),
}


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    softcap: float | None = None,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Softmax attention: q [batch, heads, pos, k], k and v [batch, kv_heads, pos, k].

    Gives the output [batch, pos, heads, k] and the pattern [batch, heads, pos, pos].
    """
    if attention_mask is None and query.shape[2] > 1:
        raise RuntimeError("the reference attention needs an explicit mask")
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)
    scores = query @ key.transpose(-1, -2) * scaling
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + attention_mask
    pattern = scores.softmax(-1)
    fired = getattr(module, "attention_rule", None)
    if fired is not None:
        fired["attention"] += 1
        pattern = pattern.detach()
    return (pattern @ value).transpose(1, 2).contiguous(), pattern


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


def _rms_rule(norm: nn.Module, fired: Counter):
    def forward(x: Tensor) -> Tensor:  # [..., d] to [..., d]
        fired["norm"] += 1
        root = (x.square().mean(-1, keepdim=True) + rms_epsilon(norm)).sqrt()
        return rms_gain(norm) * x / root.detach()

    return forward


def _layer_norm_rule(norm: nn.LayerNorm, fired: Counter):
    def forward(x: Tensor) -> Tensor:  # [..., d] to [..., d]; the centring keeps its derivative
        fired["norm"] += 1
        centred = x - x.mean(-1, keepdim=True)
        sigma = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
        return centred / sigma.detach() * norm.weight + norm.bias

    return forward


def _activation_rule(share: Callable[[Tensor], Tensor], fired: Counter):
    def forward(z: Tensor) -> Tensor:  # [..., F] to [..., F]
        fired["activation"] += 1
        return z * share(z).detach()

    return forward


def _half_rule(mlp: nn.Module, fired: Counter):
    def forward(h: Tensor) -> Tensor:  # [..., d] to [..., d]
        fired["half"] += 1
        product = mlp.act_fn(mlp.gate_proj(h)) * mlp.up_proj(h)
        # Half of the product is a constant, so either factor gets half of the gradient; the sum,
        # which is the neuron, keeps all of its own.
        return mlp.down_proj(product / 2 + (product / 2).detach())

    return forward


def _activation_name(config) -> str:
    for key in ("hidden_activation", "hidden_act", "activation_function"):
        if getattr(config, key, None):
            return getattr(config, key)
    raise ValueError("the config names no activation")


def _replacements(model: nn.Module, rules: frozenset[str], fired: Counter):
    """Pairs (module, new forward) of the rules norm, activation and half."""
    share = ACTIVATION_SHARE[_activation_name(model.config)]
    for module in model.modules():
        if "norm" in rules and is_rms_norm(module):
            yield module, _rms_rule(module, fired)
        if "norm" in rules and isinstance(module, nn.LayerNorm):
            yield module, _layer_norm_rule(module, fired)
        if "half" in rules and hasattr(module, "gate_proj"):
            yield module, _half_rule(module, fired)
        if "activation" in rules and type(module).__name__.endswith("MLP"):
            act = module.act_fn if hasattr(module, "act_fn") else module.act
            yield act, _activation_rule(share, fired)


@contextmanager
def replacement_rules(model: nn.Module, rules: frozenset[str]) -> Iterator[Counter]:
    """Apply the rules while the context is open; yields how often each has fired."""
    if unknown := rules - ALL_RULES:
        raise ValueError(f"unknown rules {sorted(unknown)}")
    fired: Counter = Counter()
    attentions = [m for m in model.modules() if type(m).__name__.endswith("Attention")]
    # An activation module may be shared by all layers: it is replaced, and put back, once.
    replaced = {id(m): (m, forward) for m, forward in _replacements(model, rules, fired)}.values()
    before = [(module, module.__dict__.get("forward")) for module, _ in replaced]
    try:
        for module, forward in replaced:
            module.forward = forward
        if "attention" in rules:
            for module in attentions:
                module.attention_rule = fired
        yield fired
    finally:
        for module, forward in before:
            if forward is None:
                del module.forward
            else:
                module.forward = forward
        for module in attentions:
            module.__dict__.pop("attention_rule", None)
