# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The program against the installed captum, live and in float64.

Toy nets go through the program's own integrals by a small driver; one tiny random transformer of each family goes
through `tributary run`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerConductance, LayerIntegratedGradients
from conftest import ROOT
from product import run_sweep
from torch import nn

# Captum's names. It rounds weights, and the points of all rules but Gauss-Legendre, to float32: only conductance
# (which uses no weights) by that rule agrees exactly, all else to 1e-6. Its trapezoid is biased and has its own name.
RULES = {
    "left": "riemann_left",
    "right": "riemann_right",
    "midpoint": "riemann_middle",
    "trapezoid-captum": "riemann_trapezoid",
    "gauss-legendre": "gausslegendre",
}


@pytest.fixture(scope="session")
def toy_driver() -> Path:
    """The driver that runs toy nets through the program's integrals."""
    folder = Path(os.environ.get("TRIBUTARY_BUILD", ROOT / "build" / "release" / "tests"))
    file = folder / "toy_driver"
    if not file.is_file():
        pytest.skip(f"no driver at {file}: build it, or set TRIBUTARY_BUILD")
    return file


def toy_net(seed: int) -> nn.Sequential:
    """Linear, ReLU, linear, ReLU, linear with random widths."""
    torch.manual_seed(seed)
    widths = [3 + seed, 7, 5 + seed, 4]
    stages: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        stages += [nn.Linear(inputs, outputs).double(), nn.ReLU()]
    return nn.Sequential(*stages[:-1])


def stage_of(module: nn.Module) -> dict | None:
    """A stage as the driver reads it."""
    if isinstance(module, nn.ReLU):
        return None
    return {"weight": module.weight.tolist(), "bias": module.bias.tolist()}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_toy_nets(seed, rule, toy_driver):
    """Input IG, IG-activations and captum-form conductance of every stage of a random net."""
    net = toy_net(seed)
    start, end = torch.randn(2, 4, net[0].in_features, dtype=torch.float64)
    cases, expected, tolerances = [], [], []

    def add(method: str, tap: int, steps: int, theirs: torch.Tensor, tolerance: float) -> None:
        # Captum ignores its trapezoid's weights in conductance: the points are those of the true one.
        ours = "trapezoid" if method == "conductance" and rule == "trapezoid-captum" else rule
        cases.append(
            {
                "stages": [stage_of(m) for m in net],
                "target": 1,
                "tap": tap,
                "method": method,
                "rule": ours,
                "steps": steps,
            }
            | {"start": start.tolist(), "end": end.tolist()}
        )
        expected.append(theirs.detach().numpy())
        tolerances.append(tolerance)

    exact = 1e-12 if rule == "gauss-legendre" else 1e-6
    for steps in (2, 7, 50):
        settings = {"n_steps": steps, "method": RULES[rule], "target": 1}
        add("input-ig", 0, steps, IntegratedGradients(net).attribute(end, start, **settings), 1e-6)
        for tap, module in enumerate(net[:-1]):
            add("ig-acts", tap, steps, LayerIntegratedGradients(net, module).attribute(end, start, **settings), 1e-6)
            theirs = LayerConductance(net, module).attribute(end, start, **settings)
            add("conductance", tap, steps, theirs, exact)
    lines = "\n".join(json.dumps(case) for case in cases) + "\n"
    done = subprocess.run([str(toy_driver)], input=lines, capture_output=True, text=True, check=True)
    for case, line, theirs, tolerance in zip(cases, done.stdout.splitlines(), expected, tolerances, strict=True):
        scale = max(np.abs(theirs).max(), 1.0)
        what = f"{case['method']} of stage {case['tap']}, {case['steps']} steps"
        np.testing.assert_allclose(json.loads(line), theirs, rtol=0, atol=tolerance * scale, err_msg=what)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("rule", RULES)
def test_tiny_transformers(name, rule, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """IG-activations and captum-form conductance of every layer's neurons, and input IG per token."""
    model, (pair,) = tiny_model(name), tiny_pairs(name, 1)
    clean, other = (torch.tensor([ids]) for ids in (pair.clean, pair.counterfactual))

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, -1, pair.y] - logits[:, -1, pair.y_prime]

    def from_ids(ids: torch.Tensor) -> torch.Tensor:
        return metric(model.model(input_ids=ids, use_cache=False).logits)

    def from_embeddings(e: torch.Tensor) -> torch.Tensor:
        return metric(model.model(inputs_embeds=e, use_cache=False).logits)

    conductance_rule = "trapezoid" if rule == "trapezoid-captum" else rule
    ours = run_sweep(
        binary,
        tmp_path,
        {
            "model": {"path": str(tiny_folder(name)), "dtype": "float64"},
            "pairs": {"train_file": str(tiny_folder(name) / "pairs.jsonl"), "train": 1},
            "attribution": {"method": "ig-acts", "quadrature": rule, "steps": 7},
        },
        [
            {"attribution": {"method": "ig-acts"}},
            {"attribution": {"method": "conductance", "quadrature": conductance_rule, "form": "captum"}},
            {"attribution": {"method": "input-ig"}},
            {
                "attribution": {"method": "conductance", "quadrature": conductance_rule, "form": "captum"},
                "nodes": ["embeddings"],
            },
        ],
    )
    acts, conductances = (results["/attribution/scores"] for results in ours[:2])
    e, e_other = model.embed(clean), model.embed(other)
    settings = {"n_steps": 7, "method": RULES[rule]}
    for layer, second in enumerate(model.seconds):
        layer_ig = LayerIntegratedGradients(from_ids, second)
        theirs = layer_ig.attribute(clean, other, attribute_to_layer_input=True, **settings)[0].detach().numpy()
        np.testing.assert_allclose(acts[layer], theirs, rtol=0, atol=2e-6 * max(1, np.abs(theirs).max()))
        conductance = LayerConductance(from_embeddings, second)
        theirs = conductance.attribute(e, e_other, attribute_to_layer_input=True, **settings)[0].detach().numpy()
        np.testing.assert_allclose(conductances[layer], theirs, rtol=0, atol=2e-7 * max(1, np.abs(theirs).max()))
    theirs = IntegratedGradients(from_embeddings).attribute(e, e_other, **settings)[0].sum(-1).detach().numpy()
    inputs = ours[2]["/attribution/inputs"][0]
    np.testing.assert_allclose(inputs, theirs, rtol=0, atol=2e-6 * max(1, np.abs(theirs).max()))

    passing = nn.Identity()  # a layer whose values are the embeddings
    conductance = LayerConductance(lambda e: from_embeddings(passing(e)), passing)
    theirs = conductance.attribute(e, e_other, **settings)[0].sum(-1).detach().numpy()
    embeddings = ours[3]["/nodes/embeddings/scores"]
    tolerance = 2e-7 if rule == "gauss-legendre" else 2e-6  # Captum's points of the others are float32
    np.testing.assert_allclose(embeddings, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()))
