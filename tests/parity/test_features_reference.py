# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The reference for features of dictionaries, against forwards alone, other references and identities of the maths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from feature_files import random_dictionary
from reference.attribution import Method
from reference.dictionaries import Dictionary
from reference.double import float32_means_float64
from reference.feature_circuits import ABLATIONS, FeatureEvaluator
from reference.features import FeatureAttributor
from reference.node_scores import NodeAttributor
from reference.sites import SITES, SiteModel, divided, going_to, site_gradients, site_metric, site_values
from torch import Tensor

MODELS = ["llama", "gpt2", "gemma3_text", "qwen3", "granite"]
METHODS = [
    Method("atp"),
    Method("atp", baseline="zero"),
    Method("atp", direction="denoise"),
    Method.named("relp"),
    Method("ig-inputs", "right", 3),
    Method("ig-acts", "midpoint", 3),
    Method("ig-acts", "right", 2, direction="denoise"),
]


@pytest.fixture(scope="module")
def made(tiny_model, tiny_pairs) -> Callable[[str], tuple[SiteModel, list]]:
    """A model with sites and its first two pairs."""
    return lambda name: (SiteModel(tiny_model(name).model), tiny_pairs(name, 2))


def several(model: SiteModel, pairs: list) -> list[Dictionary]:
    """One of each kind, each at a site of its own."""
    return [
        random_dictionary(model, pairs, "resid_post", 2, activation="topk", rescale=True),
        random_dictionary(model, pairs, "resid_pre", 0, apply_b_dec_to_input=True),
        random_dictionary(model, pairs, "z", 1),
        random_dictionary(model, pairs, "mlp_out", 2, activation="jumprelu"),
        random_dictionary(model, pairs, "resid_mid", 0, kind="transcoder", activation="topk"),
        random_dictionary(model, pairs, "mlp_in_normed", 1, kind="transcoder", skip=True),
        random_dictionary(model, pairs, "resid_mid", 2, activation="jumprelu"),
    ]


def cross_layer(model: SiteModel, pairs: list) -> list[Dictionary]:
    """Those of all layers."""
    settings = {"kind": "cross_layer", "activation": "jumprelu"}
    return [random_dictionary(model, pairs, "mlp_in", layer, **settings) for layer in range(len(model.blocks))]


def embeds_of(model: SiteModel, pairs: list, which: str = "clean") -> Tensor:
    return model.embed(torch.tensor([getattr(pair, which) for pair in pairs]))


@pytest.mark.parametrize("name", [*MODELS, "olmo2", "gemma2"])
def test_sites_lie_where_they_should(name, made):
    """Blocks add up, norms' gains lie between the two inputs of an MLP, and zeros change no bit."""
    model, pairs = made(name)
    embeds = embeds_of(model, pairs)
    values = site_values(model, embeds)
    for layer in range(len(model.blocks)):
        at = {site: values[site, layer] for site in SITES if (site, layer) in values}
        torch.testing.assert_close(at["resid_mid"] + at["mlp_out"], at["resid_post"], rtol=0, atol=1e-13)
        if ("resid_pre", layer + 1) in values:
            torch.testing.assert_close(at["resid_post"], values["resid_pre", layer + 1], rtol=0, atol=0)
        if norm := model.norm_before_mlp(layer):
            gain = 1 + norm.weight if name.startswith("gemma") else norm.weight
            shift = getattr(norm, "bias", None)
            expected = at["mlp_in_normed"] * gain + (0 if shift is None else shift)
            torch.testing.assert_close(at["mlp_in"], expected, rtol=0, atol=1e-13)
            with torch.no_grad(), float32_means_float64():
                torch.testing.assert_close(norm(at["resid_mid"]), at["mlp_in"], rtol=0, atol=1e-13)
            torch.testing.assert_close(divided(norm, at["resid_mid"]), at["mlp_in_normed"], rtol=0, atol=1e-13)
        else:
            torch.testing.assert_close(at["mlp_in"], at["resid_mid"], rtol=0, atol=1e-13)
    plain = model.run(embeds=embeds).logits
    assert torch.equal(model.run_sites(embeds, lambda _, value: torch.zeros_like(value)).logits, plain)


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_those_of_forwards(name, made):
    """Along one random direction a site, against central differences."""
    model, pairs = made(name)
    target = FeatureAttributor(model, pairs, []).targets[0]
    embeds = embeds_of(model, pairs[:1])
    sites = [(site, layer) for site in SITES for layer in range(3) if site != "mlp_in_normed"]
    generator = torch.Generator().manual_seed(2)
    for site, grad in site_gradients(model, embeds, sites, target).items():
        step = 1e-5 * torch.randn(grad.shape, generator=generator, dtype=torch.float64)

        def metric(way: int, site=site, step=step) -> float:
            add = lambda place, _: way * step if place == site else None  # noqa: E731
            return site_metric(model, embeds, target, add).item()

        assert (metric(1) - metric(-1)) / 2 == pytest.approx((grad * step).sum().item(), rel=1e-4, abs=1e-11), site


def test_activations(made):
    """Each kind of activation of each token, from its words."""
    model, pairs = made("llama")
    for one in several(model, pairs):
        x = site_values(model, embeds_of(model, pairs))[one.hook, one.layer].flatten(0, 1)
        found = one.encode(x)
        share = (found != 0).double().mean().item()
        assert 0.05 < share < 0.2, (one.hook, share)
        shift = one.b_dec if one.apply_b_dec_to_input else 0
        for token, f in zip(x, found, strict=True):
            z = one.W_enc.T @ (token - shift) + one.b_enc
            if one.rescale:
                z = z * torch.tensor([row.norm() for row in one.W_dec])
            least = sorted(z.tolist())[-one.k] if one.activation == "topk" else 0
            above = one.threshold if one.activation == "jumprelu" else torch.zeros_like(z)
            expected = [v if v > t and v >= least else 0 for v, t in zip(z.tolist(), above.tolist(), strict=True)]
            np.testing.assert_allclose(f.numpy(), expected, rtol=0, atol=1e-13)


def test_rescaling_can_be_folded_into_the_weights(made):
    """Encoder times the norms of the decoder, decoder divided by them: the same features, and the same they write."""
    model, pairs = made("llama")
    one = random_dictionary(model, pairs, "resid_post", 1, activation="topk", rescale=True)
    n = one.norms()
    folded = replace(one, W_enc=one.W_enc * n, b_enc=one.b_enc * n, W_dec=one.W_dec / n[:, None], rescale=False)
    x = site_values(model, embeds_of(model, pairs))["resid_post", 1]
    torch.testing.assert_close(one.encode(x), folded.encode(x), rtol=0, atol=1e-13)
    torch.testing.assert_close(one.decoders()[one.site], folded.decoders()[one.site])
    assert not torch.equal(one.encode(x) > 0, replace(one, rescale=False).encode(x) > 0)


@pytest.mark.parametrize("method", METHODS, ids=[f"{one.method} {i}" for i, one in enumerate(METHODS)])
@pytest.mark.parametrize("name", MODELS)
def test_features_and_error_are_the_node_they_lie_in(name, method, made):
    """At each position: those of an MLP's output and of z sum to what the references of MLPs and heads give."""
    model, pairs = made(name)
    rules = method.rules - ({"half"} if name == "gpt2" else set())
    method = replace(method, rules=rules)
    attributor, nodes = FeatureAttributor(model, pairs, several(model, pairs)), NodeAttributor(model, pairs)
    found = attributor.compute_features(method)
    seen = 0
    for index, one in enumerate(attributor.dictionaries):
        kind = {"z": "heads", "mlp_out": "mlps"}.get(one.site[0])
        if kind is None:
            continue
        expected = nodes.compute_nodes(method, kind).aggregate()[one.layer].sum(-1)
        scores, error = (found.aggregate(field, index) for field in ("scores", "errors"))
        assert np.abs(scores).max() > 1e-3 * np.abs(expected).max() and np.abs(error).max() > 0
        # The sums are next to nothing with a zero baseline before a norm.
        atol = 1e-11 * max(np.abs(expected).max(), np.abs(scores).max())
        np.testing.assert_allclose(scores.sum(-1) + error, expected, rtol=0, atol=atol)
        assert not scores[~found.entries(index)].any()
        seen += 1
    assert seen == 4


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text"])
def test_a_path_through_the_whole_stream_is_complete(name, made):
    """ig-acts behind a block or before one: features and error sum to m(x) - m(x')."""
    model, pairs = made(name)
    sites = [("resid_post", 1), ("resid_pre", 1), ("resid_mid", 2), ("resid_post", 2)]
    attributor = FeatureAttributor(model, pairs, [random_dictionary(model, pairs, *site) for site in sites])
    found = attributor.compute_features(Method("ig-acts", "gauss-legendre", 60))
    for pair in found.pairs:
        whole = pair.metric[0] - pair.metric[1]
        for index, one in enumerate(attributor.dictionaries):
            total = (pair.scores[index].sum() + pair.errors[index].sum()).item()
            if one.hook != "resid_mid":  # of which the keys and values of its own layer know nothing
                assert total == pytest.approx(whole, rel=1e-6, abs=1e-6), one.site
            assert abs(pair.residual[index]) < 1e-6 * max(1, abs(whole)), one.site


def test_a_cross_layer_transcoder_is_complete(made):
    """Features of all layers and errors of all MLPs sum to the sum of dv * g; its own layer is not all it writes."""
    model, pairs = made("llama")
    attributor = FeatureAttributor(model, pairs, cross_layer(model, pairs))
    nodes = NodeAttributor(model, pairs)
    for method in METHODS:
        found = attributor.compute_features(method)
        total = sum(found.aggregate("scores", i).sum(-1) + found.aggregate("errors", i) for i in range(3))
        expected = nodes.compute_nodes(method, "mlps").aggregate()[..., 0].sum(0)
        np.testing.assert_allclose(total, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    first = next(i for i, one in enumerate(attributor.dictionaries) if one.layer == 0)
    only = replace(attributor.dictionaries[first], W_dec=attributor.dictionaries[first].W_dec[:, :1])
    alone = FeatureAttributor(model, pairs, [only]).compute_features(METHODS[0]).aggregate("scores", 0)
    assert (alone != attributor.compute_features(METHODS[0]).aggregate("scores", first)).any()


def test_a_feature_moves_the_metric_as_its_score_says(made):
    """df times what a little more of a feature at all the sites it writes does to m."""
    model, pairs = made("qwen3")
    for dictionaries in (several(model, pairs), cross_layer(model, pairs)):
        attributor = FeatureAttributor(model, pairs, dictionaries)
        found = attributor.features_of(Method("atp", baseline="zero"), 0)
        embeds, target, step = embeds_of(model, pairs[:1]), attributor.targets[0], 1e-5
        for index, one in enumerate(attributor.dictionaries):
            scores = found.scores[index]
            pos, feature = np.unravel_index(scores.abs().argmax().item(), scores.shape)
            f = attributor.encoded(pairs[0].clean)[index][pos, feature].item()

            def metric(way: float, one=one, pos=pos, feature=feature) -> float:
                def more(site, value: Tensor) -> Tensor | None:
                    if site not in one.decoders():
                        return None
                    change = torch.zeros_like(value)
                    change[:, pos] = way * one.decoders()[site][feature]
                    return change

                return site_metric(model, embeds, target, more).item()

            slope = (metric(step) - metric(-step)) / (2 * step)
            assert scores[pos, feature].item() == pytest.approx(f * slope, rel=1e-5, abs=1e-9)


def keeps(evaluator: FeatureEvaluator, value: bool) -> tuple[list[Tensor], dict]:
    """All features and errors kept, or none."""
    fill = torch.ones if value else torch.zeros
    features = [fill(1, len(one.b_enc), dtype=torch.bool) for one in evaluator.dictionaries]
    return features, {site: fill(1, dtype=torch.bool) for site in evaluator.sites}


@pytest.mark.parametrize("ablation", ABLATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_keeping_everything_keeps_every_bit(name, ablation, made):
    """Of several dictionaries in one forward; ablating one feature does not."""
    model, pairs = made(name)
    for dictionaries in (several(model, pairs), cross_layer(model, pairs)):
        evaluator = FeatureEvaluator(model, pairs, dictionaries, ablation)
        with torch.no_grad():
            logits = model.run(embeds=embeds_of(model, pairs)).logits
        plain = np.array([target(row[None]).item() for target, row in zip(evaluator.targets, logits, strict=True)])
        features, errors = keeps(evaluator, True)
        assert evaluator.metric(features, errors).tobytes() == plain.tobytes()
        features[0] = torch.zeros_like(features[0])
        assert (evaluator.metric(features, errors) != plain).any()


def test_ablating_everything(made):
    """resample: a site has what the counterfactual prompt has; zero: b_dec; mean: the mean over these prompts."""
    model, pairs = made("llama")
    for one in several(model, pairs):
        others = site_values(model, embeds_of(model, pairs, "counterfactual"))[one.site]
        ends = {"resample": others, "mean": others.mean(0, keepdim=True), "zero": one.b_dec.expand_as(others)}
        for ablation, end in ends.items():
            evaluator = FeatureEvaluator(model, pairs, [one], ablation)
            add = going_to(one.site, end)
            logits = model.run_sites(embeds_of(model, pairs), add).logits
            expected = [target(row[None]).item() for target, row in zip(evaluator.targets, logits, strict=True)]
            np.testing.assert_allclose(evaluator.metric(*keeps(evaluator, False)), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_the_difference_form_is_decoding_anew(ablation, made):
    """Kept features of the run, ablated ones as they are set to, b_dec and the error: the same to rounding, in two
    layers at once, of which the second encodes what the first has changed."""
    model, pairs = made("gpt2")
    sites = [("resid_post", 0), ("resid_post", 1)]
    dictionaries = [random_dictionary(model, pairs, *site, activation="jumprelu") for site in sites]
    evaluator = FeatureEvaluator(model, pairs, dictionaries, ablation)
    generator = torch.Generator().manual_seed(3)
    length = len(pairs[0].clean)
    keep = [torch.rand(length, 40, generator=generator) < 0.5 for _ in sites]
    keep_errors = {sites[0]: torch.arange(length) % 2 == 0, sites[1]: torch.ones(1, dtype=torch.bool)}

    def decode(site, x: Tensor) -> Tensor | None:
        if site not in sites:
            return None
        one, place = dictionaries[sites.index(site)], sites.index(site)
        f = one.encode(x)
        error = x - f @ one.W_dec - one.b_dec
        kept = torch.where(keep[place], f, evaluator.acts[place])
        rest = torch.where(keep_errors[site][..., None], error, evaluator.errors[site])
        return kept @ one.W_dec + one.b_dec + rest - x

    logits = model.run_sites(embeds_of(model, pairs), decode).logits
    expected = [target(row[None]).item() for target, row in zip(evaluator.targets, logits, strict=True)]
    np.testing.assert_allclose(evaluator.metric(keep, keep_errors), expected, rtol=0, atol=1e-11)
