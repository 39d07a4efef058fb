// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Looking at any site of a forward pass on its way up, and changing what stands there.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <utility>

#include "attribution/model/transformer.h"
#include "attribution/nodes/node_table.h"

namespace tributary {

/// A site of a layer.
using SitePlace = std::pair<Site, std::int64_t>;

/// Gets what is read at a site of a layer [sequence, pos, width] of the sequences that have entered; pos are all
/// positions of the batch or, behind the attention of the last block, those that the metric reads (a parallel block's
/// MLP stands beside its attention). What it changes in place is used, but for mlp_in and mlp_in_normed, and it says
/// whether it has changed anything.
using VisitSite = std::function<bool(const SitePlace& place, const at::Tensor& read)>;

/// Has a pass call `visit` at some places, in the order of the pass and at the same point of it as they are given: z,
/// mlp_out, the stream (resid_post of a layer before resid_pre of the next) and the MLP's input. Hooks that the options
/// have already come first. model and places must live as long as options.
void visit_sites(const Transformer& model, const std::set<SitePlace>& places, const VisitSite& visit,
                 ForwardOptions& options);

/// What an MLP reads, with its norm's gain or without (mlp_in_normed), from the stream before its norm [sequence, pos,
/// d_model] and the norm's statistics [sequence, pos, 2]; stream dtype.
at::Tensor mlp_input(const Transformer& model, Site site, std::int64_t layer, const at::Tensor& stream,
                     const at::Tensor& mean_rstd);

}  // namespace tributary
