# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json files in the shapes that conversions from SentencePiece have, trained on the spot.

BPE over characters with tokens for bytes (Llama 1 and 2, Mistral 7B, Gemma), and Unigram (T5 and others), each with the
switches that such files set, and with those that they leave alone.
"""

import copy
import itertools
import json

from tokenizer_configs import SPECIAL, add_tokens, corpus, template
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

MARK = "\u2581"  # stands for a space
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

PREPEND = {"type": "Prepend", "prepend": MARK}
SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
DECODE_SPACES = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
FALLBACK, FUSE = {"type": "ByteFallback"}, {"type": "Fuse"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def sequence(kind, *steps):
    """One of several steps; kind: the key that holds them."""
    return {"type": "Sequence", kind: list(steps)}


def metaspace(scheme, split, **more):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split} | more


SPLIT_AT_SPACES = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
LLAMA_DECODER = sequence("decoders", DECODE_SPACES, FALLBACK, FUSE, STRIP)
GEMMA_DECODER = sequence("decoders", DECODE_SPACES, FALLBACK, FUSE)


def whole(model, specials):
    """A file of a model, with these special tokens and nothing else."""
    config = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    config |= {"pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}
    return add_tokens(config, dict.fromkeys(specials, SPECIAL))


def texts(mark):
    """A part of the corpus; the whole would take long."""
    return (text.replace(" ", mark) for text in itertools.islice(corpus(), 0, None, 7))


def trained_bpe(mark, specials, first=BYTES, size=1500):
    """Merges go across words, as those of SentencePiece may; a few hundred characters are known, others are not."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n|.{1,40}"), "isolated")
    trainer = trainers.BpeTrainer(vocab_size=size, limit_alphabet=300, show_progress=False)
    tokenizer.train_from_iterator(texts(mark), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [*specials, *first, *sorted(model["vocab"], key=model["vocab"].get)]
    for length in range(2, 9):  # runs of spaces, as Gemma has them
        if mark * length not in tokens:
            tokens.append(mark * length)
            model["merges"].append([mark, mark * (length - 1)])
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    flags = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": bool(first)}
    return whole(model | flags | {"vocab": vocabulary}, specials)


def llama2(base):
    config = copy.deepcopy(base)
    config["normalizer"] = sequence("normalizers", PREPEND, SPACES)
    config["decoder"] = LLAMA_DECODER
    config["post_processor"] = template(config, before=["<s>"])
    return config


def llama1(base):
    """Special tokens are searched for behind the normaliser, and further ones swallow spaces."""
    config = llama2(base)
    for token in config["added_tokens"]:
        token["normalized"] = True
    options = {"<l>": {"lstrip": True}, "<r>": {"rstrip": True, "normalized": True}, "<w>": {"single_word": True}}
    add_tokens(config, {**options, f"{MARK}{MARK}": {"normalized": True}, "the": {"normalized": True}})
    config["model"]["merges"] = [" ".join(pair) for pair in config["model"]["merges"]]
    return config


def mistral(base):
    """The later files of Mistral 7B, and what LlamaTokenizer makes of newer ones."""
    config = copy.deepcopy(base)
    config["pre_tokenizer"] = metaspace("first", False)
    config["decoder"] = LLAMA_DECODER
    add_tokens(config, {"[INST]": SPECIAL, "[/INST]": SPECIAL, "[TOOL]": {"normalized": True}, "[R]": {"rstrip": True}})
    config["post_processor"] = template(config, before=["<s>"], behind=["</s>"])
    return config


def with_parts(base, **parts):
    config = copy.deepcopy(base)
    for name, part in parts.items():
        holder = config if name in config else config["model"]
        holder[name] = part
    return config


def gemma(base, pre_tokenizer=None):
    config = copy.deepcopy(base)
    config["normalizer"] = SPACES
    config["pre_tokenizer"] = pre_tokenizer
    config["decoder"] = GEMMA_DECODER
    add_tokens(
        config, {"\n\n": {}, "\n\n\n": {}, MARK * 2: {}, MARK * 3: {}, "<start_of_turn>": SPECIAL, "[@BOS@]": {}}
    )
    config["post_processor"] = template(config, before=["<bos>"])
    return config


def few_bytes(base, **flags):
    """Most bytes have no token: what falls back and what is unknown stand side by side."""
    config = with_parts(base, **flags)
    vocabulary = config["model"]["vocab"]
    kept = [token for token in vocabulary if token not in BYTES or int(token[3:5], 16) < 0xD0]
    config["model"]["vocab"] = {token: i for i, token in enumerate(kept)}
    return config


def trained_unigram(specials, first=(), size=1200):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"\n|{MARK}?[^{MARK}\n]{{1,16}}|{MARK}"), "isolated")
    trainer = trainers.UnigramTrainer(
        vocab_size=size, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False, max_piece_length=12
    )
    tokenizer.train_from_iterator(texts(MARK), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    scores = dict(map(tuple, model["vocab"]))
    # Few characters are kept alone, so that many are unknown.
    known = [
        (token, score) for token, score in scores.items() if token != "<unk>" and (len(token) > 1 or token < "\u0100")
    ]
    vocabulary = [*((token, 0.0) for token in (*specials, *first)), (MARK, -5.0), *known]
    parts = {"unk_id": list(specials).index("<unk>"), "vocab": list(map(list, dict(vocabulary).items()))}
    return whole(model | parts | {"byte_fallback": bool(first)}, specials)


def odd_unigram(base):
    """A token twice, an empty one, the unknown token's own text, unknown characters that make a token together."""
    config = copy.deepcopy(base)
    vocabulary = config["model"]["vocab"]
    vocabulary += [["the", -1.0], ["", -0.5], ["\u4e2d\u6587", -1e6], ["hot", 3], ["a", -2.5]]
    return config


def all_configs():
    """Names and dicts."""
    llama = trained_bpe(MARK, ["<unk>", "<s>", "</s>"])
    google = trained_bpe(MARK, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    spaces = trained_bpe(" ", ["<unk>", "<s>", "</s>"])
    plain = trained_bpe(MARK, ["<unk>", "<s>", "</s>"], first=[])
    t5 = trained_unigram(["<pad>", "</s>", "<unk>"])
    by_bytes = trained_unigram(["<unk>", "<s>", "</s>"], first=BYTES)
    words = {"type": "WhitespaceSplit"}
    empty = {"type": "Split", "pattern": {"Regex": "(?=y)"}, "behavior": "Isolated", "invert": False}
    gone = {"type": "Replace", "pattern": {"Regex": r"^[\p{Cf}x]+|``"}, "content": ""}
    quote = {"type": "Replace", "pattern": {"Regex": "''|[!?\u00e9]"}, "content": '"'}
    older = {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True, "str_rep": MARK}
    return {
        "llama1": llama1(llama),
        "llama2": llama2(llama),
        "mistral": mistral(llama),
        "gemma": gemma(google),
        "gemma3": gemma(google, SPLIT_AT_SPACES),
        "metaspace-always": with_parts(
            llama,
            pre_tokenizer=sequence("pretokenizers", empty, metaspace("always", True)),
            decoder=metaspace("always", True),
        ),
        "metaspace-never": with_parts(
            llama,
            pre_tokenizer=metaspace("never", True, add_prefix_space=False),
            decoder=sequence("decoders", STRIP, FUSE),
        ),
        "metaspace-first": with_parts(
            mistral(llama),
            normalizer=sequence("normalizers", {"type": "NFKC"}, gone, quote),
            pre_tokenizer=metaspace("first", True),
        ),
        "metaspace-prepended": with_parts(
            mistral(llama),
            normalizer=sequence("normalizers", {"type": "Prepend", "prepend": "xx"}, {"type": "NFD"}, gone),
            pre_tokenizer=sequence("pretokenizers", words, metaspace("first", False)),
        ),
        "metaspace-words": with_parts(
            add_tokens(mistral(llama), {"\u0635\u0644": {"normalized": True}}),  # the front of what U+FDFA stands for
            normalizer={"type": "NFKC"},
            pre_tokenizer=sequence("pretokenizers", words, metaspace("first", True)),
        ),
        "metaspace-older": with_parts(llama, pre_tokenizer=older, decoder=older),
        "spaces": with_parts(spaces, decoder=sequence("decoders", FALLBACK, FUSE)),
        "each-unknown": with_parts(plain, fuse_unk=False, pre_tokenizer=metaspace("always", False)),
        "fused-unknown": with_parts(plain, pre_tokenizer=metaspace("always", False)),
        "dropped-unknown": with_parts(plain, unk_token=None, pre_tokenizer=metaspace("always", False)),
        "few-bytes": few_bytes(llama2(llama), fuse_unk=False),
        "few-bytes-fused": few_bytes(mistral(llama)),
        "few-bytes-dropped": few_bytes(llama2(llama), unk_token=None, ignore_merges=True),
        "unigram": with_parts(t5, pre_tokenizer=metaspace("always", True), decoder=metaspace("always", True)),
        "unigram-words": with_parts(
            t5,
            normalizer={"type": "NFKC"},
            pre_tokenizer=sequence("pretokenizers", words, metaspace("always", True)),
            post_processor=template(t5, behind=["</s>"]),
        ),
        "unigram-bytes": with_parts(
            by_bytes, normalizer=sequence("normalizers", gone, PREPEND, SPACES), decoder=LLAMA_DECODER
        ),
        "unigram-few-bytes": with_parts(
            trained_unigram(["<unk>", "<s>", "</s>"], first=BYTES[:0xD0]), pre_tokenizer=metaspace("first", False)
        ),
        "unigram-odd": odd_unigram(with_parts(t5, pre_tokenizer=metaspace("never", True))),
    }
