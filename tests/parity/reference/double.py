# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make a transformers model compute in float64 throughout.

transformers casts to float32 inside RMS norms and rotary tables whatever the weights' dtype is,
which limits agreement to about 1e-7. Here both are computed in float64: norms anew, rotary tables by
transformers' own code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def is_rms_norm(module: nn.Module) -> bool:
    """Whether a module is one of transformers' RMS norms (each family has its own class)."""
    return type(module).__name__.endswith("RMSNorm")


def rms_gain(norm: nn.Module) -> Tensor:
    """The factor [d] after the division: Gemma stores it as an offset from one."""
    return 1 + norm.weight if type(norm).__name__.startswith("Gemma") else norm.weight


def rms_epsilon(norm: nn.Module) -> float:
    """The norm's epsilon, under either of its two names."""
    return norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps


class _Float64(TorchFunctionMode):
    """Within it whoever asks torch for float32 gets float64, and so do whole numbers times a Python number."""

    def __enter__(self):
        self.default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *about: object):
        torch.set_default_dtype(self.default)
        return super().__exit__(*about)

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        if func is Tensor.float:
            return args[0].double()
        lifted = [torch.float64 if item is torch.float32 else item for item in args]
        named = {k: torch.float64 if v is torch.float32 else v for k, v in (kwargs or {}).items()}
        return func(*lifted, **named)


def rotary_module(module: nn.Module) -> nn.Module:
    """A rotary module as new, its frequencies computed by its own code in float64."""
    with _Float64():
        return type(module)(config=module.config)


def _double_rms(norm: nn.Module):
    def forward(x: Tensor) -> Tensor:  # [..., d] to [..., d]
        return rms_gain(norm) * x * (x.square().mean(-1, keepdim=True) + rms_epsilon(norm)).rsqrt()

    return forward


def double_rotary(module: nn.Module):
    def forward(*arguments: object, **named: object) -> tuple[Tensor, Tensor]:
        """Tables cos and sin [batch, pos, rotary_dim], of these positions alone: scalings that depend on a prompt's
        length leave something of longer ones behind in a module that has seen them.
        """
        fresh = rotary_module(module)
        with _Float64():
            return type(fresh).forward(fresh, *arguments, **named)

    return forward


def lift_to_float64(model: nn.Module) -> nn.Module:
    """Convert a transformers causal model to float64 in place, rotary and RMS norms included."""
    model.double()
    for module in model.modules():
        if is_rms_norm(module):
            module.forward = _double_rms(module)
        elif type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = double_rotary(module)
    return model
