# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Circuits of features: everything outside is ablated in one forward, by differences.

What a site has on its way, v, becomes v + sum over features j outside of W_dec[j] (f'_j - f_j) + (e' - e) where the
error is outside. f and e are those of the run as it goes, f' and e' what ablated ones are set to: those of the pair's
own counterfactual prompt (resample), their mean over all of these (mean), or zero. e is v less what the features and
b_dec give; what a skip matrix carries is part of it. Nothing is decoded anew, so that keeping everything adds zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .dictionaries import Dictionary
from .metrics import target_of
from .pairs import Pair
from .sites import Addition, Site, SiteModel, site_values

ABLATIONS = ("resample", "mean", "zero")


class FeatureEvaluator:
    """Runs circuits of features and errors on one list of pairs; every site has one error."""

    def __init__(
        self, model: SiteModel, pairs: Sequence[Pair], dictionaries: Sequence[Dictionary], ablation: str = "resample"
    ) -> None:
        if ablation not in ABLATIONS:
            raise ValueError(f"unknown ablation {ablation!r}")
        self.model, self.pairs, self.ablation = model, list(pairs), ablation
        self.dictionaries = sorted(dictionaries, key=lambda one: one.layer)
        self.sites = sorted({site for one in self.dictionaries for site in one.decoders()})
        self.targets = [target_of(model, pair, "logit-difference") for pair in pairs]
        values = site_values(model, self._embeds("counterfactual"))
        acts = [one.encode(values[one.hook, one.layer]) for one in self.dictionaries]
        errors = {site: self._error(site, values[site], acts) for site in self.sites}
        self.acts = [self._ablated(f) for f in acts]  # by dictionary [pair or 1, pos, feature]
        self.errors = {site: self._ablated(e) for site, e in errors.items()}  # [pair or 1, pos, width]

    def _embeds(self, which: str) -> Tensor:
        return self.model.embed(torch.tensor([getattr(pair, which) for pair in self.pairs]))

    def _ablated(self, values: Tensor) -> Tensor:
        if self.ablation == "resample":
            return values
        mean = values.mean(0, keepdim=True)
        return mean if self.ablation == "mean" else torch.zeros_like(mean)

    def _writers(self, site: Site) -> list[tuple[int, Tensor]]:
        """Places of the dictionaries that write there, with their decoders."""
        every = [(i, one.decoders()) for i, one in enumerate(self.dictionaries)]
        return [(i, decoders[site]) for i, decoders in every if site in decoders]

    def _error(self, site: Site, value: Tensor, acts: list[Tensor]) -> Tensor:
        bias = sum(one.b_dec for one in self.dictionaries if one.site == site)
        return value - bias - sum(acts[i] @ W_dec for i, W_dec in self._writers(site))

    @torch.no_grad()
    def metric(
        self, keep: Sequence[Tensor], keep_errors: dict[Site, Tensor], also: Addition | None = None
    ) -> np.ndarray:
        """m [pair] with the features outside `keep`, by dictionary [pos or 1, feature], and the errors outside
        `keep_errors`, by site [pos or 1], ablated; and with what `also` adds at sites where no features write."""
        acts: list[Tensor] = [torch.empty(0)] * len(self.dictionaries)

        def ablate(site: Site, value: Tensor) -> Tensor | None:
            for i, one in enumerate(self.dictionaries):
                if (one.hook, one.layer) == site:
                    acts[i] = one.encode(value)
            if site not in self.sites:
                return None if also is None else also(site, value)
            more = torch.zeros_like(value)
            for i, W_dec in self._writers(site):
                more += torch.where(keep[i], 0.0, self.acts[i] - acts[i]) @ W_dec
            error = self._error(site, value, acts)
            return more + torch.where(keep_errors[site][..., None], 0.0, self.errors[site] - error)

        logits = self.model.run_sites(self._embeds("clean"), ablate).logits
        rows = [target(row[None]) for target, row in zip(self.targets, logits, strict=True)]
        return torch.cat(rows).double().numpy()
