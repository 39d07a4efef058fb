// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/mib_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/errors.h"
#include "common/text.h"
#include "io/atomic_file.h"
#include "runner/report/detail/findings.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/stored_nodes.h"

namespace tributary {
namespace {

using detail::StoredNodes;

constexpr const char* of_the_model = "/nodes/heads";  // whose attributes tell what MIB's cfg asks for

bool has_kind(const StoredNodes& nodes, NodeKind kind) { return nodes.layout().find(kind) < nodes.layout().kinds(); }

/// A node by MIB's name.
nlohmann::ordered_json importance(double score) { return {{"in_graph", true}, {"score", score}}; }

/// The score of a node of a kind, of summed positions.
double score_of(const StoredNodes& nodes, NodeKind kind, std::int64_t layer, std::int64_t index) {
  const NodeLayout& layout = nodes.layout();
  const std::size_t table = layout.find(kind);
  return nodes.scores().at(
      static_cast<std::size_t>(layout.first(table) + layer * layout.tables()[table].nodes + index));
}

}  // namespace

std::string reason_against_mib(const ResultsFile& results) {
  const StoredNodes nodes(results);
  for (const NodeKind kind : {NodeKind::heads, NodeKind::mlps}) {
    if (has_kind(nodes, kind)) continue;
    return fmt::format(
        "it has no scores of {} (MIB's nodes are heads, MLPs and the input); compute it with nodes: "
        "[heads, mlps, embeddings]",
        name_of(kind));
  }
  if (nodes.layout().kept() == Positions::keep) {
    return "its positions are kept (MIB's nodes are at all positions at once); compute it with positions: sum";
  }
  for (std::size_t table = 0; table < nodes.layout().kinds(); ++table) {
    const NodeKind kind = nodes.layout().tables()[table].kind;
    if (kind == NodeKind::neurons) continue;
    const auto first = nodes.scores().begin() + nodes.layout().first(table);
    if (std::none_of(first, first + nodes.layout().nodes(table), [](float score) { return std::isnan(score); }))
      continue;
    return fmt::format("some {} have no score (MIB ranks all of them); compute it with a larger attribution.sample",
                       name_of(kind));
  }
  if (detail::find_attribute<std::int64_t>(results, of_the_model, "d_model") == nullptr) {
    return "it does not tell the model's d_model, which the file names (an earlier version wrote it); compute it again";
  }
  return "";
}

std::string importances_of(const ResultsFile& results) {
  const StoredNodes nodes(results);
  const NodeTable& heads = nodes.layout().tables()[nodes.layout().find(NodeKind::heads)];
  nlohmann::ordered_json document;
  document["cfg"] = {
      {"n_layers", heads.layers},
      {"n_heads", heads.nodes},
      {"parallel_attn_mlp", detail::attribute<std::int64_t>(results, of_the_model, "parallel") != 0},
      {"d_model", detail::attribute<std::int64_t>(results, of_the_model, "d_model")},
  };
  nlohmann::ordered_json& list = document["nodes"];
  const bool has_input = has_kind(nodes, NodeKind::embeddings);
  list["input"] = importance(has_input ? score_of(nodes, NodeKind::embeddings, 0, 0) : 0.0);
  for (std::int64_t layer = 0; layer < heads.layers; ++layer) {
    for (std::int64_t head = 0; head < heads.nodes; ++head) {
      list[fmt::format("a{}.h{}", layer, head)] = importance(score_of(nodes, NodeKind::heads, layer, head));
    }
    list[fmt::format("m{}", layer)] = importance(score_of(nodes, NodeKind::mlps, layer, 0));
  }
  list["logits"] = {{"in_graph", true}};
  document["edges"] = nlohmann::ordered_json::object();
  return document.dump(1) + "\n";
}

void export_mib(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const detail::Findings found = detail::find_results(folder);
  const std::filesystem::path target = out.empty() ? folder / "export" : out;
  std::vector<Problem> refused;
  for (const RunResults& run : found.runs) {
    const std::string reason = reason_against_mib(run.results);
    if (!reason.empty()) {
      refused.push_back(
          {(folder / run.folder).lexically_normal().string(), "cannot be written as MIB's file: " + reason});
      continue;
    }
    const std::filesystem::path place = target / run.folder;
    make_folder(place);
    const std::filesystem::path file = (place / "importances.json").lexically_normal();
    write_atomically(file, importances_of(run.results));
    std::cout << "export       " << file.string() << '\n';
  }
  if (refused.size() == found.runs.size()) throw UserError(refused);
  for (const Problem& problem : refused) std::cout << "  left out: " << problem.where << " " << problem.text << '\n';
  for (const std::string& note : found.notes) std::cout << "  missing: " << note << '\n';
}

}  // namespace tributary
