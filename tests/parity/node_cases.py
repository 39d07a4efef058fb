# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What is computed of nodes of every kind by the program and by the reference, and how the program stores it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from product import Results
from reference.attribution import EMBEDDING_PATHS, Method
from reference.nodes import KINDS
from reference.rules import ALL_RULES, PRESETS

PAIRS = 2
# A chain, a plain MLP with biases and positions, norms behind sub-layers, norms of queries and keys, parallel blocks.
MODELS = ["llama", "gpt2", "gemma3_text", "qwen3", "gpt_neox"]
# Multipliers of embeddings and of what blocks add; norms behind sub-layers and none before.
FEW_CASES_MODELS = ["granite", "olmo2"]
UNGATED = ("gpt2", "gpt_neox")
POST_NORMED = ("gemma3_text", "olmo2")


def _path(method: str, rule: str, steps: int, **more: object) -> dict:
    return {"method": method, "quadrature": rule, "steps": steps} | more


CASES: dict[str, dict] = {
    "atp": {"method": "atp"},
    "atp, mean": {"method": "atp", "baseline": "mean"},
    "atp, zero": {"method": "atp", "baseline": "zero"},
    "atp, denoise": {"method": "atp", "direction": "denoise"},
    "gradient-x-activation": {"method": "gradient-x-activation", "baseline": "zero"},
    "gradient-x-activation, mean": {"method": "gradient-x-activation", "baseline": "mean"},
    "relp": {"method": "relp"},
    "relp, mean": {"method": "relp", "baseline": "mean"},
    "relp, zero": {"method": "relp", "baseline": "zero"},
    "relp, denoise": {"method": "relp", "direction": "denoise"},
    "relp-jafari": {"method": "relp-jafari"},
    **{rule: {"method": "atp", "rules": {rule: True}} for rule in sorted(ALL_RULES)},
    "ig-inputs": _path("ig-inputs", "right", 4, inputs=True),
    "ig-inputs, mean": _path("ig-inputs", "midpoint", 3, baseline="mean", inputs=True),
    "ig-inputs, zero": _path("ig-inputs", "midpoint", 3, baseline="zero", inputs=True),
    "ig-inputs, rules": _path("ig-inputs", "gauss-legendre", 2, rules=dict.fromkeys(sorted(ALL_RULES), True)),
    "conductance": _path("conductance", "trapezoid", 4),
    "conductance, left": _path("conductance", "left", 3),
    "conductance, right": _path("conductance", "right", 3),
    "conductance, mean": _path("conductance", "trapezoid", 3, baseline="mean"),
    "conductance, zero": _path("conductance", "trapezoid", 3, baseline="zero"),
    "ig-acts": _path("ig-acts", "midpoint", 3),
    "ig-acts, right": _path("ig-acts", "right", 2),
    "ig-acts, mean": _path("ig-acts", "gauss-legendre", 3, baseline="mean"),
    "ig-acts, zero": _path("ig-acts", "midpoint", 3, baseline="zero"),
    "ig-acts, denoise": _path("ig-acts", "trapezoid", 3, direction="denoise"),
    "ig-acts, rules": _path("ig-acts", "midpoint", 2, rules=dict.fromkeys(sorted(ALL_RULES), True)),
    "delta": {"method": "delta"},
    "delta, mean": {"method": "delta", "baseline": "mean"},
    "delta, zero": {"method": "delta", "baseline": "zero"},
}
FEW = ("atp", "atp, denoise", "relp", "ig-inputs", "conductance", "ig-acts", "delta", "delta, zero")
# What an MLP writes scores as its neurons do: dv of both is linear in what the second matrix reads.
LINEAR = ("atp", "atp, mean", "relp", "relp, mean", "ig-inputs", "ig-inputs, mean", "conductance")
LINEAR += ("conductance, mean", "ig-acts", "ig-acts, mean")
WRITTEN = (*LINEAR, "atp, denoise", "relp, zero", "delta")


def cases_of(name: str, side: str) -> dict[str, dict]:
    """The cases of a model and a side of its MLPs, without rules that have no place and paths that are refused."""
    labels = FEW if name in FEW_CASES_MODELS else CASES
    chosen = {label: CASES[label] for label in labels if side == "added" or label in WRITTEN}
    if name in POST_NORMED:
        chosen.pop("ig-acts, zero", None)
    if name not in UNGATED:
        return chosen
    chosen.pop("half", None)
    without = {label: {k: v for k, v in case.get("rules", {}).items() if k != "half"} for label, case in chosen.items()}
    return {label: case | ({"rules": without[label]} if without[label] else {}) for label, case in chosen.items()}


def kinds_of(label: str) -> tuple[str, ...]:
    """The kinds that a case scores: embeddings have no path of their own on which the rest could stay as on x'."""
    return tuple(kind for kind in KINDS if (label, kind) != ("ig-acts, denoise", "embeddings"))


def reference_method(name: str, case: dict) -> Method:
    """The reference's name for a case."""
    settings = {key: value for key, value in case.items() if key not in ("method", "inputs")}
    rules = frozenset(settings.pop("rules", ())) or PRESETS.get(case["method"], frozenset())
    if name in UNGATED:
        rules -= {"half"}
    return Method("atp" if case["method"] in PRESETS else case["method"], rules=rules, **settings)


def settings_of(folder: Path, pairs: int = PAIRS, test: int = 0) -> dict:
    """A sweep file's settings for a tiny model, with nodes of every kind."""
    files = {"train_file": str(folder / "pairs.jsonl"), "test_file": str(folder / "pairs.jsonl")}
    return {
        "model": {"path": str(folder), "dtype": "float64"},
        "pairs": files | {"train": pairs, "test": test, "overlap": "allow"},
        "metric": "logit-difference",
        "attribution": {"method": "atp"},
        "nodes": list(KINDS),
    }


def run_of(label: str, case: dict, side: str) -> dict:
    """A run of a sweep over `settings_of`."""
    return {"attribution": case, "mlps": {"side": side}, "nodes": list(kinds_of(label))}


def place_of(kind: str, dataset: str) -> str:
    """Where the program stores something of a kind."""
    return f"/attribution/{dataset}" if kind == "neurons" else f"/nodes/{kind}/{dataset}"


def as_stored(kind: str, scores: np.ndarray) -> np.ndarray:
    """[..., layer, pos, node] without the axes that a kind does not have."""
    if kind == "mlps":
        return scores[..., 0]
    return scores[..., 0, :, 0] if kind == "embeddings" else scores


def has_residual(case: dict) -> bool:
    """Whether the scores' sum is meant to be a difference of the metric: `residual`, else `linearisation_gap`."""
    return case["method"] in (*EMBEDDING_PATHS, "ig-acts") and "rules" not in case


def stored_scores(results: Results, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Scores by kind, as stored."""
    return {kind: results[place_of(kind, "scores")] for kind in kinds}
