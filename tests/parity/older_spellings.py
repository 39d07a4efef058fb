# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The tiny families' config.json as folders had it before version 5 of transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from families import LONG, SHORT

# By family: keys changed, or taken out where there are three dots, so that the class's default counts; rope_parameters
# goes everywhere.
OLDER_SPELLINGS: dict[str, dict[str, object]] = {
    "gpt_neox": {"rotary_pct": 0.25, "rotary_emb_base": 100},
    "llama_linear": {"rope_theta": 100.0, "rope_scaling": {"type": "linear", "factor": 2.5}},
    "llama_dynamic": {"rope_theta": 100.0, "rope_scaling": {"type": "dynamic", "factor": 3.0}},
    "mistral_window": {"rope_theta": 100.0},
    "qwen2_windows": {"rope_theta": 100.0, "layer_types": ...},
    "qwen3_windows": {"rope_theta": 100.0, "layer_types": None, "rope_scaling": None},
    "gemma": {"rope_theta": 100.0, "hidden_act": "gelu", "hidden_activation": None, "tie_word_embeddings": ...},
    "gemma2": {"rope_theta": 100.0, "layer_types": ..., "tie_word_embeddings": ...},
    "gemma3_text": {
        "rope_theta": 5000.0,
        "rope_local_base_freq": 50.0,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "sliding_window_pattern": 6,
        "_sliding_window_pattern": ...,
        "layer_types": ...,
        "tie_word_embeddings": ...,
    },
    "phi3": {
        "rope_theta": 100.0,
        "partial_rotary_factor": 0.75,
        "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG},
    },
    "smollm3": {"rope_theta": 100.0, "layer_types": ..., "no_rope_layers": ...},
    "granite": {"rope_theta": 100.0},
}


def respell(name: str, folder: Path, copy: Path) -> Path:
    """A copy of a tiny family's folder with its config.json in the older spelling."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["torch_dtype"] = config.pop("dtype")
    config |= OLDER_SPELLINGS[name] | {"rope_parameters": ...}
    config = {key: value for key, value in config.items() if value is not ...}
    (copy / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return copy
