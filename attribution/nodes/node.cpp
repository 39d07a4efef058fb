// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tributary {
namespace {

/// "12/3/401": numbers from 0 on with a stroke between them; empty where a text is something else.
std::vector<std::int64_t> numbers_in(std::string_view text) {
  std::vector<std::int64_t> numbers;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t end = std::min(text.find('/', first), text.size());
    std::int64_t number = -1;
    const auto [rest, error] = std::from_chars(text.data() + first, text.data() + end, number);
    if (error != std::errc() || rest != text.data() + end || number < 0) return {};
    numbers.push_back(number);
    first = end + 1;
  }
  return numbers;
}

}  // namespace

const std::vector<NodeKind>& all_node_kinds() {
  static const std::vector<NodeKind> kinds = {NodeKind::neurons, NodeKind::heads, NodeKind::mlps, NodeKind::embeddings,
                                              NodeKind::features};
  return kinds;
}

std::string name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::neurons:
      return "neurons";
    case NodeKind::heads:
      return "heads";
    case NodeKind::mlps:
      return "mlps";
    case NodeKind::embeddings:
      return "embeddings";
    case NodeKind::features:
      return "features";
    case NodeKind::errors:
      return "errors";
  }
  return "";
}

std::string text_of(const Node& node) {
  if (node.position < 0) return fmt::format("{}:{}/{}", name_of(node.kind), node.layer, node.index);
  return fmt::format("{}:{}/{}/{}", name_of(node.kind), node.layer, node.position, node.index);
}

std::optional<Node> node_of(const std::string& text) {
  Node node;
  const std::size_t colon = text.find(':');
  if (colon != std::string::npos) {
    const auto& kinds = all_node_kinds();
    const auto named = [&](NodeKind kind) { return text.compare(0, colon, name_of(kind)) == 0; };
    const auto kind = std::find_if(kinds.begin(), kinds.end(), named);
    if (kind == kinds.end() && !named(NodeKind::errors)) return std::nullopt;
    node.kind = kind == kinds.end() ? NodeKind::errors : *kind;
  }
  const std::vector<std::int64_t> numbers =
      numbers_in(std::string_view(text).substr(colon == std::string::npos ? 0 : colon + 1));
  if (numbers.size() < 2 || numbers.size() > 3) return std::nullopt;
  node.layer = numbers.front();
  node.position = numbers.size() == 2 ? -1 : numbers[1];
  node.index = numbers.back();
  return node;
}

}  // namespace tributary
