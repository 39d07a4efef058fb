# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""One tiny random model for each family of transformers and each of its switches, as save_pretrained writes it.

Every number that a switch could leave without effect is far from where it has none: prompts are longer than windows
and than the lengths that rotary scalings start from, norm gains and biases are random, soft-caps are as small as what
they cap, multipliers far from one. `python families.py OUT` writes all of them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from tiny_models import tiny_pairs, tiny_tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

__all__ = ["FAMILIES", "LONG", "SHORT", "Family", "family_pairs", "save_family"]

SIZES = {
    "vocab_size": 512,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
    "tie_word_embeddings": False,
}
WIDE = SIZES | {"head_dim": 6}  # three heads of 6: narrower than the stream
GROUPS = SIZES | {"num_attention_heads": 6, "num_key_value_heads": 2}
NEOX = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}


def _rope(kind: str, theta: float = 100.0, **more: object) -> dict:
    return {"rope_type": kind, "rope_theta": theta} | more


YARN = _rope("yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=1.0, beta_slow=0.1)
SHORT, LONG = [1.1, 1.3, 1.7], [1.5, 2.5, 4.0]
LONGROPE = _rope("longrope", short_factor=SHORT, long_factor=LONG, original_max_position_embeddings=6)
BY_KIND = {"sliding_attention": _rope("default", 50.0), "full_attention": _rope("linear", 5000.0, factor=2.0)}
SLIDING, FULL = "sliding_attention", "full_attention"
MULTIPLIERS = {
    "embedding_multiplier": 6.0,
    "attention_multiplier": 0.6,
    "residual_multiplier": 0.35,
    "logits_scaling": 0.4,
}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 8.0}
VISION = {
    "hidden_size": 4,
    "intermediate_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 8,
    "patch_size": 4,
}
GEMMA = WIDE | {"tie_word_embeddings": True, "rope_parameters": _rope("default")}
GEMMA3_TEXT = GEMMA | {
    "num_hidden_layers": 7,
    "intermediate_size": 12,
    "query_pre_attn_scalar": 3,
    "sliding_window": 3,
    "rope_parameters": BY_KIND,
}


@dataclass(frozen=True)
class Family:
    """A row of the table."""

    model_type: str
    config: dict = field(default_factory=dict)
    shard_bytes: int = 1_000_000  # the size of one file at most
    # What each switch off means in config.json; the weights stay, those that are then unused are ignored.
    off: dict[str, dict] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {
    "gpt_neox": Family(
        "gpt_neox",
        NEOX | {"rope_parameters": _rope("default", partial_rotary_factor=0.25), "hidden_act": "gelu"},
        off={
            "parallel": {"use_parallel_residual": False},
            "partial rotary": {"rope_parameters": _rope("default", partial_rotary_factor=1.0)},
            "attention biases": {"attention_bias": False},
            "erf in GELU": {"hidden_act": "gelu_new"},
        },
    ),
    "gpt_neox_sequential": Family(
        "gpt_neox",
        NEOX | {"use_parallel_residual": False, "rope_parameters": _rope("default", partial_rotary_factor=0.5)},
        shard_bytes=60_000,
        off={"sequential": {"use_parallel_residual": True}},
    ),
    "llama_biases": Family(
        "llama",
        WIDE | {"attention_bias": True, "mlp_bias": True, "rope_parameters": _rope("default")},
        off={"attention biases": {"attention_bias": False}, "MLP biases": {"mlp_bias": False}},
    ),
    "llama_linear": Family(
        "llama",
        WIDE | {"rope_parameters": _rope("linear", factor=2.5), "hidden_act": "relu"},
        off={"linear scaling": {"rope_parameters": _rope("default")}, "ReLU": {"hidden_act": "silu"}},
    ),
    "llama_dynamic": Family(
        "llama",
        WIDE | {"rope_parameters": _rope("dynamic", factor=3.0), "max_position_embeddings": 6},
        off={"dynamic scaling": {"rope_parameters": _rope("default")}},
    ),
    "llama_yarn": Family(
        "llama",
        SIZES | {"rope_parameters": YARN},
        off={
            "yarn": {"rope_parameters": _rope("default")},
            "yarn's factor of attention": {"rope_parameters": YARN | {"attention_factor": 1.0}},
            "yarn's truncation": {"rope_parameters": YARN | {"truncate": False}},
        },
    ),
    "llama_longrope": Family(
        "llama",
        WIDE | {"rope_parameters": LONGROPE},
        off={
            "longrope": {"rope_parameters": _rope("default")},
            "long factors": {"rope_parameters": LONGROPE | {"long_factor": SHORT}},
            "longrope's factor of attention": {"rope_parameters": LONGROPE | {"attention_factor": 1.0}},
        },
    ),
    "mistral_window": Family(
        "mistral",
        GROUPS | {"head_dim": 6, "sliding_window": 3, "rope_parameters": _rope("default")},
        off={"window": {"sliding_window": None}},
    ),
    "qwen2_windows": Family(
        "qwen2",
        SIZES
        | {"num_hidden_layers": 4, "use_sliding_window": True, "sliding_window": 2, "max_window_layers": 2}
        | {"rope_parameters": _rope("default"), "intermediate_size": 28},
        shard_bytes=100_000,
        off={
            "windows": {"layer_types": [FULL] * 4},
            "from which layer": {"layer_types": [FULL, FULL, FULL, SLIDING]},
        },
    ),
    "qwen2_layer_types": Family(
        "qwen2",
        GROUPS
        | {"use_sliding_window": True, "sliding_window": 3, "layer_types": [SLIDING, FULL, SLIDING]}
        | {"rope_parameters": _rope("default"), "tie_word_embeddings": True},
        off={"alternation": {"layer_types": [FULL, SLIDING, SLIDING]}},
    ),
    "qwen3": Family(
        "qwen3",
        GROUPS | {"head_dim": 6, "rope_parameters": _rope("default"), "tie_word_embeddings": True},
    ),
    "qwen3_windows": Family(
        "qwen3",
        WIDE
        | {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1, "attention_bias": True}
        | {"rope_parameters": _rope("default"), "intermediate_size": 44},
        off={"windows": {"layer_types": [FULL] * 3}, "attention biases": {"attention_bias": False}},
    ),
    "gemma": Family("gemma", GEMMA | {"hidden_act": "gelu"}, off={"tanh in GELU": {"hidden_act": "gelu_python"}}),
    "gemma2": Family(
        "gemma2",
        GEMMA
        | CAPS
        | {"num_hidden_layers": 4, "num_attention_heads": 6, "num_key_value_heads": 2}
        # A query scale that is not head_dim's.
        | {"query_pre_attn_scalar": 3, "sliding_window": 3},
        shard_bytes=80_000,
        off={
            "query scale": {"query_pre_attn_scalar": 6},
            "attention soft-cap": {"attn_logit_softcapping": None},
            "final soft-cap": {"final_logit_softcapping": None},
            "windows": {"layer_types": [FULL] * 4},
            "alternation": {"layer_types": [FULL, SLIDING] * 2},
        },
    ),
    "gemma3_text": Family(
        "gemma3_text",
        GEMMA3_TEXT | {"final_logit_softcapping": 8.0},
        off={
            "query scale": {"query_pre_attn_scalar": 6},
            "final soft-cap": {"final_logit_softcapping": None},
            "windows": {"layer_types": [FULL] * 7},
            "where the full layer lies": {"layer_types": [SLIDING] * 4 + [FULL, SLIDING, SLIDING]},
            "sliding layers' own rotary base": {"rope_parameters": BY_KIND | {SLIDING: _rope("default", 5000.0)}},
            "full layers' scaling": {"rope_parameters": BY_KIND | {FULL: _rope("default", 5000.0)}},
        },
    ),
    "gemma3": Family(
        "gemma3",
        {"text_config": GEMMA3_TEXT, "vision_config": VISION, "mm_tokens_per_image": 4, "image_token_index": 511},
        shard_bytes=60_000,
    ),
    "olmo2": Family("olmo2", GROUPS | {"rope_parameters": _rope("default")}),
    "olmo3": Family(
        "olmo3",
        SIZES
        | {"num_hidden_layers": 5, "sliding_window": 3, "intermediate_size": 12}
        | {"rope_parameters": {SLIDING: _rope("default"), FULL: YARN}},
        shard_bytes=60_000,
        off={
            "windows": {"layer_types": [FULL] * 5},
            "full layers' scaling": {"rope_parameters": {SLIDING: _rope("default"), FULL: _rope("default")}},
            "where the full layer lies": {"layer_types": [SLIDING] * 4 + [FULL]},
        },
    ),
    "phi3": Family(
        "phi3",
        SIZES
        | {"num_attention_heads": 3, "original_max_position_embeddings": 6, "sliding_window": 4}
        | {"rope_parameters": LONGROPE | {"partial_rotary_factor": 0.75}},
        off={
            "window": {"sliding_window": None},
            "long factors": {
                "rope_parameters": LONGROPE | {"partial_rotary_factor": 0.75, "long_factor": SHORT},
            },
            "longrope": {"rope_parameters": _rope("default", partial_rotary_factor=0.75)},
            "partial rotary": {"rope_parameters": _rope("default", partial_rotary_factor=1.0)},
            "original length": {"original_max_position_embeddings": 32},
        },
    ),
    "phi3_groups": Family(
        "phi3", GROUPS | {"rope_parameters": _rope("default", partial_rotary_factor=1.0), "tie_word_embeddings": True}
    ),
    "smollm3": Family(
        "smollm3",
        SIZES
        | {"num_hidden_layers": 4, "no_rope_layer_interval": 2, "tie_word_embeddings": True}
        | {"rope_parameters": _rope("default")},
        off={"NoPE layers": {"no_rope_layers": [1] * 4}, "which layers": {"no_rope_layers": [0, 1, 0, 1]}},
    ),
    "smollm3_windows": Family(
        "smollm3",
        SIZES
        | {"num_hidden_layers": 4, "no_rope_layers": [1, 0, 0, 1], "use_sliding_window": True, "sliding_window": 3}
        | {"attention_bias": True, "mlp_bias": True, "rope_parameters": _rope("default")},
        off={"windows": {"layer_types": [FULL] * 4}, "NoPE layers": {"no_rope_layers": [1] * 4}},
    ),
    "granite": Family(
        "granite",
        GROUPS | MULTIPLIERS | {"rope_parameters": _rope("default")},
        shard_bytes=60_000,
        off={name: {name: 1.0} for name in MULTIPLIERS},
    ),
    "granite_biases": Family(
        "granite",
        SIZES
        | MULTIPLIERS
        | {"logits_scaling": 4.0}
        | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "rope_parameters": _rope("default")},
        off={"attention biases": {"attention_bias": False}, "MLP biases": {"mlp_bias": False}},
    ),
}


def family_pairs() -> list[dict[str, str]]:
    """The tiny models' pairs, eight tokens long: longer than every window and every original length."""
    records = []
    for record in tiny_pairs():
        longer = {
            key: " ".join([*record[key].split()[:2], "near the desk", *record[key].split()[2:]])
            for key in ("clean_prefix", "patch_prefix")
        }
        records.append(record | longer)
    return records


def _noise_of(module: nn.Module, name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    """Seeded values of one parameter: gains around what leaves things as they are, matrices that keep the scale."""
    noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    if parameter.dim() == 1:
        offset = type(module).__name__.startswith("Gemma")  # its gains are stored as their distance from one
        return 0.3 * noise + (1.0 if name == "weight" and not offset else 0.0)
    if isinstance(module, nn.Embedding):
        return 0.8 * noise
    return 1.3 * noise / parameter[0].numel() ** 0.5


def _randomise(model: PreTrainedModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, module in sorted(model.named_modules()):
            for name, parameter in sorted(module.named_parameters(recurse=False)):
                parameter.copy_(_noise_of(module, name, parameter, generator))


@cache
def _tokenizer(split: str) -> str:
    """tokenizer.json, trained once for all families that split text alike."""
    return tiny_tokenizer(split, bos=False).to_str()


def save_family(name: str, folder: Path, dtype: torch.dtype = torch.float64, seed: int = 0) -> Path:
    """Write one model of the table to `folder`: what save_pretrained writes, a tokenizer, pairs."""
    row = FAMILIES[name]
    config = AutoConfig.for_model(row.model_type, **row.config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64)
    _randomise(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=row.shard_bytes)
    split = "gpt2" if row.model_type == "gpt_neox" else "llama"
    (folder / "tokenizer.json").write_text(_tokenizer(split))
    lines = [json.dumps(record) + "\n" for record in family_pairs()]
    (folder / "pairs.jsonl").write_text("".join(lines))
    return folder


def main() -> None:
    """Command line: families.py OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for name in FAMILIES:
        save_family(name, parser.parse_args().out / name)


if __name__ == "__main__":
    main()
