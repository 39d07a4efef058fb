// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Nodes that can be scored and patched: MLP neurons, attention heads, whole MLPs and token embeddings, each at one
// position of the prompt or at all of them at once. Knows no tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

/// Whether a node is one at a position, or one with its scores summed over all positions.
enum class Positions { keep, sum };

enum class NodeKind {
  neurons,
  heads,
  mlps,
  embeddings,
  features,  // of dictionaries; a layer is the place of its dictionary in their list
  errors,    // what a dictionary's features do not explain; they come with features
};

/// Whether the nodes belong to dictionaries, in place of layers.
constexpr bool of_dictionaries(NodeKind kind) { return kind == NodeKind::features || kind == NodeKind::errors; }

/// All of them that can be asked for, and what each is called where people read and write it: "neurons", …
const std::vector<NodeKind>& all_node_kinds();
std::string name_of(NodeKind kind);

/// With positions summed, `position` is -1: the node is meant at all of them. A layer has one node of the kind `mlps`,
/// of index 0; `embeddings` have one layer, 0, with one node.
struct Node {
  std::int64_t layer = 0, position = 0, index = 0;
  NodeKind kind = NodeKind::neurons;

  friend auto operator<=>(const Node&, const Node&) = default;  // NOLINT(modernize-use-nullptr): no pointer is there
};

/// "heads:3/5/2", with positions summed "heads:3/2".
std::string text_of(const Node& node);
/// The other way round; neurons need no "neurons:" before them. Nothing where a text is no node.
std::optional<Node> node_of(const std::string& text);

}  // namespace tributary
