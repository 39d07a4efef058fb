# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Scores of heads, MLPs and embeddings by the program, against autograd on tiny float64 models.

The networks compute in float64 on both sides; files store float32, so each number is held to 2e-6 of the largest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from node_cases import (
    CASES,
    FEW_CASES_MODELS,
    LINEAR,
    MODELS,
    PAIRS,
    as_stored,
    cases_of,
    has_residual,
    kinds_of,
    place_of,
    reference_method,
    run_of,
    settings_of,
    stored_scores,
)
from product import Results, assert_close, run_sweep
from reference.attribution import Method
from reference.node_scores import NodeAttributor
from reference.nodes import KINDS, NodeModel
from reference.rules import ALL_RULES
from reference.tapped import TappedModel
from transformers import AutoModelForCausalLM

TOLERANCE = 2e-6
OTHERS = ("heads", "mlps", "embeddings")
SCORED = [
    (name, side, label)
    for name in [*MODELS, *FEW_CASES_MODELS]
    for side in ("added", "written")
    for label in cases_of(name, side)
]


@pytest.fixture(scope="module")
def scored(binary, tiny_folder, tmp_path_factory) -> Callable[[str], dict[tuple[str, str], Results]]:
    """Results of all cases of a model by side and label: one sweep a model."""
    made: dict[str, dict[tuple[str, str], Results]] = {}
    failed: dict[str, str] = {}

    def results(name: str) -> dict[tuple[str, str], Results]:
        if name in failed:
            pytest.fail(failed[name])
        if name not in made:
            runs = {
                (side, label): run_of(label, case, side)
                for side in ("added", "written")
                for label, case in cases_of(name, side).items()
            }
            settings = settings_of(tiny_folder(name)) | {"attribution": {"method": "atp", "linearisation_gap": "all"}}
            try:
                found = run_sweep(binary, tmp_path_factory.mktemp(name), settings, list(runs.values()))
            except AssertionError as error:
                failed[name] = str(error)
                raise
            made[name] = dict(zip(runs, found, strict=True))
        return made[name]

    return results


@pytest.fixture(scope="module")
def attributor(tiny_model, tiny_pairs) -> Callable[..., NodeAttributor]:
    """The reference on the first pairs of a model, with one side of its MLPs."""
    made: dict[tuple, NodeAttributor] = {}

    def of(name: str, side: str = "added", pairs: int = PAIRS) -> NodeAttributor:
        if (name, side, pairs) not in made:
            model = NodeModel(tiny_model(name).model, side)
            made[name, side, pairs] = NodeAttributor(model, tiny_pairs(name, pairs))
        return made[name, side, pairs]

    return of


@pytest.mark.parametrize(("name", "side", "label"), SCORED)
def test_scores(name, side, label, scored, attributor):
    """Every kind, in the shape that it has, and the metric."""
    results, reference = scored(name)[side, label], attributor(name, side)
    method = reference_method(name, cases_of(name, side)[label])
    for kind in kinds_of(label):
        expected = reference.compute_nodes(method, kind)
        assert_close(results["/attribution/metric"], expected.stacked("metric"), TOLERANCE, "metric")
        found = results[place_of(kind, "scores")]
        assert found.dtype == np.float32
        assert_close(found, as_stored(kind, expected.aggregate()), TOLERANCE, kind)
    stored = {path.split("/")[2] for path in results.datasets if path.startswith("/nodes/")}
    assert stored == set(kinds_of(label)) - {"neurons"}


@pytest.mark.parametrize(("name", "side", "label"), [row for row in SCORED if not row[2].startswith("delta")])
def test_sums_and_true_differences(name, side, label, scored, attributor):
    """Residuals and linearisation gaps [pair, layer] of every kind; one column for embeddings, and on their path."""
    case = cases_of(name, side)[label]
    results, reference, method = scored(name)[side, label], attributor(name, side), reference_method(name, case)
    dataset = "residual" if has_residual(case) else "linearisation_gap"
    for kind in kinds_of(label):
        if (kind, method.baseline) == ("embeddings", "zero"):
            continue  # whether the zero embedding itself is evaluated is not laid down
        found = results[place_of(kind, dataset)]
        expected = reference.compute_nodes(method, kind).stacked("residual").reshape(PAIRS, -1)
        assert found.shape == expected.shape, kind
        scale = max(1, np.abs(results["/attribution/metric"]).max(), np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale, err_msg=kind)


@pytest.mark.parametrize("label", LINEAR)
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text", "gpt_neox"])
def test_what_an_mlp_writes_scores_as_its_neurons_do(name, label, scored):
    """mlps on the side `written` have the sums of their neurons' scores."""
    results = scored(name)["written", label]
    neurons = results["/attribution/scores"].astype(np.float64).sum(-1)
    assert_close(results["/nodes/mlps/scores"], neurons, TOLERANCE, "MLPs")
    assert np.abs(neurons).max() > 1e-3
    if name == "gemma3_text":
        added = scored(name)["added", label]["/nodes/mlps/scores"]
        assert np.abs(added - neurons).max() > 1e-3 * np.abs(neurons).max(), "a norm lies between the two sides"


@pytest.mark.parametrize("label", ["ig-inputs", "ig-inputs, mean", "ig-inputs, zero"])
@pytest.mark.parametrize("name", MODELS)
def test_embeddings_are_the_tokens_scores(name, label, scored):
    """ig-inputs of embeddings are the input IG that the same run stores."""
    results = scored(name)["added", label]
    inputs = results["/attribution/inputs"].astype(np.float64).mean(0)
    assert_close(results["/nodes/embeddings/scores"], inputs, TOLERANCE, "embeddings")


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_relp_conserves_the_metric_in_embeddings(name, scored):
    """Without biases, values times RelP's gradients of the embeddings sum to m."""
    results = scored(name)["added", "relp, zero"]
    metric = results["/attribution/metric"][:, 0].astype(np.float64).mean()
    found = results["/nodes/embeddings/scores"].astype(np.float64)
    assert found.sum() == pytest.approx(metric, abs=TOLERANCE * max(np.abs(found).max(), abs(metric)))


def _one_parallel_block(folder: Path, out: Path) -> Path:
    """The parallel family with one block and all biases zero, saved anew."""
    model = AutoModelForCausalLM.from_pretrained(folder, num_hidden_layers=1, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    model.save_pretrained(out)
    for file in ("tokenizer.json", "pairs.jsonl"):
        shutil.copy(folder / file, out)
    return out


def test_the_last_stream_is_made_of_nodes(binary, tmp_path, tiny_folder, tiny_pairs):
    """One parallel block: neither its heads nor its neurons reach the metric but through the stream behind it. With g
    its derivative there, m is e·g at the last position and the scores of heads and neurons there."""
    folder = _one_parallel_block(tiny_folder("gpt_neox"), tmp_path / "model")
    runs = [run_of("relp, zero", CASES["relp, zero"], "added")]
    (results,) = run_sweep(binary, tmp_path, settings_of(folder), runs)
    model, pairs = TappedModel.load(folder, torch.float64), tiny_pairs("gpt_neox", PAIRS)
    final_norm = model.model.gpt_neox.final_layer_norm
    direct = []
    for pair in pairs:
        streams: list[torch.Tensor] = []
        hook = final_norm.register_forward_pre_hook(lambda _, inputs, streams=streams: streams.append(inputs[0]))
        ids = torch.tensor([pair.clean])
        model.run(ids=ids)
        hook.remove()
        # Behind the last norm, whose sigma is a constant, m is linear in x - mean(x).
        x = streams[0][0, -1]
        sigma = (x.var(unbiased=False) + final_norm.eps).sqrt()
        head = model.model.get_output_embeddings().weight
        g = (head[pair.y] - head[pair.y_prime]) * final_norm.weight / sigma
        direct.append((model.embed(ids)[0, -1] @ (g - g.mean())).item())
    scores = {kind: value.astype(np.float64) for kind, value in stored_scores(results, KINDS).items()}
    at_last = scores["heads"][0, -1].sum() + scores["neurons"][0, -1].sum()
    metric = results["/attribution/metric"][:, 0].astype(np.float64).mean()
    largest = max(np.abs(value).max() for value in scores.values())
    assert at_last + np.mean(direct) == pytest.approx(metric, abs=TOLERANCE * max(largest, abs(metric)))
    assert scores["embeddings"].sum() == pytest.approx(metric, abs=TOLERANCE * max(largest, abs(metric)))
    assert scores["mlps"][0, -1] == pytest.approx(scores["neurons"][0, -1].sum(), abs=TOLERANCE * largest)
    assert abs(at_last) > 1e-2 and not scores["heads"][0, :-1].any()


@pytest.mark.parametrize("case", [{}, {"baseline": "mean"}, {"direction": "denoise"}], ids=str)
@pytest.mark.parametrize(("name", "side"), [("llama", "added"), ("gemma3_text", "added"), ("gemma3_text", "written")])
def test_exact_patching(name, side, case, binary, tmp_path, tiny_folder, attributor):
    """Every head, MLP and token, one at a time; at one position and at all of them."""
    reference = attributor(name, side)
    values = reference.values(reference.pairs[0].clean)
    exact = {kind: np.mean([reference.exact(kind, i, **case) for i in range(PAIRS)], axis=0) for kind in OTHERS}
    runs = []
    for positions in ("keep", "sum"):
        nodes = [reference.model.split(kind, values[kind]).shape[:3] for kind in OTHERS]
        count = sum(layers * (length if positions == "keep" else 1) * width for layers, length, width in nodes)
        attribution = {"method": "exact-patching", "sample": count} | case
        runs.append(run_of("exact", attribution, side) | {"nodes": list(OTHERS), "positions": positions})
    kept, summed = run_sweep(binary, tmp_path, settings_of(tiny_folder(name)), runs)
    for kind in OTHERS:
        assert_close(kept[f"/nodes/{kind}/scores"], as_stored(kind, exact[kind]), TOLERANCE, kind)
        layers, _, width = exact[kind].shape
        everywhere = [(layer, slice(None), node) for layer in range(layers) for node in range(width)]
        each = np.mean([reference.exact(kind, i, everywhere, **case) for i in range(PAIRS)], axis=0)
        expected = as_stored(kind, each.reshape(layers, 1, width))
        assert_close(summed[f"/nodes/{kind}/scores"], expected, TOLERANCE, f"{kind} at all positions")


@pytest.mark.parametrize("case", [CASES["relp"], CASES["ig-acts"], CASES["delta"]], ids=lambda case: case["method"])
@pytest.mark.parametrize("aggregate", ["mean", "mean-abs"])
def test_summed_positions_and_absolute_values(aggregate, case, binary, tmp_path, tiny_folder, attributor):
    """positions: sum makes the axis 1, and adds before the absolute value."""
    settings = settings_of(tiny_folder("llama")) | {"positions": "sum"}
    (results,) = run_sweep(binary, tmp_path, settings, [{"attribution": case | {"aggregate": aggregate}}])
    for kind in KINDS:
        expected = attributor("llama").compute_nodes(reference_method("llama", case), kind).aggregate(aggregate, "sum")
        assert_close(results[place_of(kind, "scores")], as_stored(kind, expected), TOLERANCE, kind)


def test_single_pairs_and_their_spread(binary, tmp_path, tiny_folder, attributor):
    """keep: full has every pair's scores; standard errors and shares of signs are those of these."""
    settings = settings_of(tiny_folder("llama"), pairs=4)
    (results,) = run_sweep(binary, tmp_path, settings, [{"attribution": {"method": "relp", "keep": "full"}}])
    for kind in KINDS:
        expected = attributor("llama", pairs=4).compute_nodes(Method("atp", rules=ALL_RULES), kind)
        scores, mean = (results[place_of(kind, name)] for name in ("pair_scores", "scores"))
        assert_close(scores, as_stored(kind, expected.stacked("scores")), TOLERANCE, kind)
        error = scores.astype(np.float64).std(0, ddof=1) / 2
        assert_close(results[place_of(kind, "standard_error")], error, TOLERANCE, f"{kind}, standard error")
        same_sign = (np.sign(scores) == np.sign(mean)).mean(0)
        np.testing.assert_array_equal(results[place_of(kind, "sign_share")], same_sign.astype(np.float32), kind)


def test_adaptive_paths_of_every_kind(binary, tmp_path, tiny_folder, attributor):
    """Each kind has paths, evaluations and an end of its own; within the tolerance of a fine rule."""
    adaptive = {"quadrature": "adaptive", "tolerance": 0.002, "audit": 1}
    runs = [{"attribution": {"method": method} | adaptive} for method in ("ig-acts", "ig-inputs")]
    on_acts, on_inputs = run_sweep(binary, tmp_path, settings_of(tiny_folder("llama")), runs)
    for kind in OTHERS:
        columns = 1 if kind == "embeddings" else 3
        fine = attributor("llama").compute_nodes(Method("ig-acts", "gauss-legendre", 100), kind)
        assert_close(on_acts[f"/nodes/{kind}/scores"], as_stored(kind, fine.aggregate()), 0.02, kind)
        fine = attributor("llama").compute_nodes(Method("ig-inputs", "gauss-legendre", 100), kind)
        assert_close(on_inputs[f"/nodes/{kind}/scores"], as_stored(kind, fine.aggregate()), 0.02, kind)
        for dataset in ("evaluations", "converged", "residual", "audit"):
            assert on_acts[f"/nodes/{kind}/{dataset}"].shape == (PAIRS, columns), (kind, dataset)
        assert (on_acts[f"/nodes/{kind}/converged"] == 1).all() and (on_acts[f"/nodes/{kind}/evaluations"] >= 2).all()
        for dataset in ("converged", "residual"):
            assert on_inputs[f"/nodes/{kind}/{dataset}"].shape == (PAIRS, 1), (kind, dataset)


def test_a_kind_does_not_depend_on_its_company(binary, tmp_path, tiny_folder):
    """Alone or beside others, in any order: the same bytes, seeded noise too. Without neurons there are none."""
    methods = [{"method": "random"}, CASES["relp"], CASES["ig-acts"], CASES["ig-inputs"], CASES["conductance"]]
    companies = [list(KINDS), list(reversed(KINDS)), *([kind] for kind in KINDS)]
    runs = [{"attribution": method, "nodes": nodes} for method in methods for nodes in companies]
    found = run_sweep(binary, tmp_path, settings_of(tiny_folder("llama")), runs)
    for start, method in zip(range(0, len(runs), len(companies)), methods, strict=True):
        everything, *others = found[start : start + len(companies)]
        for nodes, results in zip(companies[1:], others, strict=True):
            assert ("/attribution/scores" in results) == ("neurons" in nodes)
            assert "/attribution/metric" in results
            for kind in KINDS:
                assert (place_of(kind, "scores") in results) == (kind in nodes)
            for kind in nodes:
                ours, theirs = (one[place_of(kind, "scores")] for one in (results, everything))
                assert ours.tobytes() == theirs.tobytes(), (method["method"], kind, nodes)


def test_input_ig_is_of_the_run(binary, tmp_path, tiny_folder):
    """The same bytes in any order of kinds and beside any: where kinds have points of their own, the first's."""
    adaptive = {"method": "conductance", "quadrature": "adaptive", "tolerance": 1e-6, "max_points": 17}
    zero = {"method": "conductance", "quadrature": "trapezoid", "steps": 3, "baseline": "zero"}
    for name, case in {"adaptive": adaptive, "zero": zero, "ig-inputs": CASES["ig-inputs"]}.items():
        runs = [
            {"attribution": case | {"inputs": True}, "nodes": nodes}
            for nodes in (["neurons"], list(KINDS), list(reversed(KINDS)), ["embeddings", "neurons"])
        ]
        (tmp_path / name).mkdir()
        alone, *others = run_sweep(binary, tmp_path / name, settings_of(tiny_folder("llama")), runs)
        for nodes, results in zip(runs[1:], others, strict=True):
            assert results["/attribution/inputs"].tobytes() == alone["/attribution/inputs"].tobytes(), (name, nodes)


def test_noise_of_each_kind_is_its_own(binary, tmp_path, tiny_folder):
    """In [-1, 1), spread out, and no kind's is the beginning of another's."""
    runs = [{"attribution": {"method": "random"}}]
    (results,) = run_sweep(binary, tmp_path, settings_of(tiny_folder("llama")), runs)
    noise = {kind: values.ravel() for kind, values in stored_scores(results, KINDS).items()}
    for kind, values in noise.items():
        assert values.min() >= -1 and values.max() < 1, kind
        assert len(np.unique(values)) == values.size, kind
    starts = np.array([values[:5] for values in noise.values()])
    assert len(np.unique(starts)) == starts.size
    assert noise["neurons"].std() == pytest.approx(1 / np.sqrt(3), rel=0.1)


REFUSED = {
    "no kind": ({"nodes": []}, "nodes"),
    "an unknown kind": ({"nodes": ["neurons", "layers"]}, "layers"),
    "a kind twice": ({"nodes": ["heads", "heads"]}, "nodes"),
    "an unknown side": ({"nodes": ["mlps"], "mlps": {"side": "both"}}, "side"),
    "a circuit of what is not scored": ({"nodes": ["heads"], "circuit": {"nodes": ["mlps"]}}, "circuit.nodes"),
    "denoise on embeddings' path": (
        {"nodes": ["heads"], "attribution": {"method": "ig-inputs", "direction": "denoise"}},
        "denoise",
    ),
    "denoise of embeddings' own path": (
        {"nodes": ["embeddings"], "attribution": {"method": "conductance", "direction": "denoise"}},
        "denoise",
    ),
    "denoise of embeddings among others": (
        {"nodes": ["mlps", "embeddings"], "attribution": {"method": "ig-acts", "direction": "denoise"}},
        "embeddings out of nodes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, binary, tmp_path, tiny_folder):
    """With the key or the word that is wrong."""
    more, word = REFUSED[what]
    sweep = tmp_path / "sweep.yaml"
    settings = {"schema": 1, "name": "refused"} | settings_of(tiny_folder("llama"), test=2)
    sweep.write_text(json.dumps(settings | more))
    done = subprocess.run([binary, "validate", sweep], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr and "unknown key" not in done.stderr
