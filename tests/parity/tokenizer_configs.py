# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json files that together use everything io/tokenizer supports, trained on the spot.

Each is a real, small byte-level BPE with the pre-tokenisers, normalisers, post-processors and added-token options of a
published family, or with options those families leave out.
"""

import copy
import json
import pathlib
import random
import sysconfig

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"

SENTENCES = [
    "Is fire hot or cold? Fire is hot, and ice isn't.",
    "Die Übergänge der Größen ändern sich jäh.",
    "Où êtes-vous allés, garçon naïf ? À Noël…",
    "Съешь же ещё этих мягких французских булок.",
    "Η γρήγορη καφέ αλεπού πηδάει.",
    "人人生而自由，在尊严和权利上一律平等。",
    "すべての人間は、生まれながらにして自由である。",
    "모든 인간은 태어날 때부터 자유로우며",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में",
    "يولد جميع الناس أحرارًا متساوين",
    "כל בני אדם נולדו בני חורין",
    "มนุษย์ทั้งหลายเกิดมามีอิสระ",
    "Tất cả mọi người sinh ra đều được tự do",
    "👩‍👩‍👧‍👦 👍🏽 🇫🇷 ❤️ 🏳️‍🌈 ☎️ 1️⃣",
    "∀x ∈ ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β",
    "١٢٣٤ ४५६७ ๑๒๓ ²³¹ ½ Ⅻ ⑤ 12345 3.14159",
]


def corpus():
    """About a megabyte of Python sources with sentences of many scripts strewn in."""
    rng = random.Random(7)
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for source in sorted(folder.glob("*.py"))[:60]:
        lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
        for start in range(0, len(lines), 8):
            yield "".join(lines[start : start + 8])
            yield " ".join(rng.choices(SENTENCES, k=2))


def split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated")


def byte_level(regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def trained(pre_tokenizer, size=3000, normalizer=None, alphabet=None):
    """The tokenizer.json of a fresh BPE, as a dict."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(
            vocab_size=size,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet,
        ),
    )
    tokenizer.decoder = decoders.ByteLevel()
    return json.loads(tokenizer.to_str())


def add_tokens(config, tokens):
    """Appends added tokens; `tokens` maps contents to the options that are not false."""
    vocabulary = config["model"]["vocab"]
    if isinstance(vocabulary, list):  # of tokens and scores
        vocabulary = {token: i for i, (token, _) in enumerate(vocabulary)}
    next_id = len(vocabulary) + sum(token["content"] not in vocabulary for token in config["added_tokens"])
    for content, options in tokens.items():
        token = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        known = vocabulary.get(content)
        config["added_tokens"].append({"id": next_id if known is None else known, "content": content} | token | options)
        next_id += known is None
    return config


def template(config, before=(), behind=()):
    ids = {token["content"]: token["id"] for token in config["added_tokens"]}

    def special(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}

    def sequence(name):
        return {"Sequence": {"id": name, "type_id": 0}}

    single = [*map(special, before), sequence("A"), *map(special, behind)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + [sequence("B")],
        "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in (*before, *behind)},
    }


SPECIAL = {"special": True}
CHAT = {name: SPECIAL for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")}
BYTE_LEVEL_POST = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}


def gpt2():
    config = add_tokens(trained(byte_level(regex=True)), {"<|endoftext|>": SPECIAL | {"normalized": True}})
    config["post_processor"] = BYTE_LEVEL_POST
    return config


def gpt2_older_spelling(config):
    """Merges as strings under a header, empty names, a space before the text."""
    model = config["model"]
    model["merges"] = ["#version: 0.2"] + [" ".join(pair) for pair in model["merges"]]
    model |= {"unk_token": "", "continuing_subword_prefix": "", "end_of_word_suffix": ""}
    del model["type"], model["ignore_merges"], model["byte_fallback"]
    config["pre_tokenizer"]["add_prefix_space"] = True
    del config["pre_tokenizer"]["use_regex"]
    return config


def llama3():
    config = trained(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]))
    for word in ("Ġunreachable", "Ġisn", "ĠNoÃ«l", "zzzz", "ĊĊĊĊĊ", "ĠĠĠĠĠĠĠĠĠĠĠ", "ä¸Ńæĸĩ"):  # no merges lead here
        config["model"]["vocab"].setdefault(word, len(config["model"]["vocab"]))
    config["model"]["ignore_merges"] = True
    add_tokens(
        config, {name: SPECIAL for name in ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eot_id|>x")}
    )
    config["post_processor"] = {
        "type": "Sequence",
        "processors": [BYTE_LEVEL_POST, template(config, before=["<|begin_of_text|>"])],
    }
    return config


def qwen2():
    config = trained(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), normalizer=normalizers.NFC())
    return add_tokens(config, CHAT | {"<tool_call>": {}, "</tool_call>": {}, "e\u0301te\u0301": {"normalized": True}})


def smollm2():
    config = trained(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(regex=True)]))
    add_tokens(config, CHAT)
    config["post_processor"] = template(config, before=["<|im_start|>", "<|im_start|>"], behind=["<|im_end|>"])
    return config


def other_splits(config, *steps):
    holder = Tokenizer(models.BPE())
    holder.pre_tokenizer = pre_tokenizers.Sequence(list(steps))
    config["pre_tokenizer"] = json.loads(holder.to_str())["pre_tokenizer"]
    return config


def behaviors(config):
    """Every behaviour, inverted and not, one behind the other, on patterns with empty matches and anchors too."""
    rules = [
        ("removed", r"\x{23}|\u007e", False),
        ("merged_with_previous", r"[aeiou]", False),
        ("merged_with_next", r"\p{Lu}|[0-4]", False),
        ("contiguous", r"\p{P}", False),
        ("isolated", r"^.|.$", False),
        ("merged_with_previous", r"\S+", True),
        ("merged_with_next", r"\p{L}{2}", True),
        ("contiguous", r"[^x]", True),
        ("isolated", r"x*?(?=y)|(?<=q)", False),
        ("removed", r"\A[^%]|[^%]+", True),
    ]
    steps = [pre_tokenizers.Split(Regex(pattern), behavior, invert) for behavior, pattern, invert in rules]
    steps += [pre_tokenizers.Split(text, "merged_with_next") for text in ("-(", "\\", "=")]
    return other_splits(config, *steps, pre_tokenizers.Digits(False), byte_level())


def punctuation(config):
    """Every behaviour, and one token before and behind, as RoBERTa has them."""
    names = ("merged_with_previous", "merged_with_next", "contiguous", "isolated")
    splits = [split(r"\s+(?=[^\s])"), *map(pre_tokenizers.Punctuation, names)]
    other_splits(config, *splits, byte_level(regex=True))
    add_tokens(config, {"<s>": SPECIAL, "</s>": SPECIAL})
    ids = {token["content"]: token["id"] for token in config["added_tokens"]}
    config["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": ["</s>", ids["</s>"]],
        "cls": ["<s>", ids["<s>"]],
        "trim_offsets": True,
        "add_prefix_space": True,
    }
    return config


def falcon(config):
    """Steps behind ByteLevel, as Falcon has them."""
    digits = pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")
    steps = pre_tokenizers.Punctuation("contiguous"), byte_level(regex=True), pre_tokenizers.Digits(False), digits
    return other_splits(config, *steps)


def misnumbered(config):
    """Added tokens whose declared ids are not those that the vocabulary gives them."""
    add_tokens(config, {"<a>": SPECIAL, "<b>": {}, "hot": {"normalized": True}})
    for token, wrong in zip(config["added_tokens"], (90001, 7, 90000, 3), strict=True):
        token["id"] = wrong
    return config


def repeated_merges(config):
    """Merges that are there twice: the later place is their rank."""
    merges = config["model"]["merges"]
    merges += merges[5:1500:7]
    return config


def many_tokens(config):
    """Tokens that share beginnings, in no order of their lengths."""
    return add_tokens(config, {f"<{'x' * (i * 7 % 40)}{i}>"[: 3 + i % 45]: {"lstrip": i % 3 == 0} for i in range(400)})


def normalizing(config, *steps):
    config["normalizer"] = {"type": "Sequence", "normalizers": list(steps)}
    return config


def strict_tokens(config):
    """Added tokens with every option, overlapping each other and shared with the vocabulary."""
    normalizing(
        config,
        {"type": "NFKC"},
        {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
        {"type": "Replace", "pattern": {"Regex": r"\p{Cf}+"}, "content": ""},
    )
    options = {
        "lstrip": {"lstrip": True},
        "rstrip": {"rstrip": True},
        "both": {"lstrip": True, "rstrip": True},
        "word": {"single_word": True},
        "word_l": {"single_word": True, "lstrip": True},
    }
    tokens = {f"<{name}>": value for name, value in options.items()}
    tokens |= {f"[{name}]": value | {"normalized": True} for name, value in options.items()}
    tokens |= {name: value for name, value in zip(("hot", "cold", "is", "ice", "fire"), options.values())}
    tokens |= {
        "<rst": {},
        "rd>": {},  # not found in a <word> that is none
        "<rstrip><": SPECIAL,
        " lead": {},
        "the": {"normalized": True},
        "ﬁn": {"normalized": True},
        "``q``": {"normalized": True},
        "Ø": {"single_word": True},
        "中": {},
    }
    return add_tokens(config, tokens)


def few_bytes(fuse):
    """A vocabulary without most bytes: unknown tokens, or nothing."""
    config = trained(byte_level(regex=True), size=400, alphabet=[])

    def keep(token):
        return all(c in "Ġabcdefghijklmnopqrstuvwxyz'." for c in token)

    model = config["model"]
    model["vocab"] = {token: i for i, token in enumerate(filter(keep, model["vocab"]))}
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    if fuse is not None:
        model["vocab"]["<unk>"] = len(model["vocab"])
        model |= {"unk_token": "<unk>", "fuse_unk": fuse}
    return config


def all_configs():
    """Names and dicts."""
    base = gpt2()

    def fresh():
        return copy.deepcopy(base)

    configs = {
        "gpt2": base,
        "gpt2-older-spelling": gpt2_older_spelling(fresh()),
        "llama3": llama3(),
        "qwen2": qwen2(),
        "smollm2": smollm2(),
        "behaviors": behaviors(fresh()),
        "added-tokens": strict_tokens(fresh()),
        "cl100k": other_splits(fresh(), split(CL100K), byte_level()),
        "o200k": other_splits(fresh(), split(O200K), byte_level(prefix=True)),
        "tekken": other_splits(fresh(), split(TEKKEN), byte_level()),
        "deepseek3": other_splits(fresh(), split(r"\p{N}{1,3}"), split(CJK), split(DEEPSEEK3), byte_level()),
        "punctuation": punctuation(fresh()),
        "punctuation-removed": other_splits(fresh(), pre_tokenizers.Punctuation("removed"), byte_level(regex=True)),
        "falcon": falcon(fresh()),
        "misnumbered": misnumbered(fresh()),
        "many-tokens": many_tokens(fresh()),
        "repeated-merges": repeated_merges(fresh()),
        "unknown": few_bytes(fuse=False),
        "unknown-fused": few_bytes(fuse=True),
        "unknown-dropped": few_bytes(fuse=None),
    }
    for form in ("NFD", "NFKC", "NFKD"):
        configs[form.lower()] = normalizing(fresh(), {"type": form}, {"type": "Prepend", "prepend": "\u2581"})
    return configs
