// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/node_table.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {

NodeTable node_table(NodeKind kind, const Architecture& a, MlpSide side) {
  switch (kind) {
    case NodeKind::neurons:
      return {kind, Site::neurons, a.layers(), a.neurons, 1};
    case NodeKind::heads:
      return {kind, Site::z, a.layers(), a.heads, a.d_head};
    case NodeKind::mlps:
      return {kind, side == MlpSide::added ? Site::mlp_out : Site::mlp_written, a.layers(), 1, a.d_model};
    case NodeKind::embeddings:
      return {kind, Site::embeddings, 1, 1, a.d_model};
    case NodeKind::features:
    case NodeKind::errors:
      break;  // dictionaries say how many there are
  }
  throw ContractViolation("a kind of nodes outside the enumeration");
}

std::vector<Node> sample_nodes(const NodeTable& table, std::int64_t positions, std::int64_t count, std::uint64_t seed,
                               Positions kept) {
  const std::int64_t in_layer = positions * table.nodes;
  TRIBUTARY_EXPECT(count <= table.layers * in_layer, "the sample is checked against the model's size");
  std::vector<Node> sample;
  for (std::int64_t layer = 0; layer < table.layers; ++layer) {
    const std::int64_t wanted = (layer + 1) * count / table.layers - layer * count / table.layers;
    const bool all = wanted == in_layer;
    std::set<std::int64_t> chosen;
    for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < wanted; ++draw) {
      const std::uint64_t key = mixed(mixed(seed) ^ mixed(static_cast<std::uint64_t>(layer) << 32 | draw));
      chosen.insert(static_cast<std::int64_t>(all ? draw : key % static_cast<std::uint64_t>(in_layer)));
    }
    for (const std::int64_t place : chosen) {
      sample.push_back({layer, kept == Positions::sum ? -1 : place / table.nodes, place % table.nodes, table.kind});
    }
  }
  return sample;
}

NodeLayout::NodeLayout(std::vector<NodeTable> tables, std::int64_t positions, Positions kept)
    : tables_(std::move(tables)), positions_(positions), kept_(kept) {}

std::int64_t NodeLayout::first(std::size_t kind) const {
  std::int64_t before = 0;
  for (std::size_t k = 0; k < kind; ++k) before += nodes(k);
  return before;
}

std::int64_t NodeLayout::nodes_in(const LayerRange& range) const {
  std::int64_t nodes = 0;
  for (const NodeTable& table : tables_) {
    if (!table.is_list()) nodes += table.within(range).count() * positions_ * table.nodes;
  }
  return nodes;
}

std::int64_t NodeLayout::read_at_position() const {
  std::int64_t numbers = 0;
  for (const NodeTable& table : tables_) {
    if (!table.is_list()) numbers += table.layers * table.width();
  }
  return numbers;
}

std::size_t NodeLayout::find(NodeKind kind) const {
  const auto same = [kind](const NodeTable& table) { return table.kind == kind; };
  return static_cast<std::size_t>(std::find_if(tables_.begin(), tables_.end(), same) - tables_.begin());
}

Node NodeLayout::node(std::int64_t place) const {
  std::size_t kind = 0;
  while (place >= nodes(kind)) place -= nodes(kind++);
  if (tables_[kind].is_list()) return (*tables_[kind].entries)[static_cast<std::size_t>(place)];
  const std::int64_t in_row = tables_[kind].nodes;
  const std::int64_t row = place / in_row;
  return {row / positions_, kept_ == Positions::sum ? -1 : row % positions_, place % in_row, tables_[kind].kind};
}

NodeLayout NodeLayout::with_entries(std::size_t kind, std::vector<Node> entries) const {
  NodeLayout layout = *this;
  layout.tables_[kind].entries = std::make_shared<const std::vector<Node>>(std::move(entries));
  return layout;
}

NodeLayout NodeLayout::only(const std::vector<NodeKind>& kinds) const {
  std::vector<NodeTable> chosen;
  for (const NodeTable& table : tables_) {
    const NodeKind kind = table.kind == NodeKind::errors ? NodeKind::features : table.kind;
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) chosen.push_back(table);
  }
  return {std::move(chosen), positions_, kept_};
}

}  // namespace tributary
