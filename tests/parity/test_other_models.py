# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Folders as other programs save them: heads that are and are not tied, windows, tokens beside tokenizer.json.

The truth are the logits of transformers' own model of the same folder, in float64.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from product import hashes
from reference.double import lift_to_float64
from safetensors.torch import load_file, save_file
from tiny_models import BOS, save_tiny_model
from transformers import AutoModelForCausalLM

HEAD = "lm_head.weight"
Tensors = dict[str, torch.Tensor]


def inspect(binary: Path, folder: Path) -> tuple[list[int], np.ndarray, str]:
    """Token ids of a prompt, its logits, and what is printed."""
    out = folder / "logits.h5"
    command = [binary, "inspect", folder, "--dtype", "float64", "--prompt", "The uncle near the dogs", "--logits", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with h5py.File(out) as file:
        return file["ids"][:].tolist(), file["logits"][:], done.stdout


def transformers_logits(folder: Path, ids: list[int]) -> np.ndarray:
    """The logits of transformers' model."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    lift_to_float64(model)
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def test_numbers_at_odd_addresses(bench):
    """After three bytes of a mask that nobody reads, as the format allows: the same results to the last bit."""
    assert bench.run().returncode == 0
    aligned = hashes(bench.out / "results.h5")
    header, data = bench.weights()
    for name, entry in header.items():
        if name != "__metadata__":
            entry["data_offsets"] = [offset + 3 for offset in entry["data_offsets"]]
    header["model.mask"] = {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}
    bench.write_weights(header, b"\0\1\0" + data)
    shutil.rmtree(bench.out)
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert hashes(bench.out / "results.h5") == aligned


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A tiny model with its tensors changed."""

    def make(name: str, change: Callable[[Tensors], Tensors], **config: object) -> Path:
        folder = save_tiny_model(name, tmp_path / "model", **config)
        file = folder / "model.safetensors"
        save_file(change(load_file(file)), file, metadata={"format": "pt"})
        return folder

    return make


def other_head(tensors: Tensors) -> Tensors:
    """With an unembedding of its own."""
    embedding = next(t for name, t in tensors.items() if name.endswith(("embed_tokens.weight", "wte.weight")))
    noise = torch.randn(embedding.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return tensors | {HEAD: embedding + 0.3 * noise}


def same_head(tensors: Tensors) -> Tensors:
    """With the embedding stored twice."""
    embedding = next(t for name, t in tensors.items() if name.endswith(("embed_tokens.weight", "wte.weight")))
    return tensors | {HEAD: embedding.clone()}


def head_alone(tensors: Tensors) -> Tensors:
    """With the shared matrix under its other name."""
    name = next(name for name in tensors if name.endswith(("embed_tokens.weight", "wte.weight")))
    return {HEAD if other == name else other: tensor for other, tensor in tensors.items()}


def trunk_alone(tensors: Tensors) -> Tensors:
    """Named as a model without a head names them."""
    return {name.removeprefix("model.").removeprefix("transformer."): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", ["llama_tied", "gpt2"])
@pytest.mark.parametrize("change", [other_head, same_head, head_alone, trunk_alone])
def test_tied_embeddings_as_they_are_stored(name, change, binary, changed):
    """Once by either name, twice, or as two matrices: then the stored head counts, and it is said."""
    folder = changed(name, change)
    ids, logits, printed = inspect(binary, folder)
    np.testing.assert_allclose(logits, transformers_logits(folder, ids), rtol=0, atol=1e-9)
    assert ("stored lm_head.weight differs" in printed) == (change is other_head)


def test_a_head_of_its_own_counts_in_a_run(bench, changed):
    """A note before the run, and in its provenance; plans and runs of it go through."""
    assert changed("llama_tied", other_head) == bench.model
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "note: config.json says tie_word_embeddings: true, but the stored lm_head.weight differs" in done.stderr
    with h5py.File(bench.out / "results.h5") as results:
        notes = results["provenance"].attrs["model_notes"]
    assert any(b"lm_head.weight differs" in note.encode() for note in notes)


@pytest.mark.parametrize("first", [3, 2, 0])
def test_qwen2s_windows_begin_at_a_layer(first, binary, tmp_path):
    """use_sliding_window counts from max_window_layers on, and layer_types is null in older folders."""
    window = {"use_sliding_window": True, "sliding_window": 2, "max_window_layers": first}
    folder = save_tiny_model("qwen2", tmp_path / "model", **window)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | window | {"layer_types": None}))
    ids, logits, _ = inspect(binary, folder)
    np.testing.assert_allclose(logits, transformers_logits(folder, ids), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, ["quantised by bitsandbytes", "call dequantize()"]),
        ({"quant_method": "gptq", "bits": 4}, ["quantised by gptq", "take the model that it was made from"]),
    ],
)
def test_quantised_weights_are_named(block, words, bench):
    """Before any tensor of theirs is missed."""
    header, data = bench.weights()
    header["model.layers.0.mlp.up_proj.qweight"] = header.pop("model.layers.0.mlp.up_proj.weight")
    bench.write_weights(header, data)
    bench.edit_config(quantization_config=block)
    message = bench.refused(*words)
    assert "missing" not in message


def test_names_with_a_prefix_are_explained(bench):
    """As torch.compile leaves them."""
    header, data = bench.weights()
    bench.write_weights(
        {f"_orig_mod.{name}" if name != "__metadata__" else name: v for name, v in header.items()}, data
    )
    assert "download" not in bench.refused("_orig_mod.model.embed_tokens.weight", "torch.compile")


def test_bos_of_a_run(bench):
    """pairs.bos puts the folder's bos_token before every prompt; plan, validate and provenance say what is there."""
    (bench.model / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "LlamaTokenizerFast", "bos_token": BOS})
    )
    for bos, prefix in ((None, []), ("add", [0]), ("omit", [])):
        if bos is not None:
            bench.settings["pairs"]["bos"] = bos
        bench.out = bench.folder / f"out-{bos}"
        done = bench.run()
        assert done.returncode == 0, done.stderr
        assert ("transformers 4 puts '<|begin|>'" in done.stderr) == (bos is None)
        with h5py.File(bench.out / "results.h5") as results:
            clean = results["pairs/clean_ids"][0].tolist()
            noted = dict(results["provenance"].attrs)
        assert clean[: len(prefix)] == prefix
        assert (clean[0] == 0) == bool(prefix)
        assert noted["prefix_ids"].tolist() == prefix
        assert [line.split()[0] for line in noted["tokenizer_files"]] == ["tokenizer_config.json"]
        assert len(noted["model_notes"]) == (1 if bos is None else 0)
        for command in ("plan", "validate"):
            ran = subprocess.run(
                [bench.binary, command, "sweep.yaml"], capture_output=True, text=True, check=False, cwd=bench.folder
            )
            assert ran.returncode == 0, ran.stderr
            assert ("every prompt begins with '<|begin|>' (0)" in ran.stdout) == bool(prefix)
            assert ("transformers 4 puts" in ran.stdout) == (bos is None)


def test_a_token_beyond_the_embedding_is_refused_where_it_is_met(bench):
    """Tokens that the files beside tokenizer.json add may have no row; a prompt that holds one is unfit."""
    (bench.model / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|pad|>"}))
    bench.edit_config()
    vocabulary = json.loads((bench.model / "config.json").read_text())["vocab_size"]
    tokens = json.loads((bench.model / "tokenizer.json").read_text())["model"]["vocab"]
    added = {f"<|{i}|>": {"content": f"<|{i}|>", "special": True} for i in range(vocabulary - len(tokens))}
    decoder = {str(len(tokens) + i): token for i, token in enumerate(added.values())}
    (bench.model / "tokenizer_config.json").write_text(
        json.dumps({"pad_token": "<|pad|>", "added_tokens_decoder": decoder})
    )
    assert bench.run().returncode == 0
    bench.edit_pairs(lambda lines: lines.__setitem__(0, lines[0].replace("The ", "The <|pad|> ")))
    bench.out = bench.folder / "other"
    bench.refused(f"token {vocabulary} ('<|pad|>') is outside the model's vocabulary of {vocabulary}")
    prompt = [bench.binary, "inspect", bench.model, "--prompt", "a<|pad|>"]
    done = subprocess.run(prompt, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"token {vocabulary} ('<|pad|>') is outside" in done.stderr
