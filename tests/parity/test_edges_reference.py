# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The reference for edges, against its identities, finite differences and circuits that are known otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from reference.attribution import Method
from reference.edge_circuits import EMBEDDING, EdgeCircuits, FrozenModel, PreActivations, exact_edge
from reference.edges import METRIC, SOURCES, EdgeAttributor, cut_run, derivatives, incoming
from reference.gradients import metric_with
from reference.nodes import NodeModel, node_values
from reference.rules import ACTIVATION_SHARE, ALL_RULES, _activation_name
from torch import Tensor

MODELS = ["llama", "gpt2", "gemma3_text", "qwen3"]
MORE = ["gemma2", "olmo2", "phi3", "granite", "gpt_neox"]
UNGATED = ("gpt2", "gpt_neox")
LENGTH = 4  # tokens of a prompt: the pairs differ at the second
FROZEN = frozenset({"norm", "attention"})
METHODS = [
    Method("atp"),
    Method("atp", rules=ALL_RULES),
    Method("ig-inputs", "right", 3),
]
MORE_METHODS = [
    *(Method("atp", rules=frozenset({rule})) for rule in sorted(ALL_RULES)),
    Method("atp", baseline="mean", rules=ALL_RULES),
    Method("atp", baseline="zero"),
    Method("atp", direction="denoise"),
    Method("ig-inputs", "midpoint", 2, baseline="zero", rules=ALL_RULES - {"attention"}),
]


@pytest.fixture(scope="module")
def made(tiny_model, tiny_pairs) -> Callable[..., EdgeAttributor]:
    """Edges of a model on its first two pairs, cut to a few tokens."""

    def attributor(name: str, length: int = LENGTH) -> EdgeAttributor:
        pairs = [
            replace(pair, clean=pair.clean[:length], counterfactual=pair.counterfactual[:length])
            for pair in tiny_pairs(name, 2)
        ]
        assert all(pair.clean != pair.counterfactual for pair in pairs)
        return EdgeAttributor(NodeModel(tiny_model(name).model), pairs)

    return attributor


def embeds_of(edges: EdgeAttributor) -> Tensor:
    return edges.model.embed(torch.tensor([edges.pairs[0].clean]))


def top_neurons(edges: EdgeAttributor, count: int) -> list[tuple[int, int, int]]:
    """Those of the largest scores, so that edges between them matter."""
    scores = edges.nodes_of(Method("atp", rules=ALL_RULES), "neurons", 0).scores
    order = scores.abs().flatten().argsort(descending=True)[:count]
    return [tuple(place) for place in torch.stack(torch.unravel_index(order, scores.shape), 1).tolist()]


def last_layer(edges: EdgeAttributor) -> int:
    return len(edges.values(edges.pairs[0].clean)["neurons"]) - 1


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in MODELS for method in METHODS]
    + [("llama", method) for method in MORE_METHODS]
    + [(name, METHODS[0]) for name in MORE],
    ids=lambda one: one if isinstance(one, str) else f"{one.method} {one.baseline} {' '.join(sorted(one.rules))}",
)
def test_a_score_is_what_flows_out(name, method, made):
    """To the metric and to all neurons, for neurons, heads and embeddings; some of the neurons leave a rest."""
    edges = made(name, 3)
    scores, flows = edges.outgoing(method, 0)
    direct = edges.flows(method, 0, METRIC)
    for kind in SOURCES:
        scale = scores[kind].abs().max().item()
        assert scale > 1e-3
        torch.testing.assert_close(flows[kind], scores[kind], rtol=0, atol=1e-12 * scale)
        assert (direct[kind] - scores[kind]).abs().max() > 0.01 * scale


def test_targets_leave_a_rest(made):
    """With two of the targets left out, score - flows is what these two had."""
    edges, method = made("llama", 3), Method("atp")
    every = edges.neurons(0)
    left = [neuron for neuron in top_neurons(edges, 40) if neuron[0] > 0][:2]
    scores, flows = edges.outgoing(method, 0, [neuron for neuron in every if neuron not in left])
    for kind in SOURCES:
        theirs = sum(edges.flows(method, 0, neuron)[kind] for neuron in left)
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(scores[kind] - flows[kind], theirs, rtol=0, atol=1e-11)


def test_products_are_taken_at_each_point(made):
    """The mean of derivatives times the mean of gradients is something else; methods without a state are refused."""
    edges, to = made("llama"), (2, 3, 5)
    method = Method("ig-inputs", "right", 3)
    flows = edges.flows(method, 0, to)["neurons"]
    points = edges._points_of(method, 0)
    mean = sum(p.weight * derivatives(p.cut, p.cut.value(to))["neurons"] for p in points)
    gradient = sum(p.weight * p.grads[to] for p in points)
    other = edges._deltas(method, 0)["neurons"] * mean * gradient
    assert (other - flows).abs().max() > 0.01 * flows.abs().max()
    for name in ("ig-acts", "conductance", "delta"):
        with pytest.raises(ValueError, match=f"{name} has no edges"):
            edges.flows(Method(name), 0, to)


@pytest.mark.parametrize("name", [*MODELS, *MORE])
def test_a_value_is_what_comes_in(name, made):
    """By all rules, of neurons in every layer and of the metric; with any rule left out it is not."""
    edges = made(name)
    model, ids, target = edges.model, edges.pairs[0].clean, edges.targets[0]
    rules = ALL_RULES | {"softcap"}
    layers = range(last_layer(edges) + 1)
    chosen = [*((layer, pos, 5) for layer in layers for pos in (1, 3)), METRIC]
    parts = [incoming(model, ids, target, to, rules) for to in chosen]
    values = node_values(model, embeds_of(edges))["neurons"][0]
    for to, part in zip(chosen, parts, strict=True):
        assert part.value == pytest.approx(
            metric_with(model, ids, target).item() if to == METRIC else values[to].item(), rel=1e-12
        )
        size = max(abs(x) for x in (part.neurons, part.embeddings, part.positions, part.biases, part.value))
        assert part.total() == pytest.approx(part.value, rel=0, abs=1e-12 * size)
        assert (part.biases != 0) == (name in UNGATED)
        assert (part.neurons != 0) == (to == METRIC or to[0] > 0)
    assert max(abs(part.positions) for part in parts) > 0.01 if name == "gpt2" else True
    assert all(part.positions == 0 or name in ("gpt2", "granite") for part in parts)
    # A norm rule that is left out scales everything; GPT-2's MLPs have no halves, its logits no cap.
    absent = {"half"} if name in UNGATED else set()
    for rule in ALL_RULES - absent:
        off = [incoming(model, ids, target, to, rules - {rule}) for to in chosen]
        assert max(abs(part.total() - part.value) for part in off) > 1e-3, rule
    if name in ("gemma2", "gemma3_text"):
        off = incoming(model, ids, target, METRIC, ALL_RULES)
        assert abs(off.total() - off.value) > 1e-3


@pytest.mark.parametrize("rules", [frozenset(), FROZEN], ids=["live", "frozen"])
@pytest.mark.parametrize("name", [*MODELS, "gpt_neox"])
def test_derivatives_are_those_of_forwards(name, rules, made):
    """D of a few targets along each of a few sources and one direction of all, against central differences.

    By no rules in the cut model with everything live; by those of norms and attention in the frozen one.
    """
    edges = made(name)
    model = FrozenModel(edges.model.model, edges.pairs[0].clean) if rules else edges.model
    embeds, target = embeds_of(edges), edges.targets[0]
    values = node_values(edges.model, embeds)["neurons"][0]
    cut = cut_run(edges.model, embeds, target, rules)
    generator = torch.Generator().manual_seed(4)
    directions = [torch.randn(values.shape, generator=generator, dtype=torch.float64)]
    for place in ((0, 0, 3), (0, 1, 7), (1, 2, 2)):
        directions.append(torch.zeros_like(values))
        directions[-1][place] = 1
    along = torch.randn(embeds.shape, generator=generator, dtype=torch.float64)
    no_neurons, no_embeds = torch.zeros_like(values), torch.zeros_like(embeds)
    last = last_layer(edges)
    for to in ((1, 2, 1), (last, 3, 0), METRIC):
        found = derivatives(cut, cut.value(to))
        steps = [(direction, no_embeds) for direction in directions] + [(no_neurons, along)]

        def value(way: float, step: tuple[Tensor, Tensor], to=to) -> float:
            with torch.no_grad():
                moved = cut_run(model, embeds + way * step[1], target, held=values + way * step[0])
            return moved.value(to).item()

        for step in steps:
            slope = (value(1e-5, step) - value(-1e-5, step)) / 2e-5
            expected = (found["neurons"] * step[0]).sum() + (found["embeddings"] * step[1]).sum()
            assert slope == pytest.approx(expected.item(), rel=1e-6, abs=1e-8)
        assert found["neurons"].abs().max() > 1e-3


def test_parallel_blocks_have_fewer_edges(made):
    """There the attention of a block reads what its MLP reads: the next layer's neurons are reached at the same
    position alone, those of the layer behind it at later ones too."""
    edges = made("gpt_neox")
    cut = cut_run(edges.model, embeds_of(edges), edges.targets[0])
    next_one, further = (derivatives(cut, cut.value((layer, 2, 4)))["neurons"][0] for layer in (1, 2))
    assert next_one[:2].abs().max() == 0
    assert min(next_one[2].abs().max(), further[0].abs().max(), further[2].abs().max()) > 0


@pytest.mark.parametrize("name", MODELS)
def test_only_what_lies_below_and_before_has_edges(name, made):
    """Zero from the target's own layer and above and from later positions, and not below."""
    edges = made(name)
    cut = cut_run(edges.model, embeds_of(edges), edges.targets[0])
    found = derivatives(cut, cut.value((2, 2, 4)))
    assert found["neurons"][2:].abs().max() == 0
    for kind in SOURCES:
        assert found[kind][:, 3:].abs().max() == 0
        assert found[kind][0, :3].abs().min(-1).values.max() > 0
    assert found["heads"][2, :3].abs().max() > 0  # a block's attention comes before its MLP
    assert found["heads"][3:].numel() == 0 or found["heads"][3:].abs().max() == 0
    # The last layer reaches the metric from the last position alone.
    found = derivatives(cut, cut.metric[0])["neurons"][-1]
    assert found[:-1].abs().max() == 0
    assert found[-1].abs().max() > 0


@pytest.mark.parametrize("name", [*MODELS, *MORE])
def test_the_frozen_model(name, made):
    """On its own prompt it is the model; its derivatives are those by the rules of norms and attention; its
    pre-activations and logits are affine in neurons and embeddings, and RelP's D is made of their derivatives."""
    edges = made(name)
    model, embeds, target = edges.model, embeds_of(edges), edges.targets[0]
    frozen = FrozenModel(model.model, edges.pairs[0].clean)
    torch.testing.assert_close(frozen.run(embeds=embeds).logits, model.run(embeds=embeds).logits, rtol=0, atol=1e-13)
    other = model.embed(torch.tensor([edges.pairs[0].counterfactual]))
    assert (frozen.run(embeds=other).logits - model.run(embeds=other).logits).abs().max() > 1e-3

    pre, z = PreActivations(frozen), {}
    with pre.tapped(z):
        cut = cut_run(frozen, embeds, target)
    ruled = {rules: cut_run(model, embeds, target, rules) for rules in (FROZEN, ALL_RULES)}
    share = ACTIVATION_SHARE[_activation_name(model.model.config.get_text_config())]
    for to in ((1, 2, 5), (2, 3, 6)):
        plain = derivatives(cut, cut.value(to))
        theirs = derivatives(ruled[FROZEN], ruled[FROZEN].value(to))
        for kind in SOURCES:
            torch.testing.assert_close(plain[kind], theirs[kind], rtol=0, atol=1e-12)
        parts = pre.of(z, to, target)
        J = [derivatives(cut, part)["neurons"] for part in parts]
        by_hand = share(parts[0]) * J[0]
        if len(J) == 2:
            by_hand = (by_hand * parts[1] + share(parts[0]) * parts[0] * J[1]) / 2
        theirs = derivatives(ruled[ALL_RULES], ruled[ALL_RULES].value(to))["neurons"]
        torch.testing.assert_close(by_hand.detach(), theirs, rtol=0, atol=1e-12)


def ablation_values(edges: EdgeAttributor) -> Tensor:
    """The mean of the counterfactual prompts [layer, pos, neuron]."""
    return torch.stack([edges.values(pair.counterfactual)["neurons"] for pair in edges.pairs]).mean(0)


def circuits_of(edges: EdgeAttributor, neurons: list, rest: str, embeddings: bool = False) -> EdgeCircuits:
    ablated = edges.model.embed(torch.tensor([edges.pairs[0].counterfactual]))[0] if embeddings else None
    pair, target = edges.pairs[0], edges.targets[0]
    return EdgeCircuits(edges.model, pair.clean, target, neurons, ablation_values(edges), rest, ablated)


def metrics_of(circuits: EdgeCircuits, kept: list) -> float:
    """By hooks, having found the same by differences."""
    found = circuits.metric(kept)
    assert circuits.metric_by_differences(kept) == pytest.approx(found, rel=0, abs=1e-11)
    return found


@pytest.mark.parametrize("name", [*MODELS, *MORE])
def test_circuits_of_few_neurons(name, made):
    """All edges: m(x), where the rest is clean. None: all neurons ablated, or all of the chosen. Between: by hooks as
    by differences, each edge counting."""
    edges = made(name)
    model, ids, target = edges.model, edges.pairs[0].clean, edges.targets[0]
    neurons = top_neurons(edges, 20)
    ablated, m = ablation_values(edges), metric_with(model, ids, target).item()
    frozen = FrozenModel(model.model, ids)
    chosen = torch.zeros(ablated.shape, dtype=torch.bool)
    for neuron in neurons:
        chosen[neuron] = True
    clean = edges.values(ids)["neurons"]
    for rest in ("clean", "ablated"):
        circuits = circuits_of(edges, neurons, rest)
        universe = circuits.universe()
        everything, nothing = metrics_of(circuits, universe), metrics_of(circuits, [])
        instead = torch.where(chosen, ablated, clean) if rest == "clean" else ablated
        emptied = metric_with(frozen, ids, target, do=lambda layer, _, v=instead: v[layer][None]).item()
        assert nothing == pytest.approx(emptied, rel=0, abs=1e-12)
        assert abs(nothing - m) > 1e-3
        if rest == "clean":
            assert everything == pytest.approx(m, rel=0, abs=1e-12)
        else:
            assert abs(everything - m) > 1e-3
        half = random.Random(3).sample(universe, len(universe) // 2)
        assert abs(metrics_of(circuits, half) - everything) > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_embeddings_as_sources(name, made):
    """All edges: m(x). None, with neurons and embeddings of the counterfactual prompt: the frozen model on these."""
    edges = made(name)
    circuits = circuits_of(edges, top_neurons(edges, 12), "clean", embeddings=True)
    ids, target = edges.pairs[0].clean, edges.targets[0]
    assert sum(source[0] == EMBEDDING for source, _ in circuits.universe()) > LENGTH
    m = metric_with(edges.model, ids, target).item()
    assert metrics_of(circuits, circuits.universe()) == pytest.approx(m, rel=0, abs=1e-12)
    others = edges.model.embed(torch.tensor([edges.pairs[0].counterfactual]))
    values = edges.values(ids)["neurons"].clone()
    for neuron in circuits.chosen:
        values[neuron] = ablation_values(edges)[neuron]
    frozen = FrozenModel(edges.model.model, ids)
    with torch.no_grad():
        emptied = target(frozen.run(embeds=others, do=lambda layer, _: values[layer][None]).logits).item()
    assert metrics_of(circuits, []) == pytest.approx(emptied, rel=0, abs=1e-12)
    half = random.Random(3).sample(circuits.universe(), len(circuits.universe()) // 2)
    without = [(source, to) for source, to in half if source[0] != EMBEDDING]
    assert abs(metrics_of(circuits, half) - metrics_of(circuits, without)) > 1e-6


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text"])
def test_circuits_of_all_neurons(name, made):
    """All edges: m(x). None: the frozen model with all neurons ablated. Without those of some neurons: these ablated in
    the frozen model, which computes the others anew. Without one edge: that edge patched in the frozen model."""
    edges = made(name, 3)
    ids, target = edges.pairs[0].clean, edges.targets[0]
    frozen, ablated = FrozenModel(edges.model.model, ids), ablation_values(edges)
    circuits = circuits_of(edges, edges.neurons(0), "ablated")
    universe = circuits.universe()
    m = metric_with(edges.model, ids, target).item()
    assert circuits.metric(universe) == pytest.approx(m, rel=0, abs=1e-12)
    emptied = metric_with(frozen, ids, target, do=lambda layer, _: ablated[layer][None]).item()
    assert circuits.metric([]) == pytest.approx(emptied, rel=0, abs=1e-12)

    gone = set(top_neurons(edges, 30))
    mask = torch.zeros(ablated.shape, dtype=torch.bool)
    for neuron in gone:
        mask[neuron] = True
    node_circuit = metric_with(frozen, ids, target, do=lambda layer, a: torch.where(mask[layer], ablated[layer], a))
    found = circuits.metric([edge for edge in universe if edge[0] not in gone])
    assert found == pytest.approx(node_circuit.item(), rel=0, abs=1e-12)
    assert abs(found - m) > 1e-3

    source = next(neuron for neuron in top_neurons(edges, 400) if neuron[0] == 0)
    to = next(neuron for neuron in top_neurons(edges, 400) if neuron[0] == 2 and neuron[1] == 2)
    for end in (to, METRIC):
        one = exact_edge(frozen, ids, target, source, end, ablated[source])
        without = circuits.metric([edge for edge in universe if edge != (source, end)])
        assert m - without == pytest.approx(one, rel=0, abs=1e-12)
        assert abs(one) > 1e-7


@pytest.mark.parametrize("name", MODELS)
def test_a_small_patch_is_a_flow(name, made):
    """An edge patched a millionth of the way, against its flow by no rules; and to the end, against forwards alone."""
    edges = made(name)
    model, ids, target = edges.model, edges.pairs[0].clean, edges.targets[0]
    delta = edges._deltas(Method("atp"), 0)
    values, e = edges.values(ids)["neurons"], embeds_of(edges)[0]
    source, q = (0, 2, int(delta["neurons"][0, 2].abs().argmax())), 1
    for to in ((1, 2, 3), (last_layer(edges), 3, 4), METRIC):
        flows = edges.flows(Method("atp"), 0, to)

        def effect(step: float, to=to) -> float:
            patched = values[source] - step * delta["neurons"][source]
            return exact_edge(model, ids, target, source, to, patched)

        def effect_of_embedding(step: float, to=to) -> float:
            patched = e[q] - step * delta["embeddings"][0, q]
            return exact_edge(model, ids, target, (EMBEDDING, q, EMBEDDING), to, patched)

        for function, flow in ((effect, flows["neurons"][source]), (effect_of_embedding, flows["embeddings"][0, q, 0])):
            slope = (function(1e-5) - function(-1e-5)) / 2e-5
            assert slope == pytest.approx(flow.item(), rel=1e-6, abs=1e-9)
            assert abs(function(0.0)) < 1e-12
            assert function(1.0) != pytest.approx(flow.item(), rel=1e-3)


def test_a_patch_by_forwards_alone(made):
    """Two forwards with hooks of their own: t with one neuron set and the others held, then m with t set."""
    edges = made("llama")
    model, ids, target = edges.model, edges.pairs[0].clean, edges.targets[0]
    clean = edges.values(ids)["neurons"]
    source, to = (0, 1, 3), (2, 3, 9)
    raw: list[Tensor] = []

    def hold(layer: int, a: Tensor) -> Tensor:
        raw.append(a)
        held = clean[layer].clone()
        if layer == 0:
            held[1, 3] = 2.0
        return held[None]

    metric_with(model, ids, target, do=hold)
    star = raw[2][0, 3, 9]
    assert star != clean[to]

    def patch(layer: int, a: Tensor) -> Tensor:
        a = a.clone()
        if layer == 2:
            a[0, 3, 9] = star
        return a

    effect = metric_with(model, ids, target) - metric_with(model, ids, target, do=patch)
    assert exact_edge(model, ids, target, source, to, 2.0) == pytest.approx(effect.item(), rel=0, abs=1e-13)
