# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Prompt pairs through the program: what is refused and how it is named, unpaired prompts, several lengths."""

from __future__ import annotations

import json
import re
import shutil

import h5py
import numpy as np
from transformers import AutoTokenizer


def test_broken_pairs(bench):
    """Every broken line is named."""
    good = bench.pairs.read_text()
    bench.edit_pairs(lambda lines: lines.__setitem__(2, lines[2][:-5]))
    bench.refused("pairs.jsonl:3:")
    bench.pairs.write_text("")
    bench.refused("pairs.jsonl", "holds no pairs")
    bench.pairs.write_bytes(good.encode()[:40] + b"\xff\xfe" + good.encode()[40:])
    bench.refused("pairs.jsonl:1", "UTF-8")


def test_unfit_pairs_are_all_named_or_skipped(bench):
    """Unequal lengths and answers of several tokens."""

    def spoil(lines: list[str]) -> None:
        first, second = json.loads(lines[0]), json.loads(lines[1])
        first["patch_prefix"] += " and some more words"
        second["clean_answer"] = " zqxj vwkp zqxj"
        lines[0], lines[1] = json.dumps(first), json.dumps(second)

    bench.edit_pairs(spoil)
    message = bench.refused("pairs.jsonl:1", "pairs.jsonl:2", "tokens")
    assert "clean has" in message
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "train": 4, "unfit": "skip"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "2 skipped as unfit" in done.stdout


def test_overlap_is_refused_unless_allowed(bench):
    """Held-out prompts that were trained on."""
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "test_file": "pairs.jsonl", "train": 3, "test": 3}
    bench.refused("overlap")
    bench.settings["pairs"]["overlap"] = "allow"
    assert bench.run().returncode == 0


def test_unpaired_prompts(bench):
    """Zero and mean baselines, metrics without a second answer."""

    def unpair(lines: list[str]) -> None:
        for i, line in enumerate(lines):
            pair = json.loads(line)
            lines[i] = json.dumps({k: pair[k] for k in ("clean_prefix", "clean_answer")})

    bench.edit_pairs(unpair)
    bench.refused("patch_prefix")
    bench.settings["attribution"] = {"method": "ig-acts", "baseline": "zero"}
    bench.refused("patch_answer", "metric")
    for metric in ("logit", "sum-of-logits"):
        for baseline in ("zero", "mean"):
            bench.settings["metric"] = metric
            bench.settings["attribution"] = {
                "method": "ig-acts",
                "quadrature": "midpoint",
                "steps": 64,
                "baseline": baseline,
            }
            done = bench.run("--fresh")
            assert done.returncode == 0, done.stderr
            with h5py.File(bench.out / "results.h5") as results:
                metrics = results["attribution/metric"][()]
                assert np.isfinite(metrics[:, 0]).all() and np.isnan(metrics[:, 1]).all()
                # The identity of integrated gradients needs no second prompt.
                assert np.abs(results["attribution/residual"][()]).max() < 1e-2 * np.abs(metrics[:, 0]).max()


def test_positions_summed_take_all_lengths(bench):
    """Pairs of several token lengths go in buckets; nodes have one position."""

    def lengthen(lines: list[str]) -> None:
        for i in (1, 3, 5):
            pair = json.loads(lines[i])
            for key in ("clean_prefix", "patch_prefix"):
                pair[key] += " the the"
            lines[i] = json.dumps(pair)

    bench.edit_pairs(lengthen)
    bench.settings["pairs"] = {"file": "pairs.jsonl"}
    bench.refused("positions")
    bench.settings["positions"] = "sum"
    bench.settings["pairs"] |= {"train": 8, "test": 6}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    bench.settings["attribution"]["baseline"] = "mean"  # taken length by length
    assert bench.run("--fresh").returncode == 0
    with h5py.File(bench.out / "results.h5") as results:
        assert results["attribution/scores"].shape[1] == 1
        ids = results["pairs/clean_ids"][()]
        assert len({int((row >= 0).sum()) for row in ids}) > 1


def test_first_tokens_of_answers(bench):
    """Answers of several tokens stand for their first ones, as transformers' own tokenizer cuts them."""
    tokenizer = AutoTokenizer.from_pretrained(bench.model)
    clean, patch = " is hot or cold", " has nothing"

    def lengthen(lines: list[str]) -> None:
        for i in (0, 1, 2):
            pair = json.loads(lines[i]) | {"clean_answer": clean, "patch_answer": patch}
            lines[i] = json.dumps(pair)
        alike = json.loads(lines[3]) | {"clean_answer": " is hot", "patch_answer": " is cold"}
        lines[3] = json.dumps(alike)

    bench.edit_pairs(lengthen)

    def pieces(answer: str) -> str:
        prompt = json.loads(bench.pairs.read_text().splitlines()[0])["clean_prefix"]
        before, after = tokenizer.encode(prompt), tokenizer.encode(prompt + answer)
        assert after[: len(before)] == before
        return "|".join(f"'{tokenizer.decode([one])}'" for one in after[len(before) :])

    assert pieces(clean).count("|") == 3
    message = bench.refused("pairs.jsonl:1", pieces(clean), "pairs.answer: first-token")
    assert "4 of 24 pairs cannot be used" in message
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "answer": "first-token"}
    bench.refused("1 of 24 pairs", "pairs.jsonl:4", f"{pieces(' is hot')} and {pieces(' is cold')}")
    bench.settings["pairs"] |= {"unfit": "skip", "train": 3}
    bench.settings["circuit"] = {}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert ", answers compared by their first token" in done.stdout
    with h5py.File(bench.out / "results.h5") as results:
        pairs = results["pairs"]
        assert pairs.attrs["answer"] == "first-token"
        assert "answer: first-token" in results["provenance"].attrs["configuration"]
        for i in range(3):
            prompt = pairs["clean_prefix"][i].decode()
            length = len(tokenizer.encode(prompt))
            for answer, stored in ((clean, "clean_answer_id"), (patch, "patch_answer_id")):
                assert pairs[stored][i] == tokenizer.encode(prompt + answer)[length]
    del bench.settings["pairs"]["answer"]
    assert bench.run("--fresh").returncode == 0
    with h5py.File(bench.out / "results.h5") as results:
        assert results["pairs"].attrs["answer"] == "whole"


def test_answers_by_themselves(bench):
    """Of a tokenizer that joins ':A', as Llama 3's and Qwen's do, the tokens of 'A' and '1' alone."""
    file = bench.model / "tokenizer.json"
    settings = json.loads(file.read_text())
    merges, vocabulary = settings["model"]["merges"], settings["model"]["vocab"]
    for joined in (":A", ":1"):
        taken = next(token for token in reversed(vocabulary) if len(token) > 3 and token not in (":A", ":1"))
        vocabulary[joined] = vocabulary.pop(taken)
        merges[:] = [one for one in merges if taken not in (one if isinstance(one, list) else one.split())]
        merges[:] = [one for one in merges if "".join(one if isinstance(one, list) else one.split()) != taken]
        merges.insert(0, [":", joined[1]] if isinstance(merges[0], list) else f": {joined[1]}")
    letters = {"type": "Split", "pattern": {"Regex": r"[^\s]+|\s+"}, "behavior": "Isolated", "invert": False}
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    settings["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [letters, bytewise]}
    file.write_text(json.dumps(settings))
    tokenizer = AutoTokenizer.from_pretrained(bench.model)
    prompts = [f"{word} is 0\nAnswer:" for word in "ABCDEFGH"]
    assert tokenizer.encode(prompts[0] + "A")[:-1] != tokenizer.encode(prompts[0])
    records = [
        {"clean_prefix": prompt, "patch_prefix": other, "clean_answer": "A", "patch_answer": "1"}
        for prompt, other in zip(prompts, prompts[1:] + prompts[:1], strict=True)
    ]
    bench.pairs.write_text("".join(json.dumps(record) + "\n" for record in records))
    bench.settings["pairs"] = {"train_file": "pairs.jsonl"}
    bench.settings["circuit"] = {}
    bench.refused("the answer 'A' merges with the end of the prompt")
    bench.settings["pairs"]["answer"] = "alone"
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert ", answers compared by the first token of their text alone" in done.stdout
    with h5py.File(bench.out / "results.h5") as results:
        pairs = results["pairs"]
        assert pairs.attrs["answer"] == "alone"
        for answer, stored in (("A", "clean_answer_id"), ("1", "patch_answer_id")):
            (token,) = tokenizer.encode(answer, add_special_tokens=False)
            assert (pairs[stored][()] == token).all()


def test_a_partner_of_equal_length_is_offered(bench):
    """It is a prompt of the file that makes the pair fit."""

    def spoil(lines: list[str]) -> None:
        first = json.loads(lines[0])
        first["patch_prefix"] += " again and again"
        lines[0] = json.dumps(first)

    bench.edit_pairs(spoil)
    message = bench.refused("pairs.jsonl:1: clean has", "or compare it with")
    prompt, answer, line = re.search(
        r"or compare it with '(.*?)' and '(.*?)' of \S*pairs.jsonl:(\d+)", message
    ).groups()
    source = json.loads(bench.pairs.read_text().splitlines()[int(line) - 1])
    assert (prompt, answer) in {
        (source["patch_prefix"], source["patch_answer"]),
        (source["clean_prefix"], source["clean_answer"]),
    }

    def mend(lines: list[str]) -> None:
        lines[0] = json.dumps(json.loads(lines[0]) | {"patch_prefix": prompt, "patch_answer": answer})

    bench.edit_pairs(mend)
    assert bench.run().returncode == 0


def test_numbers_of_pairs_are_limits_under_skip(bench):
    """Fewer than asked for are shared out, and the run says so."""

    def spoil(lines: list[str]) -> None:
        for i in range(10, 24):
            lines[i] = json.dumps(json.loads(lines[i]) | {"clean_answer": " nothing at all"})

    bench.edit_pairs(spoil)
    bench.settings["pairs"] = {"file": "pairs.jsonl", "train": 24, "test": 16, "unfit": "skip"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "pairs.train asks for 24 pairs, and there are 6" in done.stderr
    assert "pairs.test asks for 16 pairs, and there are 4" in done.stderr
    assert "14 skipped as unfit" in done.stdout
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "test_file": "none.jsonl", "test": 9, "unfit": "skip"}
    (bench.folder / "none.jsonl").write_text("\n".join(bench.pairs.read_text().splitlines()[12:]))
    shutil.rmtree(bench.out)
    message = bench.refused("pairs.test asks for 9 pairs, and none fits")
    # One unfit answer is one line, whatever its prompts.
    assert message.count("skipped: ") == 1 and "(the same in 25 more pairs)" in message
