# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What is computed of features by the program and by the reference: the dictionaries of each tiny model, the cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from feature_files import random_dictionary, write_cross_layer, write_plain, write_saelens
from node_cases import UNGATED, reference_method
from product import Results
from reference.attribution import Method
from reference.dictionaries import Dictionary
from reference.pairs import Pair
from reference.sites import SiteModel

PAIRS = 2
FEATURES = 40
MODELS = ["llama", "gpt2", "gemma3_text", "qwen3"]
ALL_RULES = dict.fromkeys(("activation", "attention", "half", "norm"), True)


def _path(method: str, rule: str, steps: int, **more: object) -> dict:
    return {"method": method, "quadrature": rule, "steps": steps} | more


CASES: dict[str, dict] = {
    "atp": {"method": "atp"},
    "atp, zero": {"method": "atp", "baseline": "zero"},
    "atp, mean": {"method": "atp", "baseline": "mean"},
    "atp, denoise": {"method": "atp", "direction": "denoise"},
    "gradient-x-activation": {"method": "gradient-x-activation", "baseline": "zero"},
    "relp": {"method": "relp"},
    "relp, zero": {"method": "relp", "baseline": "zero"},
    "relp, denoise": {"method": "relp", "direction": "denoise"},
    "relp-jafari": {"method": "relp-jafari"},
    **{rule: {"method": "atp", "rules": {rule: True}} for rule in ALL_RULES},
    "ig-inputs": _path("ig-inputs", "right", 4),
    "ig-inputs, zero": _path("ig-inputs", "midpoint", 3, baseline="zero"),
    "ig-inputs, rules": _path("ig-inputs", "gauss-legendre", 2, rules=ALL_RULES),
    "ig-acts": _path("ig-acts", "midpoint", 3),
    "ig-acts, right": _path("ig-acts", "right", 2),
    "ig-acts, mean": _path("ig-acts", "midpoint", 3, baseline="mean"),
    "ig-inputs, mean": _path("ig-inputs", "midpoint", 3, baseline="mean"),
    "ig-acts, denoise": _path("ig-acts", "trapezoid", 3, direction="denoise"),
    "ig-acts, rules": _path("ig-acts", "midpoint", 2, rules=ALL_RULES),
    "delta": {"method": "delta"},
    "delta, mean": {"method": "delta", "baseline": "mean"},
    "delta, zero": {"method": "delta", "baseline": "zero"},
}


@dataclass(frozen=True)
class Stored:
    """A dictionary, how its file is written, and whether the sweep says where it reads or leaves that to the file."""

    dictionary: Dictionary
    form: str = "version 6"  # version 6 | version 4 | plain
    dtype: torch.dtype = torch.float64

    def write(self, folder: Path) -> dict:
        """The file or folder, as an item of the sweep's key."""
        one = self.dictionary
        if self.form == "plain":
            path = write_plain(folder / "weights.safetensors", one, self.dtype)
            return {"path": str(path), "hook": one.hook, "layer": one.layer}
        return {"path": str(write_saelens(folder, one, self.dtype, int(self.form.split()[1])))}


def items_of(stored: list[Stored], folder: Path) -> list[dict]:
    """All files, as items of the sweep's key."""
    every = [one.dictionary for one in stored]
    if every[0].kind == "cross_layer":
        return [{"path": str(write_cross_layer(folder / "clt", every)), "hook": every[0].hook}]
    return [one.write(folder / str(i)) for i, one in enumerate(stored)]


def dictionaries_of(model: SiteModel, pairs: list[Pair], seed: int = 0) -> list[Stored]:
    """One at every kind of site, of every activation and form, each writing where no other does; not in the order of
    layers. A file in float32 holds what was rounded before.
    """

    def of(hook: str, layer: int, form: str = "version 6", dtype: torch.dtype = torch.float64, **settings) -> Stored:
        one = random_dictionary(model, pairs, hook, layer, FEATURES, seed, dtype=dtype, **settings)
        return Stored(one, form, dtype)

    float32, transcoder = torch.float32, {"kind": "transcoder"}
    return [
        of("resid_post", 2, activation="topk", rescale=True),
        of("resid_pre", 1, "version 4", float32, apply_b_dec_to_input=True),
        of("resid_post", 0, "plain", activation="jumprelu"),
        of("z", 1, dtype=float32, activation="jumprelu", apply_b_dec_to_input=True),
        of("mlp_out", 2, "version 4", activation="topk"),
        of("mlp_in", 0, skip=True, **transcoder),
        of("mlp_in_normed", 1, activation="jumprelu", **transcoder),
        of("resid_mid", 0, "version 4"),
        of("resid_mid", 1, "plain", float32, activation="topk", apply_b_dec_to_input=True),
        of("z", 0, "plain"),
    ]


def behind_the_mlp(model: SiteModel, pairs: list[Pair]) -> list[Stored]:
    """Those that write what an MLP adds, a transcoder that reads the stream among them."""
    sites = [("mlp_out", 0, "sae"), ("mlp_in", 1, "transcoder"), ("resid_mid", 2, "transcoder")]
    return [
        Stored(random_dictionary(model, pairs, hook, layer, FEATURES, 7, kind=kind, activation="jumprelu"))
        for hook, layer, kind in sites
    ]


def before_the_outputs_norm(model: SiteModel, pairs: list[Pair]) -> list[Stored]:
    """Transcoders that write what the MLP's last matrix does, and one whose output a norm has passed."""
    sites = [("mlp_in", 0, "mlp_written"), ("resid_mid", 1, "mlp_written"), ("mlp_in", 2, "mlp_out")]
    made = {"kind": "transcoder", "activation": "jumprelu"}
    return [
        Stored(random_dictionary(model, pairs, hook, layer, FEATURES, 9, writes=writes, **made))
        for hook, layer, writes in sites
    ]


def cases_of(name: str) -> dict[str, dict]:
    """The cases of a model, without rules that have no place in it."""
    if name not in UNGATED:
        return CASES
    without = {label: case for label, case in CASES.items() if label != "half"}
    return {
        label: case | ({"rules": {k: v for k, v in case["rules"].items() if k != "half"}} if "rules" in case else {})
        for label, case in without.items()
    }


def method_of(name: str, case: dict) -> Method:
    """The reference's name for a case."""
    return reference_method(name, case)


def dense(results: Results, dictionary: int, positions: int, dataset: str = "score") -> tuple[np.ndarray, np.ndarray]:
    """A dictionary's entries as [pos, feature] with zeros elsewhere, and which there are."""
    values = np.zeros((positions, FEATURES))
    there = np.zeros((positions, FEATURES), dtype=bool)
    rows = results["/nodes/features/dictionary"] == dictionary
    at = results["/nodes/features/position"][rows], results["/nodes/features/feature"][rows]
    summed = bool((at[0] == -1).any())
    assert not summed or (positions == 1 and (at[0] == -1).all())
    place = (np.zeros_like(at[0]) if summed else at[0], at[1])
    values[place] = results[f"/nodes/features/{dataset}"][rows]
    there[place] = True
    return values, there
