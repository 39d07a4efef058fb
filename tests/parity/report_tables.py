# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of a report document: columns with their types and units."""

from __future__ import annotations

# name -> (what a row is, {column: (type, unit)}); the order of the contract.
TABLES: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "runs": (
        "One row a run.",
        {
            "run": ("integer", "1"),
            "name": ("text", ""),
            "data": ("integer", "1"),
            "method": ("text", ""),
            "baseline": ("text", ""),
            "rules": ("text", ""),
            "ablation": ("text", ""),
            "nodes": ("integer", "1"),
            "evaluations": ("integer", "1"),
            "seconds": ("number", "s"),
            "own_seconds": ("number", "s"),
            "shared_seconds": ("number", "s"),
            "together": ("integer", "1"),
            "faithful_at": ("integer", "nodes"),
            "complete_at": ("integer", "nodes"),
            "full": ("number", "logits"),
            "empty": ("number", "logits"),
            "measurable": ("integer", "1"),
            "cpr": ("number", "fraction"),
            "cmd": ("number", "fraction"),
            "residual": ("number", "logits"),
            "gap": ("number", "logits"),
            "gap_standard_error": ("number", "logits"),
            "gap_pairs": ("integer", "1"),
            "top_share": ("number", "fraction"),
        },
    ),
    "data": (
        "One row a model with its training and held-out pairs.",
        {
            "data": ("integer", "1"),
            "name": ("text", ""),
            "model": ("text", ""),
            "dtype": ("text", ""),
            "metric": ("text", ""),
            "answer": ("text", ""),
            "train": ("integer", "1"),
            "test": ("integer", "1"),
            "skipped": ("integer", "1"),
            "overlapping": ("integer", "1"),
            "test_prompts": ("integer", "1"),
            "shared_prompts": ("integer", "1"),
            "nodes": ("integer", "1"),
            "clean_metric": ("number", "logits"),
            "counterfactual_metric": ("number", "logits"),
            "test_metric": ("number", "logits"),
            "counterfactual_test_metric": ("number", "logits"),
            "accuracy": ("number", "fraction"),
            "counterfactual_accuracy": ("number", "fraction"),
            "test_accuracy": ("number", "fraction"),
            "counterfactual_test_accuracy": ("number", "fraction"),
        },
    ),
    "curve": (
        "Circuits of growing size.",
        {"run": ("integer", "1"), "count": ("integer", "nodes")}
        | {
            name + end: ("number", "fraction")
            for name in ("faithfulness", "completeness")
            for end in ("", "_low", "_high")
        },
    ),
    "top": (
        "The strongest neurons.",
        {
            "run": ("integer", "1"),
            "rank": ("integer", "1"),
            "layer": ("integer", "1"),
            "position": ("integer", "1"),
            "position_name": ("text", ""),
            "neuron": ("integer", "1"),
            "score": ("number", "logits"),
            "standard_error": ("number", "logits"),
            "sign_share": ("number", "fraction"),
            "value_change": ("number", "1"),
            "promotes": ("text", ""),
            "suppresses": ("text", ""),
            "clean_value": ("number", "1"),
            "counterfactual_value": ("number", "1"),
            "share": ("number", "fraction"),
        },
    ),
    "values": (
        "The strongest neurons on single pairs.",
        {
            "run": ("integer", "1"),
            "rank": ("integer", "1"),
            "layer": ("integer", "1"),
            "position": ("integer", "1"),
            "neuron": ("integer", "1"),
            "pair": ("integer", "1"),
            "clean": ("number", "1"),
            "counterfactual": ("number", "1"),
        },
    ),
    "heat": (
        "The sum of |score| over neurons.",
        {
            "run": ("integer", "1"),
            "layer": ("integer", "1"),
            "position": ("integer", "1"),
            "magnitude": ("number", "logits"),
        },
    ),
    "tokens": (
        "The positions.",
        {
            "data": ("integer", "1"),
            "position": ("integer", "1"),
            "position_name": ("text", ""),
            "token": ("text", ""),
            "counterfactual_token": ("text", ""),
        },
    ),
    "layers": (
        "Layer by layer.",
        {
            "run": ("integer", "1"),
            "layer": ("integer", "1"),
            "magnitude": ("number", "logits"),
            "residual": ("number", "logits"),
            "gap": ("number", "logits"),
            "evaluations": ("number", "1"),
        },
    ),
    "inputs": (
        "What each token adds to the metric.",
        {
            "run": ("integer", "1"),
            "pair": ("integer", "1"),
            "position": ("integer", "1"),
            "token": ("text", ""),
            "score": ("number", "logits"),
        },
    ),
    "agreement": (
        "Scores against exact patching on sampled neurons.",
        {
            "run": ("integer", "1"),
            "statistic": ("text", ""),
            "value": ("number", "1"),
            "low": ("number", "1"),
            "high": ("number", "1"),
        },
    ),
    "exact": (
        "Sampled neurons.",
        {
            "run": ("integer", "1"),
            "layer": ("integer", "1"),
            "position": ("integer", "1"),
            "neuron": ("integer", "1"),
            "stratum": ("text", ""),
            "inclusion": ("number", "1"),
            "exact": ("number", "logits"),
            "score": ("number", "logits"),
        },
    ),
    "methods": (
        "How alike two runs' scores are.",
        {
            "data": ("integer", "1"),
            "run_a": ("integer", "1"),
            "run_b": ("integer", "1"),
            "pearson": ("number", "1"),
            "spearman": ("number", "1"),
            "overlap": ("number", "fraction"),
        },
    ),
    "steering": (
        "The chosen neurons' activations times a factor.",
        {
            "run": ("integer", "1"),
            "factor": ("number", "1"),
            "metric": ("number", "logits"),
            "metric_low": ("number", "logits"),
            "metric_high": ("number", "logits"),
            "clean_probability": ("number", "fraction"),
            "patch_probability": ("number", "fraction"),
            "kl": ("number", "nats"),
        },
    ),
    "steering_tokens": (
        "The most likely next tokens under steering.",
        {
            "run": ("integer", "1"),
            "factor": ("number", "1"),
            "rank": ("integer", "1"),
            "token": ("text", ""),
            "pairs": ("integer", "1"),
            "probability": ("number", "fraction"),
        },
    ),
    "steered": (
        "The neurons that steering changes.",
        {"run": ("integer", "1"), "layer": ("integer", "1"), "position": ("integer", "1"), "neuron": ("integer", "1")},
    ),
    "cases": (
        "Neurons that tell one case from the others.",
        {
            "run": ("integer", "1"),
            "case": ("text", ""),
            "rank": ("integer", "1"),
            "layer": ("integer", "1"),
            "position": ("integer", "1"),
            "neuron": ("integer", "1"),
            "auroc": ("number", "fraction"),
            "score": ("number", "logits"),
        },
    ),
    "pairs": (
        "The prompts.",
        {
            "data": ("integer", "1"),
            "pair": ("integer", "1"),
            "split": ("text", ""),
            "case": ("text", ""),
            "clean_prefix": ("text", ""),
            "patch_prefix": ("text", ""),
            "clean_answer": ("text", ""),
            "patch_answer": ("text", ""),
        },
    ),
    "provenance": (
        "Where the numbers come from.",
        {"run": ("integer", "1"), "key": ("text", ""), "value": ("text", "")},
    ),
}
