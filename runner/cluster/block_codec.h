// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Blocks and their results as bytes (little-endian), for messages between ranks and for journals. A result's sparse
// sums follow everything else, and only where a node has any: without them its bytes are those that it had before there
// were sparse sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runner/cluster/bytes.h"
#include "runner/cluster/units.h"

namespace tributary {

/// A block's result whose numbers lie elsewhere, so that a whole stage can be written without a copy of it.
struct BlockView {
  struct SparseView {
    std::int64_t width = 0;
    std::span<const std::int64_t> keys;
    std::span<const double> values;
  };
  struct NodeView {
    std::int64_t lane = 0;
    int level = 0;
    std::int64_t index = 0;
    std::span<const double> sum;
    SparseView sparse{};
  };
  struct RowsView {
    std::int64_t unit = 0;
    std::span<const double> values;
  };
  std::int64_t block = 0;
  double seconds = 0;
  std::vector<NodeView> nodes;
  std::vector<RowsView> rows;
  std::span<const FailedUnit> failed;
  std::span<const std::int64_t> unstarted;
  std::string_view unwritten;
};

/// What is viewed must outlive the view.
BlockView view_of(const BlockResult& result);
BlockView::SparseView view_of(const SparseSum& sum);

std::vector<std::byte> encode(const Block& block);
std::vector<std::byte> encode(const BlockResult& result);
/// The same bytes as of the result that is viewed, piece by piece.
void encode(const BlockView& result, const PutBytes& put);

/// Throw RuntimeFailure when the bytes are cut short, too long or inconsistent.
Block decode_block(std::span<const std::byte> bytes);
BlockResult decode_block_result(std::span<const std::byte> bytes);

}  // namespace tributary
