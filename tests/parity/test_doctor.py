# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""`tributary doctor` on sound models of every family, and on models that are broken in one place: exit 3, row named."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from transformers import AutoModelForCausalLM
from workbench import Workbench

ROWS = {
    "files",
    "tokenizer file",
    "weights finite",
    "tokenizer",
    "bits over rows",
    "bits over threads",
    "bits over ranks",
    "forward with rules",
    "RelP conservation",
    "ig-acts completeness",
    "memory",
    "bfloat16",
}
ROW = re.compile(r"^  (ok|warn|FAIL|skipped) +(\w[\w -]*?)  +(\S.*)$", re.MULTILINE)


def examined(binary: Path, *words: object) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Exit code, (verdict, text) of each row, standard error."""
    command = [binary, "doctor", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    rows = {name: (verdict, text) for verdict, name, text in ROW.findall(done.stdout)}
    return done.returncode, rows, done.stderr


@pytest.mark.parametrize("name", [*FAMILIES, "gpt2", "llama"])
def test_sound_models(name, binary, tiny_folder):
    """Nothing fails, every row is there, and only the quadrature of a random network may be worth a warning."""
    code, rows, said = examined(binary, tiny_folder(name))
    assert code == 0, (rows, said)
    assert set(rows) == ROWS
    warned = {row for row, (verdict, _) in rows.items() if verdict != "ok"}
    assert warned <= {"ig-acts completeness", "bfloat16"}, rows
    off = float(re.match(r"off by ([\d.e+-]+)", rows["RelP conservation"][1])[1])
    assert off < 5e-6


def test_biases_have_a_share(binary, tiny_folder):
    """It is told for each pair where there are biases, whatever their place, and nowhere else."""
    for name in ["gpt_neox", "gpt2", "qwen2_windows", "llama_biases"]:
        said = examined(binary, tiny_folder(name))[1]["RelP conservation"][1]
        shares = re.search(r"the biases' share of the metric being (\S+), (\S+) \(limit", said).groups()
        assert all(abs(float(share)) > 1e-3 for share in shares), (name, said)
    assert "biases" not in examined(binary, tiny_folder("llama"))[1]["RelP conservation"][1]


def test_pairs_of_a_file(bench: Workbench):
    """They are read as a sweep reads them: two that fit, or a mistake of the user's."""
    code, rows, _ = examined(bench.binary, bench.model, "--pairs", bench.pairs)
    assert code == 0, rows
    bench.pairs.write_text('{"clean_prefix": "a"}\n')
    code, _, said = examined(bench.binary, bench.model, "--pairs", bench.pairs)
    assert code == 2
    assert "pairs.jsonl:1" in said


def test_a_nan_among_the_weights(bench: Workbench):
    """The weight is named; what would compute with it is skipped."""
    header, data = bench.weights()
    stored = header["model.layers.1.mlp.up_proj.weight"]
    begin, (rows_of_it, width) = stored["data_offsets"][0] + 8 * (2 * stored["shape"][1] + 3), stored["shape"]
    bench.write_weights(header, data[:begin] + np.array([np.nan, np.inf]).tobytes() + data[begin + 16 :])
    code, rows, _ = examined(bench.binary, bench.model)
    assert code == 3
    verdict, text = rows["weights finite"]
    assert verdict == "FAIL"
    place = f"model.layers.1.mlp.up_proj.weight [2, 3] is NaN (2 of {rows_of_it * width} are not finite)"
    assert place in text
    bench.refused(place)  # and in a run's own words
    assert {row for row, (verdict, _) in rows.items() if verdict == "skipped"} == ROWS - {
        "files",
        "tokenizer file",
        "weights finite",
        "tokenizer",
    }


def test_ids_outside_the_vocabulary(bench: Workbench):
    """A tokenizer of another model: drawn ids take the prompts' place, so the other rows still say something."""
    file = bench.model / "tokenizer.json"
    stored = json.loads(file.read_text())
    stored["model"]["vocab"] = {token: id_ + 10_000 for token, id_ in stored["model"]["vocab"].items()}
    stored["added_tokens"] = []
    stored["post_processor"] = None
    file.write_text(json.dumps(stored))
    code, rows, _ = examined(bench.binary, bench.model)
    assert code == 3, rows
    assert rows["tokenizer"][0] == "FAIL"
    assert "outside the model's vocabulary" in rows["tokenizer"][1]
    assert rows["RelP conservation"][0] == "ok"


def test_a_damaged_tokenizer(bench: Workbench):
    """It cannot be read."""
    (bench.model / "tokenizer.json").write_text("{")
    code, rows, _ = examined(bench.binary, bench.model)
    assert (code, rows["tokenizer file"][0]) == (3, "FAIL")


def test_without_a_tokenizer(bench: Workbench):
    """All but its rows are checked, on drawn ids."""
    (bench.model / "tokenizer.json").unlink()
    code, rows, said = examined(bench.binary, bench.model)
    assert code == 0, (rows, said)
    assert rows["tokenizer"][0] == "skipped"
    assert rows["bits over ranks"][0] == "ok"


def test_a_damaged_file(bench: Workbench):
    """A weights file that was cut short."""
    file = bench.model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    code, rows, _ = examined(bench.binary, bench.model)
    assert (code, rows["files"][0]) == (3, "FAIL")
    assert "model.safetensors" in rows["files"][1]


def test_an_unknown_model(bench: Workbench):
    """No folder, and no family: mistakes of the user's."""
    assert examined(bench.binary, bench.folder / "nowhere")[0] == 2
    bench.edit_config(model_type="mamba")
    code, rows, said = examined(bench.binary, bench.model)
    assert (code, rows) == (2, {})
    assert "mamba" in said


def test_inspect_says_what_is_refused(bench: Workbench):
    """What can be read, then why the model is not computed."""
    bench.edit_config(hidden_act="unheard-of")
    done = subprocess.run([bench.binary, "inspect", bench.model], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.search(r"^  model_type: \"llama\"$", done.stdout, re.MULTILINE)
    assert "unsupported:" in done.stdout
    assert "unheard-of" in done.stderr


def inspected(binary: Path, folder: Path) -> str:
    """What `inspect` prints."""
    return subprocess.run([binary, "inspect", folder], capture_output=True, text=True, check=True).stdout


def test_inspect_names_every_activation(bench: Workbench):
    """By what it is, whatever config.json calls it."""
    names = {"swish": "SiLU", "gelu": "GELU (erf)", "gelu_new": "GELU (tanh)", "quick_gelu": "GELU (quick)"}
    for word, said in (names | {"relu": "ReLU"}).items():
        bench.edit_config(hidden_act=word)
        assert f"MLP gated, {said}; " in inspected(bench.binary, bench.model)


def test_inspect_folds_equal_blocks(binary, tiny_folder):
    """Windows, bases and norms of Gemma 3; caps and multipliers of others."""
    said = inspected(binary, tiny_folder("gemma3_text"))
    sliding = re.search(r"^  blocks 0 to 4, 6: (.*)$", said, re.MULTILINE)[1]
    assert "window 3, rotary base 50" in sliding
    assert "q/k norm per head" in sliding
    assert "after it RMS" in sliding
    full = re.search(r"^  block 5: (.*)$", said, re.MULTILINE)[1]
    assert "attention full, rotary base 5000, linear by 2" in full
    assert "soft-cap 8" in said
    assert "parallel residual" in inspected(binary, tiny_folder("gpt_neox"))
    granite = inspected(binary, tiny_folder("granite"))
    assert "adds 0.35 times its outputs" in granite
    assert "logits times 2.5" in granite
    assert "tokens times 6" in granite
    assert re.search(r"blocks 1, 3: attention full, no rotary", inspected(binary, tiny_folder("smollm3")))


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "phi3", "gpt_neox", "gemma3_text", "granite_biases"])
def test_inspect_counts_parameters(name, binary, tiny_folder):
    """As transformers does, a tied unembedding once."""
    model = AutoModelForCausalLM.from_pretrained(tiny_folder(name))
    assert int(re.search(r"parameters  (\d+)", inspected(binary, tiny_folder(name)))[1]) == model.num_parameters()
