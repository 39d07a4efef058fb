# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Keys of config.json and names of tensors by which transformers computes something that one would not expect: the same
here, or refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from family_cases import PROMPTS, program_logits
from reference.tapped import TappedModel
from safetensors.torch import load_file, save_file
from test_families import assert_equal

YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 1.0, "beta_slow": 0.1}


def scaled_by_kind(config: dict) -> None:
    """YaRN in layers of full attention, its first length beside the settings, where transformers does not look."""
    config["rope_parameters"]["full_attention"] = dict(YARN)
    config["original_max_position_embeddings"] = 16


# What is done to config.json, of which family.
EQUAL = {
    "yarn: truncate is null": ("llama_yarn", lambda config: config["rope_parameters"].update(truncate=None)),
    "yarn: truncate is false": ("llama_yarn", lambda config: config["rope_parameters"].update(truncate=False)),
    "gemma: gelu_python is no tanh": ("gemma", lambda config: config.update(hidden_activation="gelu_python")),
    "gpt2: the general name of heads": ("gpt2", lambda config: config.update(num_attention_heads=8)),
    "olmo3: a first length beside the settings": ("olmo3", scaled_by_kind),
    "gemma3_text: a first length beside the settings": ("gemma3_text", scaled_by_kind),
}
REFUSED = {
    "is_causal": ("llama_biases", lambda config: config.update(is_causal=False), "every position then sees all others"),
    "configuration_files": (
        "llama_biases",
        lambda config: config.update(configuration_files=["config.4.0.0.json"]),
        "takes that file in place of this",
    ),
    "transformers_weights": (
        "llama_biases",
        lambda config: config.update(transformers_weights="other.safetensors"),
        "in place of those here",
    ),
    "per_layer_config": (
        "llama_biases",
        lambda config: config.update(per_layer_config={"0": {"num_attention_heads": 1}}),
        "single layers",
    ),
    "num_hidden_layers": (
        "llama_biases",
        lambda config: config.update(num_hidden_layers=2**31 - 1),
        "no model has so many layers",
    ),
}


def edited(folder: Path, out: Path, edit: Callable[[dict], None]) -> Path:
    """A copy of a model folder with another config.json."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    edit(config)
    (out / "config.json").write_text(json.dumps(config))
    return out


@pytest.mark.parametrize("case", EQUAL)
def test_equal(case: str, binary: Path, tiny_folder, tmp_path: Path) -> None:
    """Logits of a prompt longer than every window and first length."""
    name, edit = EQUAL[case]
    folder = edited(tiny_folder(name), tmp_path / "model", edit)
    tapped = TappedModel.load(folder, torch.float64)
    ids, logits = program_logits(binary, folder, PROMPTS[1], tmp_path / "logits.h5")
    with torch.no_grad():
        expected = tapped.model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
    assert_equal(logits, expected, float, "logits")


@pytest.mark.parametrize("key", REFUSED)
def test_refused(key: str, binary: Path, tiny_folder, tmp_path: Path) -> None:
    """With the key, and why."""
    name, edit, why = REFUSED[key]
    folder = edited(tiny_folder(name), tmp_path / "model", edit)
    done = subprocess.run([binary, "inspect", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout
    assert f"'{key}'" in done.stderr
    assert why in done.stderr


@pytest.mark.parametrize("name", ["gemma", "gpt2"])
def test_a_head_of_its_own_by_another_name(name: str, binary: Path, tiny_folder, tmp_path: Path) -> None:
    """Of a model whose config.json ties it: transformers would use it, and dropping it would be another model."""
    folder = edited(tiny_folder(name), tmp_path / "model", lambda config: config.pop("torch_dtype", None))
    for index in folder.glob("*.index.json"):
        index.unlink()
    tensors = {key: value for file in sorted(folder.glob("*.safetensors")) for key, value in load_file(file).items()}
    for file in folder.glob("*.safetensors"):
        file.unlink()
    embedding = next(value for key, value in tensors.items() if key.endswith(("embed_tokens.weight", "wte.weight")))
    for head, code in ((embedding.clone(), 0), (embedding + 1, 2)):
        save_file(tensors | {"model.lm_head.weight": head}, folder / "model.safetensors", metadata={"format": "pt"})
        done = subprocess.run(
            [binary, "inspect", folder, "--prompt", "the"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
    assert "'model.lm_head.weight' is an unembedding of the model's own" in done.stderr


def test_logits_that_are_not_finite(binary: Path, tiny_folder, tmp_path: Path) -> None:
    """Are no answer."""
    folder = edited(tiny_folder("llama_biases"), tmp_path / "model", lambda config: None)
    for file in folder.glob("*.safetensors"):
        tensors = {key: torch.full_like(value, float("nan")) for key, value in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    done = subprocess.run([binary, "inspect", folder, "--prompt", "the"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not finite" in done.stderr
    assert "nan" not in done.stdout


def test_logits_want_a_prompt(binary: Path, tiny_folder, tmp_path: Path) -> None:
    """No file is left unwritten without a word."""
    command = [binary, "inspect", tiny_folder("llama_biases"), "--logits", tmp_path / "logits.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--prompt" in done.stderr
