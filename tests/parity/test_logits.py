# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Logits of every position against transformers: float64 on tiny models of each family, float32 on the demo model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import ROOT
from tiny_models import MODELS
from transformers import AutoModelForCausalLM

DEMO = ROOT / "models" / "smollm2-135m"
PROMPTS = ["Question: Is fire hot or cold?\nAnswer: fire is", "The teachers near the desk", "12 345 and 6"]


def program_logits(binary: Path, model: Path, prompt: str, dtype: str, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and logits [pos, vocabulary] by `tributary inspect`."""
    command = [str(binary), "inspect", str(model), "--dtype", dtype, "--prompt", prompt, "--logits", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with h5py.File(out) as file:
        return file["ids"][()], file["logits"][()]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", MODELS)
def test_tiny_models_in_float64(name, prompt, binary, tmp_path, tiny_folder, tiny_model):
    """1e-9 relative; transformers' rotary tables and norms lifted to float64, which they are not by themselves."""
    ids, logits = program_logits(binary, tiny_folder(name), prompt, "float64", tmp_path / "logits.h5")
    with torch.no_grad():
        expected = tiny_model(name).model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.skipif(not DEMO.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
def test_the_demo_model_in_float32(binary, tmp_path):
    """1e-4, absolute and relative."""
    model = AutoModelForCausalLM.from_pretrained(DEMO, dtype=torch.float32)
    for i, prompt in enumerate(PROMPTS):
        ids, logits = program_logits(binary, DEMO, prompt, "float32", tmp_path / f"{i}.h5")
        with torch.no_grad():
            expected = model(input_ids=torch.tensor(ids)[None]).logits[0].numpy()
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
