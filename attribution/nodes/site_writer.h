// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How what is read at a site reaches the residual stream: the writer that it is the input of, and where in the network
// the stream goes on from there. With these every method works for every kind of nodes.
#pragma once

#include "attribution/model/transformer.h"
#include "attribution/nodes/node_table.h"

namespace tributary {

/// Of one layer. W is W_O for z, W_down for neurons, the identity for the others.
Writer site_writer(const Transformer& model, Site site, std::int64_t layer);

/// The hook of a forward pass that gets what is read at a site: z, neurons, mlp_written or mlp_out.
ForwardOptions::Values& hook_at(ForwardOptions& options, Site site);

/// A place in the residual stream: before a half of a block; before the block that there is none of: at the end.
struct StreamPlace {
  std::int64_t block = 0;
  Before before = Before::attention;

  friend bool operator==(const StreamPlace&, const StreamPlace&) = default;
};

/// Where the stream is that has what a layer's nodes write in it, and nothing that was computed from it.
StreamPlace written_to(const Architecture& architecture, Site site, std::int64_t layer);

}  // namespace tributary
