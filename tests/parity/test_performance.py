# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""How well the model does the task: what the program says of it, against logits of transformers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from product import mpi_environment, read_results, run_product
from test_tiny_scores import settings_of
from tokenizers import Tokenizer

TRAIN, TEST = 8, 6


@pytest.fixture(scope="module")
def said(tiny_folder, tiny_model, tiny_pairs) -> list[tuple[np.ndarray, np.ndarray]]:
    """Logits of the next token after the clean and the counterfactual prompt of each pair."""
    found = []
    for pair in tiny_pairs("llama", TRAIN + TEST):
        with torch.no_grad():
            both = [
                tiny_model("llama").run(ids=torch.tensor([ids])).logits[0] for ids in (pair.clean, pair.counterfactual)
            ]
        found.append(tuple(logits.numpy() for logits in both))
    return found


def performance_settings(folder: Path, place: Path, **more: object) -> dict:
    """Eight training and six held-out pairs in file order, of which a random model solves some."""
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    test = place / "held_out.jsonl"
    test.write_text("".join(line + "\n" for line in lines[TRAIN : TRAIN + TEST]))
    settings = settings_of(folder, attribution={"method": "atp"}, circuit={"counts": [10]}) | more
    settings["pairs"] = {
        "train_file": str(folder / "pairs.jsonl"),
        "test_file": str(test),
        "train": TRAIN,
        "overlap": "allow",
    }
    return settings


def answers(results, i: int) -> tuple[int, int]:
    """Tokens of y and y' of the i-th row of /pairs."""
    return int(results["/pairs/clean_answer_id"][i]), int(results["/pairs/patch_answer_id"][i])


@pytest.mark.parametrize("metric", ["logit-difference", "logit", "sum-of-logits"])
def test_who_is_right(metric, binary, tmp_path, tiny_folder, said):
    """m and right answers of every prompt; their means; the ends of the circuits' scale."""
    results = run_product(binary, tmp_path, performance_settings(tiny_folder("llama"), tmp_path, metric=metric))
    assert len(results["/pairs/correct"]) == len(said) == TRAIN + TEST
    for i, (clean, other) in enumerate(said):
        y, z = answers(results, i)
        if metric == "logit-difference":
            wanted = [clean[y] - clean[z], other[y] - other[z]]
            right = [clean[y] > clean[z], other[z] > other[y]]
        else:
            best = np.argsort(-clean)[:5] if metric == "sum-of-logits" else [y]
            wanted = [clean[best].sum(), other[best].sum()]
            right = [clean.argmax() == y, other.argmax() == z]
        np.testing.assert_allclose(results["/pairs/metric"][i], wanted, rtol=1e-5)
        assert [results["/pairs/correct"][i], results["/pairs/correct_counterfactual"][i]] == right
        likeliest = [results[f"/pairs/{name}_id"][i] for name in ("likeliest", "likeliest_counterfactual")]
        asked = i >= TRAIN or metric != "logit-difference"
        assert likeliest == ([clean.argmax(), other.argmax()] if asked else [-1, -1])
    of = results.attributes["/pairs"]
    for split, rows in (("train", slice(0, TRAIN)), ("test", slice(TRAIN, None))):
        columns = [results["/pairs/correct"][rows].mean(), results["/pairs/correct_counterfactual"][rows].mean()]
        assert of[f"accuracy_{split}"].tolist() == columns
        np.testing.assert_allclose(of[f"metric_{split}"], results["/pairs/metric"][rows].mean(0), rtol=1e-5)
    says = [
        [clean.argmax() == answers(results, i)[0], other.argmax() == answers(results, i)[1]]
        for i, (clean, other) in enumerate(said)
    ]
    assert of["said_test"].tolist() == np.mean(says[TRAIN:], axis=0).tolist()
    ends = results.attributes["/circuit"]
    np.testing.assert_allclose(ends["mean_full"], results["/pairs/metric"][TRAIN:, 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(ends["mean_empty"], results["/circuit/metric_empty"].mean(), rtol=1e-5)


def test_prompts_without_a_counterfactual_have_one_answer(binary, tmp_path, tiny_folder):
    """Nothing is said of a prompt that is not there."""
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()[:4]
    records = [json.loads(line) for line in lines]
    file = tmp_path / "prompts.jsonl"
    alone = [{key: record[key] for key in ("clean_prefix", "clean_answer")} for record in records]
    file.write_text("".join(json.dumps(record) + "\n" for record in alone))
    settings = settings_of(tiny_folder("llama"), metric="logit")
    settings |= {
        "attribution": {"method": "gradient-x-activation", "baseline": "zero"},
        "circuit": {"ablation": "zero"},
    }
    settings["pairs"] = {"train_file": str(file)}
    results = run_product(binary, tmp_path, settings)
    assert results["/pairs/correct_counterfactual"].tolist() == [-1] * 4
    assert np.isnan(results["/pairs/metric"][:, 1]).all() and np.isfinite(results["/pairs/metric"][:, 0]).all()
    assert np.isnan(results.attributes["/pairs"]["accuracy_train"]).tolist() == [False, True]
    assert "accuracy_test" not in results.attributes["/pairs"]


def test_prompts_alone_are_solved_by_their_one_answer(binary, tmp_path, tiny_folder, said):
    """pairs.correct_only asks nothing of a counterfactual prompt that is not there."""
    tokenizer = Tokenizer.from_file(str(tiny_folder("llama") / "tokenizer.json"))
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()[:TRAIN]
    records = []
    for line, (clean, _) in zip(lines, said, strict=False):
        prompt = json.loads(line)["clean_prefix"]
        order = np.argsort(-clean).tolist()
        answers = [tokenizer.decode([order[0]], skip_special_tokens=False), json.loads(line)["clean_answer"]]
        ids = tokenizer.encode(prompt).ids
        if tokenizer.encode(prompt + answers[0]).ids == [*ids, order[0]] and answers[0] != answers[1]:
            records += [{"clean_prefix": prompt, "clean_answer": answer} for answer in answers]
    assert records
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = settings_of(tiny_folder("llama"), metric="logit")
    settings |= {
        "attribution": {"method": "gradient-x-activation", "baseline": "zero"},
        "circuit": {"ablation": "zero"},
    }
    settings["pairs"] = {"train_file": str(file), "correct_only": True}
    results = run_product(binary, tmp_path, settings)
    wanted = [record["clean_answer"].encode() for record in records[::2]]
    assert results["/pairs/clean_answer"].tolist() == wanted


def test_only_pairs_that_are_solved(binary, tmp_path, tiny_folder, said):
    """pairs.correct_only keeps those, lists the others, and makes the run that files of them alone would make."""
    whole = performance_settings(tiny_folder("llama"), tmp_path)
    (tmp_path / "all").mkdir()
    everything = run_product(binary, tmp_path / "all", whole)
    right = (everything["/pairs/correct"] == 1) & (everything["/pairs/correct_counterfactual"] == 1)
    assert 0 < right[:TRAIN].sum() < TRAIN and right.sum() < len(said)
    whole["pairs"]["correct_only"] = True
    (tmp_path / "some").mkdir()
    some = run_product(binary, tmp_path / "some", whole)
    assert some["/pairs/clean_prefix"].tolist() == everything["/pairs/clean_prefix"][right].tolist()
    assert some["/pairs/correct"].tolist() == [1] * int(right.sum())
    assert sum(b"does not solve it" in line for line in some["/pairs/skipped"]) == (~right).sum()
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()[:TRAIN]
    solved = tmp_path / "solved.jsonl"
    solved.write_text("".join(line + "\n" for line, keep in zip(lines, right, strict=False) if keep))
    alone = performance_settings(tiny_folder("llama"), tmp_path)
    alone["pairs"] |= {"train_file": str(solved), "test": 0}
    (tmp_path / "alone").mkdir()
    np.testing.assert_array_equal(
        run_product(binary, tmp_path / "alone", alone)["/attribution/scores"], some["/attribution/scores"]
    )


def test_ranks_choose_the_same_pairs(binary, tmp_path, tiny_folder):
    """Whatever the ranks, threads and rows of a call; a finished run is known again."""
    settings = performance_settings(tiny_folder("llama"), tmp_path) | {"schema": 1, "name": "chosen"}
    settings["pairs"]["correct_only"] = True
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps(settings))
    environment = mpi_environment(tmp_path / "session")
    words = [str(binary), "run", str(sweep), "--out", str(tmp_path / "out")]
    subprocess.run([*words, "threads=1"], check=True, capture_output=True, env=environment)
    for launch in ([*words, "batch_rows=8"], ["mpirun", "-n", "3", *words, "threads=2"]):
        done = subprocess.run(launch, check=True, capture_output=True, text=True, env=environment)
        assert "complete already" in done.stdout


def test_a_model_that_fails_is_spoken_of_first(binary, tmp_path, tiny_folder):
    """Answers swapped on every pair: the run goes through, and nobody overlooks it."""
    settings = performance_settings(tiny_folder("llama"), tmp_path)
    (tmp_path / "straight").mkdir()
    straight = run_product(binary, tmp_path / "straight", settings | {"circuit": {"counts": [10]}})
    records = [json.loads(line) for line in (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()]
    wrong = []
    for record, correct in zip(records[:TRAIN], straight["/pairs/correct"], strict=False):
        answers = ("clean_answer", "patch_answer")
        swapped = record | dict(zip(answers, (record[a] for a in reversed(answers)), strict=True))
        wrong.append(swapped if correct == 1 else record)
    file = tmp_path / "wrong.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in wrong))
    settings["pairs"] = {"train_file": str(file)}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps({"schema": 1, "name": "wrong"} | settings))
    words = [binary, "run", sweep, "--out", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "wrong" and lines[1].startswith(
        "model        prefers the right one of the two answers on 0.0 % of 8 training pairs"
    )
    assert lines[3].startswith("  warning: the model is right on only 0.0 % of the training clean prompts")
    assert "are the answers swapped?" not in done.stdout  # counterfactual prompts are answered rightly
    assert "no pairs are held out, so no circuits are evaluated" in done.stderr
    assert (
        "the model is right on only 0.0 % of the training clean prompts" in (tmp_path / "out/report.html").read_text()
    )
    none = subprocess.run([*words, "pairs.correct_only=true", "--fresh"], capture_output=True, text=True, check=False)
    assert none.returncode == 2
    assert "solves none of the 8 training pairs" in none.stderr
    # On both prompts worse than guessing: nobody is sent to correct_only, which would leave nothing.
    solved = (straight["/pairs/correct"][:TRAIN] == 1) & (straight["/pairs/correct_counterfactual"][:TRAIN] == 1)
    assert solved.any()
    file.write_text("".join(json.dumps(wrong[i]) + "\n" for i in np.flatnonzero(solved)))
    done = subprocess.run([*words, "--fresh"], capture_output=True, text=True, check=True)
    assert "are the answers swapped?" in done.stdout and "correct_only" not in done.stdout


def write_pairs(file: Path, records: list[dict]) -> str:
    """A file of prompt pairs."""
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(file)


def test_no_held_out_pair_that_is_solved(bench):
    """A run whose circuits were asked for is refused as one without training pairs is, and says why; both at once."""
    records = [json.loads(line) for line in bench.pairs.read_text().splitlines()]
    bench.settings["pairs"] = {"train_file": "pairs.jsonl"}
    assert bench.run().returncode == 0
    stored = read_results(bench.out / "results.h5")
    shutil.rmtree(bench.out)
    right = (stored["/pairs/correct"] == 1) & (stored["/pairs/correct_counterfactual"] == 1)
    solved = [record for record, keep in zip(records, right, strict=True) if keep]
    failed = [record for record, keep in zip(records, right, strict=True) if not keep]
    assert len(solved) >= 2 and len(failed) >= 6
    bench.settings["pairs"] = {
        "train_file": write_pairs(bench.folder / "train.jsonl", solved[:1]),
        "test_file": write_pairs(bench.folder / "test.jsonl", failed[:4]),
        "correct_only": True,
        "overlap": "allow",
    }
    said = bench.refused("sweep.yaml:1:", "pairs.correct_only: the model solves none of the 4 held-out pairs")
    assert "training pairs" not in said
    assert bench.run("pairs.test=0").returncode == 0
    shutil.rmtree(bench.out)
    write_pairs(bench.folder / "train.jsonl", failed[4:6])
    bench.refused("solves none of the 2 training pairs", "solves none of the 4 held-out pairs")
    write_pairs(bench.folder / "train.jsonl", solved[:1])
    write_pairs(bench.folder / "test.jsonl", [*failed[:3], solved[1]])
    done = bench.run("pairs.test=4", "circuit.ablation=zero")
    assert done.returncode == 0, done.stderr
    assert (
        "note: pairs.test asks for 4 pairs, and there are 1 that the model solves (pairs.correct_only)" in done.stderr
    )


def test_a_bfloat16_run_says_which_m_is_whose(bench, tmp_path):
    """m of the model itself is float32's, F(M) the bfloat16 network's; the terminal says so beside each."""
    bench.settings["model"]["dtype"] = "bfloat16"
    done = bench.run()
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("mean m ")]
    in_float32, circuits = line.split(" logits in float32; in bfloat16 F(M) ")
    rounded = read_results(bench.out / "results.h5")
    bench.settings["model"]["dtype"] = "float32"
    bench.out = tmp_path / "float32"
    done = bench.run()
    assert done.returncode == 0 and "in bfloat16" not in done.stdout and "in float32" not in done.stdout
    whole = read_results(bench.out / "results.h5")
    np.testing.assert_array_equal(rounded["/pairs/metric"], whole["/pairs/metric"])
    np.testing.assert_array_equal(rounded["/attribution/metric"], whole["/attribution/metric"])
    held_out = whole["/pairs/split"] == b"test"
    assert f"held-out {whole['/pairs/metric'][held_out, 0].mean():.3f}" in in_float32
    assert circuits.startswith(f"{rounded['/circuit/metric_full'].mean():.3f},")
    assert not np.array_equal(rounded["/circuit/metric_full"], whole["/circuit/metric_full"])
