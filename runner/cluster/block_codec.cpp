// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/block_codec.h"

#include <algorithm>
#include <utility>

#include "common/errors.h"
#include "runner/cluster/sparse_sum.h"

namespace tributary {

std::vector<std::byte> encode(const Block& block) {
  ByteWriter out;
  for (const std::int64_t value : {block.id, block.lane, block.first, block.count}) out.put(value);
  return out.take();
}

Block decode_block(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  Block block;
  for (std::int64_t* value : {&block.id, &block.lane, &block.first, &block.count}) *value = in.get<std::int64_t>();
  in.expect_end();
  return block;
}

BlockView view_of(const BlockResult& result) {
  BlockView view{result.block, result.seconds, {}, {}, result.failed, result.unstarted, result.unwritten};
  for (const TreeNode& node : result.nodes) {
    view.nodes.push_back({node.lane, node.level, node.index, node.sum, view_of(node.sparse)});
  }
  for (const UnitRows& rows : result.rows) view.rows.push_back({rows.unit, rows.values});
  return view;
}

BlockView::SparseView view_of(const SparseSum& sum) { return {sum.width, sum.keys, sum.values}; }

namespace {

/// The place of a node among the result's, and its sparse sum; of those that have keys.
void write_sparse(const std::vector<BlockView::NodeView>& nodes, ByteWriter& out) {
  const auto has_keys = [](const BlockView::NodeView& node) { return !node.sparse.keys.empty(); };
  const auto count = std::count_if(nodes.begin(), nodes.end(), has_keys);
  if (count == 0) return;
  out.put(static_cast<std::uint64_t>(count));
  for (std::size_t place = 0; place < nodes.size(); ++place) {
    if (!has_keys(nodes[place])) continue;
    out.put(static_cast<std::uint64_t>(place));
    out.put(nodes[place].sparse.width);
    out.put(nodes[place].sparse.keys);
    out.put(nodes[place].sparse.values);
  }
}

constexpr std::size_t least_sparse_bytes = 48;  // place, width, two lengths, a key and a value

void read_sparse(ByteReader& in, std::vector<TreeNode>& nodes) {
  const auto require = [](bool sound) {
    if (!sound) throw RuntimeFailure("stored bytes are damaged (a sparse sum is none); compute them again");
  };
  std::size_t next = 0;  // places ascend
  const std::size_t count = in.get_size(least_sparse_bytes);
  require(count > 0);
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = in.get<std::uint64_t>();
    require(place >= next && place < nodes.size());
    next = place + 1;
    SparseSum& sum = nodes[place].sparse;
    sum.width = in.get<std::int64_t>();
    sum.keys = in.get_vector<std::int64_t>();
    sum.values = in.get_vector<double>();
    require(!sum.keys.empty() && is_sound(sum));
  }
}

void write(const BlockView& result, ByteWriter& out) {
  out.put(result.block);
  out.put(result.seconds);
  out.put(static_cast<std::uint64_t>(result.nodes.size()));
  for (const BlockView::NodeView& node : result.nodes) {
    out.put(node.lane);
    out.put(std::int32_t{node.level});
    out.put(node.index);
    out.put(node.sum);
  }
  out.put(static_cast<std::uint64_t>(result.rows.size()));
  for (const BlockView::RowsView& rows : result.rows) {
    out.put(rows.unit);
    out.put(rows.values);
  }
  out.put(static_cast<std::uint64_t>(result.failed.size()));
  for (const FailedUnit& failure : result.failed) {
    out.put(failure.unit);
    out.put(std::int32_t{failure.rank});
    out.put(failure.text);
  }
  out.put(result.unstarted);
  out.put(result.unwritten);
  write_sparse(result.nodes, out);
}

}  // namespace

std::vector<std::byte> encode(const BlockResult& result) {
  ByteWriter out;
  write(view_of(result), out);
  return out.take();
}

void encode(const BlockView& result, const PutBytes& put) {
  ByteWriter out(put);
  write(result, out);
}

BlockResult decode_block_result(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  BlockResult result;
  result.block = in.get<std::int64_t>();
  result.seconds = in.get<double>();
  result.nodes.resize(in.get_size(28));
  for (TreeNode& node : result.nodes) {
    node.lane = in.get<std::int64_t>();
    node.level = in.get<std::int32_t>();
    node.index = in.get<std::int64_t>();
    node.sum = in.get_vector<double>();
  }
  result.rows.resize(in.get_size(16));
  for (UnitRows& rows : result.rows) {
    rows.unit = in.get<std::int64_t>();
    rows.values = in.get_vector<double>();
  }
  result.failed.resize(in.get_size(20));
  for (FailedUnit& failure : result.failed) {
    failure.unit = in.get<std::int64_t>();
    failure.rank = in.get<std::int32_t>();
    failure.text = in.get_string();
  }
  result.unstarted = in.get_vector<std::int64_t>();
  result.unwritten = in.get_string();
  if (!in.rest().empty()) read_sparse(in, result.nodes);
  in.expect_end();
  return result;
}

}  // namespace tributary
