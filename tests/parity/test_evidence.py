# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Agreement with exact patching, steering and scores of single pairs, each against an independent computation."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from product import Results, assert_close, run_product, run_sweep
from reference.attribution import Attributor, Method, exact_patching
from test_tiny_scores import settings_of

PAIRS, TOLERANCE = 3, 2e-6


def neurons_of(results: Results, group: str) -> list[tuple[int, int, int]]:
    """Layer, position and index of the neurons that a group lists."""
    columns = [results[f"/{group}/{name}"].tolist() for name in ("layer", "position", "neuron")]
    return list(zip(*columns, strict=True))


def ranks(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mid-ranks among the nodes that the sampled ones stand for."""
    return np.array([weight[values < v].sum() + weight[values == v].sum() / 2 for v in values])


def correlation(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Pearson's, weighted."""
    spread = np.cov(x, y, aweights=weight, ddof=0)
    return float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))


def statistics(exact: np.ndarray, score: np.ndarray, inclusion: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """The agreement of two lists, by definition."""
    top = max(1, len(exact) // 10)
    kept = np.arange(len(exact)) != np.abs(exact).argmax()
    order = [set(np.lexsort((np.arange(len(v)), -np.abs(v)))[:top].tolist()) for v in (exact, score)]
    weight, once = 1 / inclusion, np.ones(drawn.sum())
    return {
        "pearson": correlation(exact, score, weight),
        "pearson without the largest": correlation(exact[kept], score[kept], weight[kept]),
        "spearman": correlation(ranks(exact, weight), ranks(score, weight), weight),
        "pearson of the random nodes": correlation(exact[drawn], score[drawn], once),
        "spearman of the random nodes": correlation(ranks(exact[drawn], once), ranks(score[drawn], once), once),
        f"top-{top} overlap in the sample": len(order[0] & order[1]) / top,
    }


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """AUROC by counting pairs."""
    larger = (inside[:, None] > outside[None, :]).sum() + (inside[:, None] == outside[None, :]).sum() / 2
    return float(larger / (len(inside) * len(outside)))


@pytest.fixture(scope="module")
def with_cases(tiny_folder, tmp_path_factory) -> Path:
    """Pairs of a tiny model with case labels."""
    file = tmp_path_factory.mktemp("cases") / "pairs.jsonl"
    lines = (tiny_folder("llama") / "pairs.jsonl").read_text().splitlines()
    records = [json.loads(line) | {"case": "odd" if i % 2 else "even"} for i, line in enumerate(lines)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


@pytest.mark.parametrize("method", ["relp", "ig-inputs", "delta"])
def test_agreement(method, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """Exact effects against the reference, scores of each pair, and the statistics by definition."""
    attribution = {"method": method, "keep": "full"}
    if method == "ig-inputs":
        attribution |= {"quadrature": "midpoint", "steps": 4}
    settings = settings_of(tiny_folder("llama"), attribution=attribution, agreement={"sample": 60, "seed": 3})
    results = run_product(binary, tmp_path, settings)
    neurons = neurons_of(results, "agreement")
    assert neurons == sorted(set(neurons))
    strata, inclusion = np.char.decode(results["/agreement/stratum"].astype("S")), results["/agreement/inclusion"]
    drawn, top = np.char.find(strata, "random") >= 0, np.char.find(strata, "top") >= 0
    assert (drawn.sum(), top.sum(), (drawn | top).all()) == (30, 30, True)
    first = results.attributes["/agreement"]["first_position"]
    ids = [results[f"/pairs/{name}_ids"][:PAIRS] for name in ("clean", "counterfactual")]
    assert first == np.flatnonzero((ids[0] != ids[1]).any(0)).min()
    mean = results["/attribution/scores"]
    population = np.abs(mean[:, first:])
    assert results.attributes["/agreement"]["population"] == population.size
    assert min(position for _, position, _ in neurons) >= first
    scored = np.array([abs(mean[neuron]) for neuron in neurons])
    np.testing.assert_array_equal(np.sort(scored[top]), np.sort(population, axis=None)[-30:])
    each_layer = 30 / len(mean)  # a stratum is a layer: enough are drawn
    np.testing.assert_allclose(inclusion, np.where(top, 1, each_layer / population[0].size))
    assert [layer for layer, _, _ in np.array(neurons)[drawn]].count(0) == each_layer
    model, pairs = tiny_model("llama"), tiny_pairs("llama", PAIRS)
    targets = Attributor(model, pairs).targets
    expected = np.array([exact_patching(model, p, t, neurons) for p, t in zip(pairs, targets, strict=True)])
    if method == "delta":  # a magnitude is compared with magnitudes
        expected = np.abs(expected)
    assert_close(results["/agreement/exact"], expected, TOLERANCE, "exact effects")
    each = results["/attribution/pair_scores"]
    scores = np.array([[pair[neuron] for neuron in neurons] for pair in each])
    np.testing.assert_array_equal(results["/agreement/score"], scores)
    assert_close(each.mean(0), results["/attribution/scores"], 1e-6, "mean of the pairs' scores")
    found = dict(zip([n.decode() for n in results["/agreement/statistic"]], results["/agreement/value"], strict=True))
    means = [table.astype(np.float64).mean(0) for table in (results["/agreement/exact"], scores)]
    wanted = statistics(*means, inclusion, drawn)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert (results["/agreement/value_low"] <= results["/agreement/value"]).all()
    assert (results["/agreement/value"] <= results["/agreement/value_high"]).all()


def test_what_else_is_in_the_sweep_changes_nothing(binary, tmp_path, tiny_folder):
    """A run alone and in company: the same bytes. All methods have the same random neurons, each its own top ones."""
    company = [{"method": "relp"}, {"method": "atp"}, {"method": "ig-acts", "baseline": "zero"}, {"method": "delta"}]
    company += [{"method": "ig-inputs", "baseline": "mean", "steps": 3}, {"method": "input-ig"}, {"method": "random"}]
    settings = settings_of(tiny_folder("llama"), attribution={"method": "relp"}, agreement={"sample": 40})
    together = run_sweep(binary, tmp_path, settings, [{"attribution": one} for one in company])
    random, all_tops = [], []
    for one, results in zip(company, together, strict=True):
        folder = tmp_path / "-".join(str(value) for value in one.values())
        folder.mkdir()
        alone = run_product(binary, folder, settings | {"attribution": one})
        paths = [path for path in results.datasets if path.startswith("/agreement")]
        assert bool(paths) == (one["method"] != "input-ig")  # which scores tokens
        for path in paths:
            found, expected = results[path], alone[path]
            texts = found.dtype == object
            assert found.tolist() == expected.tolist() if texts else found.tobytes() == expected.tobytes(), path
        if paths:
            strata = [word.decode() for word in results["/agreement/stratum"]]
            named = list(zip(neurons_of(results, "agreement"), strata, strict=True))
            random.append([neuron for neuron, stratum in named if "random" in stratum])
            all_tops.append([neuron for neuron, stratum in named if "top" in stratum])
    assert len(random[0]) == len(all_tops[0]) == 20
    assert all(drawn == random[0] for drawn in random)
    assert len({str(tops) for tops in all_tops}) > 4


def test_exact_patching_is_done_in_float32_or_better(binary, tmp_path, tiny_folder):
    """A bfloat16 run is compared with the effects that a float32 network has."""
    found = {}
    for dtype in ("bfloat16", "float32"):
        settings = settings_of(tiny_folder("llama"), attribution={"method": "atp"}, agreement={"sample": 720})
        settings["model"]["dtype"] = dtype
        settings["pairs"] |= {"test": 0}
        (tmp_path / dtype).mkdir()
        found[dtype] = run_product(binary, tmp_path / dtype, settings)["/agreement/exact"]
    assert 0 < found["float32"].shape[1] <= 720  # all nodes at positions where the prompts differ
    np.testing.assert_array_equal(found["bfloat16"], found["float32"])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("neurons", [None, ["0/2/4", "1/7", "2/4/0"]], ids=["top", "list"])
def test_steering(neurons, name, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """What the model says with neurons multiplied, against transformers with hooks."""
    factors = [-2.0, 0.0, 1.0, 2.5]
    steering = {"factors": factors} | ({"top": 6} if neurons is None else {"neurons": neurons})
    settings = settings_of(tiny_folder(name), attribution={"method": "relp"}, steering=steering)
    results = run_product(binary, tmp_path, settings)
    steered = neurons_of(results, "steering")
    if neurons is None:
        scores = results["/attribution/scores"]
        order = np.lexsort((np.arange(scores.size), -np.abs(scores).ravel()))[:6]
        assert steered == [tuple(int(i) for i in np.unravel_index(node, scores.shape)) for node in order]
    else:
        assert steered == [(0, 2, 4), (1, -1, 7), (2, 4, 0)]
    model, pairs = tiny_model(name), tiny_pairs(name, PAIRS)

    def said(pair, factor: float) -> torch.Tensor:
        def multiplied(layer: int, a: torch.Tensor) -> torch.Tensor:
            a = a.clone()
            for neuron_layer, position, index in steered:
                if neuron_layer == layer:
                    a[:, slice(None) if position < 0 else position, index] *= factor
            return a

        with torch.no_grad():
            return model.run(ids=torch.tensor([pair.clean]), do=multiplied).logits[0]

    np.testing.assert_array_equal(results["/steering/factor"], factors)
    for i, pair in enumerate(pairs):
        y, other = (int(results[f"/pairs/{which}_answer_id"][i]) for which in ("clean", "patch"))
        unsteered = torch.log_softmax(said(pair, 1.0), -1)
        for f, factor in enumerate(factors):
            logits = said(pair, factor)
            log_p = torch.log_softmax(logits, -1)
            kl = float((unsteered.exp() * (unsteered - log_p)).sum())
            assert results["/steering/metric"][f, i] == pytest.approx(float(logits[y] - logits[other]), abs=1e-5)
            assert results["/steering/clean_probability"][f, i] == pytest.approx(float(log_p[y].exp()), abs=1e-6)
            assert results["/steering/patch_probability"][f, i] == pytest.approx(float(log_p[other].exp()), abs=1e-6)
            assert results["/steering/divergence"][f, i] == pytest.approx(kl, abs=1e-6)
            top = torch.topk(log_p, 5).values.exp()
            np.testing.assert_allclose(results["/steering/token_probability"][f, i], top, atol=1e-6)


def test_scores_of_single_pairs_and_cases(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs, with_cases):
    """keep: full and K against each other and the reference; AUROC by counting."""
    kept = {}
    for keep in ("full", 15):
        settings = settings_of(tiny_folder("llama"), attribution={"method": "relp", "keep": keep})
        settings["pairs"] |= {"train_file": str(with_cases), "train": 8, "test": 0}
        (tmp_path / str(keep)).mkdir()
        kept[keep] = run_product(binary, tmp_path / str(keep), settings)
    full, largest = kept["full"], kept[15]
    scores = full["/attribution/pair_scores"]
    attributor = Attributor(tiny_model("llama"), tiny_pairs("llama", 8))
    rules = frozenset({"norm", "activation", "half", "attention"})
    expected = np.array(attributor.compute(Method("atp", rules=rules)).stacked("scores"))
    assert_close(scores, expected, TOLERANCE, "scores of each pair")
    mean = full["/attribution/scores"]
    error = scores.astype(np.float64).std(0, ddof=1) / np.sqrt(len(scores))
    assert_close(full["/attribution/standard_error"], error, 1e-6, "standard errors")
    same_sign = (np.sign(scores) == np.sign(mean)).mean(0)
    np.testing.assert_array_equal(full["/attribution/sign_share"], same_sign.astype(np.float32))
    assert len(np.unique(same_sign)) > 3
    for name in ("scores", "standard_error", "sign_share"):
        np.testing.assert_array_equal(full[f"/attribution/{name}"], largest[f"/attribution/{name}"])
    rows = scores.reshape(len(scores), -1)
    for row, nodes, values in zip(
        rows, largest["/attribution/pair_node"], largest["/attribution/pair_score"], strict=True
    ):
        order = np.lexsort((np.arange(row.size), -np.abs(row)))[:15]
        assert nodes.tolist() == order.tolist()
        np.testing.assert_array_equal(values, row[order])
    odd = full["/pairs/case"] == b"odd"
    for results in (full, largest):
        assert results["/cases/label"].tolist() == [b"even", b"odd"]
        assert results["/cases/pairs"].tolist() == [4, 4]
    sparse = np.zeros_like(rows)
    for pair, nodes in enumerate(largest["/attribution/pair_node"]):
        sparse[pair, nodes] = rows[pair, nodes]
    held = (sparse != 0).any(0)
    for label, of_label in (("even", ~odd), ("odd", odd)):
        place = ["even", "odd"].index(label)
        for node in range(0, rows.shape[1], 7):
            found = full["/cases/auroc"][place].ravel()[node]
            assert found == pytest.approx(area(rows[of_label, node], rows[~of_label, node]), abs=1e-6)
        for node in np.flatnonzero(held):
            found = largest["/cases/auroc"][place].ravel()[node]
            assert found == pytest.approx(area(sparse[of_label, node], sparse[~of_label, node]), abs=1e-6)
        assert np.isnan(largest["/cases/auroc"][place].ravel()[~held]).all()


def test_cases_of_patched_neurons_alone(binary, tmp_path, tiny_folder, with_cases):
    """Exact patching scores a sample: the other neurons have no AUROC."""
    settings = settings_of(tiny_folder("llama"), attribution={"method": "exact-patching", "sample": 30, "keep": "full"})
    settings["pairs"] |= {"train_file": str(with_cases), "train": 8, "test": 0}
    results = run_product(binary, tmp_path, settings)
    scored = ~np.isnan(results["/attribution/scores"])
    assert scored.sum() == 30
    assert (~np.isnan(results["/attribution/standard_error"]) == scored).all()
    assert (~np.isnan(results["/attribution/sign_share"]) == scored).all()
    assert (~np.isnan(results["/cases/auroc"]) == scored).all()
    assert (~np.isnan(results["/cases/mean"]) == scored).all()


def test_steering_measures_the_runs_own_metric(binary, tmp_path, tiny_folder):
    """sum-of-logits in bfloat16: the tokens are those that attribution took, so factor 1 is the full model."""
    settings = settings_of(tiny_folder("llama"), attribution={"method": "relp"}, steering={"factors": [1]})
    settings |= {"metric": "sum-of-logits", "metric_top": 4}
    settings["model"]["dtype"] = "bfloat16"
    results = run_product(binary, tmp_path, settings)
    np.testing.assert_array_equal(results["/steering/metric"][0], results["/circuit/metric_full"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steering": {"factors": [2], "neurons": ["9/0/1"]}}, "there is no layer 9"),
        ({"steering": {"factors": [2], "neurons": ["0/0/100000"]}}, "there is no neuron 100000"),
        ({"steering": {"factors": [2], "neurons": ["0/77/1"]}}, "there is no position 77"),
        ({"steering": {"factors": [2], "neurons": ["0-1"]}}, "names no neuron"),
        ({"steering": {"factors": [2], "neurons": ["1/7", "1/3/7"]}}, "in the list already"),
        ({"steering": {"top": 3}}, "steering needs steering.factors"),
        ({"steering": {"factors": [2], "top": 3, "neurons": ["0/1"]}}, "remove one of the two"),
        ({"steering": {"factors": [2]}, "pairs.test": 0}, "no held-out pairs to steer"),
        ({"agreement": {"sample": 5000}}, "asks for 5000 neurons where there are 720"),
        ({"attribution": {"method": "atp", "keep": 721}}, "asks for 721 scores of each pair where there are 720"),
    ],
)
def test_refused(settings, message, binary, tmp_path, tiny_folder):
    """What cannot be steered or sampled is named, and nothing is written."""
    whole = settings_of(tiny_folder("llama"), attribution={"method": "relp"})
    if settings.get("pairs.test") == 0:
        whole["pairs"]["test"] = 0
        settings = {key: value for key, value in settings.items() if key != "pairs.test"}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps({"schema": 1, "name": "refused"} | whole | settings))
    done = subprocess.run(
        [binary, "run", sweep, "--out", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_nothing_is_ranked_that_has_no_score(binary, tmp_path, tiny_folder):
    """Exact patching of 20 neurons: circuits of more are NaN, and so are the areas; 20 neurons are steered, not 30."""
    settings = settings_of(
        tiny_folder("llama"),
        attribution={"method": "exact-patching", "sample": 20},
        circuit={"counts": [5, 20, 21, 300], "fractions": [0.5], "mass": [1.0], "ablation": "zero"},
        steering={"factors": [2], "top": 30},
    )
    results = run_product(binary, tmp_path, settings)
    counts = results["/circuit/count"]
    scored = int((~np.isnan(results["/attribution/scores"])).sum())
    assert scored == 20 == results.attributes["/circuit"]["scored"]
    everything = np.count_nonzero(np.nan_to_num(results["/attribution/scores"]))  # of the mass
    assert sorted(counts) == sorted([5, 20, 21, 300, 360, everything])
    for name in ("faithfulness", "completeness", "faithfulness_low", "completeness_high"):
        np.testing.assert_array_equal(np.isnan(results[f"/circuit/{name}"]), counts > 20, name)
    for name in ("metric_circuit", "metric_complement"):
        np.testing.assert_array_equal(np.isnan(results[f"/circuit/{name}"]).all(axis=1), counts > 20, name)
    for area in ("cpr", "cmd"):
        assert np.isnan(results.attributes["/circuit"][area])
        np.testing.assert_array_equal(
            np.isnan(results[f"/circuit/{area}_value"]), results[f"/circuit/{area}_count"] > 20
        )
    steered = neurons_of(results, "steering")
    assert len(steered) == 20
    assert not any(np.isnan(results["/attribution/scores"][neuron]) for neuron in steered)
