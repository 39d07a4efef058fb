# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Tokens that the files beside tokenizer.json name, against transformers' AutoTokenizer.

For classes that transformers 5 builds anew (GPT2Tokenizer, Qwen2Tokenizer) it drops the folder's normalizer and
pre-tokenizer, which we keep as transformers 4 does: there the truth is the same folder declared as
PreTrainedTokenizerFast, which it reads as it stands, and where its own ids differ a note must say so.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizer_folders import FOLDERS, HOMES, LATE, NEW, TEXTS, Folder, typed, write_folder

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(os.environ.get("TRIBUTARY_BUILD", ROOT / "build/release/tests")) / "tokenizer_driver"

pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason=f"{DRIVER} is not built")

# Qwen2Tokenizer of transformers 5 gives named and further tokens the flags of a plain special one.
FLAGS_LOST = {"additional_plain", "bos_dict", "bos_new_dict", "decoder_flags", "file_flags", "map_dicts", "pad_twice"}

# Where every folder is tried, and what is tried elsewhere too: what versions of transformers treat by the class.
ALL_HOMES = {"fast", "qwen2"}
VERSIONED = {"plain", "no_config", "bare", "add_bos", "template", "decoder_new", "decoder_fewer", "prefix_space"}
VERSIONED |= {"prefix_space_file", "prefix_space_alone", "digits", "normalizer", "ignore_merges"}


def theirs(folder: Path) -> list[list[int]]:
    """The ids of AutoTokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return [tokenizer(text)["input_ids"] for text in TEXTS]


def ask(folder: Path, *requests: dict) -> list:
    """Answers of our tokenizer."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run([DRIVER, folder], input=lines.encode(), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return [json.loads(line) for line in run.stdout.decode().splitlines()]


def ours(folder: Path) -> tuple[list[list[int]], list[str]]:
    """Our ids, and our notes."""
    *ids, notes = ask(folder, *({"text": text, "specials": True} for text in TEXTS), {"notes": True})
    return ids, notes


def refusal(folder: Path) -> str:
    """The message with which a folder is refused."""
    run = subprocess.run([DRIVER, folder], input=b"", capture_output=True, check=False)
    assert run.returncode == 1
    return run.stderr.decode()


def write(out: Path, folder: Folder, home: str = "fast") -> Path:
    """The folder as a member of a family."""
    return write_folder(out, folder, *HOMES[home])


@pytest.fixture(scope="module")
def as_it_stands(tmp_path_factory) -> Callable[[str, str], list[list[int]]]:
    """The ids of a folder with a family's normalizer and pre-tokenizer, in a class that is not built anew."""
    found: dict[tuple[str, str], list[list[int]]] = {}

    def ids(name: str, family: str) -> list[list[int]]:
        if (name, family) not in found:
            folder = tmp_path_factory.mktemp("truth")
            found[name, family] = theirs(write_folder(folder, FOLDERS[name], *HOMES["fast"], looks=family))
        return found[name, family]

    return ids


@pytest.mark.parametrize(("name", "home"), [(n, h) for h in HOMES for n in FOLDERS if h in ALL_HOMES or n in VERSIONED])
def test_ids(name, home, as_it_stands, tmp_path):
    """Ours are those of the folder read as it stands; where transformers has others, it is said."""
    model_type, _ = HOMES[home]
    folder = write(tmp_path / "folder", FOLDERS[name], home)
    ids, notes = ours(folder)
    assert ids == as_it_stands(name, model_type)
    if FOLDERS[name].config is not None and not (model_type == "qwen2" and name in FLAGS_LOST):
        without_endoftext = [i for i, text in enumerate(TEXTS) if "endoftext" not in text]
        expected = theirs(folder)
        same = [ids[i] for i in without_endoftext] == [expected[i] for i in without_endoftext]
        assert same or notes


def test_plain_folders_have_no_notes(tmp_path):
    """A note that everybody gets is none."""
    for home in ("fast", "qwen2", "gpt2"):
        assert ours(write(tmp_path / home, FOLDERS["plain"], home))[1] == []
    # transformers 4 makes no tokenizer of this one.
    assert ours(write(tmp_path / "null", FOLDERS["bos_null"], "llama"))[1] == []


@pytest.mark.parametrize(
    ("name", "home", "words"),
    [
        ("plain", "llama", ["puts nothing before", "transformers 4 puts '<|begin|>'", "pairs.bos: add"]),
        ("plain", "distill", ["puts nothing before", "transformers 4 puts '<|begin|>'", "pairs.bos: add"]),
        ("bare", "undeclared", ["transformers 4 puts '<s>'"]),
        ("no_bos_but_template", "llama", ["puts '<|begin|>' before", "transformers 4 puts nothing", "pairs.bos: omit"]),
        ("add_bos", "fast", ["says add_bos_token: true, which transformers ignores", "pairs.bos: add"]),
        ("digits", "smollm2", ["transformers 5", "GPT2Tokenizer"]),
        ("llama3_split", "qwen2", ["transformers 5", "Qwen2Tokenizer"]),
        ("prefix_space_alone", "fast", ["a space is not put", "transformers 4 goes by add_prefix_space"]),
        ("decoder_fewer", "qwen2", ["5 cuts them up", "<|plain|>"]),
        ("decoder_new", "fast", ["'<|new|>' (", "tokenizer.json lacks"]),
        ("misnumbered", "fast", ["'<|new|>' is"]),
    ],
)
def test_notes(name, home, words, tmp_path):
    """Where versions of transformers make other ids, and where tokens come from."""
    notes = "\n".join(ours(write(tmp_path, FOLDERS[name], home))[1])
    for word in words:
        assert word in notes, notes


def test_bos(tmp_path):
    """file, add and omit, with and without a BOS in the post-processor."""
    for name, prefixes in (("plain", ([], [0], [])), ("template", ([0], [0], [])), ("bos_new", ([], [299], []))):
        folder = write(tmp_path / name, FOLDERS[name])
        bare, *found = ask(
            folder,
            {"text": "The dogs", "specials": False},
            *({"text": "The dogs", "specials": True, "bos": bos} for bos in ("file", "add", "omit")),
        )
        assert found == [prefix + bare for prefix in prefixes]
    for name in ("bare", "bos_empty"):
        run = subprocess.run(
            [DRIVER, write(tmp_path / name, FOLDERS[name])],
            input=b'{"text": "a", "specials": true, "bos": "add"}\n',
            capture_output=True,
            check=False,
        )
        assert b"no file beside this one names it" in run.stderr


def test_what_would_make_other_ids_is_refused(tmp_path):
    """Code, other files, a replaced pre-tokenizer; ids that depend on the order of an object's keys."""
    for config, word in (
        ({"auto_map": {"AutoTokenizer": ["t.T", None]}}, "auto_map: names Python code"),
        ({"fix_mistral_regex": True}, "fix_mistral_regex: replaces the pre-tokeniser"),
        ({"fast_tokenizer_files": ["tokenizer.json", "tokenizer.4.json"]}, "fast_tokenizer_files[1]: is another"),
        ({"extra_special_tokens": {"b_token": NEW, "a_token": LATE}}, "extra_special_tokens"),
        ({"added_tokens_decoder": {"x": typed(NEW)}}, "'x' is no token id"),
    ):
        assert word in refusal(write(tmp_path, Folder(config=config)))
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "a", "bos_token": "b"}')
    assert "tokenizer_config.json:1:20: the key" in refusal(tmp_path)


def test_older_files_alone(tmp_path):
    """Named, with how to make a tokenizer.json of them."""
    folder = write(tmp_path, Folder())
    (folder / "tokenizer.json").unlink()
    assert "is missing (it turns texts into tokens); fetch it" in refusal(folder)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_text("{}")
    message = refusal(folder)
    assert "does not read vocab.json and merges.txt" in message
    assert "save_pretrained" in message
