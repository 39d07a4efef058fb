# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What the program says of its first nodes' neurons, against transformers' weights and activations."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from product import Results, hashes, mpi_environment, run_product, run_sweep
from reference.tapped import TappedModel
from test_tiny_scores import settings_of
from tokenizers import Tokenizer

TRAIN = 6


def lens(model: TappedModel, layer: int, neuron: int) -> np.ndarray:
    """Logits that a unit of the neuron's value adds, the scale of the final norm taken as 1."""
    family = model.model
    second = model.seconds[layer].weight
    column = second[neuron] if family.config.model_type == "gpt2" else second[:, neuron]  # Conv1D stores [in, out]
    norm = family.transformer.ln_f if family.config.model_type == "gpt2" else family.model.norm
    if family.config.model_type == "gpt2":
        column = column - column.mean()
    return (family.get_output_embeddings().weight @ (norm.weight * column)).detach().numpy()


def check_top(results: Results, model: TappedModel, tokenizer: Tokenizer, top: int) -> None:
    scores = results["/attribution/scores"]
    order = np.lexsort((np.arange(scores.size), -np.abs(scores.ravel())))[:top]
    summed = results.attributes["/attribution"]["positions"] == "sum"
    for rank, node in enumerate(order):
        layer, position, neuron = (int(i) for i in np.unravel_index(node, scores.shape))
        found = [int(results[f"/top/{name}"][rank]) for name in ("layer", "position", "neuron")]
        assert found == [layer, -1 if summed else position, neuron]
        assert results["/top/score"][rank] == scores.ravel()[node]
        effects = lens(model, layer, neuron)
        for side, sign in (("promoted", 1), ("suppressed", -1)):
            ids = np.lexsort((np.arange(effects.size), -sign * effects))[:5]
            assert results[f"/top/{side}_id"][rank].tolist() == ids.tolist()
            np.testing.assert_allclose(results[f"/top/{side}_logit"][rank], effects[ids], rtol=1e-6)
            texts = [text.decode() for text in results[f"/top/{side}"][rank]]
            wanted = [tokenizer.decode([i], skip_special_tokens=False).replace("\0", "␀") for i in ids.tolist()]
            assert texts == wanted
    assert len(results["/top/layer"]) == top


def check_values(results: Results, model: TappedModel) -> None:
    rows = results["/top/pair"]
    assert rows.tolist() == list(range(TRAIN))
    for i, row in enumerate(rows):
        for column, name in enumerate(("clean_ids", "counterfactual_ids")):
            ids = results[f"/pairs/{name}"][row]
            with torch.no_grad():
                acts = model.run(ids=torch.tensor([ids[ids >= 0].tolist()])).stacked()[0].numpy()
            nodes = zip(*(results[f"/top/{part}"] for part in ("layer", "position", "neuron")), strict=True)
            wanted = [acts[la, :, n].sum() if p < 0 else acts[la, p, n] for la, p, n in nodes]
            np.testing.assert_allclose(results["/top/value"][:, i, column], wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "llama_tied", "mistral", "qwen2", "gpt2", "gpt2_bare"])
@pytest.mark.parametrize("positions", ["keep", "sum"])
def test_tokens_and_values(name, positions, binary, tmp_path, tiny_folder, tiny_model):
    """Every family, with tied and untied unembeddings, RMSNorm and LayerNorm."""
    settings = settings_of(
        tiny_folder(name), attribution={"method": "atp"}, top=40, positions=positions, circuit={"counts": [10]}
    )
    settings["pairs"]["train"] = TRAIN
    results = run_product(binary, tmp_path, settings)
    tokenizer = Tokenizer.from_file(str(tiny_folder(name) / "tokenizer.json"))
    check_top(results, tiny_model(name), tokenizer, 40)
    check_values(results, tiny_model(name))


def test_values_stand_at_their_pairs(binary, tmp_path, tiny_folder, tiny_model):
    """Pairs of two lengths take turns in the file, and those of a length are computed together."""
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()[:TRAIN]
    pairs = [json.loads(line) for line in lines]
    for pair in pairs[::2]:
        pair |= {key: "Near the box:" + pair[key] for key in ("clean_prefix", "patch_prefix")}
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    settings = settings_of(tiny_folder("llama"), attribution={"method": "atp"}, top=5, positions="sum")
    settings |= {"pairs": {"train_file": str(file)}, "circuit": {"counts": [10]}}
    results = run_product(binary, tmp_path, settings)
    lengths = (results["/pairs/clean_ids"] >= 0).sum(axis=1)
    assert lengths[0] > lengths[1] and lengths[1] < lengths[2]
    check_values(results, tiny_model("llama"))


def test_a_bfloat16_run_looks_in_float32(binary, tmp_path, tiny_folder, tiny_model):
    """As exact patching does."""
    settings = settings_of(tiny_folder("llama"), attribution={"method": "atp"}, top=5)
    settings["model"]["dtype"] = "bfloat16"
    settings["pairs"]["train"] = TRAIN
    check_values(run_product(binary, tmp_path, settings), tiny_model("llama"))


def test_how_many_is_asked_for(binary, tmp_path, tiny_folder):
    """`top`, as far as nodes have a score; methods on tokens have none; unpaired prompts have one value."""
    settings = settings_of(tiny_folder("llama"), attribution={"method": "atp"})
    ten = {"attribution": {"method": "exact-patching", "sample": 10}}
    default, exact, tokens = run_sweep(
        binary,
        tmp_path,
        settings,
        [{"attribution": {"method": "atp"}}, ten, {"attribution": {"method": "input-ig", "steps": 2}}],
    )
    assert len(default["/top/layer"]) == 50
    assert len(exact["/top/layer"]) == 10
    assert "/top/layer" not in tokens
    alone = tmp_path / "alone"
    alone.mkdir()
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()[:4]
    pairs = alone / "pairs.jsonl"
    keys = ("clean_prefix", "clean_answer")
    pairs.write_text("".join(json.dumps({k: json.loads(line)[k] for k in keys}) + "\n" for line in lines))
    settings |= {"metric": "logit", "circuit": {"ablation": "zero"}, "pairs": {"train_file": str(pairs)}, "top": 3}
    settings["attribution"] = {"method": "gradient-x-activation", "baseline": "zero"}
    value = run_product(binary, alone, settings)["/top/value"]
    assert np.isfinite(value[..., 0]).all() and np.isnan(value[..., 1]).all()


def run(binary: Path, folder: Path, out: str, *more: str, ranks: int = 1) -> Path:
    words = [str(binary), "run", "sweep.yaml", "--out", out, *more]
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    environment = mpi_environment(folder / f"session {len(list(folder.iterdir()))}")
    done = subprocess.run(
        [*launcher, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / out / "results.h5"


def write(folder: Path, model: Path, **more: object) -> None:
    settings = settings_of(model, attribution={"method": "relp"}, unit={"pairs": 1}) | more
    settings["model"]["dtype"] = "float32"
    settings["pairs"]["train"] = TRAIN
    (folder / "sweep.yaml").write_text(json.dumps({"schema": 1, "name": "top"} | settings))


def test_the_same_bits_on_ranks_threads_and_batches(binary, tmp_path, tiny_folder):
    """And `top` changed on a finished run costs no attribution."""
    write(tmp_path, tiny_folder("llama"), top=70)
    first = hashes(run(binary, tmp_path, "one", "threads=1"))
    assert {name for name in first if name.startswith("top/")} >= {"top/promoted", "top/value"}
    assert hashes(run(binary, tmp_path, "three", "threads=2", ranks=3)) == first
    assert hashes(run(binary, tmp_path, "rows", "batch_rows=8")) == first
    fewer = hashes(run(binary, tmp_path, "one", "top=20"))
    assert fewer["attribution/scores"] == first["attribution/scores"]
    assert hashes(run(binary, tmp_path, "twenty", "top=20")) == fewer
    (tmp_path / "one" / "results.h5").unlink()
    subprocess.run([str(binary), "finalize", str(tmp_path / "one")], check=True, capture_output=True)
    assert hashes(tmp_path / "one" / "results.h5") == fewer


def test_tables_and_terminal_show_them(binary, tmp_path, tiny_folder):
    """Of every node as many as are asked for; positions by their names."""
    names = ["first", "", "who", "", "last"]
    write(tmp_path, tiny_folder("llama"), top=60)
    words = [str(binary), "run", "sweep.yaml", "--out", "out", f"pairs.positions_names={json.dumps(names)}"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    subprocess.run([str(binary), "export", "out", "--to", "tables"], cwd=tmp_path, check=True, capture_output=True)
    with (tmp_path / "tables" / "top.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert {row["method"] for row in rows} == {"relp"} and {row["run_name"] for row in rows} == {"."}
    named = {row["position"]: row["position_name"] for row in rows}
    assert all(names[int(position)] in ("", name) for position, name in named.items())
    line = next(line for line in said.splitlines() if line.startswith("     1  "))
    shown = re.findall(r"'(?:\\.|[^'\\])*'", line)
    numbers = [float(word) for word in line.split()[5:8]]
    with h5py.File(tmp_path / "out/results.h5") as results:
        values = results["top/value"][0]  # [pair, run]
        node = tuple(results[f"top/{part}"][0] for part in ("layer", "position", "neuron"))
        spread = [results[f"attribution/{name}"][node] for name in ("standard_error", "sign_share")]
    wanted = [*spread, np.abs(values[:, 0] - values[:, 1]).mean()]
    assert numbers == pytest.approx(wanted, rel=6e-2)
    exact = [float(rows[0][name]) for name in ("standard_error", "sign_share", "value_change")]
    assert exact == pytest.approx(wanted, rel=1e-5)
    means = [float(rows[0][name]) for name in ("clean_value", "counterfactual_value")]
    assert means == pytest.approx(values.mean(0).tolist(), rel=1e-5)
    assert len(shown) == 3 and rows[0]["promotes"].startswith(", ".join(shown))
    assert len(re.findall(r"'(?:\\.|[^'\\])*'", rows[0]["suppresses"])) == 5
    refused = subprocess.run(
        [*words[:-1], 'pairs.positions_names=["a","b"]'], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode == 2 and "has 2 names where prompts have 5 tokens" in refused.stderr
