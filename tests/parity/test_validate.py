# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""`validate`: what a sweep names is looked at, weights are not read, and each mistake is told once."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from tiny_models import save_tiny_model
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
    refused(bench, "gate_proj", "shape")


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


def test_a_name_of_the_hub(bench):
    """A run is told the snapshot to give, and so is whoever validates."""
    cache = bench.folder / "hub" / "models--acme--tiny"
    snapshot = cache / "snapshots" / "1b"
    snapshot.parent.mkdir(parents=True)
    bench.model.rename(snapshot)
    environment = {"HF_HUB_CACHE": str(bench.folder / "hub")}
    bench.settings["model"]["path"] = "acme/tiny"
    done = validate(bench, environment=environment)
    assert done.returncode == 2
    assert f"give {snapshot}" in done.stderr
    bench.settings["model"]["path"] = str(cache)
    done = validate(bench, environment=environment)
    assert done.returncode == 2 and f"give {snapshot}" in done.stderr
    bench.settings["model"]["path"] = str(snapshot)
    assert validate(bench).returncode == 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "attribution.method=ig_act",
            ("knows no 'ig_act' (did you mean 'ig-acts'?)", "`tributary schema` lists its 24"),
        ),
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
