// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A kind of nodes is a place where values are read and a matrix through which they write (site_writer.h): here the
// places, how many nodes of a kind a model has, and the one list that the nodes of a run's kinds form. Knows no
// tensors.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include "attribution/model/architecture.h"
#include "attribution/nodes/node.h"

namespace tributary {

struct LayerRange {
  std::int64_t first = 0, end = 0;

  [[nodiscard]] std::int64_t count() const { return end - first; }
};

/// Where values are read (forward.cpp has the equations).
enum class Site {
  embeddings,     // e, the token's, after its multiplier and without the position's [d_model]
  z,              // attention's output before W_O, all heads side by side [heads * d_head]
  neurons,        // a, the input of W_down [neurons]
  mlp_written,    // W_down a + b [d_model]
  mlp_out,        // what of it enters the stream: after post-norm and multiplier [d_model]
  resid_pre,      // the stream before a block's attention [d_model],
  resid_mid,      // between its attention and its MLP (of a block that is not parallel),
  resid_post,     // and behind it
  mlp_in,         // what the MLP reads: the stream after its norm, with the norm's gain [d_model]
  mlp_in_normed,  // and without
};

/// What is called an MLP's output: what it adds to the stream, or what its last matrix writes, which is the sum of what
/// its neurons write.
enum class MlpSide { added, written };

/// The nodes of one kind: in each layer and at each position `nodes` side by side, each a slice of `dims` numbers of
/// what is read at the site.
struct NodeTable {
  NodeKind kind = NodeKind::neurons;
  Site site = Site::neurons;
  std::int64_t layers = 0, nodes = 0, dims = 1;
  /// Of features: the nodes that are not zero somewhere, ascending, once they are known.
  std::shared_ptr<const std::vector<Node>> entries{};

  [[nodiscard]] std::int64_t width() const { return nodes * dims; }
  /// Whether its nodes are a list, and not all those of a shape.
  [[nodiscard]] bool is_list() const { return kind == NodeKind::features; }
  /// Whether its layers are others than the model's, and come with the model's first.
  [[nodiscard]] bool has_own_layers() const { return site == Site::embeddings || of_dictionaries(kind); }
  /// The layers that it has of a range of the model's.
  [[nodiscard]] LayerRange within(const LayerRange& range) const {
    if (!has_own_layers()) return range;
    return {0, range.first == 0 && range.end > 0 ? layers : 0};
  }
};

NodeTable node_table(NodeKind kind, const Architecture& architecture, MlpSide side = MlpSide::added);

/// `count` distinct nodes of a table, seeded, spread evenly over the layers, in ascending order. positions 1 with
/// Positions::sum. ContractViolation when there are fewer.
std::vector<Node> sample_nodes(const NodeTable& table, std::int64_t positions, std::int64_t count, std::uint64_t seed,
                               Positions kept);

/// The nodes of a run in one list: kind after kind in the order that was asked for, each kind's [layer, position,
/// node].
class NodeLayout {
 public:
  NodeLayout() = default;
  /// positions: 1 with Positions::sum.
  NodeLayout(std::vector<NodeTable> tables, std::int64_t positions, Positions kept);

  [[nodiscard]] const std::vector<NodeTable>& tables() const { return tables_; }
  [[nodiscard]] std::size_t kinds() const { return tables_.size(); }
  [[nodiscard]] std::int64_t positions() const { return positions_; }
  [[nodiscard]] Positions kept() const { return kept_; }
  /// Nodes in all, of one kind, and before those of a kind.
  [[nodiscard]] std::int64_t nodes() const { return first(tables_.size()); }
  [[nodiscard]] std::int64_t nodes(std::size_t kind) const {
    const NodeTable& table = tables_[kind];
    if (table.is_list()) return table.entries ? std::ssize(*table.entries) : 0;
    return table.layers * positions_ * table.nodes;
  }
  [[nodiscard]] std::int64_t first(std::size_t kind) const;
  /// [layer, position, node] of a kind.
  [[nodiscard]] std::vector<std::int64_t> shape(std::size_t kind) const {
    return {tables_[kind].layers, positions_, tables_[kind].nodes};
  }
  /// Nodes in a range of the model's layers.
  [[nodiscard]] std::int64_t nodes_in(const LayerRange& range) const;
  /// Numbers that are read at one position of all layers: a neuron has one, other nodes have several.
  [[nodiscard]] std::int64_t read_at_position() const;
  /// The table of a kind; its number of tables where the run does not have it.
  [[nodiscard]] std::size_t find(NodeKind kind) const;

  /// What lies at a place of the list.
  [[nodiscard]] Node node(std::int64_t place) const;
  /// The same list with the entries of a kind that is a list itself.
  [[nodiscard]] NodeLayout with_entries(std::size_t kind, std::vector<Node> entries) const;
  /// The list of some of the kinds, in their order; errors come with features.
  [[nodiscard]] NodeLayout only(const std::vector<NodeKind>& kinds) const;

 private:
  std::vector<NodeTable> tables_;
  std::int64_t positions_ = 1;
  Positions kept_ = Positions::keep;
};

}  // namespace tributary
