// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/circuit_nodes.h"

#include <algorithm>
#include <cmath>

#include "attribution/circuit/ranking.h"
#include "runner/report/detail/results_access.h"

namespace tributary::detail {

std::optional<CircuitNodes> circuit_nodes(const ResultsFile& results, const StoredNodes& stored) {
  if (results.find("/circuit/count") == nullptr) return std::nullopt;
  const NodeLayout& layout = stored.layout();
  const auto* named = find_attribute<std::vector<std::string>>(results, "/circuit", "kinds");
  CircuitNodes found;
  std::vector<float> scores;
  std::optional<std::size_t> embeddings;  // their place among these
  for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
    const NodeKind one = layout.tables()[kind].kind;
    if (named != nullptr && std::find(named->begin(), named->end(), name_of(one)) == named->end()) continue;
    if (one == NodeKind::embeddings && layout.nodes(kind) == 1 && layout.kept() == Positions::sum) {
      embeddings = scores.size();
    }
    found.kinds.push_back(name_of(one));
    const auto first = stored.scores().begin() + layout.first(kind);
    scores.insert(scores.end(), first, first + layout.nodes(kind));
  }
  found.nodes = std::ssize(scores);
  if (!embeddings || scores.size() < 2 || std::isnan(scores[*embeddings])) return found;
  const auto* ranking = find_attribute<std::string>(results, "/circuit", "ranking");
  const bool by_score = ranking != nullptr && *ranking == "signed";
  const auto rank = [&](Ranking way) -> std::int64_t { return places(ranked(scores, way))[*embeddings] + 1; };
  found.embeddings = rank(by_score ? Ranking::signed_score : Ranking::absolute);
  found.embeddings_otherwise = rank(by_score ? Ranking::absolute : Ranking::signed_score);
  return found;
}

}  // namespace tributary::detail
