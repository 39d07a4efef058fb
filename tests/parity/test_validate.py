# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""`validate`: what a sweep names is looked at, weights are not read, and each mistake is told once."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess

import pytest
from tiny_models import save_tiny_model
from transformers import AutoTokenizer
from workbench import Workbench

METHODS = {"grid": {"attribution.method": ["atp", "relp", "ig-acts"], "pairs.seed": [0, 1]}}


def validate(bench: Workbench, *more: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """`tributary validate` on the settings as they are now."""
    (bench.folder / "sweep.yaml").write_text(json.dumps(bench.settings))
    command = [str(bench.binary), "validate", "sweep.yaml", *more]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=bench.folder,
        timeout=60,
        env=os.environ | (environment or {}),
    )


def refused(bench: Workbench, *words: str, more: tuple[str, ...] = ()) -> str:
    """Exit 2 with the words, as a run would end with, too."""
    done = validate(bench, *more)
    assert done.returncode == 2, done.stdout
    for word in words:
        assert word in done.stderr, f"{word!r} is not in\n{done.stderr}"
    ran = bench.run(*more)
    assert ran.returncode == 2, f"what validate refuses, a run does:\n{done.stderr}\n{ran.stdout}"
    return done.stderr


def test_nothing_wrong_and_what_there_is(bench):
    """Models and pairs of all runs, each once."""
    bench.settings["sweep"] = METHODS
    done = validate(bench)
    assert done.returncode == 0, done.stderr
    assert "6 runs, nothing wrong" in done.stdout
    assert done.stdout.count("llama, 3 layers of 48 neurons") == 1
    assert done.stdout.count("4 training pairs, 3 held out, 0 skipped") == 1
    assert done.stdout.count("note: circuit.ablation: mean is over few prompts") == 1
    many = validate(bench, "pairs.test=50")
    assert many.stdout.count("note: pairs.test asks for 50 pairs, and there are ") == 1


def test_values_of_weights_are_not_read(bench):
    """NaN in a weight is seen by a run alone; names and shapes are in the headers."""
    header, data = bench.weights()
    bench.write_weights(header, b"\xff" * len(data))
    assert validate(bench).returncode == 0
    assert bench.run().returncode == 2
    bench.edit_config(intermediate_size=40)
    refused(bench, "mlp.", "_proj", "shape")


@pytest.mark.parametrize("mistake", ["folder", "family", "tokenizer", "pairs", "counts", "steering", "baseline"])
def test_one_mistake_of_a_whole_sweep_is_told_once(mistake, bench):
    """Found before a run starts, and printed once for six runs."""
    bench.settings["sweep"] = METHODS
    if mistake == "folder":
        bench.settings["model"]["path"] = "nowhere"
        message = refused(bench, "nowhere", "no such folder")
    elif mistake == "family":
        bench.edit_config(model_type="mamba")
        message = refused(bench, "mamba", "llama")
    elif mistake == "tokenizer":
        (bench.model / "tokenizer.json").unlink()
        message = refused(bench, "tokenizer.json")
    elif mistake == "pairs":
        bench.settings["pairs"]["file"] = "nothing.jsonl"
        message = refused(bench, "nothing.jsonl")
    elif mistake == "counts":
        bench.settings["circuit"]["counts"] = [10**6]
        message = refused(bench, "circuit.counts: asks for 1000000 nodes")
    elif mistake == "steering":
        bench.settings["steering"] = {"factors": [2], "neurons": ["7/0/0"]}
        message = refused(bench, "there is no layer 7")
    else:
        bench.settings["attribution"]["baseline_file"] = "nothing.jsonl"
        bench.settings["attribution"]["baseline"] = "mean"
        message = refused(bench, "nothing.jsonl")
    assert len(message.splitlines()) == 1, message


def test_mistakes_of_some_runs_name_them(bench):
    """The others have none."""
    bench.settings["sweep"] = {"grid": {"attribution.method": ["atp", "relp"], "circuit.counts": [[10], [10**9]]}}
    message = validate(bench).stderr
    assert message.count("asks for 1000000000 nodes") == 1
    assert "(runs method=atp,counts=1000000000, method=relp,counts=1000000000)" in message


def test_the_file_alone(bench):
    """A sweep may be written where its models are not."""
    bench.settings["model"]["path"] = "on/the/cluster"
    assert validate(bench).returncode == 2
    assert validate(bench, "--file-only").returncode == 0
    assert (
        validate(bench, "--file-only", "attribution.direction=denoise", "attribution.method=ig-inputs").returncode == 2
    )


def test_a_missing_model_hides_no_missing_pairs(bench):
    """Who starts has both wrong at once."""
    bench.settings["model"]["path"] = "nowhere"
    bench.settings["pairs"]["file"] = "nothing.jsonl"
    done = validate(bench)
    assert done.returncode == 2
    assert "nowhere: there is no such folder" in done.stderr and "nothing.jsonl" in done.stderr


def test_memory_that_is_too_small(bench):
    """Said at once where it is known; else who knows it."""
    bench.settings["model"]["device"] = "cpu"
    bench.settings["memory"] = "1 MiB"
    refused(bench, "memory")
    bench.settings["memory"] = "8 GiB"
    assert "whether memory" not in validate(bench).stdout
    bench.settings["model"]["device"] = "auto"
    assert "note: whether memory: 8 GiB is enough" in validate(bench).stdout


def test_what_stands_before_prompts_and_who_puts_it_there(bench):
    """The tokenizer's file, or the key; and where the key takes something away."""
    (bench.model / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|begin|>"}))
    bench.settings["pairs"]["bos"] = "add"
    assert "'<|begin|>' (0), which pairs.bos: add puts there" in validate(bench).stdout
    file = bench.model / "tokenizer.json"
    parts = json.loads(file.read_text())
    begin = {"SpecialToken": {"id": "<|begin|>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    parts["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, text],
        "pair": [begin, text],
        "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [0], "tokens": ["<|begin|>"]}},
    }
    file.write_text(json.dumps(parts))
    assert "'<|begin|>' (0), which the tokenizer puts there" in validate(bench).stdout
    bench.settings["pairs"]["bos"] = "omit"
    done = validate(bench)
    assert "no prompt begins with '<|begin|>' (0), which the tokenizer puts there: pairs.bos: omit" in done.stdout
    schema = subprocess.run([bench.binary, "schema"], capture_output=True, text=True, check=True).stdout
    assert "pairs.bos: file | add | omit; default file\n" in schema


def test_several_mistakes_at_once(bench):
    """A model that is refused does not hide pairs that are unfit."""
    bench.edit_config(hidden_act="mish")
    bench.edit_pairs(lambda lines: lines.append(lines[0].replace("The ", "The The ", 1)))
    message = refused(bench, "mish", "1 of 25 pairs cannot be used", "pairs.jsonl:25: clean has")
    assert (
        "'The'|" in message
        or "'The' against" in message
        or "nothing against" in message
        or "against nothing" in message
    )


def test_two_models_of_one_sweep(bench, tiny_folder):
    """Each with its own tokenizer and its own mistakes."""
    other = save_tiny_model("gpt2", bench.folder / "other")
    bench.settings["sweep"] = {"grid": {"model.path": ["model", "other"]}}
    done = validate(bench)
    assert done.returncode == 0, done.stderr
    assert "llama, 3 layers" in done.stdout and "gpt2, 3 layers of 128 neurons" in done.stdout
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"activation_function": "mish"}))
    done = validate(bench)
    assert done.returncode == 2 and "mish" in done.stderr and "(run path=other)" in done.stderr


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "attribution.method=ig_act",
            ("knows no 'ig_act' (did you mean 'ig-acts'?)", "`tributary schema` lists its 25"),
        ),
        ("attribution.method=ig-activations", ("did you mean 'ig-acts'?",)),
        ("attribution.method=IG_Activation", ("did you mean 'ig-acts' or 'no-activation'?",)),
        ("attribution.method=integrated-gradients", ("did you mean 'ig-inputs' or 'ig-acts'?",)),
        ("attribution.method=ig-input", ("did you mean 'ig-inputs'?",)),
        ("attribution.method=attribution-patching", ("did you mean 'atp'?",)),
        ("attribution.method=activation_patching", ("did you mean 'exact-patching'?",)),
        ("attribution.method=LayerConductance", ("did you mean 'conductance'?",)),
        ("attribution.method=layer-conductance", ("did you mean 'conductance'?",)),
        ("model.dtype=fp32", ("did you mean 'float32'?",)),
        ("model.dtype=float", ("did you mean 'float32'?",)),
        ("model.dtype=bf16", ("did you mean 'bfloat16'?",)),
        ("model.dtype=half", ("not 'half': float16 is not computed", "take bfloat16", "or float32")),
        ("model.dtype=fp16", ("not 'fp16': float16 is not computed", "take bfloat16", "or float32")),
        ("metric=logit_diff", ("did you mean 'logit-difference'?",)),
        ("attribution.quadrature=gauss_legendre", ("did you mean 'gauss-legendre'?",)),
        ("pairs.answer=first_token", ("did you mean 'first-token'?",)),
    ],
)
def test_words_that_are_nearly_right(override, words, bench):
    """The nearest one or two, and not all that there are."""
    done = validate(bench, override)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr, done.stderr
    assert "transluce" not in done.stderr


def notes_of(done: subprocess.CompletedProcess) -> list[str]:
    """What follows "note: " on either stream."""
    lines = (done.stdout + done.stderr).splitlines()
    return [line.split("note: ", 1)[1] for line in lines if "note: " in line]


def everywhere(bench: Workbench) -> list[str]:
    """The notes on pairs of validate, plan and run, which are the same ones, each once a command."""
    said = []
    for command in ("validate", "plan", "run"):
        if command == "validate":
            done = validate(bench)
        else:
            out = ["--fresh", "--out", str(bench.out)] if command == "run" else []
            done = subprocess.run(
                [str(bench.binary), command, "sweep.yaml", *out],
                capture_output=True,
                text=True,
                check=False,
                cwd=bench.folder,
                timeout=300,
            )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        said.append(sorted(note for note in notes_of(done) if "circuit.ablation" not in note))
    assert said[0] == said[1] == said[2]
    return said[0]


def write_pairs(bench: Workbench, records: list[dict]) -> None:
    """As the pairs file."""
    bench.pairs.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_answers_without_their_space(bench):
    """What one token would be with a space is told; what is one without is noted, in every command."""
    tokenizer = AutoTokenizer.from_pretrained(bench.model)
    bench.settings["circuit"] = {"ablation": "zero", "counts": [10]}
    assert everywhere(bench) == []
    records = [json.loads(line) for line in bench.pairs.read_text().splitlines()]
    keys = ("clean_answer", "patch_answer")

    def tokens_after(record: dict, answer: str) -> list[str]:
        before, after = (tokenizer.encode(record["clean_prefix"] + more) for more in ("", answer))
        assert after[: len(before)] == before
        return [tokenizer.decode([one]) for one in after[len(before) :]]

    bare = [record | {key: record[key].strip() for key in keys} for record in records]
    write_pairs(bench, bare)
    message = refused(bench, "24 of 24 pairs cannot be used")
    for record in records:
        spaced = record["clean_answer"]
        pieces = tokens_after(record, spaced.strip())
        assert tokens_after(record, spaced) == [spaced] and len(pieces) > 1
        told = "|".join(f"'{one}'" for one in pieces) + f"; with a space in front, '{spaced}', it is one token; or else"
        assert told in message
    # One line for each of the six answers, and not one for each pair.
    assert len(message.splitlines()) == 1 + 6 and message.count("(the same in 3 more pairs)") == 6
    # Compared by their first tokens they fit, some of them: a note has to say it.
    fit = sum(len({tokens_after(record, record[key])[0] for key in keys}) == 2 for record in bare)
    del bench.settings["circuit"]
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "answer": "first-token", "unfit": "skip"}
    (note,) = everywhere(bench)
    assert note.startswith(f"in {fit} of {fit} pairs an answer follows a word without a space") and fit == 8
    assert "pairs.jsonl:1: 'dogs' + 'is' reads 'dogsis'): is a space missing?" in note

    write_pairs(
        bench, [record | {key: record[key] + "\n" for key in ("clean_prefix", "patch_prefix")} for record in records]
    )
    (note,) = everywhere(bench)
    assert note.startswith("in 24 of 24 pairs the prompt ends in white space and an answer begins with a space")


def test_pairs_that_repeat_and_prompts_that_are_shared(bench):
    """Counted on both sides."""
    bench.settings["circuit"] = {"ablation": "zero", "counts": [10]}
    lines = bench.pairs.read_text().splitlines()
    (bench.folder / "train.jsonl").write_text("\n".join([*lines[:4], lines[0], lines[2]]) + "\n")
    records = [json.loads(line) for line in lines[4:]]
    wide = [one | {"patch_prefix": other["patch_prefix"]} for one in records[:4] for other in records[:4]]
    (bench.folder / "test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in wide))
    bench.settings["pairs"] = {"train_file": "train.jsonl", "test_file": "test.jsonl", "overlap": "allow"}
    shared, repeated = everywhere(bench)
    assert (
        "2 of 6 training pairs repeat" in repeated
        and "train.jsonl:5 repeats " in repeated
        and "train.jsonl:1)" in repeated
    )
    prompts = {record[key] for record in wide for key in ("clean_prefix", "patch_prefix")}
    assert f"16 held-out pairs are made of {len(prompts)} prompts" in shared and "too narrow" in shared


def test_a_file_of_another_form(bench):
    """Told once, with the form that is wanted."""
    records = [json.loads(line) for line in bench.pairs.read_text().splitlines()]
    rows = io.StringIO()
    writer = csv.DictWriter(rows, fieldnames=["clean_prefix", "patch_prefix", "clean_answer", "patch_answer"])
    writer.writeheader()
    writer.writerows({key: record[key] for key in writer.fieldnames} for record in records)
    for text, words in (
        (rows.getvalue(), "looks like a CSV file"),
        (json.dumps(records), "is a JSON array"),
        (json.dumps(records, indent=2), "is a JSON array"),
        ("\n".join(json.dumps(record, indent=1) for record in records), "go over several lines"),
    ):
        bench.pairs.write_text(text)
        message = refused(bench, words, 'give one JSON object a line: {"clean_prefix"')
        assert len(message.splitlines()) == 1, message
