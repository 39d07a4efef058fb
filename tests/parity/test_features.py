# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Scores of features of dictionaries by the program, against autograd on tiny float64 models.

The networks compute in float64 on both sides; files store float32, so each number is held to 2e-6 of the largest of
its dictionary. Features without an entry have the score zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import feature_cases
import numpy as np
import pytest
from feature_cases import FEATURES, MODELS, PAIRS, Stored, cases_of, dense, dictionaries_of, method_of
from feature_files import random_dictionary, write_cross_layer, write_saelens
from product import Results, run_sweep
from reference.attribution import Method
from reference.features import FeatureAttributor, FeatureScores
from reference.sites import SiteModel

TOLERANCE = 2e-6
SCORED = [(name, label) for name in MODELS for label in cases_of(name)]
BEHIND = {
    "ig-acts, zero": {"method": "ig-acts", "quadrature": "midpoint", "steps": 3, "baseline": "zero"},
    "ig-acts": {"method": "ig-acts", "quadrature": "gauss-legendre", "steps": 3},
    "relp": {"method": "relp"},
    "delta": {"method": "delta"},
}


@dataclass
class Lab:
    """A tiny model with dictionaries: as files, and in the reference."""

    settings: dict  # of a sweep
    reference: FeatureAttributor
    length: int  # positions of a prompt


@pytest.fixture(scope="module")
def lab(tiny_folder, tiny_model, tiny_pairs, tmp_path_factory) -> Callable[..., Lab]:
    """A model's lab by what makes its dictionaries, once."""
    made: dict[tuple, Lab] = {}

    def of(name: str, dictionaries: Callable[..., list[Stored]] = dictionaries_of, pairs: int = PAIRS) -> Lab:
        key = (name, dictionaries, pairs)
        if key not in made:
            model, chosen = SiteModel(tiny_model(name).model), tiny_pairs(name, pairs)
            stored, folder = dictionaries(model, chosen), tmp_path_factory.mktemp(f"dictionaries-{name}")
            items = [one.write(folder / str(i)) for i, one in enumerate(stored)]
            reference = FeatureAttributor(model, chosen, [one.dictionary for one in stored])
            settings = settings_of(tiny_folder(name), items, pairs)
            made[key] = Lab(settings, reference, len(chosen[0].clean))
        return made[key]

    return of


def settings_of(folder: Path, items: list[dict], pairs: int = PAIRS) -> dict:
    """A sweep file's settings for a tiny model with features alone."""
    files = {"train_file": str(folder / "pairs.jsonl"), "test_file": str(folder / "pairs.jsonl")}
    return {
        "model": {"path": str(folder), "dtype": "float64"},
        "pairs": files | {"train": pairs, "test": 0, "overlap": "allow"},
        "metric": "logit-difference",
        "attribution": {"method": "atp"},
        "nodes": ["features"],
        "features": items,
    }


@pytest.fixture(scope="module")
def scored(binary, lab, tmp_path_factory) -> Callable[[str], dict[str, Results]]:
    """Results of all cases of a model by label: one sweep a model."""
    made: dict[str, dict[str, Results]] = {}
    failed: dict[str, str] = {}

    def results(name: str) -> dict[str, Results]:
        if name in failed:
            pytest.fail(failed[name])
        if name not in made:
            runs = [{"attribution": case} for case in cases_of(name).values()]
            try:
                found = run_sweep(binary, tmp_path_factory.mktemp(name), lab(name).settings, runs)
            except AssertionError as error:
                failed[name] = str(error)
                raise
            made[name] = dict(zip(cases_of(name), found, strict=True))
        return made[name]

    return results


def assert_scores(
    results: Results, expected: FeatureScores, lab: Lab, how: str = "mean", positions: str = "keep"
) -> None:
    """Entries, their order, their scores and the errors' of every dictionary."""
    names = ("dictionary", "position", "feature")
    places = np.stack([results[f"/nodes/features/{name}"] for name in names], axis=-1)
    assert (places[np.lexsort(places.T[::-1])] == places).all() and len(np.unique(places, axis=0)) == len(places)
    every = lab.reference.dictionaries
    errors = results["/nodes/errors/scores"]
    length = lab.length if positions == "keep" else 1
    assert errors.shape == (len(every), length) and errors.dtype == np.float32
    assert results["/nodes/features/score"].dtype == np.float32
    layers = np.array([one.layer for one in every])
    np.testing.assert_array_equal(results["/nodes/features/layer"], layers[places[:, 0]])
    if positions == "sum":
        assert (places[:, 1] == -1).all()
    for index, one in enumerate(every):
        scores, error = (expected.aggregate(field, index, how, positions) for field in ("scores", "errors"))
        found, there = dense(results, index, length)
        entries = expected.entries(index, positions)
        assert not (there & ~entries).any(), f"{one.hook} {one.layer} has entries that are never on"
        assert not scores[entries & ~there].any(), f"{one.hook} {one.layer} lacks entries"
        atol = TOLERANCE * max(np.abs(scores).max(), np.abs(error).max())
        np.testing.assert_allclose(found, scores, rtol=0, atol=atol, err_msg=f"{one.hook} {one.layer}")
        np.testing.assert_allclose(errors[index], error, rtol=0, atol=atol, err_msg=f"error of {one.hook} {one.layer}")


@pytest.mark.parametrize(("name", "label"), SCORED)
def test_scores(name, label, scored, lab):
    """Every dictionary's features and error, and the metric."""
    results, reference = scored(name)[label], lab(name).reference
    expected = reference.compute_features(method_of(name, cases_of(name)[label]))
    metric = np.stack([pair.metric for pair in expected.pairs])
    np.testing.assert_allclose(results["/attribution/metric"], metric, rtol=0, atol=TOLERANCE * np.abs(metric).max())
    assert_scores(results, expected, lab(name))
    assert "/attribution/scores" not in results


@pytest.mark.parametrize("label", ["atp", "atp, zero", "ig-acts", "delta"])
def test_entries(label, binary, tmp_path, lab):
    """Each feature that is on in a clean prompt, or with paired baselines in another, whether its score is zero or not.
    In the last layer what no metric reads may be left out.
    """
    here, case = lab("llama"), cases_of("llama")[label]
    (results,) = run_sweep(binary, tmp_path, here.settings, [{"attribution": case}])
    expected = here.reference.compute_features(method_of("llama", case))
    for index, one in enumerate(here.reference.dictionaries):
        entries, (_, there) = expected.entries(index), dense(results, index, here.length)
        needed = entries & (expected.aggregate("scores", index) != 0) if one.layer == 2 else entries
        assert not (needed & ~there).any() and not (there & ~entries).any(), f"{one.hook} {one.layer}"


@pytest.mark.parametrize(("name", "label"), [row for row in SCORED if row[1] in ("ig-acts", "ig-acts, denoise")])
def test_residuals(name, label, scored, lab):
    """[pair, dictionary]: the scores that write at its site, less what setting that site does to m."""
    results = scored(name)[label]
    expected = lab(name).reference.compute_features(method_of(name, cases_of(name)[label]))
    residual = np.stack([pair.residual for pair in expected.pairs])
    scale = max(1, np.abs(results["/attribution/metric"]).max(), np.abs(residual).max())
    np.testing.assert_allclose(results["/nodes/errors/residual"], residual, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", MODELS)
def test_names_of_dictionaries(name, scored, lab):
    """Hook, layer and name, in the order of layers; both kinds of nodes are told."""
    results = scored(name)["atp"]
    words = [str(word) for word in results.attributes["/nodes/features"]["dictionaries"]]
    starts = [f"{one.hook} {one.layer}" for one in lab(name).reference.dictionaries]
    assert len(words) == len(starts)
    assert all(word.startswith(start) for word, start in zip(words, starts, strict=True)), words
    kinds = [str(word) for word in results.attributes["/attribution"]["nodes"]]
    assert kinds == ["features", "errors"]


@pytest.mark.parametrize("label", BEHIND)
@pytest.mark.parametrize(
    "made", [feature_cases.behind_the_mlp, feature_cases.before_the_outputs_norm], ids=["behind", "before"]
)
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text"])
def test_behind_the_mlp(name, made, label, binary, tmp_path, lab):
    """Dictionaries that write what MLPs add, or what their last matrix writes, on paths from zero too."""
    if (name, made.__name__, label) == ("gemma3_text", "before_the_outputs_norm", "ig-acts, zero"):
        pytest.skip("refused: from zero on, a norm makes the same of what is written")
    here = lab(name, made)
    (results,) = run_sweep(binary, tmp_path, here.settings, [{"attribution": BEHIND[label]}])
    assert_scores(results, here.reference.compute_features(method_of(name, BEHIND[label])), here)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_features_and_error_are_the_node_they_lie_in(name, binary, tmp_path, lab):
    """At each position those of an MLP's output, and of a layer's z, sum to what these nodes have in the same run."""
    here = lab(name)
    labels = ["atp", "atp, denoise", "relp, zero", "ig-inputs", "ig-acts"]
    runs = [{"attribution": cases_of(name)[label]} for label in labels]
    settings = here.settings | {"nodes": ["mlps", "features", "heads"]}
    for label, results in zip(labels, run_sweep(binary, tmp_path, settings, runs), strict=True):
        for index, one in enumerate(here.reference.dictionaries):
            if one.site[0] not in ("mlp_out", "z"):
                continue
            mlps, heads = results["/nodes/mlps/scores"][one.layer], results["/nodes/heads/scores"][one.layer].sum(-1)
            scores, _ = dense(results, index, here.length)
            error = results["/nodes/errors/scores"][index]
            atol = TOLERANCE * max(np.abs(scores).max(), np.abs(error).max())
            node = mlps if one.site[0] == "mlp_out" else heads
            np.testing.assert_allclose(scores.sum(-1) + error, node, rtol=0, atol=atol, err_msg=f"{label} {one.site}")


@pytest.mark.parametrize("name", ["llama", "gemma3_text"])
def test_paths_through_the_stream_are_complete(name, binary, tmp_path, lab):
    """resid_post, ig-acts: features and error sum to m(x) - m(x'), to what the quadrature leaves."""
    here = lab(name)
    runs = [{"attribution": {"method": "ig-acts", "quadrature": "gauss-legendre", "steps": 40}}]
    (results,) = run_sweep(binary, tmp_path, here.settings, runs)
    metric = results["/attribution/metric"].astype(np.float64)
    whole = (metric[:, 0] - metric[:, 1]).mean()
    for index, one in enumerate(here.reference.dictionaries):
        if one.hook not in ("resid_pre", "resid_post"):
            continue
        scores, error = dense(results, index, here.length)[0], results["/nodes/errors/scores"][index]
        assert scores.sum() + error.sum() == pytest.approx(whole, abs=1e-5 * np.abs(metric).max()), one.site
        assert np.abs(results["/nodes/errors/residual"][:, index]).max() < 1e-5 * np.abs(metric).max()


def test_adaptive_paths(binary, tmp_path, lab):
    """A path of its own for each dictionary's site, with its evaluations; near a fine rule."""
    here = lab("llama")
    adaptive = {"quadrature": "adaptive", "tolerance": 0.002}
    (results,) = run_sweep(binary, tmp_path, here.settings, [{"attribution": {"method": "ig-acts"} | adaptive}])
    fine = here.reference.compute_features(Method("ig-acts", "gauss-legendre", 30))
    shape = (PAIRS, len(here.reference.dictionaries))
    assert results["/nodes/errors/residual"].shape == results["/nodes/errors/evaluations"].shape == shape
    assert (results["/nodes/errors/evaluations"] >= 2).all()
    for index in range(shape[1]):
        expected = fine.aggregate("scores", index)
        found, _ = dense(results, index, here.length)
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("label", ["relp", "ig-acts", "ig-inputs", "delta"])
@pytest.mark.parametrize("how", ["mean", "mean-abs"])
def test_summed_positions_and_absolute_values(how, label, binary, tmp_path, lab):
    """positions: sum gives entries at -1, and adds before the absolute value; a pair has its absolute value alone."""
    here, case = lab("llama"), cases_of("llama")[label]
    expected = here.reference.compute_features(method_of("llama", case))
    runs = [{"positions": word, "attribution": case | {"aggregate": how}} for word in ("keep", "sum")]
    for word, results in zip(("keep", "sum"), run_sweep(binary, tmp_path, here.settings, runs), strict=True):
        assert_scores(results, expected, here, how, word)


@pytest.mark.parametrize("how", ["mean", "mean-abs"])
def test_spread(how, binary, tmp_path, lab):
    """Standard errors and shares of signs over pairs; a pair in which a feature is off has the score zero."""
    here = lab("llama", pairs=5)
    runs = [{"attribution": {"method": "relp", "aggregate": how}}]
    (results,) = run_sweep(binary, tmp_path, here.settings, runs)
    expected = here.reference.compute_features(method_of("llama", {"method": "relp"}))
    assert_scores(results, expected, here, how)
    for index, one in enumerate(here.reference.dictionaries):
        for field in ("scores", "errors"):
            every = expected.every(field, index, how)
            error, mean = every.std(0, ddof=1) / 5**0.5, every.mean(0)
            share = (np.sign(every) == np.sign(mean)).mean(0)
            if field == "scores":
                found_error, there = dense(results, index, here.length, "standard_error")
                found_share, _ = dense(results, index, here.length, "sign_share")
            else:
                found_error = results["/nodes/errors/standard_error"][index]
                found_share = results["/nodes/errors/sign_share"][index]
                there = np.ones_like(mean, dtype=bool)
            atol, words = TOLERANCE * max(error.max(), np.abs(every).max()), f"{field} {one.site}"
            np.testing.assert_allclose(found_error[there], error[there], rtol=0, atol=atol, err_msg=words)
            # Where a mean is but rounding, so is its sign.
            clear = there & (np.abs(mean) > 1e-9 * np.abs(every).max())
            np.testing.assert_allclose(found_share[clear], share[clear], rtol=0, atol=1e-6, err_msg=words)


def kept_of(results: Results, pair: int, dictionary: int, positions: int) -> tuple[np.ndarray, np.ndarray]:
    """What a pair keeps of a dictionary [pos, feature], zeros elsewhere, and which there are."""
    group = "/nodes/features/"
    scores, there = np.zeros((positions, FEATURES)), np.zeros((positions, FEATURES), dtype=bool)
    mine = results[group + "kept_pair"] == pair
    entries, values = results[group + "kept_entry"][mine], results[group + "kept_score"][mine]
    of_dictionary = results[group + "dictionary"][entries] == dictionary
    entries, values = entries[of_dictionary], values[of_dictionary]
    place = (np.maximum(results[group + "position"][entries], 0), results[group + "feature"][entries])
    scores[place], there[place] = values, True
    return scores, there


@pytest.mark.parametrize("positions", ["keep", "sum"])
@pytest.mark.parametrize(("label", "how"), [("relp", "mean"), ("ig-inputs", "mean-abs"), ("ig-acts", "mean")])
def test_scores_of_single_pairs(label, how, positions, binary, tmp_path, lab):
    """keep: full against the reference, K against full; a feature that does not change on a pair has no score there."""
    here, case = lab("llama", pairs=5), cases_of("llama")[label]
    runs = [{"positions": positions, "attribution": case | {"aggregate": how, "keep": keep}} for keep in ("full", 6)]
    full, largest = run_sweep(binary, tmp_path, here.settings, runs)
    expected = here.reference.compute_features(method_of("llama", case))
    length = here.length if positions == "keep" else 1
    assert full["/nodes/features/kept_score"].dtype == np.float32
    order = np.stack([full["/nodes/features/kept_pair"], full["/nodes/features/kept_entry"]])
    assert (np.lexsort(order[::-1]) == np.arange(order.shape[1])).all() and len(
        np.unique(order, axis=1).T
    ) == order.shape[1]
    for index, one in enumerate(here.reference.dictionaries):
        scores, errors = (expected.every(field, index, how, positions) for field in ("scores", "errors"))
        atol = TOLERANCE * max(np.abs(scores).max(), np.abs(errors).max())
        for pair in range(5):
            found, there = kept_of(full, pair, index, length)
            active = expected.pairs[pair].active[index].numpy()
            active = active.any(0, keepdims=True) if positions == "sum" else active
            assert not (there & ~active).any() and not scores[pair][active & ~there].any(), one.site
            np.testing.assert_allclose(found, scores[pair], rtol=0, atol=atol, err_msg=f"{one.site} of pair {pair}")
        found = full["/nodes/errors/pair_scores"][:, index]
        np.testing.assert_allclose(found, errors, rtol=0, atol=atol, err_msg=f"error of {one.site}")
    for pair in range(5):
        entries, values = (full[f"/nodes/features/kept_{name}"][order[0] == pair] for name in ("entry", "score"))
        chosen = np.sort(np.lexsort((entries, -np.abs(values)))[:6])
        mine = largest["/nodes/features/kept_pair"] == pair
        np.testing.assert_array_equal(largest["/nodes/features/kept_entry"][mine], entries[chosen])
        np.testing.assert_array_equal(largest["/nodes/features/kept_score"][mine], values[chosen])
        flat = full["/nodes/errors/pair_scores"][pair].ravel()
        nodes = np.lexsort((np.arange(flat.size), -np.abs(flat)))[:6]
        np.testing.assert_array_equal(largest["/nodes/errors/pair_node"][pair], nodes)
        np.testing.assert_array_equal(largest["/nodes/errors/pair_score"][pair], flat[nodes])


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """How often a value of the first is larger than one of the second, by counting."""
    return float(np.mean([(one > two) + 0.5 * (one == two) for one in inside for two in outside]))


def test_cases_of_features(binary, tmp_path, lab):
    """AUROC and mean of each entry and of each error; absent scores are 0, and what no pair kept has no AUROC."""
    here = lab("llama", pairs=5)
    file = Path(here.settings["pairs"]["train_file"])
    records = [json.loads(line) | {"case": "odd" if i % 2 else "even"} for i, line in enumerate(file.open())]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    pairs = here.settings["pairs"] | {"train_file": str(tmp_path / "cases.jsonl")}
    runs = [{"attribution": {"method": "relp", "keep": keep}} for keep in ("full", 6)]
    for results in run_sweep(binary, tmp_path, here.settings | {"pairs": pairs}, runs):
        assert results["/cases/label"].tolist() == [b"even", b"odd"]
        group = "/nodes/features/"
        dense_scores = np.zeros((5, len(results[group + "score"])))
        dense_scores[results[group + "kept_pair"], results[group + "kept_entry"]] = results[group + "kept_score"]
        kept = np.zeros(dense_scores.shape, dtype=bool)
        kept[results[group + "kept_pair"], results[group + "kept_entry"]] = True
        for place, inside in enumerate(([0, 2, 4], [1, 3])):
            outside = [pair for pair in range(5) if pair not in inside]
            auroc, mean = (results[f"{group}cases/{name}"][place] for name in ("auroc", "mean"))
            assert (np.isnan(auroc) == ~kept.any(0)).all()
            for entry in np.flatnonzero(kept.any(0)):
                assert auroc[entry] == pytest.approx(area(dense_scores[inside, entry], dense_scores[outside, entry]))
                assert mean[entry] == pytest.approx(dense_scores[inside, entry].mean(), rel=1e-5, abs=1e-12)
        if "/nodes/errors/pair_scores" in results.datasets:
            errors = results["/nodes/errors/pair_scores"]
            assert results["/nodes/errors/cases/auroc"].shape == (2, *errors.shape[1:])
            found = results["/nodes/errors/cases/auroc"][1, 0, -1]
            assert found == pytest.approx(area(errors[[1, 3], 0, -1], errors[[0, 2, 4], 0, -1]))


def test_seeded_noise(binary, tmp_path, lab):
    """random: the same entries as any method, in [-1, 1), spread out."""
    here = lab("llama")
    cases = [{"method": "random"}, {"method": "random", "seed": 5}, {"method": "atp"}]
    runs = [{"attribution": case} for case in cases]
    random, other, atp = run_sweep(binary, tmp_path, here.settings, runs)
    noise = random["/nodes/features/score"]
    assert noise.shape == atp["/nodes/features/score"].shape
    assert noise.min() >= -1 and noise.max() < 1 and len(np.unique(noise)) == noise.size
    assert noise.std() == pytest.approx(1 / np.sqrt(3), rel=0.2)
    assert (noise != other["/nodes/features/score"]).any()


def test_one_dictionary_a_layer(binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """layer: all is a list of one a layer, in the path's {layer}."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", PAIRS)
    for layer in range(3):
        write_saelens(tmp_path / f"sae_{layer}", random_dictionary(model, pairs, "resid_post", layer, FEATURES))
    settings = settings_of(tiny_folder("llama"), [])
    together = [{"path": str(tmp_path / "sae_{layer}"), "hook": "resid_post", "layer": "all"}]
    single = [{"path": str(tmp_path / f"sae_{layer}"), "hook": "resid_post", "layer": layer} for layer in (2, 0, 1)]
    found, runs = [], [{"attribution": {"method": "relp"}}]
    for name, items in (("together", together), ("single", single)):
        (tmp_path / name).mkdir()
        found += run_sweep(binary, tmp_path / name, settings | {"features": items}, runs)
    for dataset in found[0].datasets:
        if dataset.startswith("/nodes/"):
            assert found[0][dataset].tobytes() == found[1][dataset].tobytes(), dataset
    assert set(found[0]["/nodes/features/dictionary"]) == {0, 1, 2}


@pytest.mark.parametrize("label", ["atp", "relp, zero", "ig-acts", "ig-inputs", "delta"])
def test_a_cross_layer_transcoder(label, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """It writes at its own layer and at all behind it; a layer's error is what no features so far explain."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", PAIRS)
    every = [random_dictionary(model, pairs, "mlp_in", layer, FEATURES, kind="cross_layer") for layer in range(3)]
    settings = settings_of(tiny_folder("llama"), [{"path": str(write_cross_layer(tmp_path / "clt", every))}])
    case = cases_of("llama")[label]
    (results,) = run_sweep(binary, tmp_path, settings, [{"attribution": case}])
    here = Lab(settings, FeatureAttributor(model, pairs, every), len(pairs[0].clean))
    assert_scores(results, here.reference.compute_features(method_of("llama", case)), here)
