# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A model folder that is broken or not known: named clearly with exit 2, and nothing half-written."""

from __future__ import annotations

import struct

import numpy as np


def test_missing_weights(bench):
    """No safetensors at all."""
    (bench.model / "model.safetensors").unlink()
    bench.refused("model.safetensors")


def test_truncated_weights(bench):
    """A download that stopped."""
    file = bench.model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    bench.refused("model.safetensors")


def test_a_header_that_lies(bench):
    """Sizes that do not fit shapes, and a header longer than the file."""
    header, data = bench.weights()
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"][0] += 1
    bench.write_weights(header, data)
    bench.refused("model.safetensors", name)
    (bench.model / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    bench.refused("model.safetensors")


def test_nan_weights(bench):
    """One NaN anywhere."""
    header, data = bench.weights()
    name = "model.layers.1.mlp.up_proj.weight"
    begin = header[name]["data_offsets"][0]
    bench.write_weights(header, data[:begin] + np.array([np.nan]).tobytes() + data[begin + 8 :])
    bench.refused("model.layers.1.mlp.up_proj.weight [0, 0] is NaN (1 of ", "the checkpoint is damaged")


def test_unknown_architecture(bench):
    """The message lists the known ones."""
    bench.edit_config(model_type="mamba")
    bench.refused("config.json", "mamba", "llama", "mistral", "gpt2")


def test_a_config_that_does_not_fit_the_weights(bench):
    """Another width, an option we do not compute, a tensor too many."""
    bench.edit_config(hidden_act="mish")
    bench.refused("hidden_act", "mish", "silu")
    bench.edit_config(hidden_act="silu", intermediate_size=7)
    bench.refused("_proj", "shape")


def test_a_stored_tensor_that_would_be_ignored(bench):
    """A bias the description does not know would silently make another model."""
    header, data = bench.weights()
    header["model.layers.0.mlp.extra.bias"] = {"dtype": "F64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}
    bench.write_weights(header, data + bytes(8))
    bench.refused("model.layers.0.mlp.extra.bias")


def test_broken_json_has_line_and_column(bench):
    """In config.json and in the pairs."""
    (bench.model / "config.json").write_text('{"model_type": "llama",\n "hidden_size": }')
    bench.refused("config.json:2:")
