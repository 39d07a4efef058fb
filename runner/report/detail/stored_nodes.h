// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The nodes of a results file: which kinds there are, and what is stored of each, as the one list that its rankings are
// over (attribution/nodes/node_table.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribution/nodes/node_table.h"
#include "io/results.h"

namespace tributary::detail {

class StoredNodes {
 public:
  /// The file must outlive it.
  explicit StoredNodes(const ResultsFile& results);

  [[nodiscard]] const NodeLayout& layout() const { return layout_; }
  /// Whether nodes are scored, and not tokens.
  [[nodiscard]] bool any() const { return !tokens_; }
  /// Whether all of them are neurons.
  [[nodiscard]] bool only_neurons() const;
  /// "neurons", or of several kinds "nodes"; "neuron", "node".
  [[nodiscard]] std::string noun() const;
  [[nodiscard]] std::string noun_of_one() const;

  /// The model's layer that a node lies in: of a feature or an error that of its dictionary.
  [[nodiscard]] std::int64_t layer_of(const Node& node) const;
  /// "resid_post 12 layer_12", what the dictionary of a feature or an error is called; empty: of other nodes.
  [[nodiscard]] std::string dictionary_of(const Node& node) const;
  /// By dictionary.
  [[nodiscard]] const std::vector<std::int64_t>& dictionary_layers() const { return dictionary_layers_; }

  /// Scores of all nodes; what else is stored of each ("standard_error", "sign_share"), empty where it is not.
  [[nodiscard]] const std::vector<float>& scores() const { return *scores_; }
  [[nodiscard]] std::vector<float> of_all(const std::string& name) const;
  /// A dataset of one kind, "/attribution/residual", "/nodes/heads/residual"; null where there is none.
  [[nodiscard]] const Dataset* find(std::size_t kind, const std::string& name) const;
  /// The same of the first kind that has it.
  [[nodiscard]] const Dataset* find(const std::string& name) const;

 private:
  const ResultsFile& results_;
  bool tokens_ = false;
  NodeLayout layout_;
  std::vector<std::string> dictionaries_;
  std::vector<std::int64_t> dictionary_layers_;
  std::vector<float> joined_;         // scores, where there are several kinds
  const std::vector<float>* scores_;  // those, or the one dataset's
};

/// Where results of a kind of nodes lie: "/attribution", "/nodes/heads".
std::string stored_group(NodeKind kind);
/// A part of them: "/agreement", "/nodes/heads/agreement".
std::string stored_group(NodeKind kind, const std::string& part);

}  // namespace tributary::detail
