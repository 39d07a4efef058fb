# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make a transformers model compute in float64 throughout, by transformers' own code.

A model in float64 still casts to float32 here and there, which limits agreement to about 1e-7. Lifted, by name:

- `*RMSNorm.forward`: `.to(torch.float32)`, or `.float()` in Gemma's, of input and gain;
- `eager_attention_forward`: `softmax(..., dtype=torch.float32)`;
- `*RotaryEmbedding`: the frequencies of `compute_default_rope_parameters` and of every scaling in
  `modeling_rope_utils` (`dtype=torch.float`), their buffers, the angles (`.float()`), OLMo's cos and sin;
- Gemma's `embed_scale`, a buffer that is made in the default type.

So while the model runs, and while its rotary tables are made, float32 means float64. Nothing of transformers' is
written anew; that no tensor is left in float32 is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import torch
from torch import Tensor, nn

_LIFTED = ((torch, "float32", torch.float64), (torch, "float", torch.float64), (Tensor, "float", Tensor.double))


@contextmanager
def float32_means_float64() -> Iterator[None]:
    """Whoever casts to float32, or makes tensors of the default type, while this is open, gets float64."""
    default, before = torch.get_default_dtype(), [getattr(owner, name) for owner, name, _ in _LIFTED]
    torch.set_default_dtype(torch.float64)
    for owner, name, lifted in _LIFTED:
        setattr(owner, name, lifted)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(_LIFTED, before, strict=True):
            setattr(owner, name, original)
        torch.set_default_dtype(default)


def _tables_anew(rotary: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """Tables of a fresh module at every call: frequencies in today's type, and none kept from a longer prompt."""

    def forward(*arguments: object, **named: object) -> tuple[Tensor, Tensor]:
        return type(rotary)(rotary.config).forward(*arguments, **named)

    return forward


def lift_to_float64(model: nn.Module) -> nn.Module:
    """Convert a transformers causal model to float64 in place, with all that it computes."""
    model.double().set_attn_implementation("eager")
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = _tables_anew(module)
        if hasattr(module, "scalar_embed_scale"):
            module.embed_scale.copy_(torch.tensor(module.scalar_embed_scale, dtype=torch.float64))
    in_todays_type = model.forward

    @wraps(in_todays_type)
    def forward(*arguments: object, **named: object) -> object:
        with float32_means_float64():
            return in_todays_type(*arguments, **named)

    model.forward = forward
    return model
