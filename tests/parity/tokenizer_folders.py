# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Folders in which the files beside tokenizer.json say something of its tokens.

Each is small, and the same bytes each time: the vocabulary is written out by rule. No weights: only tokenizers are made
of them.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path

BOS, EOS, PLAIN = "<|begin|>", "<|end|>", "<|plain|>"  # of tokenizer.json; the last is neither special nor named
NEW, LATE = "<|new|>", "<|late|>"  # tokens that tokenizer.json lacks

TEXTS = (
    "The dogs are near 123 cars",
    " The dogs",
    "",
    "It's  12 o'clock\n\n34 ",
    "Cafe\u0301 near cafe\u0301s",
    f"dogs {BOS} cars{EOS}  near",
    f"dogs {PLAIN} cars",
    f"dogs {NEW} cars {LATE}dogs",
    "a<|endoftext|> b<s>c</s>d<unk>",
    f"{BOS}dogs",
    f"dogs {EOS.upper()} {NEW.upper()} near",
)

GPT2_SPLIT_PRE = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES_ONLY = GPT2_SPLIT_PRE | {"use_regex": False}
QWEN2_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_REGEX = QWEN2_REGEX.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split_pre(regex: str) -> dict:
    """Split by a pattern, then bytes."""
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, BYTES_ONLY]}


DIGITS_PRE = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, GPT2_SPLIT_PRE]}
LLAMA3_PRE, QWEN2_PRE = split_pre(LLAMA3_REGEX), split_pre(QWEN2_REGEX)
NATIVE_PRE = {"llama": LLAMA3_PRE, "mistral": LLAMA3_PRE, "qwen2": QWEN2_PRE, "gpt2": GPT2_SPLIT_PRE}
NATIVE_NORMALIZER = {"qwen2": {"type": "NFC"}}


def byte_alphabet() -> list[str]:
    """GPT-2's 256 stand-ins of bytes, in the order of the bytes."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    names = {byte: chr(byte) for byte in kept} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]


def base_model() -> dict:
    """A byte-level BPE whose words are merged from the left; 12, 123, two blanks, two line ends are tokens, too."""
    stand_in = byte_alphabet()
    words = [
        "The",
        " The",
        " dogs",
        "dogs",
        " are",
        " near",
        " cars",
        "cars",
        " 12",
        "12",
        "123",
        "  ",
        "\n\n",
        "\n\n34",
    ]
    words += ["\u00e9", "caf", "'s", "It", "<|", "|>"]
    tokens, merges = [BOS, EOS, *stand_in], []
    for word in words:
        symbols = [stand_in[byte] for byte in word.encode()]
        left = symbols[0]
        for symbol in symbols[1:]:
            if left + symbol not in tokens:
                merges.append([left, symbol])
                tokens.append(left + symbol)
            left += symbol
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(tokens)},
        "merges": merges,
    }


def added(content: str, id_: int | None = None, **flags: bool) -> dict:
    """A description of an added token as tokenizer.json (with id) and added_tokens_decoder (without) have it."""
    whole = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    whole |= {"special": True} | flags
    return whole if id_ is None else {"id": id_} | whole


def named(content: str, **flags: bool) -> dict:
    """A token as special_tokens_map.json has it."""
    whole = added(content, **flags)
    del whole["special"]
    return whole


def typed(content: str, **flags: bool) -> dict:
    """A token as older tokenizer_config.json have it."""
    return {"__type": "AddedToken"} | named(content, **flags)


SIZE = len(base_model()["vocab"])
PLAIN_ID = SIZE  # the first id behind the vocabulary


def template(prefix: dict[str, int], suffix: dict[str, int]) -> dict:
    """A post-processor that puts tokens around a text."""

    def pieces(tokens: dict[str, int]) -> list[dict]:
        return [{"SpecialToken": {"id": token, "type_id": 0}} for token in tokens]

    single = [*pieces(prefix), {"Sequence": {"id": "A", "type_id": 0}}, *pieces(suffix)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (prefix | suffix).items()},
    }


BYTE_LEVEL_POST = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
BOS_TEMPLATE = template({BOS: 0}, {})
BOS_EOS_TEMPLATE = template({BOS: 0}, {EOS: 1})


@dataclass(frozen=True)
class Folder:
    """The parts that differ from a plain folder."""

    config: dict | None = field(default_factory=dict)  # tokenizer_config.json; None: no such file
    special_map: dict | None = None  # special_tokens_map.json
    added_file: dict | None = None  # added_tokens.json
    file: dict = field(default_factory=dict)  # keys of tokenizer.json that are replaced
    model: dict = field(default_factory=dict)  # keys of its model that are replaced
    bare: bool = False  # no bos_token, eos_token in tokenizer_config.json
    prefix_space: bool = False  # the family's pre-tokenizer puts a space before a text


def write_json(file: Path, content: object) -> None:
    """JSON with a line end."""
    file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def write_folder(out: Path, folder: Folder, model_type: str, tokenizer_class: str | None, looks: str = "") -> Path:
    """Write it as one of a family; looks: the family whose normalizer and pre-tokenizer tokenizer.json has."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", {"model_type": model_type, "vocab_size": 512})
    family = looks or model_type
    steps = copy.deepcopy(NATIVE_PRE[family])
    (steps["pretokenizers"][-1] if steps["type"] == "Sequence" else steps)["add_prefix_space"] = folder.prefix_space
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(BOS, 0), added(EOS, 1), added(PLAIN, PLAIN_ID, special=False)],
        "normalizer": NATIVE_NORMALIZER.get(family),
        "pre_tokenizer": steps,
        "post_processor": BYTE_LEVEL_POST,
        "decoder": BYTE_LEVEL_POST,
        "model": base_model() | folder.model,
    }
    write_json(out / "tokenizer.json", whole | folder.file)
    if folder.config is not None:
        config = {} if folder.bare else {"bos_token": BOS, "eos_token": EOS}
        config |= {} if tokenizer_class is None else {"tokenizer_class": tokenizer_class}
        write_json(out / "tokenizer_config.json", config | folder.config)
    for name, content in (("special_tokens_map", folder.special_map), ("added_tokens", folder.added_file)):
        if content is not None:
            write_json(out / f"{name}.json", content)
    return out


DECODER = {"0": added(BOS), "1": added(EOS), str(PLAIN_ID): added(PLAIN, special=False)}
NEXT, LATER = str(SIZE + 1), str(SIZE + 9)
FLAGS = {"1": added(EOS, lstrip=True, rstrip=True), str(PLAIN_ID): added(PLAIN, special=False, lstrip=True)}
LSTRIP = [added(BOS, 0, lstrip=True), added(EOS, 1, rstrip=True)]
RSTRIP = added(PLAIN, PLAIN_ID, special=False, normalized=True, rstrip=True)
UNMERGED = base_model()["vocab"] | {"clock": SIZE}  # no merges lead to the last


def decoder(**more: dict) -> Folder:
    """With an added_tokens_decoder that has further tokens, by "_" and their id."""
    return Folder(config={"added_tokens_decoder": DECODER | {key[1:]: token for key, token in more.items()}})


FOLDERS: dict[str, Folder] = {
    "plain": Folder(),
    "no_config": Folder(config=None),
    "bare": Folder(bare=True),
    "add_bos": Folder(config={"add_bos_token": True, "add_eos_token": True}),
    "add_bos_null_post": Folder(config={"add_bos_token": True}, file={"post_processor": None}),
    "no_bos_but_template": Folder(config={"add_bos_token": False}, file={"post_processor": BOS_TEMPLATE}),
    "template": Folder(file={"post_processor": BOS_TEMPLATE}),
    "template_both": Folder(config={"add_bos_token": True}, file={"post_processor": BOS_EOS_TEMPLATE}),
    "other_bos": Folder(config={"bos_token": EOS, "add_bos_token": True}, file={"post_processor": BOS_TEMPLATE}),
    "sequence_post": Folder(
        file={"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL_POST, BOS_TEMPLATE]}}
    ),
    "bos_dict": Folder(config={"bos_token": typed(BOS, lstrip=True, rstrip=True)}),
    "bos_new": Folder(config={"bos_token": NEW}),
    "bos_new_dict": Folder(config={"bos_token": typed(NEW, lstrip=True)}),
    "bos_in_vocabulary": Folder(config={"bos_token": "dogs"}),
    "bos_null": Folder(config={"bos_token": None}),
    "bos_empty": Folder(config={"bos_token": ""}),
    "decoder_same": decoder(),
    "decoder_new": decoder(**{"_" + NEXT: added(NEW)}),
    "decoder_new_plain": decoder(**{"_" + NEXT: added(NEW, special=False, normalized=True)}),
    "decoder_far": decoder(**{"_" + LATER: added(NEW), "_" + NEXT: added(LATE, rstrip=True)}),
    "decoder_flags": decoder(**{"_" + key: token for key, token in FLAGS.items()}),
    "decoder_fewer": Folder(config={"added_tokens_decoder": {"0": added(BOS), "1": added(EOS)}}),
    "decoder_empty": Folder(config={"added_tokens_decoder": {}}),
    "decoder_promoted": decoder(_264=added("dogs")),
    "added_file": Folder(added_file={LATE: SIZE + 2, NEW: SIZE + 1}),
    "added_file_named": Folder(added_file={NEW: SIZE + 1}, config={"eos_token": NEW}),
    "added_file_same": Folder(added_file={PLAIN: SIZE + 4, EOS: 1}),
    "added_file_ignored": Folder(added_file={NEW: SIZE + 1}, config={"added_tokens_decoder": DECODER}),
    "map_only": Folder(config=None, special_map={"bos_token": BOS, "eos_token": EOS, "pad_token": NEW}),
    "map_dicts": Folder(special_map={"bos_token": named(BOS, lstrip=True), "pad_token": named(NEW, rstrip=True)}),
    "map_null": Folder(config={"pad_token": NEW}, special_map={"pad_token": None}),
    "map_ignored": Folder(special_map={"pad_token": NEW}, config={"added_tokens_decoder": DECODER}),
    "map_additional": Folder(special_map={"additional_special_tokens": [NEW, LATE]}),
    "additional": Folder(config={"additional_special_tokens": [NEW, BOS]}),
    "additional_both": Folder(
        config={"additional_special_tokens": [NEW]}, special_map={"additional_special_tokens": [LATE]}
    ),
    "additional_plain": Folder(config={"additional_special_tokens": [PLAIN], "split_special_tokens": True}),
    "extra_list": Folder(config={"extra_special_tokens": [NEW, LATE]}),
    "extra_object": Folder(config={"extra_special_tokens": {"image_token": NEW}}),
    "extra_object_and_list": Folder(
        config={"extra_special_tokens": {"image_token": NEW}, "additional_special_tokens": [LATE]}
    ),
    "own_token_key": Folder(config={"image_token": NEW, "audio_token": LATE}),
    "pad_new": Folder(config={"pad_token": NEW}),
    "pad_twice": Folder(config={"pad_token": NEW, "mask_token": typed(NEW, lstrip=True)}),
    "prefix_space": Folder(config={"add_prefix_space": True}),
    "prefix_space_file": Folder(prefix_space=True),
    "prefix_space_off": Folder(config={"add_prefix_space": False}, prefix_space=True),
    "prefix_space_alone": Folder(config={"add_prefix_space": True}, file={"pre_tokenizer": GPT2_SPLIT_PRE}),
    "clean_up": Folder(config={"clean_up_tokenization_spaces": True, "legacy": True, "model_max_length": 3}),
    "split_special": Folder(config={"split_special_tokens": True}),
    "digits": Folder(file={"pre_tokenizer": DIGITS_PRE}),
    "llama3_split": Folder(file={"pre_tokenizer": LLAMA3_PRE}),
    "qwen2_split": Folder(file={"pre_tokenizer": QWEN2_PRE}),
    "normalizer": Folder(file={"normalizer": {"type": "NFC"}}),
    "no_normalizer": Folder(file={"normalizer": None}),
    "ignore_merges": Folder(
        model={"ignore_merges": True, "vocab": UNMERGED},
        file={"added_tokens": [added(BOS, 0), added(EOS, 1), added(PLAIN, SIZE + 1, special=False)]},
    ),
    "file_flags": Folder(file={"added_tokens": [*LSTRIP, RSTRIP]}),
    "misnumbered": Folder(file={"added_tokens": [added(BOS, 0), added(EOS, 1), added(PLAIN, 400), added(NEW, 350)]}),
}

# What a folder says that it is: model_type and tokenizer_class.
HOMES: dict[str, tuple[str, str | None]] = {
    "fast": ("llama", "PreTrainedTokenizerFast"),
    "undeclared": ("llama", None),
    "llama": ("llama", "LlamaTokenizerFast"),
    "mistral": ("mistral", "LlamaTokenizerFast"),
    "qwen2": ("qwen2", "Qwen2Tokenizer"),
    "distill": ("qwen2", "LlamaTokenizerFast"),  # DeepSeek-R1-Distill-Qwen
    "gpt2": ("gpt2", None),
    "smollm2": ("llama", "GPT2Tokenizer"),
}
