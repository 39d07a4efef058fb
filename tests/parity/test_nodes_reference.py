# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The reference for nodes of every kind, against itself and against identities of the maths."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from families import FAMILIES
from reference.attribution import Attributor, Method, exact_patching
from reference.circuits import Evaluator
from reference.double import float32_means_float64
from reference.gradients import bias_share
from reference.node_circuits import NodeEvaluator
from reference.node_scores import NodeAttributor
from reference.nodes import KINDS, NodeModel, node_metric, sweep_nodes
from reference.rules import ALL_RULES, replacement_rules
from torch import Tensor

EVERY = [*FAMILIES, "llama", "llama3", "mistral", "qwen2", "gpt2"]
SHORT = ["llama", "gpt2", "gemma3_text", "granite", "gpt_neox"]
RULES = {"norm", "activation", "attention", "half", "softcap"}
ALL_METHODS = [
    Method("atp"),
    Method("atp", direction="denoise"),
    Method("atp", baseline="mean"),
    Method.named("gradient-x-activation"),
    Method.named("relp"),
    Method("ig-acts", "midpoint", 3),
    Method("ig-acts", "right", 2, direction="denoise"),
    Method("ig-inputs", "right", 3),
    Method("ig-inputs", "right", 3, baseline="zero"),
    Method("conductance", "trapezoid", 3),
    Method("conductance", "left", 3, baseline="zero"),
    Method("delta", baseline="mean"),
]


@pytest.fixture
def node_model(tiny_model) -> Callable[..., NodeModel]:
    """A tiny model by name, with taps on every node."""

    def model(name: str, side: str = "added") -> NodeModel:
        return NodeModel(tiny_model(name).model, side)

    return model


def attributor_of(node_model, tiny_pairs, name: str, pairs: int = 2, side: str = "added") -> NodeAttributor:
    return NodeAttributor(node_model(name, side), tiny_pairs(name, pairs))


def ends_of(attributor: NodeAttributor, index: int) -> np.ndarray:
    """m on a pair's clean and counterfactual prompts."""
    return attributor.nodes_of(Method("delta"), "mlps", index).metric


def rules_of(model: NodeModel) -> frozenset[str]:
    """The rules that have a place in a model, the soft-cap's included."""
    config = model.model.config.get_text_config()
    ungated = {"half"} if config.model_type in ("gpt2", "gpt_neox") else set()
    uncapped = {"softcap"} if getattr(config, "final_logit_softcapping", None) is None else set()
    return frozenset(RULES - ungated - uncapped)


def blocks_of(model: NodeModel) -> list[torch.nn.Module]:
    """The blocks, in their order: siblings of the first."""
    place = next(name for name, module in model.model.named_modules() if module is model.first_block)
    return list(model.model.get_submodule(place.rsplit(".", 1)[0]))


def attention_added(model: NodeModel, layer: int, z: Tensor) -> Tensor:
    """What a block's attention adds to the stream, of its heads' outputs z [..., pos, width]."""
    written = model.attention_outputs[layer](z)
    if model.post_norms:
        with float32_means_float64():
            written = blocks_of(model)[layer].post_attention_layernorm(written)
    return written * model.residual_multiplier


@pytest.mark.parametrize("name", EVERY)
def test_blocks_add_what_their_nodes_say(name, node_model, tiny_pairs):
    """A block's output less its input is what attention adds of z, plus the value of the MLP's node."""
    model, (pair,) = node_model(name), tiny_pairs(name, 1)
    before, after = [], []

    def behind(_: torch.nn.Module, __: tuple, output: Tensor | tuple) -> None:
        after.append(output[0] if isinstance(output, tuple) else output)

    with ExitStack() as hooks, torch.no_grad():
        for block in blocks_of(model):
            hooks.callback(block.register_forward_pre_hook(lambda _, inputs: before.append(inputs[0])).remove)
            hooks.callback(block.register_forward_hook(behind).remove)
        values = model.run_nodes(model.embed(torch.tensor([pair.clean]))).values
    assert len(after) == len(values["mlps"]) == len(values["heads"])
    with torch.no_grad():
        for layer, (x, y) in enumerate(zip(before, after, strict=True)):
            added = attention_added(model, layer, values["heads"][layer]) + values["mlps"][layer]
            torch.testing.assert_close(y - x, added, rtol=0, atol=1e-12 * y.abs().max().item())
    if model.model.config.model_type != "gpt2":  # whose block 0 reads positions too
        torch.testing.assert_close(values["embeddings"][0], before[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("side", ["added", "written"])
@pytest.mark.parametrize("name", [*SHORT, "gemma2", "olmo2", "qwen3"])
def test_derivatives_are_those_of_forwards(name, side, node_model, tiny_pairs):
    """dm/dv along one random direction a layer of every kind, against central differences."""
    attributor = attributor_of(node_model, tiny_pairs, name, 1, side)
    model, pair, target = attributor.model, attributor.pairs[0], attributor.targets[0]
    grads = sweep_nodes(model, model.embed(torch.tensor([pair.clean])), target).grads
    generator = torch.Generator().manual_seed(1)

    def moved(place: tuple[str, int], step: Tensor) -> float:
        return node_metric(
            model, pair.clean, target, do=lambda kind, layer, v: v + step if (kind, layer) == place else v
        ).item()

    for kind in KINDS:
        for layer, gradient in enumerate(grads[kind][0]):
            direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
            slope = (moved((kind, layer), 1e-5 * direction) - moved((kind, layer), -1e-5 * direction)) / 2e-5
            assert slope == pytest.approx((direction * gradient).sum().item(), rel=1e-6, abs=1e-6)
        assert grads[kind].abs().max() > 1e-3


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text"])
def test_neurons_are_those_of_the_other_reference(name, node_model, tiny_model, tiny_pairs):
    """Scores and residuals of every method are Attributor's."""
    plain, nodes = Attributor(tiny_model(name), tiny_pairs(name, 2)), attributor_of(node_model, tiny_pairs, name)
    for method in ALL_METHODS:
        ours, theirs = nodes.nodes_of(method, "neurons", 1), plain.one(method, 1)
        torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-10, atol=1e-12)
        # From zero the embeddings' path ends at the smallest alpha here, and at zero there.
        if method.method != "delta" and (method.baseline != "zero" or method.method == "atp"):
            np.testing.assert_allclose(ours.residual, theirs.residual, rtol=0, atol=1e-11)
    neurons = [(0, 1, 2), (2, 4, 5)]
    theirs = exact_patching(plain.model, plain.pairs[0], plain.targets[0], neurons)
    np.testing.assert_allclose(nodes.exact("neurons", 0, neurons), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "side"), [("heads", "added"), ("mlps", "added"), ("mlps", "written"), ("embeddings", "added")]
)
@pytest.mark.parametrize("name", SHORT)
def test_ig_acts_sums_to_the_effect_of_its_kind(name, side, kind, node_model, tiny_pairs):
    """The residual falls to rounding with many points; few leave a large one."""
    attributor = attributor_of(node_model, tiny_pairs, name, 2, side)
    for baseline, direction in (("pair", "clean"), ("mean", "clean"), ("pair", "denoise")):
        settings = {"baseline": baseline, "direction": direction}
        points = 320 if kind == "embeddings" else 64
        fine = attributor.nodes_of(Method("ig-acts", "gauss-legendre", points, **settings), kind, 0).residual
        coarse = attributor.nodes_of(Method("ig-acts", "right", 2, **settings), kind, 0).residual
        scale = attributor.kind_effects(kind, baseline, direction, 0).abs().max().item()
        assert scale > 0.01
        assert np.abs(fine).max() < 1e-5 * scale
        assert np.abs(coarse).max() > 1e-3 * scale


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text"])
@pytest.mark.parametrize("baseline", ["pair", "mean"])
def test_what_an_mlp_writes_scores_as_its_neurons_do(name, baseline, node_model, tiny_pairs):
    """Every method that is linear in dv, with the second matrix between the two; the added side differs."""
    written = attributor_of(node_model, tiny_pairs, name, side="written")
    added = attributor_of(node_model, tiny_pairs, name)
    for method in (
        Method("atp", baseline=baseline),
        Method("atp", baseline=baseline, rules=rules_of(written.model)),
        Method("ig-inputs", "right", 3, baseline=baseline),
        Method("ig-acts", "midpoint", 3, baseline=baseline),
        Method("conductance", "trapezoid", 3, baseline=baseline),
    ):
        whole = written.nodes_of(method, "mlps", 0).scores[..., 0]
        neurons = written.nodes_of(method, "neurons", 0).scores.sum(-1)
        torch.testing.assert_close(whole, neurons, rtol=0, atol=1e-12 * max(1.0, neurons.abs().max().item()))
        same = torch.allclose(added.nodes_of(method, "mlps", 0).scores[..., 0], whole)
        assert same == (not written.model.post_norms)


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("baseline", ["pair", "zero", "mean"])
def test_embeddings_are_input_ig(name, baseline, node_model, tiny_pairs):
    """ig-inputs at the same points; ig-acts of embeddings, and conductance where no point is left out."""
    attributor = attributor_of(node_model, tiny_pairs, name)
    inputs = attributor.one(Method("ig-inputs", "midpoint", 4, baseline=baseline), 1).inputs
    for name_of_method in ("ig-inputs", "ig-acts"):
        method = Method(name_of_method, "midpoint", 4, baseline=baseline)
        scores = attributor.nodes_of(method, "embeddings", 1).scores
        assert scores.shape == (1, len(inputs), 1)
        torch.testing.assert_close(scores[0, :, 0], inputs, rtol=1e-10, atol=1e-12)
    if baseline != "zero":
        method = Method("conductance", "trapezoid", 4, baseline=baseline)
        scores = attributor.nodes_of(method, "embeddings", 1).scores[0, :, 0]
        torch.testing.assert_close(scores, attributor.one(method, 1).inputs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["llama", "llama3", "mistral", "qwen3", "gemma2", "gemma3_text", "olmo2", "granite"])
def test_relp_conserves_the_metric_in_embeddings(name, node_model, tiny_pairs):
    """Without biases the embeddings' gradient times value sums to m, with every rule that has a place."""
    attributor = attributor_of(node_model, tiny_pairs, name, 1)
    method = Method("atp", rules=rules_of(attributor.model), baseline="zero")
    result = attributor.nodes_of(method, "embeddings", 0)
    assert result.scores.sum().item() == pytest.approx(result.metric[0], abs=1e-10)
    fewer = Method("atp", rules=rules_of(attributor.model) - {"norm"}, baseline="zero")
    assert abs(attributor.nodes_of(fewer, "embeddings", 0).scores.sum().item() - result.metric[0]) > 1e-3


@pytest.mark.parametrize("name", EVERY)
def test_the_last_stream_is_made_of_nodes(name, node_model, tiny_pairs):
    """With g = dm/d(last stream at the last position) and frozen norms there: the embedding, every layer's attention
    and every layer's MLP, each times g, sum to m; biases of the last norm and the unembedding have the rest."""
    attributor = attributor_of(node_model, tiny_pairs, name, 1)
    model, pair, target = attributor.model, attributor.pairs[0], attributor.targets[0]
    blocks, stream = blocks_of(model), []

    def last(_, __, output):
        x = (output[0] if isinstance(output, tuple) else output).detach().requires_grad_()
        stream.append(x)
        return (x, *output[1:]) if isinstance(output, tuple) else x

    hook = blocks[-1].register_forward_hook(last)
    with replacement_rules(model.model, rules_of(model) & {"norm", "softcap"}):
        run = model.run_nodes(model.embed(torch.tensor([pair.clean])).requires_grad_())
    rest = bias_share(model, pair.clean, target, rules_of(model))
    hook.remove()
    metric = target(run.logits)
    (g,) = torch.autograd.grad(metric.sum(), stream[0])
    first = model.run(ids=torch.tensor([pair.clean])).stream
    with torch.no_grad():
        parts = [first, *run.values["mlps"]]
        parts += [attention_added(model, layer, z) for layer, z in enumerate(run.values["heads"])]
        total = sum((part[0, -1] * g[0, -1]).sum().item() for part in parts)
    assert g[0, :-1].abs().max() == 0
    assert total + rest == pytest.approx(metric.item(), abs=1e-10)


@pytest.mark.parametrize("name", SHORT)
def test_delta_is_a_length(name, node_model, tiny_pairs):
    """Of a head's slice and of the whole vector; of a neuron the absolute value."""
    attributor = attributor_of(node_model, tiny_pairs, name)
    clean, base = (attributor.values(p) for p in (attributor.pairs[0].clean, attributor.pairs[0].counterfactual))
    heads = attributor.nodes_of(Method("delta"), "heads", 0).scores
    z = (clean["heads"] - base["heads"]).numpy()
    dims = z.shape[-1] // attributor.model.head_count
    assert heads[1, 3, 2].item() == pytest.approx(np.linalg.norm(z[1, 3, 2 * dims : 3 * dims]))
    whole = attributor.nodes_of(Method("delta"), "mlps", 0).scores
    assert whole[0, 2, 0].item() == pytest.approx(np.linalg.norm((clean["mlps"] - base["mlps"])[0, 2]))


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_circuits_of_neurons_are_those_of_the_other_reference(name, ablation, node_model, tiny_model, tiny_pairs):
    """Every number of the curve, and the areas."""
    pairs = tiny_pairs(name, 3)
    scores = Attributor(tiny_model(name), pairs).compute(Method("atp")).aggregate()
    plain = Evaluator(tiny_model(name), pairs, ablation)
    nodes = NodeEvaluator(node_model(name), pairs, ["neurons"], ablation)
    flat = nodes.flat({"neurons": scores})
    ours, theirs = nodes.curve(flat, [0, 10, 100]), plain.curve(scores, [0, 10, 100])
    for field in ("metric_circuit", "metric_complement", "metric_full", "metric_empty", "faithfulness"):
        np.testing.assert_allclose(getattr(ours, field), getattr(theirs, field), rtol=0, atol=1e-11, err_msg=field)
    assert nodes.cpr(flat) == pytest.approx(plain.cpr(scores), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("name", SHORT)
def test_one_node_out_is_that_node_patched(name, node_model, tiny_pairs):
    """Resample ablation of a single node of each kind, at one position and at all of them."""
    attributor = attributor_of(node_model, tiny_pairs, name, 1)
    for positions in ("keep", "sum"):
        evaluator = NodeEvaluator(attributor.model, attributor.pairs, KINDS, "resample", positions)
        sizes = [int(np.prod(evaluator.shapes[kind])) for kind in KINDS]
        everything = torch.ones(sum(sizes), dtype=torch.bool)
        full = evaluator.metric(everything)
        np.testing.assert_allclose(full, ends_of(attributor, 0)[:1], rtol=0, atol=1e-12)
        for kind, offset in zip(KINDS, np.cumsum([0, *sizes[:-1]]), strict=True):
            shape = evaluator.shapes[kind]
            place = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
            keep = everything.clone()
            keep[offset + np.ravel_multi_index(place, shape)] = False
            node = (place[0], place[1] if positions == "keep" else slice(None), place[2])
            effect = attributor.exact(kind, 0, [node])
            np.testing.assert_allclose(full - evaluator.metric(keep), effect, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_left_without_embeddings(name, node_model, tiny_pairs):
    """Embeddings out, all else kept, resampled at all positions: m of the counterfactual prompt, as for nothing."""
    model, pairs = node_model(name), tiny_pairs(name, 2)
    evaluator = NodeEvaluator(model, pairs, ["heads", "mlps", "embeddings"], "resample", "sum")
    keep = torch.ones(sum(int(np.prod(shape)) for shape in evaluator.shapes.values()), dtype=torch.bool)
    keep[-1] = False
    ends = NodeAttributor(model, pairs)
    theirs = [ends_of(ends, index)[1] for index in range(2)]
    for mask in (keep, torch.zeros_like(keep)):
        np.testing.assert_allclose(evaluator.metric(mask), theirs, rtol=0, atol=1e-12)
    keep[:] = True
    keep[0] = False  # the embeddings stay, and one head goes
    assert np.abs(evaluator.metric(keep) - theirs).max() > 1e-3


def test_ties_go_by_kind_then_layer_position_node(node_model, tiny_pairs):
    """Equal scores come kind after kind in the order given, each by its flattened place."""
    model, pairs = node_model("llama"), tiny_pairs("llama", 2)
    evaluator = NodeEvaluator(model, pairs, ["mlps", "heads"], "mean", "sum")
    scores = {"heads": np.zeros((3, 1, 4)), "mlps": np.zeros((3, 1))}
    scores["heads"][2, 0, 1], scores["mlps"][1, 0], scores["heads"][0, 0, 3] = 2, -2, 2
    kept = [
        {kind: np.argwhere(mask.numpy())[:, [0, 2]].tolist() for kind, mask in evaluator.split(mask).items()}
        for mask in (evaluator.circuit(evaluator.flat(scores), k) for k in (1, 2, 4))
    ]
    assert kept[0] == {"mlps": [[1, 0]], "heads": []}
    assert kept[1] == {"mlps": [[1, 0]], "heads": [[0, 3]]}
    assert kept[2] == {"mlps": [[0, 0], [1, 0]], "heads": [[0, 3], [2, 1]]}


def test_each_rule_moves_every_kind(node_model, tiny_pairs):
    """The scores of heads, MLPs and embeddings."""
    attributor = attributor_of(node_model, tiny_pairs, "llama", 1)
    for kind in ("heads", "mlps", "embeddings"):
        plain = attributor.nodes_of(Method("atp"), kind, 0).scores
        for rule in ALL_RULES:
            ruled = attributor.nodes_of(Method("atp", rules=frozenset({rule})), kind, 0).scores
            assert not torch.allclose(ruled, plain), (kind, rule)
