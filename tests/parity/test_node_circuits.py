# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits of nodes of several kinds by the program, against the reference's on tiny float64 models.

The networks compute in float64 on both sides; files store float32, so each number is held to 2e-6 of the largest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from node_cases import place_of, settings_of, stored_scores
from product import Results, run_sweep
from reference.node_circuits import NodeEvaluator
from reference.nodes import NodeModel

PAIRS, TOLERANCE = 3, 2e-6
COUNTS = [0, 1, 4, 12, 30]
ORDER = ["mlps", "heads", "embeddings", "neurons"]
# What differs from mean-ablated circuits of all four kinds at single positions, ranked by |score|.
CIRCUITS: dict[str, dict] = {
    "mean": {"circuit": {"ablation": "mean"}},
    "zero": {"circuit": {"ablation": "zero", "counts": [0, 30, 200, 450]}},
    "resample": {"circuit": {"ablation": "resample"}},
    "signed": {"circuit": {"ranking": "signed"}},
    "written": {"mlps": {"side": "written"}},
    "written, zero": {"mlps": {"side": "written"}, "circuit": {"ablation": "zero", "counts": [0, 30, 200, 450]}},
    "two kinds": {"circuit": {"nodes": ["heads", "mlps"], "ablation": "zero"}},
    "heads": {"circuit": {"nodes": ["heads"], "ablation": "resample"}},
    "no neurons": {"nodes": ORDER[:3], "circuit": {"ranking": "signed", "ablation": "resample"}},
    "sum": {"positions": "sum"},
    "sum, no neurons": {
        "positions": "sum",
        "nodes": ORDER[:3],
        "circuit": {"ablation": "resample", "counts": COUNTS[:4]},
    },
    # Where the prompts agree, and in the last layer before its end, scores are exactly zero.
    "ties": {
        "attribution": {"method": "atp"},
        "circuit": {"nodes": ["mlps", "heads", "embeddings"], "ablation": "zero", "counts": list(range(30, 70, 3))},
    },
}
MODELS = ["llama", "gpt2", "gemma3_text", "gpt_neox", "granite"]


@pytest.fixture(scope="module")
def circuits(binary, tiny_folder, tmp_path_factory) -> Callable[[str], dict[str, Results]]:
    """Results by label: one sweep a model."""
    made: dict[str, dict[str, Results]] = {}
    failed: dict[str, str] = {}

    def results(name: str) -> dict[str, Results]:
        if name in failed:
            pytest.fail(failed[name])
        if name not in made:
            settings = settings_of(tiny_folder(name), PAIRS, PAIRS)
            settings |= {"nodes": ORDER, "attribution": {"method": "relp"}, "circuit": {"counts": COUNTS}}
            try:
                found = run_sweep(binary, tmp_path_factory.mktemp(name), settings, list(CIRCUITS.values()))
            except AssertionError as error:
                failed[name] = str(error)
                raise
            made[name] = dict(zip(CIRCUITS, found, strict=True))
        return made[name]

    return results


def asked(label: str, key: str, default: object) -> object:
    """A setting of a circuit."""
    return CIRCUITS[label].get("circuit", {}).get(key, default)


def evaluator_of(label: str, model: NodeModel, pairs: list) -> NodeEvaluator:
    """The reference's circuits for a label: of the kinds in the order of `nodes`, whatever that of circuit.nodes is."""
    nodes = CIRCUITS[label].get("nodes", ORDER)
    kinds = [kind for kind in nodes if kind in asked(label, "nodes", nodes)]
    positions = CIRCUITS[label].get("positions", "keep")
    return NodeEvaluator(model, pairs, kinds, asked(label, "ablation", "mean"), positions)


@pytest.fixture
def case(request, circuits, tiny_model, tiny_pairs) -> tuple[str, Results, NodeEvaluator]:
    """A label, the program's results, and the reference's circuits."""
    name, label = request.param
    side = CIRCUITS[label].get("mlps", {}).get("side", "added")
    evaluator = evaluator_of(label, NodeModel(tiny_model(name).model, side), tiny_pairs(name, PAIRS))
    return label, circuits(name)[label], evaluator


ALL_CASES = pytest.mark.parametrize(
    "case", [(name, label) for name in MODELS for label in CIRCUITS], indirect=True, ids="-".join
)


@ALL_CASES
def test_circuits(case):
    """What is left of the metric in circuits, and outside them, that the program's own scores give."""
    label, results, evaluator = case
    counts = asked(label, "counts", COUNTS)
    flat = evaluator.flat(stored_scores(results, evaluator.kinds))
    curve = evaluator.curve(flat, counts, asked(label, "ranking", "abs"))
    assert results["/circuit/count"].tolist() == counts
    fields = ("metric_circuit", "metric_complement", "metric_full", "metric_empty")
    # Without biases nothing is left of the metric where everything is zero.
    scale = max(np.abs(getattr(curve, field)).max() for field in fields)
    for field in fields:
        found, expected = results[f"/circuit/{field}"], getattr(curve, field)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale, err_msg=field)
    for field in ("faithfulness", "completeness"):
        np.testing.assert_allclose(results[f"/circuit/{field}"], getattr(curve, field), rtol=0, atol=1e-5)
    assert np.ptp(curve.metric_circuit) > 1e-3


@ALL_CASES
def test_areas_are_over_all_nodes(case):
    """Fractions are of the nodes of every kind that circuits are of."""
    _, results, evaluator = case
    flat = evaluator.flat(stored_scores(results, evaluator.kinds))
    for area, value in (("cpr", evaluator.cpr(flat)), ("cmd", evaluator.cmd(flat))):
        fractions = results[f"/circuit/{area}_fraction"]
        assert results[f"/circuit/{area}_count"].tolist() == [int(fraction * flat.size) for fraction in fractions]
        assert results.attributes["/circuit"][area] == pytest.approx(value, abs=1e-5, nan_ok=True)


def test_ties_were_cut(circuits):
    """Some circuit ends between two nodes whose scores are exactly equal, or the order of ties was not seen."""
    results = circuits("llama")["ties"]
    scores = np.concatenate([np.abs(results[place_of(kind, "scores")]).ravel() for kind in ORDER[:3]])
    zeros = (scores == 0).sum()
    assert zeros > 3
    assert any(scores.size - zeros < count < scores.size for count in results["/circuit/count"])


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_left_without_embeddings(name, binary, tmp_path, tiny_folder):
    """All tokens are one node: resampled, everything is as on the counterfactual prompt, whatever else is kept."""
    settings = settings_of(tiny_folder(name), PAIRS, PAIRS)
    settings |= {"nodes": ["heads", "mlps", "embeddings"], "positions": "sum", "attribution": {"method": "atp"}}
    circuit = {"ablation": "resample", "counts": list(range(13)), "areas": False}
    for ranking in ("abs", "signed"):
        folder = tmp_path / ranking
        folder.mkdir()
        (results,) = run_sweep(binary, folder, settings, [{"circuit": circuit | {"ranking": ranking}}])
        scores = np.concatenate([results[f"/nodes/{kind}/scores"].ravel() for kind in settings["nodes"]])
        keys = np.abs(scores) if ranking == "abs" else scores
        rank = np.argsort(-keys, kind="stable").tolist().index(scores.size - 1)
        empty, full = results["/circuit/metric_empty"], results["/circuit/metric_full"]
        assert np.abs(full - empty).max() > 0.1
        scale = max(np.abs(empty).max(), np.abs(full).max())
        for row, count in enumerate(results["/circuit/count"]):
            without = "complement" if rank < count else "circuit"
            found = results[f"/circuit/metric_{without}"][row]
            np.testing.assert_allclose(found, empty, rtol=0, atol=TOLERANCE * scale)
