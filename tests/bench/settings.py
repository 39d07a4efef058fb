# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Beside the demo model and short prompts: a random model of a billion parameters, and prompts of 400 tokens."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import torch
from product_runs import PairFiles
from safetensors.torch import save_file
from tokenizers import Tokenizer

LONG = 400  # tokens
SHAPE = {"layers": 22, "d_model": 2048, "neurons": 5632, "heads": 32, "kv_heads": 4}
FILLERS = (
    "the old house near river while people walk along streets and talk about weather news work children dogs market "
    "bread stories that very long day after night before always could would should from with without under over "
    "between many few some any all"
).split()


def random_billion(folder: Path, tokenizer_of: Path) -> Path:
    """A Llama of 22 x 2048 with random bfloat16 weights of the usual sizes, and another model's tokenizer."""
    folder.mkdir()
    shutil.copy(tokenizer_of / "tokenizer.json", folder)
    config = json.loads((tokenizer_of / "config.json").read_text())
    layers, d, neurons = SHAPE["layers"], SHAPE["d_model"], SHAPE["neurons"]
    config |= {"num_hidden_layers": layers, "hidden_size": d, "intermediate_size": neurons, "torch_dtype": "bfloat16"}
    config |= {"num_attention_heads": SHAPE["heads"], "num_key_value_heads": SHAPE["kv_heads"]}
    config |= {"head_dim": d // SHAPE["heads"], "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    generator = torch.Generator().manual_seed(1)

    def matrix(rows: int, columns: int, scale: float) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=generator) * scale).bfloat16()

    ones, keys = torch.ones(d).bfloat16(), d // SHAPE["heads"] * SHAPE["kv_heads"]
    tensors = {"model.embed_tokens.weight": matrix(config["vocab_size"], d, 0.5), "model.norm.weight": ones}
    for layer in range(layers):
        of_layer = {
            "self_attn.q_proj": matrix(d, d, d**-0.5),
            "self_attn.k_proj": matrix(keys, d, d**-0.5),
            "self_attn.v_proj": matrix(keys, d, d**-0.5),
            "self_attn.o_proj": matrix(d, d, 0.3 * d**-0.5),
            "mlp.gate_proj": matrix(neurons, d, d**-0.5),
            "mlp.up_proj": matrix(neurons, d, d**-0.5),
            "mlp.down_proj": matrix(d, neurons, 0.5 * neurons**-0.5),
            "input_layernorm": ones,
            "post_attention_layernorm": ones,
        }
        tensors |= {f"model.layers.{layer}.{name}.weight": tensor.clone() for name, tensor in of_layer.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def long_pairs(file: Path, source: Path, tokenizer: Tokenizer, count: int) -> PairFiles:
    """Pairs of another file with the same words behind either prompt, so that all but the first positions differ."""
    draw = random.Random(3)
    words = [word for word in FILLERS if len(tokenizer.encode(f" {word}").ids) == 1]
    lines = []
    for text in source.read_text(encoding="utf-8").splitlines():
        record = json.loads(text)
        lengths = {len(tokenizer.encode(record[key]).ids) for key in ("clean_prefix", "patch_prefix")}
        if len(lines) == count or len(lengths) != 1:
            continue
        more = "".join(f" {draw.choice(words)}" for _ in range(LONG - lengths.pop()))
        record |= {key: record[key] + more for key in ("clean_prefix", "patch_prefix")}
        lines.append(json.dumps(record))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return PairFiles(file, file)
