# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""tools/fetch_model.py reads a GGUF file as transformers does: the same weights, configuration and tokenizer."""

from __future__ import annotations

import json
import sys

import gguf
import numpy as np
import pytest
import torch
from conftest import ROOT
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(ROOT / "tools"))
import fetch_model  # noqa: E402

LAYERS, D_MODEL, HEADS, KV_HEADS, NEURONS = 2, 64, 4, 2, 96
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"abcdeĠ1", "ab", "Ġc", "abc"]
MERGES = ["a b", "Ġ c", "ab c"]
CONTROL, NORMAL = 3, 1


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """A tiny model of the Llama family with fewer key heads than heads, quantised to Q4_1."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(D_MODEL)
    writer.add_feed_forward_length(NEURONS)
    writer.add_context_length(128)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(D_MODEL // HEADS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([CONTROL] * 3 + [NORMAL] * (len(TOKENS) - 3))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    rng = np.random.default_rng(0)
    d_kv = D_MODEL // HEADS * KV_HEADS
    shapes = {"token_embd": (len(TOKENS), D_MODEL), "output_norm": (D_MODEL,)}
    for layer in range(LAYERS):
        block = {
            "attn_norm": (D_MODEL,),
            "attn_q": (D_MODEL, D_MODEL),
            "attn_k": (d_kv, D_MODEL),
            "attn_v": (d_kv, D_MODEL),
            "attn_output": (D_MODEL, D_MODEL),
            "ffn_norm": (D_MODEL,),
            "ffn_gate": (NEURONS, D_MODEL),
            "ffn_up": (NEURONS, D_MODEL),
            "ffn_down": (D_MODEL, NEURONS),
        }
        shapes.update({f"blk.{layer}.{name}": shape for name, shape in block.items()})
    for name, shape in shapes.items():
        values = rng.standard_normal(shape, dtype=np.float32)
        kind = gguf.GGMLQuantizationType.Q4_1 if len(shape) == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(f"{name}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_conversion_agrees_with_transformers(gguf_file, tmp_path):
    """Every weight bit for bit, the sizes, and the ids of texts with control tokens."""
    fetch_model.convert(gguf_file, tmp_path)
    source = {"pretrained_model_name_or_path": str(gguf_file.parent), "gguf_file": gguf_file.name}
    expected = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    ours = AutoModelForCausalLM.from_pretrained(tmp_path)
    weights = ours.state_dict()
    assert weights.keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(weights[name], tensor), name
    same = ("vocab_size", "rms_norm_eps", "rope_parameters", "head_dim", "tie_word_embeddings", "bos_token_id")
    for key in (*same, *fetch_model.CONFIG_KEYS):
        assert getattr(ours.config, key) == getattr(expected.config, key), key

    AutoTokenizer.from_pretrained(**source).save_pretrained(tmp_path / "theirs")
    theirs = json.loads((tmp_path / "theirs" / "tokenizer.json").read_text())
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {
        **theirs,
        "pre_tokenizer": fetch_model.PRE_TOKENIZER,
    }
