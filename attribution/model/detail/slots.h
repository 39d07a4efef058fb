// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a slot's tensor looks like, and which member of the weights it becomes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribution/model/architecture.h"
#include "attribution/model/families.h"
#include "attribution/model/weights.h"

namespace tributary::detail {

using Shape = std::vector<std::int64_t>;

/// The shape a slot must have, as the forward pass uses it.
Shape shape_of(Slot slot, const Architecture& a);

/// A tensor of Weights or LayerWeights: the slots it is made of, one above the other. Slots that the family does not
/// have leave it out.
template <typename Owner>
struct Member {
  at::Tensor Owner::*tensor;
  std::vector<Slot> slots;
  std::string name;  // for messages
};

const std::vector<Member<LayerWeights>>& layer_members();
const std::vector<Member<Weights>>& model_members();

}  // namespace tributary::detail
