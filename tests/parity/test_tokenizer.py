# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Our tokenizer gives the ids of the `tokenizers` package, id for id.

The driver binary lies in $TRIBUTARY_BUILD (default: build/release/tests).
"""

import json
import os
import pathlib
import subprocess
import time
import zlib

import pytest
import sentencepiece_configs
import tokenizer_configs
import tokenizer_texts
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = pathlib.Path(os.environ.get("TRIBUTARY_BUILD", ROOT / "build/release/tests")) / "tokenizer_driver"
# Of models that tools/fetch_model.py makes.
REAL = {"demo": ROOT / "models/smollm2-135m/tokenizer.json", "real-gemma3": ROOT / "models/gemma-3-270m/tokenizer.json"}
STRINGS = int(os.environ.get("TRIBUTARY_TOKENIZER_STRINGS", "2500"))  # for each tokenizer

pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason=f"{DRIVER} is not built")

NAMES = [
    "gpt2",
    "gpt2-older-spelling",
    "llama3",
    "qwen2",
    "smollm2",
    "behaviors",
    "added-tokens",
    "cl100k",
    "o200k",
    "tekken",
    "deepseek3",
    "punctuation",
    "punctuation-removed",
    "falcon",
    "misnumbered",
    "many-tokens",
    "repeated-merges",
    "unknown",
    "unknown-fused",
    "unknown-dropped",
    "nfd",
    "nfkc",
    "nfkd",
    "demo",
    "real-gemma3",
    "llama1",
    "llama2",
    "mistral",
    "gemma",
    "gemma3",
    "metaspace-always",
    "metaspace-never",
    "metaspace-first",
    "metaspace-prepended",
    "metaspace-words",
    "metaspace-older",
    "spaces",
    "each-unknown",
    "fused-unknown",
    "dropped-unknown",
    "few-bytes",
    "few-bytes-fused",
    "few-bytes-dropped",
    "unigram",
    "unigram-words",
    "unigram-bytes",
    "unigram-few-bytes",
    "unigram-odd",
]


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    paths = dict(REAL)
    for name, config in (tokenizer_configs.all_configs() | sentencepiece_configs.all_configs()).items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    assert sorted(paths) == sorted(NAMES)
    return paths


@pytest.fixture(params=NAMES)
def file(request, files):
    if not files[request.param].exists():
        pytest.skip(f"{files[request.param]} is not there: tools/fetch_model.py makes it")
    return files[request.param]


def ask(file, requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run([DRIVER, file], input=lines.encode(), capture_output=True)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]


def compare(file, texts):
    peer = Tokenizer.from_file(str(file))
    peer.no_truncation()
    requests = [{"text": text, "specials": i % 2 == 0} for i, text in enumerate(texts)]
    times = [time.perf_counter()]
    ours = ask(file, requests)
    times.append(time.perf_counter())
    theirs = [peer.encode(request["text"], add_special_tokens=request["specials"]).ids for request in requests]
    times.append(time.perf_counter())
    print(
        f"{file.stem}: {len(requests)} strings, {sum(map(len, theirs))} ids; "
        f"ours {times[1] - times[0]:.2f} s with load and JSON, theirs {times[2] - times[1]:.2f} s"
    )
    assert len(ours) == len(theirs)
    wrong = [(request["text"], a, b) for request, a, b in zip(requests, ours, theirs) if a != b]
    assert not wrong, f"{len(wrong)} of {len(requests)} differ, the shortest: {min(wrong, key=lambda w: len(w[0]))!a}"


def special_texts(file):
    return [token["content"] for token in json.loads(file.read_text(encoding="utf-8"))["added_tokens"]] or ["<unk>"]


def test_varied_texts(file):
    seed = zlib.crc32(file.stem.encode())
    compare(file, list(tokenizer_texts.varied(STRINGS, seed, special_texts(file))))


@pytest.mark.parametrize(
    "name", ["gpt2", "qwen2", "smollm2", "o200k", "nfkc", "punctuation-removed", "mistral", "unigram-words"]
)
def test_every_code_point(name, files):
    compare(files[name], list(tokenizer_texts.every_code_point("a{0}1{0} {0}'{0}{0}\n{0}")))


def test_single_word_tokens_next_to_every_code_point(files):
    compare(files["added-tokens"], list(tokenizer_texts.every_code_point("{0}Ø{0} [word]{0}\n<word>")))


def test_size_prefix_and_token_texts(file):
    peer = Tokenizer.from_file(str(file))
    ids = set(peer.get_vocab(with_added_tokens=True).values())
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    if isinstance(vocabulary, list):  # where a text is there twice, get_vocab has its last id alone
        ids |= set(range(len(vocabulary)))
    ids = sorted(ids)
    size, prefix, *texts = ask(file, [{"size": True}, {"prefix": True}] + [{"token": i} for i in ids])
    assert size == peer.get_vocab_size(with_added_tokens=True) == len(ids)
    with_specials = peer.encode("a", add_special_tokens=True).ids
    plain = peer.encode("a", add_special_tokens=False).ids
    assert prefix == with_specials[: len(prefix)]
    assert with_specials[len(prefix) : len(prefix) + len(plain)] == plain
    assert texts == expected_texts(peer, ids)


def expected_texts(peer, ids):
    """How tokens read inside a text: what each adds to a text that "a" begins."""
    added = {i: token.content for i, token in peer.get_added_tokens_decoder().items()}
    steps = json.loads(peer.to_str())["pre_tokenizer"]
    if "ByteLevel" in json.dumps(steps):
        # An added token is its own text; the package would read "Ø" as a byte of the byte-level alphabet.
        return [added.get(i) or peer.decode([i], skip_special_tokens=False) for i in ids]
    tokens = [added.get(i) or peer.id_to_token(i) for i in ids]
    if peer.decoder is None:
        return tokens
    return [peer.decoder.decode(["a", token])[1:] for token in tokens]
