# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Folders whose tokenizer.json comes from SentencePiece, against transformers' AutoTokenizer.

Where transformers 5 builds their class anew with other rules than tokenizer.json has, ours are those of the folder read
as it stands, and a note says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sentencepiece_configs as configs
import tokenizer_texts
from test_tokenizer import STRINGS
from test_tokenizer_folders import DRIVER, ask
from tokenizer_folders import write_json

pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason=f"{DRIVER} is not built")

SPECIAL_TEXTS = ["<s>", "</s>", "<bos>", "<start_of_turn>", "[INST]", "<0x41>", "\u2581"]
TEXTS = [*tokenizer_texts.varied(max(300, STRINGS // 20), 11, SPECIAL_TEXTS), " The dogs", "a <s>  b</s>c", "  "]


@dataclass(frozen=True)
class Home:
    """What a folder says that it is."""

    file: str  # of sentencepiece_configs
    model_type: str
    declared: str | None
    config: dict = field(default_factory=dict)
    note: str = ""  # a word of the only note; none: transformers has these very ids


LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
GOOGLE = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
REBUILT = "LlamaTokenizer does in place of it"
HOMES = {
    "llama-2": Home("llama2", "llama", "LlamaTokenizer", LLAMA | {"legacy": False, "add_bos_token": True}, REBUILT),
    "tinyllama": Home("llama2", "llama", "LlamaTokenizerFast", LLAMA | {"legacy": True}, REBUILT),
    "llama-resaved": Home("metaspace", "llama", "LlamaTokenizer", LLAMA | {"legacy": False}),
    "llama-legacy-resaved": Home("metaspace-legacy", "llama", "LlamaTokenizer", LLAMA | {"legacy": True}),
    "llama-bare": Home("metaspace", "llama", "LlamaTokenizer"),
    "llama-fast": Home("llama2", "llama", "PreTrainedTokenizerFast", LLAMA),
    "mistral-0.1": Home("llama2", "mistral", "LlamaTokenizer", LLAMA | {"legacy": True}),
    "mistral-0.3": Home("metaspace", "mistral", "LlamaTokenizerFast", LLAMA | {"legacy": False}),
    "phi-3": Home("llama2", "phi3", "LlamaTokenizer", LLAMA | {"add_bos_token": True, "legacy": False}),
    "gemma": Home("gemma", "gemma", "GemmaTokenizer", GOOGLE | {"add_bos_token": True}),
    "gemma-2": Home("gemma3", "gemma2", "GemmaTokenizerFast", GOOGLE),
    "gemma-3": Home("gemma3", "gemma3_text", "GemmaTokenizer", GOOGLE | {"mask_token": "<mask>"}),
    "gemma-undeclared": Home("gemma3", "gemma3", None, GOOGLE),
    "gemma-bare": Home("gemma", "gemma2", "GemmaTokenizer"),
}


@pytest.fixture(scope="module")
def files() -> dict[str, dict]:
    """tokenizer.json files by name."""
    llama = configs.trained_bpe(configs.MARK, ["<unk>", "<s>", "</s>"])
    google = configs.trained_bpe(configs.MARK, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    bos = configs.llama2(llama)["post_processor"]
    parts = {"post_processor": bos, "decoder": configs.LLAMA_DECODER}
    return {
        "llama2": configs.llama2(llama),
        "metaspace": configs.with_parts(llama, pre_tokenizer=configs.metaspace("first", False), **parts),
        "metaspace-legacy": configs.with_parts(llama, pre_tokenizer=configs.metaspace("always", False), **parts),
        "gemma": configs.gemma(google),
        "gemma3": configs.gemma(google, configs.SPLIT_AT_SPACES),
    }


def write(out: Path, content: dict, home: Home, **more: object) -> Path:
    """A model's folder without a model."""
    out.mkdir(parents=True)
    write_json(out / "config.json", {"model_type": home.model_type, "vocab_size": 4096})
    write_json(out / "tokenizer.json", content)
    declared = {} if home.declared is None else {"tokenizer_class": home.declared}
    write_json(out / "tokenizer_config.json", declared | home.config | more)
    return out


def theirs(folder: Path, texts: list[str]) -> list[list[int]]:
    """The ids of AutoTokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return [tokenizer(text)["input_ids"] for text in texts]


def ours(folder: Path, texts: list[str]) -> tuple[list[list[int]], list[str]]:
    """Our ids, and our notes."""
    *ids, notes = ask(folder, *({"text": text, "specials": True} for text in texts), {"notes": True})
    return ids, notes


@pytest.mark.parametrize("name", HOMES)
def test_ids(name, files, tmp_path):
    """AutoTokenizer's, or those of the folder as it stands and a note."""
    home = HOMES[name]
    content = files[home.file]
    folder = write(tmp_path / "folder", content, home)
    ids, notes = ours(folder, TEXTS)
    expected = theirs(folder, TEXTS)
    if not home.note:
        assert ids == expected
        assert notes == []
        return
    plain = write(tmp_path / "plain", content, home, tokenizer_class="PreTrainedTokenizerFast")
    assert ids == theirs(plain, TEXTS)
    assert [home.note in note for note in notes] == [True]
    # The note names what differs, and nothing else does.
    for text, mine, other in zip(TEXTS, ids, expected, strict=True):
        assert mine == other or text.startswith((" ", "\u2581")) or any(s in text for s in ("<s>", "</s>", "<unk>")), (
            text
        )
    assert ids != expected


def test_bos(files, tmp_path):
    """file, add and omit; the class's own token where the folder names none."""
    for name, bos in (("llama-resaved", 1), ("llama-bare", 1), ("gemma", 2), ("gemma-bare", 2)):
        home = HOMES[name]
        content = files[home.file] | {"post_processor": None}
        for i, post_processor in enumerate((None, files[home.file]["post_processor"])):
            folder = write(tmp_path / f"{name}-{i}", content | {"post_processor": post_processor}, home)
            bare, *found = ask(
                folder,
                {"text": "The dogs", "specials": False},
                *({"text": "The dogs", "specials": True, "bos": key} for key in ("file", "add", "omit")),
            )
            assert found == [[bos] * i + bare, [bos, *bare], bare]
            assert found[0] == theirs(folder, ["The dogs"])[0]


def test_notes_on_bos(files, tmp_path):
    """transformers 4 puts a BOS there for these classes, whatever tokenizer.json says."""
    for name, bos in (("llama-bare", "<s>"), ("gemma-bare", "<bos>"), ("gemma-undeclared", "<bos>")):
        home = HOMES[name]
        folder = write(tmp_path / name, files[home.file] | {"post_processor": None}, home)
        (note,) = ours(folder, [])[1]
        assert f"transformers 4 puts '{bos}' there" in note
        assert "pairs.bos: add" in note


def test_what_a_class_would_do_otherwise_is_said(files, tmp_path):
    """Each part that it replaces."""
    gemma, llama = HOMES["gemma"], HOMES["llama-resaved"]
    cases = [
        (gemma, "gemma", {"normalizer": None}),
        (gemma, "gemma", {"pre_tokenizer": configs.metaspace("never", True)}),
        (gemma, "gemma", {"model": {"fuse_unk": False}}),
        (gemma, "gemma", {"model": {"byte_fallback": False}}),
        (gemma, "gemma", {"model": {"ignore_merges": True}}),
        (llama, "metaspace-legacy", {}),
        (llama, "metaspace", {"pre_tokenizer": configs.metaspace("first", True)}),
    ]
    for i, (home, file, parts) in enumerate(cases):
        content = files[file] | parts
        content["model"] = files[file]["model"] | parts.get("model", {})
        notes = ours(write(tmp_path / str(i), content, home), [])[1]
        assert any("transformers 5 takes what its" in note for note in notes), parts


def test_chat_prompts_get_the_templates_ids(files, tmp_path):
    """A template that writes the BOS: with bos: omit ours are the ids that apply_chat_template gives."""
    from transformers import AutoTokenizer

    template = (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    )
    folder = write(tmp_path / "gemma", files["gemma"], HOMES["gemma"], chat_template=template)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    messages = [{"role": "user", "content": "Is fire  hot?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    expected = tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
    omitted, twice = ask(folder, *({"text": text, "specials": True, "bos": key} for key in ("omit", "file")))
    assert omitted == list(expected["input_ids"] if hasattr(expected, "keys") else expected)
    assert twice == [2, *omitted]
    assert omitted[:2] == [2, tokenizer.convert_tokens_to_ids("<start_of_turn>")]
