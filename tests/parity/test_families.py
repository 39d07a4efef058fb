# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The program against transformers' own autograd on a tiny float64 model of every family.

Logits are stored in float64. Scores are stored in float32: each may be off by its own rounding and 1e-8 of the largest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, save_family
from family_cases import CASES, EXACT, PAIRS, PROMPTS, cases_of, program_logits, reference_method, settings_of
from older_spellings import OLDER_SPELLINGS, respell
from product import Results, run_sweep
from reference.attribution import Attributor, exact_patching
from reference.pairs import fitting_pairs
from reference.rules import ACTIVATION_SHARE
from reference.tapped import TappedModel
from tokenizers import Tokenizer

TOLERANCE, HALF_ULP = 1e-8, 2.0**-24
# What the tests' weights and ids need; of the rest a class has its own idea.
KEPT = {"model_type", "vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id"}
KEPT |= {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"}
KEPT |= {"head_dim", "n_embd", "n_inner", "n_layer", "n_head", "n_positions"}
# A model of each family, without biases that its class has on request only.
BARE = ["gpt2", "gpt_neox", "llama_linear", "mistral_window", "qwen2_windows", "qwen3", "gemma", "gemma2"]
BARE += ["gemma3_text", "olmo2", "olmo3", "phi3", "smollm3", "granite"]
POST_NORMED = [name for name, row in FAMILIES.items() if row.model_type[:6] in ("gemma2", "gemma3", "olmo2", "olmo3")]


def assert_equal(found: np.ndarray, expected: np.ndarray, stored_in: type, what: str) -> None:
    """Within 1e-8 of the largest, and the rounding of what is stored in float32."""
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    scale = np.abs(expected).max()
    rounding = HALF_ULP * np.abs(expected) if stored_in is np.float32 else 0.0
    worst = (np.abs(found - expected) - rounding).max() / scale
    assert worst <= TOLERANCE, f"{what}: off by {worst:.2e} of the largest value {scale:.3g}"


def check_logits(binary: Path, folder: Path, tapped, prompt: str, out: Path) -> None:
    """Logits of every position of a prompt."""
    ids, logits = program_logits(binary, folder, prompt, out)
    with torch.no_grad():
        expected = tapped.model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
    assert_equal(logits, expected, np.float64, "logits")


@pytest.mark.parametrize("prompt", PROMPTS, ids=["short", "long"])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits(name, prompt, binary, tmp_path, tiny_folder, tiny_model):
    """Of every position."""
    check_logits(binary, tiny_folder(name), tiny_model(name), prompt, tmp_path / "logits.h5")


@pytest.mark.parametrize("name", OLDER_SPELLINGS)
def test_older_spellings(name, binary, tmp_path, tiny_folder, tiny_model):
    """A config.json from before version 5 of transformers is the same model."""
    folder = respell(name, tiny_folder(name), tmp_path / name)
    check_logits(binary, folder, tiny_model(name), PROMPTS[1], tmp_path / "logits.h5")


@pytest.mark.parametrize("name", BARE)
def test_what_a_config_leaves_out(name, binary, tmp_path, tiny_folder):
    """Sizes alone: epsilons, activations, rotary bases, caps and scales are those of the family's class."""
    folder = shutil.copytree(tiny_folder(name), tmp_path / name)
    kept = KEPT | {"tie_word_embeddings"} if name == "qwen3" else KEPT  # stored so, and not by default
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key in kept}))
    check_logits(binary, folder, TappedModel.load(folder, torch.float64), PROMPTS[1], tmp_path / "logits.h5")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["gpt_neox_sequential", "gemma2", "phi3"])
def test_stored_types(name, dtype, binary, tmp_path):
    """Weights stored in a shorter type, computed with in float64."""
    folder = save_family(name, tmp_path / name, dtype)
    check_logits(binary, folder, TappedModel.load(folder, torch.float64), PROMPTS[1], tmp_path / "logits.h5")


@pytest.mark.parametrize("activation", ACTIVATION_SHARE)
def test_activations(activation, binary, tmp_path):
    """Each by the names that transformers has for it: logits, gradients, and its coefficient under RelP."""
    name = "llama_biases"
    folder = save_family(name, tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": activation}))
    model = TappedModel.load(folder, torch.float64)
    check_logits(binary, folder, model, PROMPTS[1], tmp_path / "logits.h5")
    pairs = fitting_pairs(folder / "pairs.jsonl", Tokenizer.from_file(str(folder / "tokenizer.json")), PAIRS)
    cases = [CASES["atp"], CASES["relp"]]
    found = run_sweep(binary, tmp_path, settings_of(folder), [{"attribution": case} for case in cases])
    for case, results in zip(cases, found, strict=True):
        expected = Attributor(model, pairs).compute(reference_method(name, case)).aggregate()
        assert_equal(results["/attribution/scores"], expected, np.float32, case["method"])


@pytest.fixture(scope="module")
def scored(binary, tiny_folder, tmp_path_factory) -> Callable[[str], dict[str, Results]]:
    """Results of all cases of a model by their labels: one sweep a model."""
    made: dict[str, dict[str, Results]] = {}
    failed: dict[str, str] = {}

    def results(name: str) -> dict[str, Results]:
        if name in failed:
            pytest.fail(failed[name])
        if name not in made:
            cases = cases_of(name) | {"exact": EXACT}
            runs = [{"attribution": case} for case in cases.values()]
            try:
                found = run_sweep(binary, tmp_path_factory.mktemp(name), settings_of(tiny_folder(name)), runs)
            except AssertionError as error:
                failed[name] = str(error)
                raise
            made[name] = dict(zip(cases, found, strict=True))
        return made[name]

    return results


@pytest.mark.parametrize(("name", "label"), [(name, label) for name in FAMILIES for label in cases_of(name)])
def test_scores(name, label, scored, tiny_model, tiny_pairs):
    """Neurons' scores, tokens' scores and the metric of one method."""
    results, case = scored(name)[label], cases_of(name)[label]
    expected = Attributor(tiny_model(name), tiny_pairs(name, PAIRS)).compute(reference_method(name, case))
    metric = expected.stacked("metric")
    assert_equal(results["/attribution/metric"], metric, results["/attribution/metric"].dtype.type, "metric")
    assert_equal(results["/attribution/scores"], expected.aggregate(), np.float32, "scores")
    if case.get("inputs"):
        assert_equal(results["/attribution/inputs"], expected.stacked("inputs"), np.float32, "token scores")


@pytest.mark.parametrize("name", FAMILIES)
def test_exact_patching(name, scored, tiny_model, tiny_pairs):
    """Single neurons set to their counterfactual value, one forward each."""
    found = scored(name)["exact"]["/attribution/scores"]
    model, pairs = tiny_model(name), tiny_pairs(name, PAIRS)
    neurons = [tuple(map(int, node)) for node in np.argwhere(np.nan_to_num(found))][:40]
    assert neurons
    targets = Attributor(model, pairs).targets
    each = [exact_patching(model, p, t, neurons) for p, t in zip(pairs, targets, strict=True)]
    ours = np.array([found[neuron] for neuron in neurons])
    assert_equal(ours, np.mean(each, axis=0), np.float32, "exact patching")


@pytest.mark.parametrize("name", POST_NORMED)
def test_a_path_from_zero_behind_a_norm_is_refused(name, binary, tmp_path, tiny_folder):
    """The norm does not see how long its input is: along such a path the derivative is zero until it ends."""
    case = {"attribution": {"method": "ig-acts", "quadrature": "midpoint", "steps": 4, "baseline": "zero"}}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps({"schema": 1, "name": "zero"} | settings_of(tiny_folder(name)) | case))
    command = [binary, "run", sweep, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "baseline" in done.stderr and "zero" in done.stderr
