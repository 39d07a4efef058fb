# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Scores and circuits of the published subject-verb agreement sets, by the reference.

    python -m reference.sva --model models/smollm2-135m --data DIR --set simple \
        --train 60 --test 40 --methods relp atp ig-inputs:right-10 delta --out simple.npz

Whatever the .npz file already holds for the same settings is kept and not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from .attribution import Attributor, Method, Scores
from .circuits import Curve, Evaluator
from .pairs import Pair, fitting_pairs
from .tapped import TappedModel

COUNTS = (10, 30, 100, 200, 300, 1000)


def parse_method(text: str) -> Method:
    """`name`, or `name:rule-steps` for methods with a path: "ig-acts:right-10"."""
    name, _, path = text.partition(":")
    method = Method.named(name)
    if not path:
        return method
    rule, _, steps = path.rpartition("-")
    return replace(method, quadrature=rule, steps=int(steps))


def load_pairs(
    train_file: Path, test_file: Path, tokenizer: Tokenizer, train: int, test: int
) -> tuple[list[Pair], list[Pair]]:
    """First fitting pairs of either file; the first training pair decides the length."""
    training = fitting_pairs(train_file, tokenizer, train)
    return training, fitting_pairs(test_file, tokenizer, test, training[0].length)


def arrays_of(scores: Scores) -> dict[str, np.ndarray]:
    """What a method gives, as arrays; `scores` [layer, pos, neuron] is the mean over pairs."""
    arrays = {"metric": scores.stacked("metric")}
    for name in ("inputs", "residual"):
        if getattr(scores.pairs[0], name) is not None:
            arrays[name] = scores.stacked(name)
    if scores.pairs[0].scores is not None:
        arrays["scores"] = scores.aggregate()
    return arrays


class Cache:
    """Arrays in one .npz file, valid for one setting; written anew after every addition."""

    def __init__(self, file: Path | None, settings: dict) -> None:
        self.file, self.arrays = file, {}
        self.settings = json.dumps(settings, sort_keys=True)
        if file is not None and file.exists():
            with np.load(file) as stored:
                if str(stored["settings"]) == self.settings:
                    self.arrays = {k: stored[k] for k in stored.files if k != "settings"}

    def add(self, prefix: str, arrays: dict[str, np.ndarray]) -> None:
        """Store arrays as prefix/name."""
        self.arrays |= {f"{prefix}/{name}": array for name, array in arrays.items()}
        if self.file is not None:
            partial = self.file.with_suffix(".partial.npz")
            np.savez_compressed(partial, settings=self.settings, **self.arrays)
            os.replace(partial, self.file)

    def group(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays below prefix/, by their last name."""
        cut = len(prefix) + 1
        return {k[cut:]: v for k, v in self.arrays.items() if k.startswith(prefix + "/")}


def curve_arrays(curve: Curve) -> dict[str, np.ndarray]:
    """A curve as arrays of float64."""
    return {name: np.asarray(value) for name, value in vars(curve).items()}


def print_row(name: str, curve: dict[str, np.ndarray]) -> None:
    """One line of faithfulness/completeness by node count."""
    points = zip(curve["counts"], curve["faithfulness"], curve["completeness"], strict=True)
    print(f"{name:28}", "  ".join(f"{k}: {f:.2f}/{c:.2f}" for k, f, c in points), flush=True)


def compute(arguments: argparse.Namespace) -> None:
    """Compute and print what is asked, through the cache."""
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    files = [arguments.data / f"{arguments.set}_{split}.json" for split in ("train", "test")]
    training, held_out = load_pairs(*files, tokenizer, arguments.train, arguments.test)
    keys = ("set", "train", "test", "dtype", "counts")
    settings = {key: getattr(arguments, key) for key in keys} | {"model": arguments.model.name}
    cache = Cache(arguments.out, settings)
    model = TappedModel.load(arguments.model, getattr(torch, arguments.dtype))
    attributor, evaluator = Attributor(model, training), Evaluator(model, held_out)
    for name in arguments.methods:
        if not cache.group(name):
            found = arrays_of(attributor.compute(parse_method(name)))
            if "scores" in found:
                found |= curve_arrays(evaluator.curve(found["scores"], arguments.counts))
            cache.add(name, found)
        if "faithfulness" in cache.group(name):
            print_row(name, cache.group(name))


def main() -> None:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of SET_train.json …")
    parser.add_argument("--set", choices=["simple", "nounpp"], default="simple")
    parser.add_argument("--train", type=int, default=60)
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--methods", nargs="+", default=["relp"])
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS))
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help=".npz file, also the cache")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compute(arguments)


if __name__ == "__main__":
    main()
