# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""RelP: derivatives of chosen operations replaced by constants, forward values unchanged.

Written as detach(): the model computes what it always does, but some of its tensors are detached for as long as the
context manager is open. The rules, as the program names them:

- norm: the denominator (rms or sigma) of every norm, of queries and keys and behind a block's output too, is a
  constant; LayerNorm's centring keeps its derivative;
- activation: the coefficient act(z) / z is a constant;
- half: each factor of a gated MLP's product gets half of the gradient;
- attention: the pattern is a constant;
- softcap: the coefficient cap(z) / z of a soft-capped logit is a constant; it is in no preset.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

ALL_RULES = frozenset({"norm", "activation", "half", "attention"})
KNOWN_RULES = ALL_RULES | {"softcap"}
PRESETS = {
    "relp": ALL_RULES,
    "relp-jafari": frozenset({"norm", "activation", "half"}),
    "relp-transluce-release": frozenset({"norm", "activation", "half"}),
    "no-half": frozenset({"norm", "activation", "attention"}),
}


def _gelu_share(z: Tensor) -> Tensor:
    return (1 + torch.erf(z / math.sqrt(2))) / 2


def _gelu_tanh_share(z: Tensor) -> Tensor:
    # Not torch.tanh, which the soft-cap's rule replaces.
    return torch.sigmoid(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))


# act(z) / z, written without the division.
ACTIVATION_SHARE: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("silu", "swish"), torch.sigmoid),
    **dict.fromkeys(("gelu", "gelu_python"), _gelu_share),
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"), _gelu_tanh_share),
    "gelu_fast": lambda z: torch.sigmoid(2 * 0.7978845608 * (z + 0.044715 * z**3)),
    "quick_gelu": lambda z: torch.sigmoid(1.702 * z),
    "relu": lambda z: (z > 0).to(z.dtype),
}


def is_rms_norm(module: nn.Module) -> bool:
    """Whether a module is one of transformers' RMS norms (each family has its own class)."""
    return type(module).__name__.endswith("RMSNorm")


def _rms_rule(norm: nn.Module, fired: Counter):
    # Gemma stores gains as their distance from one.
    gain = 1 + norm.weight if type(norm).__name__.startswith("Gemma") else norm.weight
    epsilon = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps

    def forward(x: Tensor) -> Tensor:  # [..., d] to [..., d]
        fired["norm"] += 1
        root = (x.square().mean(-1, keepdim=True) + epsilon).sqrt()
        return gain * x / root.detach()

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


def _half_rule(fired: Counter):
    """A hook on the second matrix, before any tap: what is behind it, the neuron, keeps all of its gradient."""

    def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        fired["half"] += 1
        # Half of the product is a constant, so either factor gets half of the gradient.
        half = inputs[0] / 2
        return (half + half.detach(),)

    return hook


def _frozen_softmax(softmax: Callable, fired: Counter):
    def forward(*arguments: object, **named: object) -> Tensor:
        fired["attention"] += 1
        return softmax(*arguments, **named).detach()

    return forward


def _frozen_tanh(tanh: Callable, fired: Counter):
    def forward(u: Tensor) -> Tensor:  # of z / cap; the factors of cap around it cancel
        fired["softcap"] += 1
        coefficient = torch.where(u == 0, 1.0, tanh(u) / torch.where(u == 0, 1.0, u))
        return u * coefficient.detach()

    return forward


def _activation_name(config) -> str:
    for key in ("hidden_activation", "hidden_act", "activation_function"):
        if getattr(config, key, None):
            return getattr(config, key)
    raise ValueError("the config names no activation")


def _is_capped(model: nn.Module) -> bool:
    """Whether torch.tanh is called for soft-caps: GPT-2's GELU calls it too, in models without any."""
    config = model.config.get_text_config()
    return any(getattr(config, f"{which}_logit_softcapping", None) for which in ("attn", "final"))


def _is_mlp(module: nn.Module) -> bool:
    return type(module).__name__.endswith("MLP")


def _replaced_modules(model: nn.Module, rules: frozenset[str], fired: Counter):
    """Pairs (module, new forward) of the rules norm and activation."""
    share = ACTIVATION_SHARE[_activation_name(model.config.get_text_config())]
    for module in model.modules():
        if "norm" in rules and is_rms_norm(module):
            yield module, _rms_rule(module, fired)
        if "norm" in rules and isinstance(module, nn.LayerNorm):
            yield module, _layer_norm_rule(module, fired)
        if "activation" in rules and _is_mlp(module):
            names = [name for name in ("act_fn", "activation_fn", "act") if hasattr(module, name)]
            yield getattr(module, names[0]), _activation_rule(share, fired)


@contextmanager
def _attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """An attribute of a module or an instance set, and put back (or taken off) at the end."""
    missing = object()
    before = vars(owner).get(name, missing)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


@contextmanager
def replacement_rules(model: nn.Module, rules: frozenset[str]) -> Iterator[Counter]:
    """Apply the rules while the context is open, which is before any tap is set; yields how often each has fired."""
    if unknown := rules - KNOWN_RULES:
        raise ValueError(f"unknown rules {sorted(unknown)}")
    fired: Counter = Counter()
    with ExitStack() as stack:
        # An activation module may be shared by all layers: it is replaced, and put back, once.
        for module, forward in {id(m): (m, f) for m, f in _replaced_modules(model, rules, fired)}.values():
            stack.enter_context(_attribute(module, "forward", forward))
        if "half" in rules:
            gated = [m for m in model.modules() if hasattr(m, "gate_proj") or hasattr(m, "gate_up_proj")]
            for mlp in gated:
                stack.callback(mlp.down_proj.register_forward_pre_hook(_half_rule(fired)).remove)
        if "attention" in rules:
            frozen = _frozen_softmax(nn.functional.softmax, fired)
            stack.enter_context(_attribute(nn.functional, "softmax", frozen))
        if "softcap" in rules and _is_capped(model):
            stack.enter_context(_attribute(torch, "tanh", _frozen_tanh(torch.tanh, fired)))
        yield fired
