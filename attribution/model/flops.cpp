// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/flops.h"

#include <algorithm>

namespace tributary {
namespace {

/// One of the two products of attention, scores or mixture, for all heads.
double attention_product(const Architecture& a, const BlockWork& work) {
  return 2.0 * static_cast<double>(work.attended) * static_cast<double>(a.query_width());
}

double projections(const Architecture& a, const BlockSpec& block, const BlockWork& work) {
  const auto d = static_cast<double>(a.d_model);
  const auto query = static_cast<double>(a.query_width());
  const auto key_value = static_cast<double>(2 * a.key_width());
  return 4 * d * query * static_cast<double>(work.queries) + mlp_flops(a, block, work.queries) +
         2 * d * key_value * static_cast<double>(work.rows);
}

}  // namespace

double forward_flops(const Architecture& architecture, const BlockSpec& block, const BlockWork& work) {
  return projections(architecture, block, work) + 2 * attention_product(architecture, work);
}

double backward_flops(const Architecture& architecture, const BlockSpec& block, const BlockWork& work) {
  return projections(architecture, block, work) + 4 * attention_product(architecture, work);
}

double mlp_flops(const Architecture& architecture, const BlockSpec& block, std::int64_t rows) {
  const double matrices = block.mlp.kind == MlpKind::gated ? 3 : 2;
  return 2 * static_cast<double>(architecture.d_model * architecture.neurons) * matrices * static_cast<double>(rows);
}

std::int64_t attended_pairs(std::int64_t length, std::int64_t queries, std::int64_t window) {
  std::int64_t pairs = 0;
  for (std::int64_t position = length - queries; position < length; ++position) {
    pairs += window == 0 ? position + 1 : std::min(position + 1, window);
  }
  return pairs;
}

}  // namespace tributary
