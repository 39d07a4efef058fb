# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What of the tiny families is computed by the program and by the reference, for tests and for the table of parity."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h5py
import numpy as np
from families import FAMILIES
from reference.attribution import Method
from reference.rules import ALL_RULES, PRESETS

PAIRS = 2
# Shorter and longer than every window and every original length.
PROMPTS = ["The uncle near the", "The teachers near the desk behind the car beside the dogs"]
CASES: dict[str, dict] = {
    "atp": {"method": "atp"},
    "relp": {"method": "relp"},
    "gradient-x-activation": {"method": "gradient-x-activation", "baseline": "zero"},
    "norm": {"method": "atp", "rules": {"norm": True}},
    "attention": {"method": "atp", "rules": {"attention": True}},
    "ig-inputs": {"method": "ig-inputs", "quadrature": "right", "steps": 5, "inputs": True},
    "relp on inputs": {
        "method": "ig-inputs",
        "quadrature": "midpoint",
        "steps": 2,
        "inputs": True,
        "rules": dict.fromkeys(sorted(ALL_RULES), True),
    },
    "ig-acts": {"method": "ig-acts", "quadrature": "midpoint", "steps": 4},
    "relp on acts": {
        "method": "ig-acts",
        "quadrature": "midpoint",
        "steps": 2,
        "rules": dict.fromkeys(sorted(ALL_RULES), True),
    },
    "conductance": {"method": "conductance", "quadrature": "trapezoid", "steps": 4},
}
# All rules with the soft-cap's, and that one alone: where logits are capped.
CAPPED_CASES: dict[str, dict] = {
    "relp with softcap": {"method": "atp", "rules": dict.fromkeys([*sorted(ALL_RULES), "softcap"], True)},
    "softcap": {"method": "atp", "rules": {"softcap": True}},
}
CAPPED = ("gemma2", "gemma3_text")
UNGATED = ("gpt_neox",)
EXACT = {"method": "exact-patching", "sample": 60}


def cases_of(name: str) -> dict[str, dict]:
    """The cases of a model, without rules that have no place in it."""
    chosen = CASES | (CAPPED_CASES if name in CAPPED else {})
    if FAMILIES[name].model_type not in UNGATED:
        return chosen
    ungated = {}
    for label, case in chosen.items():
        rules = {rule: on for rule, on in case.get("rules", {}).items() if rule != "half"}
        ungated[label] = case | ({"rules": rules} if rules else {})
    return ungated


def reference_method(name: str, case: dict) -> Method:
    """The reference's name for a case."""
    settings = {key: value for key, value in case.items() if key not in ("method", "inputs")}
    rules = frozenset(settings.pop("rules", ())) or PRESETS.get(case["method"], frozenset())
    if FAMILIES[name].model_type in UNGATED:
        rules -= {"half"}
    return Method("atp" if case["method"] in PRESETS else case["method"], rules=rules, **settings)


def settings_of(folder: Path) -> dict:
    """A sweep file's settings for a family, held-out pairs being the training pairs."""
    files = {"train_file": str(folder / "pairs.jsonl"), "test_file": str(folder / "pairs.jsonl")}
    return {
        "model": {"path": str(folder), "dtype": "float64"},
        "pairs": files | {"train": PAIRS, "test": PAIRS, "overlap": "allow"},
        "metric": "logit-difference",
        "attribution": {"method": "atp"},
        "circuit": {"counts": [0, 10]},
    }


def program_logits(binary: Path, folder: Path, prompt: str, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and logits [pos, vocabulary] by `tributary inspect`."""
    command = [str(binary), "inspect", str(folder), "--dtype", "float64", "--prompt", prompt, "--logits", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with h5py.File(out) as file:
        return file["ids"][()], file["logits"][()]
