# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make a transformers model compute in float64 throughout.

transformers casts to float32 inside RMS norms and rotary tables whatever the weights' dtype is,
which limits agreement to about 1e-7. Here both are computed in float64, from the config's numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def is_rms_norm(module: nn.Module) -> bool:
    """Whether a module is one of transformers' RMS norms (each family has its own class)."""
    return type(module).__name__.endswith("RMSNorm")


def rms_gain(norm: nn.Module) -> Tensor:
    """The factor [d] after the division: Gemma stores it as an offset from one."""
    return 1 + norm.weight if type(norm).__name__.startswith("Gemma") else norm.weight


def rms_epsilon(norm: nn.Module) -> float:
    """The norm's epsilon, under either of its two names."""
    return norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps


def inverse_frequencies(config) -> Tensor:
    """Rotary frequencies in float64 [rotary_dim / 2], with Llama-3 scaling when the config asks."""
    rope = config.rope_parameters
    if "rope_type" not in rope:
        raise NotImplementedError("rotary settings that differ by layer")
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dim = int(head_dim * rope.get("partial_rotary_factor", 1.0))
    frequencies = rope["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    if rope["rope_type"] == "default":
        return frequencies
    if rope["rope_type"] != "llama3":
        raise NotImplementedError(f"rope_type {rope['rope_type']}")
    return _llama3_scaled(frequencies, rope)


def _llama3_scaled(frequencies: Tensor, rope: dict) -> Tensor:
    """Slow rotations divided by `factor`, fast ones kept, those between blended: [k] to [k]."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    share_kept = ((turns - low) / (high - low)).clamp(0, 1)
    return share_kept * frequencies + (1 - share_kept) * frequencies / rope["factor"]


def _double_rms(norm: nn.Module):
    def forward(x: Tensor) -> Tensor:  # [..., d] to [..., d]
        return rms_gain(norm) * x * (x.square().mean(-1, keepdim=True) + rms_epsilon(norm)).rsqrt()

    return forward


def _double_rotary(frequencies: Tensor):
    def forward(x: Tensor, position_ids: Tensor, *_: object) -> tuple[Tensor, Tensor]:
        """Tables cos and sin [batch, pos, rotary_dim]: each frequency once per half."""
        angles = position_ids.to(torch.float64)[..., None] * frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    return forward


def lift_to_float64(model: nn.Module) -> nn.Module:
    """Convert a transformers causal model to float64 in place, rotary and RMS norms included."""
    model.double()
    for module in model.modules():
        if is_rms_norm(module):
            module.forward = _double_rms(module)
        elif type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = _double_rotary(inverse_frequencies(model.config))
    return model
