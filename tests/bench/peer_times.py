# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Times of the peers on the benchmark's pairs, one pair at a time and several pairs in a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peers import Batch, Peers
from reference.pairs import Pair
from torch import Tensor

THREADS = 2
SLOW = 30.0  # seconds: what takes longer is measured once, what takes less twice
SAMPLE = 8  # pairs that a slow peer is measured on one at a time, where the batch has all of them


@dataclass
class PeerTime:
    """Seconds a pair at one batch size."""

    batch: int
    pairs: int
    seconds_per_pair: float
    repeats: list[float]

    @property
    def label(self) -> str:
        return "one pair at a time" if self.batch == 1 else f"{self.batch} pairs a batch"


@dataclass
class PeerResult:
    """Times by batch size, and per-pair scores [pair, layer, pos, neuron] where the peer gives one such array."""

    times: list[PeerTime]
    scores: np.ndarray | None

    @property
    def one_batch(self) -> float:
        """Seconds a pair with all pairs in one batch."""
        return self.times[-1].seconds_per_pair

    @property
    def best(self) -> PeerTime:
        return min(self.times, key=lambda t: t.seconds_per_pair)


class PeerTimes:
    """Every peer is measured when it is first asked for, and once."""

    def __init__(self, model: Path, pairs: list[Pair]) -> None:
        torch.set_num_threads(THREADS)
        self.peers, self.pairs = Peers(model), pairs
        self.results: dict[str, PeerResult] = {}
        # Method, batch sizes to try: alone, eights, and all pairs in one.
        self.known: dict[str, tuple[Callable[[Batch], Tensor | dict[str, Tensor]], tuple[int, ...]]] = {
            "Captum LayerIntegratedGradients": (self.peers.captum_ig, (1, 8, 40)),
            "Captum LayerConductance": (self.peers.captum_conductance, (1, 8)),
            "script, IG-activations": (self.peers.script_ig_acts, (1, 8, 40)),
            "script, one sweep": (self.peers.script_sweep, (1, 8, 40)),
            "script, single backward": (self.peers.script_atp, (1, 8, 40)),
        }

    def __getitem__(self, name: str) -> PeerResult:
        if name not in self.results:
            self.results[name] = self._measure(*self.known[name])
        return self.results[name]

    def _measure(self, method: Callable, sizes: tuple[int, ...]) -> PeerResult:
        began = time.perf_counter()
        method(Batch.of(self.pairs[:1]))  # also the warm-up
        slow = (time.perf_counter() - began) * len(self.pairs) > SLOW
        times: list[PeerTime] = []
        scores: list[np.ndarray] = []
        for size in dict.fromkeys(min(size, len(self.pairs)) for size in sizes):
            chosen = self.pairs[:SAMPLE] if slow and size == 1 else self.pairs
            repeats = []
            while not repeats or (len(repeats) < 2 and repeats[0] < SLOW):
                seconds, scores = _timed(method, chosen, size)
                repeats.append(seconds)
            times.append(PeerTime(size, len(chosen), min(repeats) / len(chosen), repeats))
        return PeerResult(times, np.concatenate(scores) if scores else None)


def _timed(method: Callable, pairs: list[Pair], size: int) -> tuple[float, list[np.ndarray]]:
    """Seconds for all pairs, and the scores of each batch (none where a method gives several kinds)."""
    scores = []
    began = time.perf_counter()
    for start in range(0, len(pairs), size):
        found = method(Batch.of(pairs[start : start + size]))
        if isinstance(found, Tensor):
            scores.append(found.numpy())
    return time.perf_counter() - began, scores
