// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/job.h"

#include <algorithm>

namespace tributary {

std::int64_t Job::layer_of(const Node& node) const {
  return of_dictionaries(node.kind) ? (*dictionaries)[static_cast<std::size_t>(node.layer)].layer : node.layer;
}

NodeLayout Job::layout() const {
  std::vector<NodeTable> tables;
  if (!config.method.has_neurons()) {
    tables.push_back(node_table(NodeKind::embeddings, architecture()));
    tables.back().kind = NodeKind::neurons;  // where results of tokens have always been
  } else {
    for (const NodeKind kind : config.nodes) {
      if (kind == NodeKind::features) {
        const auto layers = static_cast<std::int64_t>(dictionaries->size());
        tables.push_back({NodeKind::features, Site::resid_post, layers, 0, 1});
        tables.push_back({NodeKind::errors, Site::resid_post, layers, 1, architecture().d_model});
      } else {
        tables.push_back(node_table(kind, architecture(), config.mlp_side));
      }
    }
  }
  return {std::move(tables), node_positions(), config.method.positions};
}

std::int64_t Job::scored_nodes() const {
  if (!config.method.has_neurons()) return 0;
  const NodeLayout all = layout();
  if (config.method.score != ScoreKind::exact) return all.nodes();
  std::int64_t count = 0;
  for (std::size_t kind = 0; kind < all.kinds(); ++kind) count += sample_of(all, kind);
  return count;
}

std::int64_t Job::gap_pairs() const {
  const auto all = static_cast<std::int64_t>(pairs.train.size());
  return std::min(all, config.gap_pairs.value_or(std::clamp<std::int64_t>(all / 20, 1, 2)));
}

bool Job::has_circuit() const {
  return !pairs.test.empty() && config.method.has_neurons() && !config.circuit.nodes.empty();
}

std::string Job::token_text(std::int64_t id) const {
  std::string text;
  for (const char c : tokenizer->text_of(id)) text += c == '\0' ? std::string("\xE2\x90\x80") : std::string(1, c);
  return text;
}

bool Job::has_steering() const {
  const bool any = !config.steering.nodes.empty() || config.method.has_neurons();
  return !config.steering.factors.empty() && any;
}

bool Job::has_agreement() const {
  return config.agreement.sample > 0 && config.method.has_neurons() && config.method.score != ScoreKind::exact;
}

}  // namespace tributary
