# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What the first features and errors do: their values on every pair, and the tokens that features promote."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_cases import items_of
from node_cases import settings_of
from product import run_product
from reference.features import FeatureAttributor
from reference.sites import SiteModel
from test_feature_circuits import MADE

PAIRS, TOP, TOLERANCE = 3, 300, 2e-6


@pytest.mark.parametrize("positions", ["keep", "sum"])
@pytest.mark.parametrize(
    ("name", "which"), [("llama", "every site"), ("qwen3", "every site"), ("llama", "cross-layer")]
)
def test_values_and_tokens(name, which, positions, binary, tmp_path, tiny_folder, tiny_model, tiny_pairs):
    """f, the norm of what is left, and the logit lens on all that a feature writes."""
    model, pairs = SiteModel(tiny_model(name).model), tiny_pairs(name, PAIRS)
    stored = MADE[which](model, pairs)
    every = sorted((one.dictionary for one in stored), key=lambda one: one.layer)
    settings = settings_of(tiny_folder(name), PAIRS) | {
        "schema": 1,
        "name": "values",
        "attribution": {"method": "relp"},
        "positions": positions,
        "nodes": ["features"],
        "features": items_of(stored, tmp_path),
        "top": TOP,
    }
    results = run_product(binary, tmp_path, settings)
    reference = FeatureAttributor(model, pairs, every)
    ends = [[(getattr(pair, which)) for which in ("clean", "counterfactual")] for pair in pairs]
    columns = ("dictionary", "position", "neuron")
    nodes = list(zip(*(results[f"/top/{column}"].tolist() for column in columns), strict=True))
    kinds = [kind.decode() if isinstance(kind, bytes) else kind for kind in results["/top/kind"]]
    assert set(kinds) == {"features", "errors"}
    expected = np.empty((len(nodes), PAIRS, 2))
    for i in range(PAIRS):
        for side in range(2):
            values, acts = reference.values(ends[i][side]), reference.encoded(ends[i][side])
            for n, (d, position, index) in enumerate(nodes):
                site = every[d].site
                if kinds[n] == "features":
                    all_positions = acts[d][:, index : index + 1]
                else:
                    all_positions = values[site] - reference.rebuilt(site, acts) - every[d].b_dec
                # Past the attention of the last layer only the last position reaches the metric.
                if every[d].layer == 2 and every[d].hook != "resid_pre":
                    all_positions = (
                        all_positions * (torch.arange(len(all_positions)) == len(all_positions) - 1)[:, None]
                    )
                here = all_positions.sum(0) if position < 0 else all_positions[position]
                expected[n, i, side] = here[0] if kinds[n] == "features" else here.norm()
    np.testing.assert_allclose(results["/top/value"], expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())

    unembedding, norm = model.model.get_output_embeddings().weight, model.model.model.norm.weight
    for n, (d, _, index) in enumerate(nodes):
        if kinds[n] == "errors":
            continue
        written = 0
        for (site, layer), rows in every[d].decoders().items():
            out = model.blocks[layer].self_attn.o_proj.weight.double() if site == "z" else None
            written = written + (rows[index] if out is None else out @ rows[index])
        effects = (unembedding.double() @ (norm.double() * written)).detach().numpy()
        for side, sign in (("promoted", 1), ("suppressed", -1)):
            ids = np.lexsort((np.arange(effects.size), -sign * effects))[:5]
            np.testing.assert_allclose(results[f"/top/{side}_logit"][n], effects[ids], rtol=1e-5, atol=1e-6)
