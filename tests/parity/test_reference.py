# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The reference checked against itself, against identities of the maths, and against Captum."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from captum.attr import (
    IntegratedGradients,
    LayerActivation,
    LayerConductance,
    LayerGradientXActivation,
    LayerIntegratedGradients,
)
from reference.attribution import Attributor, Method, exact_patching
from reference.circuits import FRACTIONS, Evaluator, ranked, top_mask
from reference.double import float32_means_float64
from reference.gradients import activations, metric_with, sweep_embeddings
from reference.metrics import Target, target_of
from reference.quadrature import RULES, points_and_weights
from reference.rules import ALL_RULES, replacement_rules
from reference.tapped import TappedModel
from tiny_models import MODELS
from transformers import AutoModelForCausalLM

FAMILIES = ("llama", "llama_tied", "llama3", "mistral", "qwen2", "gpt2")
CAPTUM_RULES = {
    "left": "riemann_left",
    "right": "riemann_right",
    "midpoint": "riemann_middle",
    "trapezoid-captum": "riemann_trapezoid",
    "gauss-legendre": "gausslegendre",
}


def embeds_of(model, pair):
    """Token embeddings [1, pos, d_model] of the clean prompt."""
    return model.embed(torch.tensor([pair.clean]))


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name, tiny_folder, tiny_model, tiny_pairs):
    """Own attention, own rotary tables, own norms: the logits stay, up to float32 casts."""
    (pair,) = tiny_pairs(name, 1)
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder(name), dtype=torch.float64).eval()
    with torch.no_grad():
        expected = plain(torch.tensor([pair.clean])).logits[0, -1]
        ours = tiny_model(name).run(ids=torch.tensor([pair.clean])).logits[0]
    assert expected.std() > 0.5
    tolerance = 1e-12 if name.startswith("gpt2") else 2e-5
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


def test_same_weights_in_shards_and_without_prefix(tiny_model, tiny_pairs):
    """How a folder is laid out changes no logit."""
    for first, second in (("llama", "llama_sharded"), ("gpt2", "gpt2_bare")):
        ids = torch.tensor([tiny_pairs(first, 1)[0].clean])
        logits = [tiny_model(name).run(ids=ids).logits for name in (first, second)]
        # Not bit for bit: where a mapped tensor is aligned decides the kernel.
        torch.testing.assert_close(*logits, rtol=0, atol=1e-12)


def test_llama3_scaling_matters(tiny_model, tiny_pairs):
    """The scaled frequencies are transformers' own, in float64, and differ from the unscaled ones."""
    rotaries = [tiny_model(name).model.model.rotary_emb for name in ("llama3", "llama")]
    with float32_means_float64():
        scaled, unscaled = (type(rotary)(rotary.config).inv_freq for rotary in rotaries)
    theirs = rotaries[0].inv_freq
    assert not torch.equal(scaled, theirs), "theirs were rounded to float32"
    torch.testing.assert_close(scaled, theirs, rtol=1e-6, atol=0)
    assert not torch.allclose(scaled, unscaled)


def test_sliding_window_hides_far_tokens(tiny_model, tiny_pairs):
    """Three layers of window 3 see six tokens back: the neurons of layer 0 only two."""
    model, (pair,) = tiny_model("mistral"), tiny_pairs("mistral", 1)
    changed = (pair.clean[0] + 1, *pair.clean[1:])
    moved = (activations(model, pair.clean) - activations(model, changed)).abs().amax(-1)
    assert (moved[0] > 0).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", FAMILIES)
def test_patterns_and_gradients_are_not_trivial(name, tiny_model, tiny_pairs):
    """Parity on these models means something: patterns vary, scores and effects are large."""
    model, pairs = tiny_model(name), tiny_pairs(name, 2)
    run = Attributor(model, pairs).compute(Method.named("atp"))
    assert np.abs(run.aggregate()).max() > 1e-2
    assert np.abs(run.stacked("metric")).max() > 0.1
    assert np.abs(run.stacked("residual")).max() > 1e-2


def test_attribution_is_the_derivative_of_a_forward(tiny_model, tiny_pairs):
    """dm/dv against a central difference of plain forwards with one neuron moved."""
    model, (pair,) = tiny_model("gpt2"), tiny_pairs("gpt2", 1)
    target = target_of(model, pair, "logit-difference")
    grads = sweep_embeddings(model, embeds_of(model, pair), target).grads[0]

    def moved(neuron: tuple[int, int, int], step: float) -> float:
        layer, pos, index = neuron

        def move(at: int, a: torch.Tensor) -> torch.Tensor:
            a = a.clone()
            if at == layer:
                a[:, pos, index] += step
            return a

        return metric_with(model, pair.clean, target, do=move).item()

    for neuron in ((0, 1, 5), (1, 4, 0), (2, 4, 7)):
        slope = (moved(neuron, 1e-5) - moved(neuron, -1e-5)) / 2e-5
        assert grads[neuron].item() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("rule", sorted(ALL_RULES))
def test_each_rule_changes_gradients_and_no_logit(name, rule, tiny_model, tiny_pairs):
    """Each rule fires at every site of the family, moves gradients, keeps the metric."""
    model, (pair,) = tiny_model(name), tiny_pairs(name, 1)
    target, embeds = target_of(model, pair, "logit-difference"), embeds_of(model, pair)
    plain = sweep_embeddings(model, embeds, target)
    ruled = sweep_embeddings(model, embeds, target, frozenset({rule}))
    with replacement_rules(model.model, frozenset({rule})) as fired, torch.no_grad():
        model.run(embeds=embeds)
    layers = model.model.config.num_hidden_layers
    sites = {"norm": 2 * layers + 1, "activation": layers, "attention": layers, "half": layers}
    if name == "gpt2":
        sites["half"] = 0
    assert fired[rule] == sites[rule]
    torch.testing.assert_close(ruled.metric, plain.metric, rtol=0, atol=1e-10)
    assert torch.allclose(ruled.grads, plain.grads) == (sites[rule] == 0)
    again = sweep_embeddings(model, embeds, target)
    assert torch.equal(again.grads, plain.grads), "the rule stayed on"


@pytest.mark.parametrize("name", ["llama", "llama_tied", "llama3", "mistral"])
def test_relp_conserves_the_metric_without_biases(name, tiny_model, tiny_pairs):
    """Sum of e * dm/de is m with all four rules, and no longer when any one is missing."""
    model, (pair,) = tiny_model(name), tiny_pairs(name, 1)
    target, embeds = target_of(model, pair, "logit-difference"), embeds_of(model, pair)

    def total(rules: frozenset[str]) -> tuple[float, float]:
        sweep = sweep_embeddings(model, embeds, target, rules)
        return (embeds[0] * sweep.embed_grads[0]).sum().item(), sweep.metric.item()

    conserved, metric = total(ALL_RULES)
    assert conserved == pytest.approx(metric, abs=1e-9)
    for rule in ALL_RULES:
        assert abs(total(ALL_RULES - {rule})[0] - metric) > 1e-3, rule


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
def test_relp_conserves_the_metric_once_biases_are_zero(name, tiny_folder, tiny_pairs):
    """Families with biases: LayerNorm's centring, value biases, position embeddings."""
    model, (pair,) = TappedModel.load(tiny_folder(name), torch.float64), tiny_pairs(name, 1)
    with torch.no_grad():
        for parameter_name, parameter in model.model.named_parameters():
            if parameter_name.endswith("bias"):
                parameter.zero_()
    target, embeds = target_of(model, pair, "logit-difference"), embeds_of(model, pair)
    sweep = sweep_embeddings(model, embeds, target, ALL_RULES)
    inputs = embeds[0]
    if name == "gpt2":
        inputs = inputs + model.model.transformer.wpe.weight[: pair.length]
    conserved = (inputs * sweep.embed_grads[0]).sum().item()
    assert conserved == pytest.approx(sweep.metric.item(), abs=1e-9)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("direction", "baseline"),
    [("clean", "pair"), ("clean", "zero"), ("clean", "mean"), ("denoise", "pair")],
)
def test_ig_acts_sums_to_the_layer_effect(name, direction, baseline, tiny_model, tiny_pairs):
    """The residual falls to rounding with many midpoints; one point leaves a large one."""
    attributor = Attributor(tiny_model(name), tiny_pairs(name, 2))
    settings = {"quadrature": "midpoint", "baseline": baseline, "direction": direction}
    fine = attributor.compute(Method("ig-acts", steps=400, **settings)).stacked("residual")
    coarse = attributor.compute(Method("ig-acts", steps=1, **settings)).stacked("residual")
    assert np.abs(fine).max() < 1e-4
    assert np.abs(coarse).max() > 20 * np.abs(fine).max()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("baseline", ["pair", "mean"])
def test_input_ig_is_complete(name, baseline, tiny_model, tiny_pairs):
    """Token scores sum to the difference of the ends."""
    attributor = Attributor(tiny_model(name), tiny_pairs(name, 2))
    method = Method("input-ig", "midpoint", 600, baseline=baseline)
    assert np.abs(attributor.compute(method).stacked("residual")).max() < 2e-3


def test_conductance_forms_share_one_limit(tiny_model, tiny_pairs):
    """left and right bracket trapezoid, their mean; trapezoid has converged."""
    attributor = Attributor(tiny_model("llama"), tiny_pairs("llama", 1))
    left, right, trapezoid = (
        attributor.one(Method("conductance", rule, 600), 0).scores for rule in ("left", "right", "trapezoid")
    )
    torch.testing.assert_close((left + right) / 2, trapezoid, rtol=1e-10, atol=1e-12)
    assert (left - trapezoid).abs().max() < 5e-2 * trapezoid.abs().max()
    finer = attributor.one(Method("conductance", "trapezoid", 1200), 0).scores
    assert (finer - trapezoid).abs().max() < 1e-3 * trapezoid.abs().max()


def test_conductance_of_a_cut_is_complete(tiny_model, tiny_pairs):
    """Last layer's neurons plus the stream that passes them by carry all of m(x) - m(x')."""
    model, pairs = tiny_model("llama"), tiny_pairs("llama", 1)
    attributor, n = Attributor(model, pairs), 400
    result = attributor.one(Method("conductance", "trapezoid", n), 0)
    ends = [model.embed(torch.tensor([p])) for p in (pairs[0].counterfactual, pairs[0].clean)]
    alphas = torch.linspace(0, 1, n + 1, dtype=torch.float64)[:, None, None]
    stream: list[torch.Tensor] = []

    def keep_stream(_, inputs):
        stream.append(inputs[0].requires_grad_())

    def cut_last(layer: int, a: torch.Tensor) -> torch.Tensor:
        return a.detach() if layer == 2 else a

    norm = model.model.model.layers[2].post_attention_layernorm
    hook = norm.register_forward_pre_hook(keep_stream)
    run = model.run(embeds=ends[0] + alphas * (ends[1] - ends[0]), do=cut_last)
    hook.remove()
    (grads,) = torch.autograd.grad(attributor.targets[0](run.logits).sum(), stream[0])
    passing = ((grads[:-1] + grads[1:]) / 2 * stream[0].detach().diff(dim=0)).sum()
    total = passing + result.scores[2].sum()
    assert total.item() == pytest.approx(result.metric[0] - result.metric[1], abs=2e-3)
    assert abs(passing.item()) > 0.01 and result.scores[2].sum().abs() > 0.01


def captum_forward(model, target: Target):
    """m as a function of ids or embeddings, as Captum calls it."""

    def from_ids(ids):
        return target(model.model(input_ids=ids, use_cache=False).logits[:, -1])

    def from_embeds(embeds):
        return target(model.model(inputs_embeds=embeds, use_cache=False).logits[:, -1])

    return SimpleNamespace(ids=from_ids, embeds=from_embeds)


@pytest.fixture(params=["llama", "gpt2"])
def captum_case(request, tiny_model, tiny_pairs):
    """One model and pair, with what Captum needs to know of them."""
    model, pairs = tiny_model(request.param), tiny_pairs(request.param, 1)
    attributor = Attributor(model, pairs)
    ids, other = (torch.tensor([p]) for p in (pairs[0].clean, pairs[0].counterfactual))
    return SimpleNamespace(
        model=model,
        attributor=attributor,
        forward=captum_forward(model, attributor.targets[0]),
        ids=ids,
        other=other,
        e=model.embed(ids),
        e_other=model.embed(other),
    )


def test_taps_are_captum_layer_inputs(captum_case):
    """Activations and gradient times activation of every MLP."""
    acts = activations(captum_case.model, tuple(captum_case.ids[0].tolist()))
    scores = captum_case.attributor.one(Method.named("gradient-x-activation"), 0).scores
    for layer, second in enumerate(captum_case.model.seconds):
        seen = LayerActivation(captum_case.forward.ids, second)
        theirs = seen.attribute(captum_case.ids, attribute_to_layer_input=True)
        torch.testing.assert_close(acts[layer], theirs[0].detach(), rtol=0, atol=1e-12)
        product = LayerGradientXActivation(captum_case.forward.embeds, second)
        theirs = product.attribute(captum_case.e.requires_grad_(), attribute_to_layer_input=True)
        torch.testing.assert_close(scores[layer], theirs[0].detach(), rtol=0, atol=1e-12)


# Captum casts its quadrature weights to float32: hence 1e-6 and no better.
@pytest.mark.parametrize("rule", CAPTUM_RULES)
def test_integrated_gradients_match_captum(rule, captum_case):
    """IG-activations of every layer, and input IG per token."""
    settings = {"n_steps": 7, "method": CAPTUM_RULES[rule]}
    scores = captum_case.attributor.one(Method("ig-acts", rule, 7), 0).scores
    for layer, second in enumerate(captum_case.model.seconds):
        ig = LayerIntegratedGradients(captum_case.forward.ids, second)
        theirs = ig.attribute(captum_case.ids, captum_case.other, attribute_to_layer_input=True, **settings)
        torch.testing.assert_close(scores[layer], theirs[0].detach(), rtol=1e-5, atol=1e-6)
    inputs = captum_case.attributor.one(Method("input-ig", rule, 7), 0).inputs
    ig = IntegratedGradients(captum_case.forward.embeds, multiply_by_inputs=True)
    theirs = ig.attribute(captum_case.e, captum_case.e_other, **settings)
    torch.testing.assert_close(inputs, theirs[0].sum(-1).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", CAPTUM_RULES)
def test_captum_form_conductance(rule, captum_case):
    """`form: captum` of every layer; its trapezoid is our `left`."""
    method = Method("conductance", rule, 7, form="captum")
    scores = captum_case.attributor.one(method, 0).scores
    for layer, second in enumerate(captum_case.model.seconds):
        conductance = LayerConductance(captum_case.forward.embeds, second)
        theirs = conductance.attribute(
            captum_case.e,
            captum_case.e_other,
            n_steps=7,
            method=CAPTUM_RULES[rule],
            attribute_to_layer_input=True,
        )
        torch.testing.assert_close(scores[layer], theirs[0].detach(), rtol=1e-6, atol=1e-6)
    if rule == "trapezoid-captum":
        left = captum_case.attributor.one(Method("conductance", "left", 7), 0).scores
        torch.testing.assert_close(scores, left, rtol=0, atol=1e-12)


def test_quadrature_integrates():
    """Weights sum to one (but for Captum's trapezoid), and t^2 integrates to a third."""
    for rule in RULES:
        alphas, weights = points_and_weights(rule, 9)
        assert len(alphas) == 9 and alphas.min() >= 0 and alphas.max() <= 1
        assert weights.sum() == pytest.approx(8 / 9 if rule == "trapezoid-captum" else 1)
        alphas, weights = points_and_weights(rule, 500)
        assert weights @ alphas**2 == pytest.approx(1 / 3, abs=2e-3)
    alphas, weights = points_and_weights("gauss-legendre", 3)
    assert weights @ alphas**5 == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("left", 380),
        ("right", 400),
        ("midpoint", 380),
        ("trapezoid", 387.5),
        ("trapezoid-captum", 310),
        ("gauss-legendre", 388.153656),
    ],
)
def test_five_point_pins(rule, expected):
    """Input IG of x2 in a toy net: relu(100 a - 10) + 3 relu(100 a + 1), five points."""
    alphas, weights = points_and_weights(rule, 5)
    slopes = (100 * alphas > 10).astype(float) + 3
    assert 100 * weights @ slopes == pytest.approx(expected, abs=1e-6)


def test_mean_and_absolute_aggregates(tiny_model, tiny_pairs):
    """mean-abs is never smaller; positions: sum adds before the absolute value."""
    scores = Attributor(tiny_model("llama"), tiny_pairs("llama", 3)).compute(Method.named("relp"))
    each = scores.stacked("scores")
    np.testing.assert_allclose(scores.aggregate(), each.mean(0))
    np.testing.assert_allclose(scores.aggregate("mean-abs"), np.abs(each).mean(0))
    summed = np.abs(each.sum(2, keepdims=True)).mean(0)
    np.testing.assert_allclose(scores.aggregate("mean-abs", "sum"), summed)
    assert summed.shape == (3, 1, 48)


def test_exact_patching_agrees_with_its_linearisation(tiny_model, tiny_pairs):
    """In the last layer at the last position only the final norm is not linear."""
    model, pairs = tiny_model("llama"), tiny_pairs("llama", 1)
    attributor = Attributor(model, pairs)
    neurons = [(2, 4, i) for i in range(48)] + [(2, 1, 3)]
    exact = exact_patching(model, pairs[0], attributor.targets[0], neurons)
    linear = attributor.one(Method.named("atp"), 0).scores
    assert exact[-1] == 0, "an earlier position of the last MLP reaches no metric"
    assert np.corrcoef(exact[:-1], linear[2, 4].numpy())[0, 1] > 0.97


def test_ranking_breaks_ties_by_layer_position_index():
    """Exact ties come in index order, and k nodes are k nodes."""
    scores = np.zeros((2, 3, 4))
    scores[1, 2, 3], scores[0, 1, 1], scores[0, 0, 2] = -5, 5, 5
    assert ranked(scores)[:5].tolist() == [2, 5, 23, 0, 1]
    assert ranked(scores, "signed")[[0, 1, -1]].tolist() == [2, 5, 23]
    assert top_mask(ranked(scores), 7, scores.shape).sum() == 7


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
def test_circuit_ends(ablation, tiny_model, tiny_pairs):
    """No node: faithfulness 0; every node: 1; the areas use the ends."""
    model, pairs = tiny_model("llama"), tiny_pairs("llama", 4)
    scores = Attributor(model, pairs).compute(Method.named("relp")).aggregate()
    evaluator = Evaluator(model, pairs, ablation)
    curve = evaluator.curve(scores, [0, 100, scores.size])
    assert curve.faithfulness[[0, 2]] == pytest.approx([0, 1])
    assert curve.completeness[[0, 2]] == pytest.approx([1, 0])
    np.testing.assert_allclose(curve.metric_circuit[-1], curve.metric_full)
    plain = [metric_with(model, p.clean, target_of(model, p, "logit-difference")) for p in pairs]
    np.testing.assert_allclose(curve.metric_full, torch.cat(plain).numpy(), atol=1e-12)
    assert math.isfinite(evaluator.cpr(scores)) and evaluator.cmd(scores) >= 0
    assert FRACTIONS[-1] == 1


def test_ablating_one_neuron_is_patching_it(tiny_model, tiny_pairs):
    """Resample ablation of a single neuron is the exact-patching forward of that neuron."""
    model, pairs = tiny_model("gpt2"), tiny_pairs("gpt2", 1)
    neuron = (1, 2, 7)
    keep = torch.ones(3, 5, 128, dtype=torch.bool)
    keep[neuron] = False
    evaluator = Evaluator(model, pairs, "resample")
    effect = exact_patching(model, pairs[0], evaluator.targets[0], [neuron])
    full = evaluator.metric(torch.ones_like(keep))
    np.testing.assert_allclose(full - evaluator.metric(keep), effect, atol=1e-12)
