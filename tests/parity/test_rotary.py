# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions against transformers in float64: every scaling, in prompts that are shorter and longer than the
positions a model was first trained on, in the spelling of transformers 5 and in that of nearly every folder on the Hub.

The driver binary lies in $TRIBUTARY_BUILD (default: build/release/tests).
"""

from __future__ import annotations

import copy
import inspect
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from reference.double import float32_means_float64
from reference.tapped import TappedModel
from tiny_models import save_tiny_model
from transformers import AutoConfig, AutoModelForCausalLM

DRIVER = Path(os.environ.get("TRIBUTARY_BUILD", ROOT / "build" / "release" / "tests")) / "model_driver"
pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason=f"{DRIVER} is not built")

TOLERANCE = 1e-8
ORIGINAL, LONGEST = 16, 64
LENGTHS = (5, ORIGINAL, ORIGINAL + 1, 40)
SHORT, LONG = [1.0, 1.25, 1.5, 3.0], [1.5, 2.0, 6.0, 9.0]
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL}
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG}
LONGROPE_INSIDE = LONGROPE | {"original_max_position_embeddings": ORIGINAL}
LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SCALINGS = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 3.0},  # of max_position_embeddings, here ORIGINAL
    "yarn": YARN,
    "yarn-slope": YARN | {"truncate": False, "beta_fast": 8, "beta_slow": 0.5},
    "yarn-fast": YARN | {"truncate": False, "beta_fast": 1.5, "beta_slow": 0.1},  # the highest frequency alone is kept
    "yarn-step": YARN | {"beta_fast": 3, "beta_slow": 3},
    "yarn-scales": YARN | {"mscale": 0.8, "mscale_all_dim": 0.3},
    "yarn-attention": YARN | {"attention_factor": 1.3},
    "yarn-no-factor": YARN | {"factor": None},
    "longrope": LONGROPE_INSIDE,
    "longrope-factor": LONGROPE_INSIDE | {"factor": 7.0},
    "longrope-attention": LONGROPE_INSIDE | {"attention_factor": 0.9},
    "longrope-all-new": LONGROPE,  # trained on max_position_embeddings: all prompts are short
    "llama3": LLAMA3 | {"original_max_position_embeddings": ORIGINAL},
    "llama3-all-new": LLAMA3,
}
THETA = 500.0
TOKENS, COEFFICIENTS = [3, 7, 11], [1.0, -0.5, 0.25]


def ask(*questions: dict) -> list[dict]:
    """The driver's answers."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([str(DRIVER)], input=lines, capture_output=True, text=True, check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


def older_spelling(folder: Path) -> None:
    """rope_theta and rope_scaling in place of rope_parameters."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    if scaling["rope_type"] != "default":
        scaling["type"] = scaling.pop("rope_type")
        config["rope_scaling"] = scaling
    file.write_text(json.dumps(config))


@pytest.fixture(scope="module", params=SCALINGS)
def scaled_model(request, tmp_path_factory) -> tuple[str, Path]:
    """A scaling's name and a tiny Llama with it: 3 layers of 3 heads, one for keys and values."""
    positions = ORIGINAL if request.param == "dynamic" else LONGEST
    changes = {
        "rope_parameters": SCALINGS[request.param] | {"rope_theta": THETA},
        "max_position_embeddings": positions,
        "hidden_size": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
    }
    folder = tmp_path_factory.mktemp("rotary") / request.param
    return request.param, save_tiny_model("llama", folder, **changes)


def truth(folder: Path, ids: list[int]) -> dict[str, np.ndarray]:
    """What the driver answers, by transformers and autograd."""
    model = TappedModel.load(folder, torch.float64)
    embeddings = model.embed(torch.tensor([ids])).requires_grad_()
    run = model.run(embeds=embeddings)
    metric = (run.logits[0, TOKENS] * torch.tensor(COEFFICIENTS, dtype=torch.float64)).sum()
    of_embeddings, *of_neurons = torch.autograd.grad(metric, [embeddings, *run.acts])
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    found = {"logits": logits.numpy(), "embeddings": of_embeddings[0].numpy()}
    return found | {f"neurons {layer}": gradient[0].numpy() for layer, gradient in enumerate(of_neurons)}


def assert_near(found: object, expected: np.ndarray, what: str) -> None:
    """Equal but for TOLERANCE of the largest."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=what)


def check_passes(folder: Path, ids: list[int]) -> None:
    """Logits of all positions, derivatives by embeddings and neurons."""
    (answer,) = ask({"folder": str(folder), "ids": ids, "tokens": TOKENS, "coefficients": COEFFICIENTS})
    expected = truth(folder, ids)
    assert np.abs(expected["logits"]).max() > 1
    assert_near(answer["logits"], expected["logits"], "logits")
    assert_near(answer["embeddings"], expected["embeddings"], "gradients of embeddings")
    for layer, gradient in enumerate(answer["neurons"]):
        wanted = expected[f"neurons {layer}"][-len(gradient) :]
        assert np.abs(wanted).max() > 1e-4
        assert_near(gradient, wanted, f"gradients of layer {layer}")


@pytest.mark.parametrize("length", LENGTHS)
def test_both_passes(scaled_model, length):
    """Logits and gradients of prompts of this length."""
    _, folder = scaled_model
    check_passes(folder, np.random.default_rng(length).integers(1, 500, length).tolist())


def test_the_older_spelling(scaled_model, tmp_path):
    """rope_theta and rope_scaling say the same."""
    _, folder = scaled_model
    older = tmp_path / "older"
    older.mkdir()
    for file in folder.iterdir():
        (older / file.name).write_bytes(file.read_bytes())
    older_spelling(older)
    assert "rope_parameters" not in json.loads((older / "config.json").read_text())
    check_passes(older, list(range(2, 2 + ORIGINAL + 3)))


SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 16,
    "num_hidden_layers": 6,  # Gemma 3: the sixth sees all
    "num_attention_heads": 2,
    "max_position_embeddings": LONGEST,
    "pad_token_id": 0,
}
PHI3 = {
    "part_key": "partial_rotary_factor",
    "original_positions": 4096,
    "renamed_types": {"su": "longrope", "yarn": "longrope"},
    "types": ["default", "longrope"],
}
NEOX = {"theta_key": "rotary_emb_base", "part_key": "rotary_pct", "part": 0.25}
GEMMA3 = {"theta": 1e6, "sliding": {"theta": 1e4, "theta_key": "rope_local_base_freq"}}
OLMO3 = {"theta": 5e5, "sliding": {"theta": 5e5, "theta_key": ""}}
HALF_PHI3 = {"partial_rotary_factor": 0.5}
MISNAMED = {"type": "yarn", "short_factor": SHORT, "long_factor": LONG}  # LongRoPE, by names that it had before
SU = MISNAMED | {"type": "su", "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "factor": 8.0}
BY_KIND = {
    "full_attention": LINEAR | {"rope_theta": 2e5},
    "sliding_attention": {"rope_type": "default", "rope_theta": 3e3},
}
# Family, its keys as the reader of configs knows them, and what its config says.
FAMILIES = {
    "phi3": ("phi3", PHI3, {}),
    "phi3-part": ("phi3", PHI3, {"partial_rotary_factor": 0.75}),
    "phi3-longrope": ("phi3", PHI3, HALF_PHI3 | {"original_max_position_embeddings": 16, "rope_scaling": LONGROPE}),
    "phi3-yarn": ("phi3", PHI3, HALF_PHI3 | {"original_max_position_embeddings": 16, "rope_scaling": MISNAMED}),
    "phi3-su": ("phi3", PHI3, HALF_PHI3 | {"original_max_position_embeddings": 16, "rope_scaling": SU}),
    "phi3-original": ("phi3", PHI3, HALF_PHI3 | {"rope_scaling": LONGROPE}),
    "gpt_neox": ("gpt_neox", NEOX, {}),
    "gpt_neox-older": ("gpt_neox", NEOX, {"rotary_pct": 0.5, "rotary_emb_base": 700}),
    "gpt_neox-linear": ("gpt_neox", NEOX, {"rotary_pct": 0.5, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "gpt_neox-yarn": ("gpt_neox", NEOX, {"rope_parameters": YARN | {"partial_rotary_factor": 0.5}}),
    "gpt_neox-dynamic": ("gpt_neox", NEOX, {"rotary_pct": 0.5, "rope_scaling": {"type": "dynamic", "factor": 4.0}}),
    "gemma3": ("gemma3_text", GEMMA3, {"head_dim": 16}),
    "gemma3-newer": ("gemma3_text", GEMMA3, {"head_dim": 16, "rope_parameters": BY_KIND}),
    "gemma3-older": (
        "gemma3_text",
        GEMMA3,
        {"head_dim": 16, "rope_theta": 2e5, "rope_local_base_freq": 3e3, "rope_scaling": LINEAR},
    ),
    "olmo3": ("olmo3", OLMO3, {}),
    "olmo3-older": ("olmo3", OLMO3, {"rope_theta": 5e5, "rope_scaling": YARN}),
    "olmo3-newer": ("olmo3", OLMO3, {"rope_parameters": {"full_attention": YARN | {"rope_theta": 1e4}}}),
}


def tables_of(model_type: str, config: dict, kind: str, length: int) -> dict[str, np.ndarray]:
    """cosine and sine [pos, turned dimensions] by transformers' rotary module of the family, in float64."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **copy.deepcopy(config)))
    (module,) = [m for m in model.modules() if type(m).__name__.endswith("RotaryEmbedding")]
    named = {"layer_type": kind} if "layer_type" in inspect.signature(module.forward).parameters else {}
    with float32_means_float64():
        fresh = type(module)(module.config)  # its frequencies are made of the length at hand alone
        tables = fresh(torch.zeros(1, dtype=torch.float64), torch.arange(length)[None], **named)
    return {name: table[0].numpy() for name, table in zip(("cosine", "sine"), tables, strict=True)}


@pytest.mark.parametrize("length", [10, 70])
@pytest.mark.parametrize("kind", ["full_attention", "sliding_attention"])
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_of_families(name, kind, length):
    """Part of each head, keys of older configs, a rotary embedding for each kind of layer."""
    model_type, keys, more = FAMILIES[name]
    config = SHAPE | more
    expected = tables_of(model_type, config, kind, length)
    (found,) = ask({"config": config, "keys": keys, "kind": kind, "d_head": 16, "length": length})
    for table, numbers in expected.items():
        np.testing.assert_allclose(found[table], numbers, rtol=0, atol=1e-13, err_msg=table)


REFUSED = {
    "linear": {"rope_type": "linear"},
    "dynamic": {"rope_type": "dynamic"},
    "yarn": {"rope_type": "yarn", "original_max_position_embeddings": ORIGINAL},
    "longrope": {"rope_type": "longrope", "short_factor": SHORT + LONG},
    "llama3": {"rope_type": "llama3", "factor": 4.0, "high_freq_factor": 4.0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_scaling_without_its_numbers_is_refused_by_both(name):
    """transformers raises a KeyError that names the key; we name it too."""
    with pytest.raises(KeyError, match="Missing required keys") as raised:
        AutoConfig.for_model("llama", **SHAPE, rope_parameters=copy.deepcopy(REFUSED[name]))
    (missing,) = re.search(r"\{'(\w+)'\}", str(raised.value)).groups()
    question = {"config": SHAPE | {"rope_parameters": REFUSED[name]}, "keys": {}, "kind": "full_attention"}
    (answer,) = ask(question | {"d_head": 16, "length": 4})
    assert f"'{missing}' is missing" in answer["error"]
