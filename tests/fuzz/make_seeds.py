# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Writes the files that fuzzing begins with: make_seeds.py FOLDER. What it has found since is in corpus/, too."""

import json
import struct
import sys
from pathlib import Path


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npy(header: str, data: bytes) -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + data


def weights(**tensors: tuple[str, list[int], int]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    return safetensors(header, bytes(end))


def tokenizer(**parts: object) -> bytes:
    letters = ["a", "b", "c", "t", "h", "e", "Ġ", "Ċ", "1", "'", "!"]
    vocabulary = {token: i for i, token in enumerate([*letters, "th", "the", "Ġthe", "at"])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [["t", "h"], ["th", "e"], ["Ġ", "the"], "a t"]}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    whole = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": byte_level}
    return json.dumps({**whole, "post_processor": None, "decoder": byte_level, "model": model, **parts}).encode()


def split(regex: str, behavior: str = "Isolated") -> dict[str, object]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": False}


def sentencepiece(**parts: object) -> bytes:
    vocabulary = {
        token: i for i, token in enumerate(["<unk>", "<s>", "\u2581", "t", "h", "e", "<0xC3>", "<0xBC>", "th", "the"])
    }
    merges = [["t", "h"], ["th", "e"]]
    flags = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    steps = [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    prepend = {"type": "Prepend", "prepend": "\u2581"}
    return tokenizer(
        **{
            "model": {"type": "BPE", "vocab": vocabulary, "merges": merges, **flags},
            "normalizer": {"type": "Sequence", "normalizers": [prepend, spaces]},
            "pre_tokenizer": None,
            "decoder": {"type": "Sequence", "decoders": steps},
            **parts,
        }
    )


METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
PIECES = [["<unk>", 0], ["\u2581", -3.5], ["a", -1.25], ["\u2581the", -2], ["<0xC3>", 0], ["<0xBC>", 0], ["aa", -1e-3]]

BYTES_ALONE = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
BOS = {
    "id": 15,
    "content": "<bos>",
    "single_word": False,
    "lstrip": True,
    "rstrip": True,
    "normalized": False,
    "special": True,
}
PREPEND = {"type": "Prepend", "prepend": " "}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"<bos>": {"id": "<bos>", "ids": [15], "tokens": ["<bos>"]}},
}
GPT4 = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

GRID = b"""name: x
attribution: {method: relp, rules: relp, rules.norm: true}
sweep:
  grid: {attribution.method: [relp, atp], attribution.steps: [5, 10]}
  zip: {pairs.seed: [1, 2], circuit.notes: [[a], ~]}
  exclude: [{attribution.method: atp, attribution.steps: 5}]
  include: [{attribution.method: ig-acts}]
"""
SETTINGS = b"""# sweep
name: "hot or cold"
model: {path: &m models/small, dtype: float32}
attribution:
  method: relp
  tolerance: 1e-3
  rules:
    norm: true
pairs:
  seed: 3
  file: *m
circuit:
  counts: [10, 30]
  fractions:
    - 0.5
  notes: [a, 'b', "c\\n"]
threads: auto
"""

PAIR = {"clean_prefix": "The cats", "patch_prefix": "The dogs", "clean_answer": " hot", "patch_answer": " cold"}
OTHER = {"clean_prefix": "The fire is", "patch_prefix": "The ice is", "clean_answer": " hot", "patch_answer": " cold"}


def lines(*pairs: dict[str, object]) -> bytes:
    return "".join(json.dumps(pair) + "\n" for pair in pairs).encode()


SEEDS = {
    "safetensors": [
        weights(a=("F32", [1], 4), b=("BF16", [2, 2], 8), c=("I64", [0], 0)),
        weights(x=("F64", [], 8), y=("F16", [1, 3], 6), z=("BOOL", [2], 2)),
        safetensors({"a": {"dtype": "F32", "shape": [1 << 62, 8], "data_offsets": [0, 4]}}, bytes(4)),
        safetensors(b"{}"),
    ],
    "tokenizer": [
        tokenizer(),
        tokenizer(added_tokens=[BOS], post_processor=TEMPLATE),
        tokenizer(
            normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Prepend", "prepend": " "}]}
        ),
        tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [split(GPT4), BYTES_ALONE]}),
        tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [split("(a+)+b", "Removed"), BYTES_ALONE]}),
        tokenizer(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, BYTES_ALONE],
            }
        ),
        sentencepiece(),
        sentencepiece(normalizer=None, pre_tokenizer=METASPACE, decoder=METASPACE),
        sentencepiece(
            model={"type": "Unigram", "unk_id": 0, "vocab": PIECES, "byte_fallback": True},
            normalizer={"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]},
        ),
    ],
    "settings": [SETTINGS, GRID, GRID + b"\0attribution.steps=[1]\0sweep.grid.pairs.seed=[3, 4]\0pairs.file=/a #1/b"],
    "pairs": [
        b"\xbb" + lines(PAIR, OTHER),
        b"\x3b" + lines(PAIR, OTHER, {**PAIR, "case": "c"}),
        b"\x81" + lines({"clean_prefix": "The", "clean_answer": " cat"}),
        b"\x70\xef\xbb\xbf" + lines(PAIR).replace(b"\n", b"\r\n"),
    ],
    "scores": [
        b"\0" + npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", bytes(8)),
        b"\0" + npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", bytes(8)),
        b'\1{"cfg": {"n_layers": 1}, "nodes": {"input": {"score": 1}, "a0.h1": {"score": -1e3}, "m0": {}}}',
        b'\2kind,layer,position,index,score\r\n"heads",0,-1,2,1e-3\nmlps,1,,0,nan\n',
    ],
    "results": [bytes(64), bytes(range(256)), b"\x05" * 100],
}


def main() -> None:
    for target, seeds in SEEDS.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds):
            (folder / f"seed-{i}").write_bytes(seed)


if __name__ == "__main__":
    main()
