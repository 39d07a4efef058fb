# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The program against the reference on SmolLM2-135M and the published agreement sets, in float32.

Where the published sets are not at hand the project's own agreement pairs take their place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from product import Results, assert_close, run_sweep
from reference.attribution import Attributor, Method
from reference.circuits import Evaluator
from reference.gradients import sweep_embeddings
from reference.metrics import target_of
from reference.pairs import tokenise
from reference.rules import ALL_RULES
from reference.sva import load_pairs
from reference.tapped import TappedModel
from tokenizers import Tokenizer

MODEL = ROOT / "models" / "smollm2-135m"
DATA = Path(os.environ.get("TRIBUTARY_SHARED", ROOT.parent / "shared")) / "data" / "sva"
OWN = ROOT / "experiments" / "pairs"
COUNT, COUNTS = 2, [10, 30, 100, 300, 1000]
RIGHT_10 = {"quadrature": "right", "steps": 10}
CASES = [
    {"method": "atp"},
    {"method": "relp"},
    {"method": "relp-jafari"},
    {"method": "ig-acts", **RIGHT_10},
    {"method": "ig-inputs", **RIGHT_10},
    {"method": "conductance", "quadrature": "trapezoid", "steps": 10},
    {"method": "input-ig", "inputs": True, **RIGHT_10},
]
DEFAULT_INPUT_IG = {"method": "input-ig", "inputs": True}


def agreement_files() -> dict[str, tuple[Path, Path]]:
    """Training and test file of each set that is there."""
    sets = {s: (DATA / f"{s}_train.json", DATA / f"{s}_test.json") for s in ("simple", "nounpp")}
    if not DATA.is_dir():
        sets = {"own": (OWN / "agreement_train.jsonl", OWN / "agreement_test.jsonl")}
    return {name: files for name, files in sets.items() if all(f.is_file() for f in files)}


FILES = agreement_files()
SETS = list(FILES) or [pytest.param("none", marks=pytest.mark.skip(f"no pairs in {DATA} or {OWN}"))]


@dataclass
class Agreement:
    """One set: the reference on its fitting pairs, and what the program says of them, in one sweep."""

    attributor: Attributor
    evaluator: Evaluator
    results: list[Results]  # of CASES, and of input IG by its default rule

    @staticmethod
    def settings(files: tuple[Path, Path]) -> dict:
        """A sweep file's settings for a set."""
        chosen = {"train": COUNT, "test": COUNT, "unfit": "skip", "overlap": "allow"}
        pairs = {"train_file": str(files[0]), "test_file": str(files[1])}
        return {
            "model": {"path": str(MODEL), "dtype": "float32"},
            "pairs": pairs | chosen | {"length": "first"},
            "metric": "logit-difference",
            "attribution": {"method": "atp", "linearisation_gap": "all"},
            "positions": "keep",
            "circuit": {"counts": COUNTS, "ranking": "abs", "ablation": "mean"},
        }


@pytest.fixture(scope="module")
def smollm2() -> TappedModel:
    """The demo model, tapped, in float32."""
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"no model at {MODEL}: run tools/fetch_model.py")
    return TappedModel.load(MODEL, torch.float32)


@pytest.fixture(scope="module", params=SETS)
def agreement(
    request: pytest.FixtureRequest, binary: Path, smollm2: TappedModel, tmp_path_factory: pytest.TempPathFactory
) -> Agreement:
    """Each agreement set in turn."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    files = FILES[request.param]
    training, held_out = load_pairs(*files, tokenizer, COUNT, COUNT)
    attributor, evaluator = Attributor(smollm2, training), Evaluator(smollm2, held_out)
    runs = [{"attribution": case} for case in [*CASES, DEFAULT_INPUT_IG]]
    results = run_sweep(binary, tmp_path_factory.mktemp("agreement"), Agreement.settings(files), runs)
    return Agreement(attributor, evaluator, results)


def test_reference_conserves_the_metric() -> None:
    """RelP on the demo model in float64: sum of e * dm/de is m, and not without any one rule."""
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"no model at {MODEL}: run tools/fetch_model.py")
    model = TappedModel.load(MODEL, torch.float64)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    prompts = {"clean_prefix": "The teachers near the desk", "patch_prefix": "The teacher near the desk"}
    pair = tokenise(tokenizer, prompts | {"clean_answer": " are", "patch_answer": " is"})
    embeds = model.embed(torch.tensor([pair.clean]))

    def total(without: str = "") -> float:
        target = target_of(model, pair, "logit-difference")
        sweep = sweep_embeddings(model, embeds, target, ALL_RULES - {without})
        assert sweep.metric.item() == pytest.approx(4.0623723, abs=1e-6)
        return (embeds[0] * sweep.embed_grads[0]).sum().item()

    assert total() == pytest.approx(4.0623723, abs=1e-6)
    without = {"attention": 6.98, "half": 3.46, "activation": 2.30, "norm": 0.77}
    assert {rule: round(total(rule), 2) for rule in without} == without


def reference_method(case: dict) -> Method:
    """The reference's method of a case."""
    settings = {k: v for k, v in case.items() if k not in ("method", "inputs")}
    return Method.named(case["method"], **settings)


def check_circuit(results: Results, evaluator: Evaluator) -> None:
    """The curve of the program's own scores, evaluated by the reference."""
    curve = evaluator.curve(results["/attribution/scores"], COUNTS)
    for name in ("faithfulness", "completeness", "metric_full", "metric_empty"):
        found, wanted = results[f"/circuit/{name}"], getattr(curve, name)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["method"])
def test_scores(case: dict, agreement: Agreement) -> None:
    """Scores within 1e-4 of the largest; the circuits' curve; the residuals."""
    results = agreement.results[CASES.index(case)]
    scores = agreement.attributor.compute(reference_method(case))
    metric = scores.stacked("metric")
    np.testing.assert_allclose(results["/attribution/metric"], metric, rtol=0, atol=5e-4)
    if case["method"] == "input-ig":
        found = results["/attribution/inputs"]
        assert_close(found, scores.stacked("inputs"), 1e-4, "token scores")
        return
    assert_close(results["/attribution/scores"], scores.aggregate(), 1e-4, "scores")
    exact_sums = case["method"] in ("ig-acts", "ig-inputs", "conductance")
    name = "residual" if exact_sums else "linearisation_gap"
    wanted = scores.stacked("residual")
    wanted = wanted.reshape(len(wanted), -1)  # one column where the path moves embeddings
    np.testing.assert_allclose(results[f"/attribution/{name}"], wanted, rtol=0, atol=2e-3)
    check_circuit(results, agreement.evaluator)


def test_default_input_ig(agreement: Agreement) -> None:
    """Input IG by the program's default rule, against 48 midpoints (resolved to 1e-4)."""
    results = agreement.results[-1]
    fine = agreement.attributor.compute(Method("input-ig", "midpoint", 48)).stacked("inputs")
    assert_close(results["/attribution/inputs"], fine, 0.03, "token scores")
