// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/scores/importances.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/json_text.h"
#include "io/detail/base/json_view.h"
#include "io/detail/base/problem_list.h"
#include "io/detail/scores/numbers.h"

namespace tributary::detail::scores {
namespace {

std::optional<std::int64_t> digits_in(std::string_view text) {
  return text.starts_with('-') ? std::nullopt : number_in<std::int64_t>(text);
}

/// The node of a name, without a score; nothing where it names none.
std::optional<ListedScore> node_named(std::string_view name) {
  ListedScore node;
  if (name == "input") {
    node.kind = "embeddings";
    return node;
  }
  const bool is_head = name.starts_with('a');
  if (!is_head && !name.starts_with('m')) return std::nullopt;
  node.kind = is_head ? "heads" : "mlps";
  std::string_view layer = name.substr(1);
  if (is_head) {
    const std::size_t point = layer.find(".h");
    if (point == std::string_view::npos) return std::nullopt;
    const std::optional<std::int64_t> head = digits_in(layer.substr(point + 2));
    if (!head) return std::nullopt;
    node.index = *head;
    layer = layer.substr(0, point);
  }
  const std::optional<std::int64_t> number = digits_in(layer);
  if (!number) return std::nullopt;
  node.layer = *number;
  return node;
}

/// A count in `cfg`; nothing where it tells none.
std::optional<std::int64_t> count_in(const JsonView& document, const char* name) {
  const std::optional<JsonView> cfg = document.find("cfg");
  const std::optional<JsonView> count = cfg ? cfg->find(name) : std::nullopt;
  return count ? std::optional(count->id()) : std::nullopt;
}

}  // namespace

ScoreFile read_importances(const std::string& file) {
  const JsonDocument document = parse_json_file(file);
  const JsonView root(document);
  const JsonView nodes = root.at("nodes");
  if (!nodes.value().is_object()) nodes.refuse("must be an object of nodes by name; is this a circuit of MIB's?");
  ScoreFile scores{.layers = count_in(root, "n_layers"), .heads = count_in(root, "n_heads")};
  std::vector<ListedScore>& list = scores.list.emplace();
  ProblemList problems;
  for (const auto& [name, fields] : nodes.value().items()) {
    if (name == "logits") continue;
    const std::string where = file + ": " + printable(name, LineEnds::escape);
    std::optional<ListedScore> node = node_named(name);
    if (!node) {
      problems.add(where, "names no node of a circuit (input, a0.h1, m0, logits); remove it");
      continue;
    }
    const auto score = fields.is_object() ? fields.find("score") : fields.end();
    if (!fields.is_object() || score == fields.end() || !score->is_number()) {
      problems.add(where,
                   "has no score (circuits of edges have none at their nodes); write a circuit of the node level");
      continue;
    }
    node->score = score->get<double>();
    node->where = where;
    list.push_back(std::move(*node));
  }
  problems.throw_if_any();
  return scores;
}

}  // namespace tributary::detail::scores
