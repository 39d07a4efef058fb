# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Switches of the tiny families turned off one at a time: in the config, or where it has no word for it in a module."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from families import FAMILIES
from reference.double import lift_to_float64
from reference.rules import is_rms_norm
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

QUERY_AND_KEY = ("q_norm", "k_norm")
BEHIND = ("post_attention_layernorm", "post_feedforward_layernorm")


def _pass_on(endings: tuple[str, ...]) -> Callable[[nn.Module], None]:
    def change(model: nn.Module) -> None:
        for name, module in model.named_modules():
            if name.endswith(endings):
                module.forward = lambda x: x

    return change


def _no_offset(model: nn.Module) -> None:
    for module in model.modules():
        if is_rms_norm(module):
            module.weight -= 1


def _no_multiplier(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "embed_scale"):
            module.embed_scale.fill_(1)


def _no_biases(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()


def _no_rotation(model: nn.Module) -> None:
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            tables = module.forward

            def forward(*arguments: object, tables: Callable = tables, **named: object) -> tuple[Tensor, Tensor]:
                cos, sin = tables(*arguments, **named)
                return torch.ones_like(cos), torch.zeros_like(sin)

            module.forward = forward


# What is in a model whatever its config says: the name, in which families, and what takes it away.
GEMMAS = ("gemma", "gemma2", "gemma3_text", "gemma3")
IN_MODULES: dict[str, tuple[tuple[str, ...], Callable[[nn.Module], None]]] = {
    "norms of queries and keys": (("qwen3", "gemma3_text", "gemma3", "olmo2", "olmo3"), _pass_on(QUERY_AND_KEY)),
    "norms behind": (("gemma2", "gemma3_text", "gemma3", "olmo2", "olmo3"), _pass_on(BEHIND)),
    "gains' offset from one": (GEMMAS, _no_offset),
    "embeddings' multiplier": (GEMMAS, _no_multiplier),
    "biases": (("gpt_neox", "qwen2"), _no_biases),
    "rotation": (tuple({row.model_type for row in FAMILIES.values()}), _no_rotation),
}


def switches_of(name: str) -> list[str]:
    """The switches of a family by name."""
    kind = FAMILIES[name].model_type
    return [*FAMILIES[name].off, *(switch for switch, (kinds, _) in IN_MODULES.items() if kind in kinds)]


def switched_off(model: nn.Module, name: str, switch: str) -> nn.Module:
    """A copy of a tiny family's model with one switch off, in float64."""
    row = FAMILIES[name]
    changed = copy.deepcopy(row.config) | copy.deepcopy(row.off.get(switch, {}))
    config = AutoConfig.for_model(row.model_type, **changed)
    other = AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval().requires_grad_(False)
    other.load_state_dict(model.state_dict(), strict=False)
    lift_to_float64(other)
    if switch in IN_MODULES:
        IN_MODULES[switch][1](other)
    return other
