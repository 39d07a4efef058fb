# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The truth about each family, against itself: float64 throughout, every switch bites, RelP conserves the metric.

With `-s` the tables are printed: how far each switch moves the logits, and what each missing rule leaves of the metric.
"""

from __future__ import annotations

import json

import pytest
import torch
from families import FAMILIES
from older_spellings import OLDER_SPELLINGS, respell
from reference.attribution import Attributor, Method
from reference.gradients import bias_share, metric_with, node_gradients
from reference.metrics import Target, target_of
from reference.pairs import Pair
from reference.quadrature import points_and_weights
from reference.rules import ALL_RULES, KNOWN_RULES, is_rms_norm, replacement_rules
from reference.tapped import TappedModel
from switches import switched_off, switches_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

EVERY = [*FAMILIES, "llama", "llama3", "mistral", "qwen2", "gpt2"]
POST_NORMED = [name for name, row in FAMILIES.items() if row.model_type[:6] in ("gemma2", "gemma3", "olmo2", "olmo3")]
FLOAT32 = torch.float32  # by its own name, also where float32 means float64


def rules_of(model: TappedModel) -> frozenset[str]:
    """The rules that have a place in a model, the soft-cap's included."""
    config = model.model.config.get_text_config()
    ungated = {"half"} if config.model_type in ("gpt2", "gpt_neox") else set()
    uncapped = {"softcap"} if getattr(config, "final_logit_softcapping", None) is None else set()
    return KNOWN_RULES - ungated - uncapped


@pytest.fixture
def case(request, tiny_model, tiny_pairs) -> tuple[TappedModel, Pair, Target]:
    """A model by name, its first pair and the metric there."""
    model, (pair,) = tiny_model(request.param), tiny_pairs(request.param, 1)
    return model, pair, target_of(model, pair, "logit-difference")


class Types(TorchDispatchMode):
    """Which floating-point types operations give."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: D105
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                self.found.add(tensor.dtype)
        return result


def logits_and_types(model, ids: tuple[int, ...]) -> tuple[Tensor, set[torch.dtype]]:
    """Logits [pos, vocabulary] of a transformers model, and the types on the way."""
    with Types() as types, torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    return logits, types.found


@pytest.mark.parametrize("name", EVERY)
def test_float64_throughout(name, tiny_folder, tiny_model, tiny_pairs):
    """No operation of the lifted model gives float32; those of the plain one do, and that is all that differs."""
    model, (pair,) = tiny_model(name), tiny_pairs(name, 1)
    ours, types = logits_and_types(model.model, pair.clean)
    assert types == {torch.float64}
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder(name), dtype=torch.float64).eval()
    theirs, types = logits_and_types(plain, pair.clean)
    assert (FLOAT32 in types) == (name != "gpt2")
    assert ours.std() > 0.4
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "switch"), [(name, switch) for name in FAMILIES for switch in switches_of(name)])
def test_every_switch_bites(name, switch, tiny_model, tiny_pairs):
    """The same weights with one switch off give other logits."""
    model, (pair,) = tiny_model(name).model, tiny_pairs(name, 1)
    with torch.no_grad():
        both = [model, switched_off(model, name, switch)]
        on, off = (m(torch.tensor([pair.clean]), use_cache=False).logits[0] for m in both)
    moved = (on - off).abs().max().item()
    print(f"{name:22}{switch:34}{moved:10.2e} of {on.abs().max():.2f}")
    assert moved > 1e-4


@pytest.mark.parametrize("name", OLDER_SPELLINGS)
def test_older_spellings_say_the_same(name, tiny_folder, tiny_model, tiny_pairs, tmp_path):
    """As folders were written before version 5 of transformers: to it, the same model."""
    folder, (pair,) = respell(name, tiny_folder(name), tmp_path / name), tiny_pairs(name, 1)
    again = TappedModel.load(folder, torch.float64)
    with torch.no_grad():
        pairs = [m.model(torch.tensor([pair.clean]), use_cache=False).logits for m in (again, tiny_model(name))]
    torch.testing.assert_close(*pairs, rtol=0, atol=1e-12)
    assert json.loads((folder / "config.json").read_text()) != json.loads(
        (tiny_folder(name) / "config.json").read_text()
    )


@pytest.mark.parametrize("case", EVERY, indirect=True)
def test_derivatives_are_those_of_forwards(case):
    """dm/dv of neurons, heads and embeddings, along one random direction a layer, against central differences."""
    model, pair, target = case
    _, grads = node_gradients(model, pair.clean, target)
    generator = torch.Generator().manual_seed(1)

    def moved(module, direction: Tensor) -> float:
        hook = module.register_forward_pre_hook(lambda _, inputs: (inputs[0] + direction, *inputs[1:]))
        try:
            return metric_with(model, pair.clean, target).item()
        finally:
            hook.remove()

    sites = [*zip(model.seconds, grads.neurons, strict=True), *zip(model.attention_outputs, grads.heads, strict=True)]
    for module, gradient in [*sites, (model.first_block, grads.embeddings)]:
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        slope = (moved(module, 1e-5 * direction) - moved(module, -1e-5 * direction)) / 2e-5
        expected = (direction * gradient).sum().item()
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert all(gradient.abs().max() > 1e-3 for _, gradient in sites)


def conserved(model: TappedModel, pair: Pair, target: Target, rules: frozenset[str]) -> float:
    """Sum of e * dm/de plus the biases' share."""
    values, grads = node_gradients(model, pair.clean, target, rules)
    return (values.embeddings * grads.embeddings).sum().item() + bias_share(model, pair.clean, target, rules)


@pytest.mark.parametrize("case", EVERY, indirect=True, ids=EVERY)
def test_relp_conserves_the_metric(case, request):
    """Embeddings and biases carry all of m with every rule that has a place, and no longer when one is missing."""
    model, pair, target = case
    metric, rules = metric_with(model, pair.clean, target).item(), rules_of(model)
    whole = conserved(model, pair, target, rules) - metric
    missing = {rule: conserved(model, pair, target, rules - {rule}) - metric for rule in sorted(rules)}
    row = "".join(f"{rule:>12}{left:10.1e}" for rule, left in missing.items())
    print(f"{request.node.callspec.id:22} m {metric:8.4f}  all {whole:9.1e}  without:{row}")
    assert abs(whole) <= 1e-12 * max(1, abs(metric))
    # ReLU is its own coefficient.
    exempt = {"activation"} if getattr(model.model.config, "hidden_act", "") == "relu" else set()
    assert all(abs(missing[rule]) > 1e-3 for rule in rules - exempt)
    assert all(abs(missing[rule]) <= 1e-12 for rule in exempt)


@pytest.mark.parametrize("case", EVERY, indirect=True, ids=EVERY)
def test_rules_fire_once_a_place_and_move_no_metric(case):
    """Norms: before, behind, of queries and keys, the last; gates; patterns; soft-caps of attention and logits."""
    model, pair, target = case
    plain = metric_with(model, pair.clean, target)
    config, text = model.model.config.get_text_config(), []
    for name, module in model.model.named_modules():
        if "vision" not in name and "projector" not in name:
            text.append(module)
    layers = config.num_hidden_layers
    norms = sum(is_rms_norm(m) or isinstance(m, torch.nn.LayerNorm) for m in text)
    gated = 0 if config.model_type in ("gpt2", "gpt_neox") else layers
    # Gemma 3 has no soft-cap in its attention, whatever its config says.
    capped = layers if config.model_type == "gemma2" else 0
    capped += getattr(config, "final_logit_softcapping", None) is not None
    sites = {"norm": norms, "activation": layers, "half": gated, "attention": layers, "softcap": capped}
    for rule, count in sites.items():
        with replacement_rules(model.model, frozenset({rule})) as fired:
            ruled = metric_with(model, pair.clean, target)
        assert fired[rule] == count, rule
        torch.testing.assert_close(ruled, plain, rtol=0, atol=1e-12)
    torch.testing.assert_close(metric_with(model, pair.clean, target), plain, rtol=0, atol=0)


@pytest.mark.parametrize("case", ["gemma2", "gemma3_text"], indirect=True)
def test_a_soft_cap_that_keeps_its_derivative(case):
    """Without the rule the embeddings carry cap'(z) z of the answer less that of the other one."""
    model, pair, target = case
    head, uncapped = model.model.get_output_embeddings(), []
    hook = head.register_forward_hook(lambda _, __, output: uncapped.append(output[0, -1]))
    metric_with(model, pair.clean, target)
    hook.remove()
    z = uncapped[0][list(target.ids)].requires_grad_()
    cap = model.model.config.final_logit_softcapping
    (slope,) = torch.autograd.grad((cap * torch.tanh(z / cap)).sum(), z)
    expected = (torch.tensor(target.signs, dtype=torch.float64) * slope * z).sum().item()
    assert conserved(model, pair, target, ALL_RULES) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [*POST_NORMED, "granite", "gpt_neox"])
def test_the_path_is_straight_in_what_the_writer_reads(name, tiny_model, tiny_pairs):
    """IG-activations: gradients averaged at w = W a + b, before a norm behind it, then taken through W once."""
    model, pairs = tiny_model(name), tiny_pairs(name, 1)
    attributor = Attributor(model, pairs)
    expected = attributor.one(Method("ig-acts", "midpoint", 4), 0).scores
    clean, base = attributor.acts(pairs[0].clean), attributor.acts(pairs[0].counterfactual)
    alphas, weights = map(torch.from_numpy, points_and_weights("midpoint", 4))
    for layer, second in enumerate(model.seconds):
        written = [second(a) for a in (base[layer], clean[layer])]
        path = written[0] + alphas[:, None, None] * (written[1] - written[0])
        leaf = path.detach().requires_grad_()
        hook = second.register_forward_hook(lambda _, __, ___, leaf=leaf: leaf)
        run = model.run(ids=torch.tensor([pairs[0].clean]).expand(4, -1))
        hook.remove()
        (grads,) = torch.autograd.grad(attributor.targets[0](run.logits).sum(), leaf)
        scores = (clean - base)[layer] * (torch.tensordot(weights, grads, dims=1) @ second.weight)
        torch.testing.assert_close(scores, expected[layer], rtol=0, atol=1e-12 * expected.abs().max().item())


@pytest.mark.parametrize("name", FAMILIES)
def test_ig_acts_sums_to_the_layer_effect(name, tiny_model, tiny_pairs):
    """The residual falls to rounding with many points; patterns, effects and scores are far from trivial."""
    attributor = Attributor(tiny_model(name), tiny_pairs(name, 1))
    fine = attributor.one(Method("ig-acts", "gauss-legendre", 48), 0)
    coarse = attributor.one(Method("ig-acts", "gauss-legendre", 1), 0)
    effects = attributor.layer_effects("pair", "clean", 0).abs()
    # ReLU's kinks keep Gauss's rule from converging fast.
    smooth = getattr(attributor.model.model.config, "hidden_act", "") != "relu"
    assert abs(fine.residual).max() < (1e-6 if smooth else 0.02) * effects.max()
    assert abs(coarse.residual).max() > 1e-4 * effects.max()
    assert effects.max() > 0.02 and abs(fine.metric).max() > 0.1
