# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Tiny random transformers of several families, saved as ordinary checkpoint folders.

Weights are scaled so that attention patterns, MLPs and gradients are far from trivial, and stored
in float64 unless asked otherwise. `python tiny_models.py OUT` writes all of them, each with a
pairs.jsonl that its tokenizer fits.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from reference.double import lift_to_float64
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

__all__ = ["MODELS", "TinyModel", "lift_to_float64", "save_tiny_model", "write_all"]

NOUNS = ("uncle", "teacher", "girl", "friend", "doctor", "pilot", "farmer", "driver")
PLACES = ("near", "behind", "beside")
OBJECTS = ("dogs", "car", "bikes", "desk", "trucks")
ANSWERS = ((" is", " are"), (" has", " have"), (" does", " do"))
BOS = "<|begin|>"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SPECIAL_IDS = {"vocab_size": 512, "bos_token_id": 0, "eos_token_id": 0}
ROTARY = SPECIAL_IDS | {
    "max_position_embeddings": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # Short: every rotation but the fastest is scaled in full, and that one in part.
    "original_max_position_embeddings": 16,
}
GPT2 = SPECIAL_IDS | {"n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4}


@dataclass(frozen=True)
class TinyModel:
    """A row of the table: a family, its config, and how the folder is laid out."""

    model_type: str
    config: dict = field(default_factory=dict)
    shards: int = 1
    drop_prefix: str = ""  # taken off tensor names, as some published files have it
    mask_buffers: bool = False  # store GPT-2's causal masks, which are no weights
    bos: bool = False  # the tokenizer's post-processor adds a BOS


MODELS: dict[str, TinyModel] = {
    "llama": TinyModel("llama", ROTARY),
    "llama_tied": TinyModel("llama", ROTARY | {"tie_word_embeddings": True}),
    "llama_sharded": TinyModel("llama", ROTARY, shards=3),
    "llama3": TinyModel("llama", ROTARY | {"rope_parameters": LLAMA3_ROPE}, bos=True),
    "mistral": TinyModel("mistral", ROTARY | {"sliding_window": 3}),
    "qwen2": TinyModel("qwen2", ROTARY | {"tie_word_embeddings": True}),
    "gpt2": TinyModel("gpt2", GPT2),
    "gpt2_bare": TinyModel("gpt2", GPT2, drop_prefix="transformer.", mask_buffers=True),
}


def _plural(noun: str) -> str:
    return noun + "s"


def tiny_pairs() -> list[dict[str, str]]:
    """Subject-verb pairs with distinct prompts, five words each, singular and plural by turns."""
    records = []
    for i, noun in enumerate(NOUNS):
        for j, place in enumerate(PLACES):
            rest = f" {place} the {OBJECTS[(i + 2 * j) % len(OBJECTS)]}"
            prompts, answers = [f"The {noun}{rest}", f"The {_plural(noun)}{rest}"], ANSWERS[j]
            if (i + j) % 2:
                prompts, answers = prompts[::-1], answers[::-1]
            keys = ("clean_prefix", "patch_prefix", "clean_answer", "patch_answer")
            records.append(dict(zip(keys, (*prompts, *answers), strict=True)))
    return records


def _corpus() -> list[str]:
    """Text in which every word of the pairs is frequent enough to become one token."""
    lines = [r["clean_prefix"] + r["clean_answer"] for r in tiny_pairs()]
    lines += [r["patch_prefix"] + r["patch_answer"] for r in tiny_pairs()]
    lines += ["Question: Is fire hot or cold?\nAnswer: fire is hot.", "It's 1234, isn't it?"]
    return lines * 4


def tiny_tokenizer(family: str, bos: bool) -> Tokenizer:
    """A byte-level BPE of at most 512 ids; Llama and Qwen split by a regex of their own."""
    tokenizer = Tokenizer(models.BPE())
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family == "gpt2")
    tokenizer.pre_tokenizer = bytes_only
    if family != "gpt2":
        split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated", invert=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_corpus(), trainer)
    if bos:
        template = {"single": f"{BOS} $A", "pair": f"{BOS} $A {BOS} $B"}
        special = [(BOS, tokenizer.token_to_id(BOS))]
        tokenizer.post_processor = processors.TemplateProcessing(**template, special_tokens=special)
    return tokenizer


def _random_weight(name: str, shape: torch.Size, transposed: bool, generator) -> Tensor:
    """Float64 noise for one parameter: gains near one, biases, embeddings, matrices / sqrt(in)."""
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    if len(shape) == 1:
        return 1 + 0.3 * noise if name.endswith("weight") else 0.3 * noise
    if any(part in name for part in ("embed", "wte", "wpe")):
        return 0.8 * noise
    # Queries and keys a little larger: softmax patterns far from uniform.
    gain = 1.6 if any(part in name for part in ("q_proj", "k_proj", "c_attn")) else 1.1
    return gain * noise / shape[0 if transposed else 1] ** 0.5


def randomise(model: PreTrainedModel, seed: int) -> None:
    """Fill every parameter of a float64 model with seeded noise, in name order."""
    generator = torch.Generator().manual_seed(seed)
    transposed = model.config.model_type == "gpt2"  # its matrices are stored [in, out]
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            stored_in_out = transposed and "lm_head" not in name
            parameter.copy_(_random_weight(name, parameter.shape, stored_in_out, generator))


def _tensors(model: PreTrainedModel, row: TinyModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of the file, by the names of the file."""
    tensors = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight")
    if row.mask_buffers:
        size = model.config.n_positions
        mask = torch.ones(size, size).tril().view(1, 1, size, size)
        for layer in range(model.config.n_layer):
            tensors[f"transformer.h.{layer}.attn.bias"] = mask.clone()
    return {name.removeprefix(row.drop_prefix): tensor for name, tensor in tensors.items()}


def _save_shards(tensors: dict[str, Tensor], shards: int, folder: Path) -> None:
    """One model.safetensors, or `shards` files with their index."""
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, weight_map = sorted(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    text = json.dumps(index, indent=1)
    (folder / "model.safetensors.index.json").write_text(text)


def save_tiny_model(
    name: str, folder: Path, dtype: torch.dtype = torch.float64, seed: int = 0, **changes: object
) -> Path:
    """Write one model of the table to `folder`: config (with changes), weights, tokenizer, pairs."""
    row = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    config = AutoConfig.for_model(row.model_type, **(row.config | changes))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64)
    randomise(model, seed)
    _save_shards(_tensors(model, row, dtype), row.shards, folder)
    stored = config.to_dict() | {"dtype": str(dtype).removeprefix("torch.")}
    stored["architectures"] = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
    tiny_tokenizer(row.model_type, row.bos).save(str(folder / "tokenizer.json"))
    lines = [json.dumps(record) + "\n" for record in tiny_pairs()]
    (folder / "pairs.jsonl").write_text("".join(lines))
    return folder


def write_all(out: Path, dtype: torch.dtype = torch.float64) -> None:
    """Write every model of the table below `out`."""
    for name in MODELS:
        save_tiny_model(name, out / name, dtype)


def main() -> None:
    """Command line: tiny_models.py OUT [--dtype float32]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", choices=["float64", "float32", "bfloat16"], default="float64")
    arguments = parser.parse_args()
    write_all(arguments.out, getattr(torch, arguments.dtype))


if __name__ == "__main__":
    main()
