// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Networks for plans that read no weights: one with a model's shapes and no numbers, and a small one that is alike, to
// measure on. What a row takes in memory grows with all widths alike, and time with the operations, so what the small
// one tells can be scaled.
#pragma once

#include <memory>

#include "attribution/model/transformer.h"

namespace tributary {

/// The architecture's weights as tensors without memory (device meta), in the dtypes that a network of `type` has them
/// in: their sizes can be asked for, no pass can be run. matrices: the dtype of those. Biases are left out but for
/// those of LayerNorm.
std::shared_ptr<const Transformer> network_without_numbers(const Architecture& architecture, at::ScalarType type,
                                                           at::ScalarType matrices);

/// Whether it is one of those.
bool is_without_numbers(const Transformer& network);

struct StandIn {
  std::shared_ptr<const Transformer> network;
  double width = 1;  //!< the model's widths by the stand-in's
};

/// A network on the CPU with as many layers and widths that are the same part of all of the model's, small enough to
/// run in a moment; its layers share their weights.
StandIn stand_in_for(const Transformer& network);

}  // namespace tributary
