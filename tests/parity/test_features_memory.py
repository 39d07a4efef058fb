# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What `plan` promises of memory is kept with dictionaries too, however many of their features are active."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_memory import MIB, MODEL, demo, peaks, promised

pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")

LAYERS = 4
D_MODEL = 576


def write_dictionaries(
    folder: Path, width: int, bias: float, dtype: torch.dtype = torch.float32, activation: str = "relu"
) -> list[dict]:
    """Random ones of the first layers, as items of a sweep. Without a bias half of their features are active."""
    items = []
    for layer in range(LAYERS):
        generator = torch.Generator().manual_seed(layer)
        decoder = torch.randn(width, D_MODEL, generator=generator) / D_MODEL**0.5
        weights = {
            "W_enc": decoder.t().contiguous(),
            "b_enc": torch.full((width,), bias),
            "W_dec": decoder,
            "b_dec": torch.zeros(D_MODEL),
        }
        path = folder / f"layer_{layer}.safetensors"
        path.parent.mkdir(exist_ok=True)
        metadata = {"activation": activation} | ({"k": "32"} if activation == "topk" else {})
        save_file({name: tensor.to(dtype) for name, tensor in weights.items()}, path, metadata)
        items.append({"path": str(path), "hook": "resid_post", "layer": layer})
    return items


def with_features(folder: Path, items: list[dict], train: int = 8, test: int = 0, **more: object) -> Path:
    """A sweep file: RelP of the dictionaries' features."""
    return demo(folder, {"method": "relp"}, train, test, nodes=["features"], features=items, **more)


CASES: dict[str, tuple[dict, int, list[str], int]] = {  # dictionaries, pairs, overrides, ranks
    "half of the features": ({"width": 24576, "bias": 0}, 128, ["unit.pairs=128"], 1),
    "half of the features, positions summed": ({"width": 24576, "bias": 0}, 16, ["positions=sum"], 1),
    "half of the features on two ranks": ({"width": 24576, "bias": 0}, 16, [], 2),
    "no feature": ({"width": 24576, "bias": -1e6}, 16, [], 1),
    "the largest features": ({"width": 24576, "bias": 0, "activation": "topk"}, 16, [], 1),
    "dictionaries that are converted": ({"width": 49152, "bias": 0, "dtype": torch.bfloat16}, 8, [], 1),
    "small dictionaries": ({"width": 64, "bias": 0}, 8, [], 1),
}


CIRCUITS = [  # ablation, features, held-out pairs
    ("mean", {"width": 24576, "bias": 0}, 8),
    ("zero", {"width": 24576, "bias": 0}, 8),
    ("resample", {"width": 24576, "bias": 0}, 8),
    ("resample", {"width": 24576, "bias": 0, "activation": "topk"}, 32),
    ("mean", {"width": 64, "bias": 0}, 32),
]


@pytest.mark.parametrize(("ablation", "dictionaries", "test"), CIRCUITS)
def test_circuits_keep_it_too(ablation, dictionaries, test, binary, tmp_path):
    """With more pairs held out than scored, so that circuits take the most."""
    items = write_dictionaries(tmp_path / "saes", **dictionaries)
    circuit = {"counts": [100], "ablation": ablation}
    sweep = with_features(tmp_path, items, 2, test, circuit=circuit, unit={"pairs": test})
    plan = promised(binary, sweep)
    (peak,) = peaks(binary, sweep, tmp_path / "out")
    assert plan["first"] / 2 <= peak <= plan["first"]


@pytest.mark.parametrize("case", CASES)
def test_every_rank_keeps_what_plan_promises(case, binary, tmp_path):
    """Half of it at least, as without features, and never more."""
    dictionaries, train, more, ranks = CASES[case]
    sweep = with_features(tmp_path, write_dictionaries(tmp_path / "saes", **dictionaries), train)
    plan = promised(binary, sweep, *more, "--ranks", str(ranks))
    first, *others = peaks(binary, sweep, tmp_path / "out", *more, ranks=ranks)
    assert plan["first"] / 2 <= first <= plan["first"]
    for other in others:
        assert plan["others"] / 2 <= other <= plan["others"]


def test_plan_says_what_it_assumes(binary, tmp_path):
    """That all features are taken to be active."""
    sweep = with_features(tmp_path, write_dictionaries(tmp_path / "saes", 64, 0))
    done = subprocess.run([str(binary), "plan", str(sweep)], capture_output=True, text=True, check=True, timeout=120)
    assert "as if all features" in done.stdout


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("memory", [100, 600])
def test_too_little_memory_is_refused(memory, dtype, command, binary, tmp_path):
    """Less than the dictionaries take, and less than all takes: before anything is computed."""
    sweep = with_features(tmp_path, write_dictionaries(tmp_path / "saes", 8192, 0, dtype), memory=f"{memory} MiB")
    out = ["--out", str(tmp_path / "out")] if command == "run" else []
    done = subprocess.run(
        [str(binary), command, str(sweep), *out], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(rf"memory: {memory} MiB are not enough", done.stderr), done.stderr
    assert ("the dictionaries of features take" in done.stderr) == (memory * MIB < LAYERS * 2 * 8192 * D_MODEL * 4)
    assert not list((tmp_path / "out").rglob("results.h5"))


@pytest.mark.parametrize("positions", [0, 5])
def test_imported_features_keep_it_too(positions, binary, tmp_path):
    """Those that a table lists are counted, a few or as many as there can be."""
    items = write_dictionaries(tmp_path / "saes", 24576, 0)
    few = [(d, 0, feature) for d in range(LAYERS) for feature in range(10)]
    many = [(d, p, feature) for d in range(LAYERS) for p in range(positions) for feature in range(24576)]
    rows = "".join(f"features,{d},{p},{feature},{feature}.5\n" for d, p, feature in many or few)
    (tmp_path / "ranking.csv").write_text("kind,layer,position,index,score\n" + rows)
    attribution = {"method": "imported", "file": str(tmp_path / "ranking.csv")}
    unit = {"unit": {"pairs": 128}}
    computed = promised(binary, with_features(tmp_path, items, 128, **unit))
    sweep = demo(tmp_path, attribution, 128, nodes=["features"], features=items, **unit)
    plan = promised(binary, sweep)
    (peak,) = peaks(binary, sweep, tmp_path / "out")
    assert plan["first"] / 2 <= peak <= plan["first"]
    assert many or plan["first"] < computed["first"]
