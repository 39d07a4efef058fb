# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The program against the reference on tiny float64 models of every family, number by number.

Scores are stored in float32, so agreement ends near 1e-7 of the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from product import Results, assert_close, run_product, run_sweep
from reference.attribution import EMBEDDING_PATHS, Attributor, Method, exact_patching
from reference.circuits import Evaluator
from reference.rules import ALL_RULES, PRESETS
from tiny_models import MODELS

PAIRS, TOLERANCE = 3, 2e-6
RESULT_COUNTS = [0, 10, 100, 300]


def path(method: str, rule: str, steps: int, **settings: object) -> dict:
    """Settings of a method with a path."""
    return {"method": method, "quadrature": rule, "steps": steps} | settings


ALL_RULES_ON = dict.fromkeys(sorted(ALL_RULES), True)
SHORT_LIST = [
    {"method": "atp"},
    {"method": "relp"},
    path("ig-acts", "midpoint", 4),
    path("conductance", "trapezoid", 4),
]
LONG_LIST = [
    {"method": "relp-jafari"},
    {"method": "relp-transluce-release"},
    {"method": "no-half"},
    *({"method": "atp", "rules": {rule: True}} for rule in sorted(ALL_RULES)),
    {"method": "atp", "baseline": "mean"},
    {"method": "atp", "baseline": "zero"},
    {"method": "atp", "direction": "denoise"},
    {"method": "relp", "direction": "denoise"},
    {"method": "atp", "aggregate": "mean-abs"},
    {"method": "gradient-x-activation", "baseline": "zero"},
    {"method": "gradient-x-activation", "baseline": "mean"},
    {"method": "delta"},
    *(path("ig-acts", rule, 5) for rule in ("left", "right", "trapezoid", "trapezoid-captum")),
    path("ig-acts", "gauss-legendre", 5),
    path("ig-acts", "right", 3, direction="denoise"),
    path("ig-acts", "midpoint", 3, baseline="zero"),
    path("ig-acts", "midpoint", 3, baseline="mean"),
    path("ig-acts", "right", 3, rules=ALL_RULES_ON),
    path("ig-inputs", "right", 5, inputs=True),
    path("ig-inputs", "left", 5),
    path("ig-inputs", "gauss-legendre", 5),
    path("ig-inputs", "right", 3, rules=ALL_RULES_ON),
    path("ig-inputs", "midpoint", 3, baseline="mean"),
    path("conductance", "left", 5),
    path("conductance", "right", 5),
    path("conductance", "gauss-legendre", 5, form="captum"),
    path("input-ig", "midpoint", 5, inputs=True),
]
CASES = [(name, case) for name in MODELS for case in SHORT_LIST]
CASES += [(name, case) for name in ("llama", "gpt2") for case in LONG_LIST]


def label(value: object) -> str:
    """A test id: the settings' values, joined."""
    if not isinstance(value, dict):
        return str(value)
    words = []
    for key, item in value.items():
        words.append("+".join(sorted(item)) if key == "rules" else str(item))
    return "-".join(words)


def reference_method(case: dict, family: str) -> Method:
    """The reference's name for a case; `half` has no site in an ungated family."""
    settings = {k: v for k, v in case.items() if k not in ("method", "aggregate", "inputs")}
    rules = frozenset(settings.pop("rules", ())) or PRESETS.get(case["method"], frozenset())
    name = "atp" if case["method"] in PRESETS else case["method"]
    if family.startswith("gpt2"):
        rules -= {"half"}
    return Method(name, rules=rules, **settings)


def settings_of(folder: Path, **more: object) -> dict:
    """A sweep file's settings for a tiny model, held-out pairs being the training pairs."""
    files = {"train_file": str(folder / "pairs.jsonl"), "test_file": str(folder / "pairs.jsonl")}
    return {
        "model": {"path": str(folder), "dtype": "float64"},
        "pairs": files | {"train": PAIRS, "test": PAIRS, "overlap": "allow"},
        "metric": "logit-difference",
        "circuit": {"counts": RESULT_COUNTS},
    } | more


def without_absent_rules(case: dict, family: str) -> dict:
    """The case without rules that have no site: asked for by name they are refused."""
    rules = case.get("rules")
    if rules is None or not family.startswith("gpt2"):
        return case
    return case | {"rules": {k: v for k, v in rules.items() if k != "half"}}


def check_sums(results: Results, case: dict, expected: Attributor, scores) -> None:
    """Residuals and gaps: sum of scores minus the true end-point difference."""
    method = case["method"]
    if method == "delta":
        return
    plain = method in EMBEDDING_PATHS or method == "ig-acts"
    if "rules" in case:
        if method != "ig-acts":
            return
        plain = False
    name = "residual" if plain else "linearisation_gap"
    assert f"/attribution/{name}" in results
    found, wanted = results[f"/attribution/{name}"], scores.stacked("residual").reshape(PAIRS, -1)
    scale = np.abs(expected.one(Method("atp"), 0).metric).max()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * 10 * max(scale, 1))


@pytest.fixture(scope="module")
def scored(binary, tiny_folder, tmp_path_factory) -> Callable[[str], dict[str, Results]]:
    """Results of all cases of a model by their labels: one sweep a model."""
    made: dict[str, dict[str, Results]] = {}

    def results(name: str) -> dict[str, Results]:
        if name not in made:
            fitting = [without_absent_rules(case, name) for model, case in CASES if model == name]
            cases = {label(case): {"attribution": case} for case in fitting if case.get("rules") != {}}
            settings = settings_of(tiny_folder(name), attribution={"method": "atp", "linearisation_gap": "all"})
            found = run_sweep(binary, tmp_path_factory.mktemp(name), settings, list(cases.values()))
            made[name] = dict(zip(cases, found, strict=True))
        return made[name]

    return results


@pytest.mark.parametrize(("name", "case"), CASES, ids=label)
def test_scores(name, case, scored, tiny_model, tiny_pairs):
    """Scores, metric, residuals, token scores of one method on one family."""
    case = without_absent_rules(case, name)
    if case.get("rules") == {}:
        pytest.skip("the family has no site for this rule")
    results = scored(name)[label(case)]
    attributor = Attributor(tiny_model(name), tiny_pairs(name, PAIRS))
    scores = attributor.compute(reference_method(case, name))
    np.testing.assert_allclose(results["/attribution/metric"], scores.stacked("metric"), atol=2e-6)
    if case["method"] != "input-ig":
        expected = scores.aggregate(case.get("aggregate", "mean"))
        assert_close(results["/attribution/scores"], expected, TOLERANCE, "scores")
    if case.get("inputs"):
        inputs = scores.stacked("inputs")
        assert_close(results["/attribution/inputs"], inputs, TOLERANCE, "token scores")
    check_sums(results, case, attributor, scores)


@pytest.mark.parametrize("metric", ["logit", "sum-of-logits"])
@pytest.mark.parametrize("name", ["llama3", "gpt2"])
def test_metrics(metric, name, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """The other two metrics, attributed by RelP."""
    settings = settings_of(tiny_folder(name), attribution={"method": "relp"}, metric=metric, metric_top=3)
    results = run_product(binary, tmp_path, settings)
    attributor = Attributor(tiny_model(name), tiny_pairs(name, PAIRS), metric, 3)
    scores = attributor.compute(reference_method({"method": "relp"}, name))
    np.testing.assert_allclose(results["/attribution/metric"], scores.stacked("metric"), atol=2e-6)
    assert_close(results["/attribution/scores"], scores.aggregate(), TOLERANCE, "scores")


@pytest.mark.parametrize("aggregate", ["mean", "mean-abs"])
def test_summed_positions(aggregate, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """positions: sum scores (layer, neuron) nodes, and circuits hold them at every position."""
    case = {"method": "atp", "aggregate": aggregate}
    settings = settings_of(tiny_folder("llama"), attribution=case, positions="sum")
    results = run_product(binary, tmp_path, settings | {"circuit": {"counts": [5, 40]}})
    model, pairs = tiny_model("llama"), tiny_pairs("llama", PAIRS)
    expected = Attributor(model, pairs).compute(Method("atp")).aggregate(aggregate, "sum")
    assert_close(results["/attribution/scores"], expected, TOLERANCE, "scores")
    curve = Evaluator(model, pairs).curve(results["/attribution/scores"], [5, 40])
    np.testing.assert_allclose(results["/circuit/faithfulness"], curve.faithfulness, atol=1e-5)
    np.testing.assert_allclose(results["/circuit/completeness"], curve.completeness, atol=1e-5)


CIRCUITS = [(ranking, ablation) for ranking in ("abs", "signed") for ablation in ("mean", "zero", "resample")]


@pytest.fixture(scope="module", params=["llama", "mistral", "gpt2"])
def circuits(request, binary, tiny_folder, tmp_path_factory) -> tuple[str, dict[tuple[str, str], Results]]:
    """A model's name, and its circuits by ranking and ablation: one sweep a model."""
    name = request.param
    settings = settings_of(tiny_folder(name), attribution={"method": "relp"})
    runs = [{"circuit": {"ranking": ranking, "ablation": ablation}} for ranking, ablation in CIRCUITS]
    return name, dict(zip(CIRCUITS, run_sweep(binary, tmp_path_factory.mktemp(name), settings, runs), strict=True))


@pytest.mark.parametrize(("ranking", "ablation"), CIRCUITS)
def test_circuits(ranking, ablation, circuits, tiny_model, tiny_pairs):
    """Curves, per-pair metrics and areas of the circuits that the program's own scores give."""
    name, by_kind = circuits
    results = by_kind[ranking, ablation]
    evaluator = Evaluator(tiny_model(name), tiny_pairs(name, PAIRS), ablation)
    scores = results["/attribution/scores"]
    curve = evaluator.curve(scores, RESULT_COUNTS, ranking)
    assert results["/circuit/count"].tolist() == RESULT_COUNTS
    for field in ("faithfulness", "completeness", "metric_circuit", "metric_complement"):
        found = results[f"/circuit/{field}"]
        np.testing.assert_allclose(found, getattr(curve, field), rtol=0, atol=1e-5, err_msg=field)
    for field in ("metric_full", "metric_empty"):
        np.testing.assert_allclose(results[f"/circuit/{field}"], getattr(curve, field), atol=1e-5)
    areas = results.attributes["/circuit"]
    assert areas["cpr"] == pytest.approx(evaluator.cpr(scores), abs=1e-5, nan_ok=True)
    assert areas["cmd"] == pytest.approx(evaluator.cmd(scores), abs=1e-5, nan_ok=True)


def test_circuits_without_areas(circuits, binary, tmp_path, tiny_folder):
    """circuit.areas: false leaves out CPR and CMD, and the curve has the bytes it has with them."""
    name, by_kind = circuits
    ranking, ablation = CIRCUITS[0]
    settings = settings_of(tiny_folder(name), attribution={"method": "relp"})
    bare = run_sweep(
        binary, tmp_path, settings, [{"circuit": {"ranking": ranking, "ablation": ablation, "areas": False}}]
    )[0]
    whole = by_kind[ranking, ablation]
    areas = {f"/circuit/{area}_{part}" for area in ("cpr", "cmd") for part in ("fraction", "count", "value")}
    assert whole.datasets.keys() - bare.datasets.keys() == areas | {"/circuit/fraction"}
    for path, values in bare.datasets.items():
        assert np.array_equal(values, whole[path], equal_nan=values.dtype.kind == "f"), path
    assert not {"cpr", "cmd"} & set(bare.attributes["/circuit"])


def test_exact_patching(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Every neuron of a model patched one at a time, against the reference on some of them."""
    case = {"method": "exact-patching", "sample": 720}
    results = run_product(binary, tmp_path, settings_of(tiny_folder("llama"), attribution=case))
    model, pairs = tiny_model("llama"), tiny_pairs("llama", PAIRS)
    found = results["/attribution/scores"]
    rng = np.random.default_rng(0)
    neurons = [tuple(int(rng.integers(n)) for n in found.shape) for _ in range(60)]
    targets = Attributor(model, pairs).targets
    each = [exact_patching(model, p, t, neurons) for p, t in zip(pairs, targets, strict=True)]
    ours = np.array([found[neuron] for neuron in neurons])
    assert_close(ours, np.mean(each, axis=0), TOLERANCE, "exact patching")


def nested_rules(attributor: Attributor, index: int) -> dict[int, np.ndarray]:
    """Scores [layer, pos, neuron] of a pair by number of points: Simpson's and Boole's rule by Richardson's
    extrapolation of trapezoids, then trapezoids."""
    trapezoid = {
        points: attributor.one(Method("ig-acts", "trapezoid", points), index).scores.numpy()
        for points in (2, 3, 5, 9, 17, 33, 65)
    }
    simpson = {n: (4 * trapezoid[n] - trapezoid[(n + 1) // 2]) / 3 for n in (3, 5)}
    boole = (16 * simpson[5] - simpson[3]) / 15
    return trapezoid | {3: simpson[3], 5: boole}


def test_adaptive_is_the_rule_it_stopped_at(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Every score of every pair, against the nested rule with as many points as its layer spent, or with half as many:
    far from the goal two levels are evaluated at once, and the first of them may do."""
    attributor = Attributor(tiny_model("llama"), tiny_pairs("llama", PAIRS))
    used = set()
    for tolerance in (0.01, 1e-4):
        folder = tmp_path / str(tolerance)
        folder.mkdir()
        case = {"method": "ig-acts", "quadrature": "adaptive", "tolerance": tolerance, "keep": "full"}
        results = run_product(binary, folder, settings_of(tiny_folder("llama"), attribution=case))
        for index in range(PAIRS):
            rules = nested_rules(attributor, index)
            for layer, points in enumerate(results["/attribution/evaluations"][index].tolist()):
                found = results["/attribution/pair_scores"][index, layer]
                near = {n: np.abs(found - rules[n][layer]).max() for n in {points, (points + 1) // 2} & rules.keys()}
                best = min(near, key=near.get)
                assert_close(found, rules[best][layer], TOLERANCE, f"pair {index}, layer {layer}, {best} points")
                used.add(best)
    assert used >= {3, 5, 9}  # or too few rules were looked at


def test_adaptive_reaches_its_tolerance(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Adaptive IG-activations and conductance against a fine fixed rule."""
    attributor = Attributor(tiny_model("llama"), tiny_pairs("llama", PAIRS))
    for method, rule in (("ig-acts", "midpoint"), ("conductance", "trapezoid")):
        folder = tmp_path / method
        folder.mkdir()
        case = {"method": method, "quadrature": "adaptive", "tolerance": 0.002}
        results = run_product(binary, folder, settings_of(tiny_folder("llama"), attribution=case))
        fine = attributor.compute(Method(method, rule, 200)).aggregate()
        assert_close(results["/attribution/scores"], fine, 0.02, method)
