// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The rows of the table of configuration keys, by what they are about. `tributary schema` prints them in this order.
#pragma once

#include <vector>

#include "io/config.h"

namespace tributary {

/// The model, the pairs and the metric.
std::vector<Key> data_keys();
/// The method, its path and its rules, and what is kept.
std::vector<Key> attribution_keys();
/// Circuits, agreement with exact patching, steering.
std::vector<Key> evaluation_keys();
/// Threads, batches, memory, units.
std::vector<Key> running_keys();

}  // namespace tributary
