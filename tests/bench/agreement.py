# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""How far scores are from each other: that the peers compute the same thing, and how large the errors of rules are."""

from __future__ import annotations

import numpy as np
from peer_times import PeerTimes
from peers import Batch
from product_runs import Product, Run

RIGHT_10 = {"quadrature": "right", "steps": 10}
REFERENCE = {"method": "ig-acts", "quadrature": "trapezoid", "steps": 65}


def relative_l1(found: np.ndarray, expected: np.ndarray) -> float:
    """Sum of |differences| by sum of |expected|."""
    return float(np.abs(found - expected).sum(dtype=np.float64) / np.abs(expected).sum(dtype=np.float64))


def pearson(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.corrcoef(found.ravel().astype(np.float64), expected.ravel().astype(np.float64))[0, 1])


def overlap(found: np.ndarray, expected: np.ndarray, count: int) -> int:
    """How many of the `count` nodes with the largest |score| both have."""
    tops = [set(np.argsort(-np.abs(scores), axis=None, kind="stable")[:count]) for scores in (found, expected)]
    return len(tops[0] & tops[1])


def same_pairs(run: Run, peers: PeerTimes) -> bool:
    """Whether the program took the peers' pairs, in their order."""
    clean, counterfactual = (run.results[0][f"/pairs/{side}_ids"] for side in ("clean", "counterfactual"))
    answers = [run.results[0][f"/pairs/{side}_answer_id"] for side in ("clean", "patch")]
    batch = Batch.of(peers.pairs[: run.pairs])
    ours = (clean, counterfactual, *answers)
    theirs = (batch.clean, batch.counterfactual, *batch.answers)
    return all(np.array_equal(a[: run.pairs], b.numpy()) for a, b in zip(ours, theirs, strict=True))


def agreement(product: Product, peers: PeerTimes, pairs: int = 2) -> dict[str, float]:
    """Relative L1 between each peer and the program at equal settings: rounding, or they are not comparable."""
    batch = Batch.of(peers.pairs[:pairs])

    def ours(method: str, **settings: object) -> np.ndarray:
        name = f"agreement: {method}"
        found = product.run(name, {"method": method} | settings, repeats=1, pairs=pairs)
        if not same_pairs(found, peers):
            raise RuntimeError(f"{name}: the program took other pairs")
        return found.results[0]["/attribution/inputs"] if method == "input-ig" else found.scores()

    known = peers.peers
    sweep = known.script_sweep(batch)
    acts = ours("ig-acts", **RIGHT_10)
    found = {
        "Captum LayerIntegratedGradients": (known.captum_ig(batch), acts),
        "Captum LayerConductance": (known.captum_conductance(batch), ours("captum-conductance", **RIGHT_10)),
        "script, IG-activations": (known.script_ig_acts(batch), acts),
        "script, ig-inputs": (sweep["ig-inputs"], ours("ig-inputs", **RIGHT_10)),
        "script, conductance": (sweep["conductance"], ours("conductance", **RIGHT_10)),
        "script, input-ig": (sweep["input-ig"], ours("input-ig", inputs=True, **RIGHT_10)),
        "script, single backward": (known.script_atp(batch), ours("atp", linearisation_gap="skip")),
    }
    return {
        name: relative_l1(expected, theirs.numpy() if name.endswith("input-ig") else theirs.numpy().mean(axis=0))
        for name, (theirs, expected) in found.items()
    }


class Errors:
    """Errors of IG-activations against 65 points, as mean scores of a few pairs."""

    def __init__(self, product: Product, peers: PeerTimes, pairs: int = 5) -> None:
        self.product, self.peers, self.pairs = product, peers, min(pairs, product.pairs)
        self.raw: dict[str, dict] = {}

    def product_scores(self, name: str, attribution: dict, **more: object) -> np.ndarray:
        """The program's mean scores of these pairs."""
        return self.product.run(f"{name}, {self.pairs} pairs", attribution, 1, pairs=self.pairs, **more).scores()

    def peer_scores(self, name: str) -> np.ndarray:
        """A peer's mean scores of these pairs."""
        return self.peers[name].scores[: self.pairs].mean(axis=0)

    def of(self, name: str, scores: np.ndarray) -> float:
        """Relative L1 to the reference over all layers; the layers' own are kept for the JSON file."""
        reference = self.product_scores("65 points", REFERENCE)
        layers = [relative_l1(found, expected) for found, expected in zip(scores, reference, strict=True)]
        self.raw[name] = {"relative_l1": relative_l1(scores, reference), "layers": layers}
        return self.raw[name]["relative_l1"]

    def of_reference(self) -> float:
        """The program's 65 points against the hand-written script's, on one pair."""
        found = self.product.run("65 points, 1 pair", REFERENCE, 1, pairs=1).scores()
        expected = self.peers.peers.script_ig_acts(Batch.of(self.peers.pairs[:1]), 65, "trapezoid")
        error = relative_l1(found, expected.numpy()[0])
        self.raw["65 points against the script's"] = {"relative_l1": error}
        return error
