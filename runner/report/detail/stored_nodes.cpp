// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/stored_nodes.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "runner/report/detail/results_access.h"

namespace tributary::detail {
namespace {

NodeKind kind_named(const std::string& name) {
  for (const NodeKind kind : all_node_kinds()) {
    if (name_of(kind) == name) return kind;
  }
  if (name == name_of(NodeKind::errors)) return NodeKind::errors;
  throw UserError("", "there is no kind of nodes '" + name +
                          "' in this version; take the program that wrote these results, or a later one");
}

/// Kinds of a file; those from before there were several have neurons.
std::vector<NodeKind> kinds_of(const ResultsFile& results) {
  const auto* names = find_attribute<std::vector<std::string>>(results, "/attribution", "nodes");
  if (names == nullptr) return {NodeKind::neurons};
  std::vector<NodeKind> kinds;
  for (const std::string& name : *names) kinds.push_back(kind_named(name));
  return kinds;
}

/// [layer, position, node] of scores, whose axes leave out what there is one of.
NodeTable table_of(NodeKind kind, const std::vector<std::int64_t>& shape, std::int64_t& positions) {
  switch (kind) {
    case NodeKind::mlps:
      positions = shape.at(1);
      return {kind, Site::mlp_out, shape.at(0), 1, 1};
    case NodeKind::errors:
      positions = shape.at(1);
      return {kind, Site::resid_post, shape.at(0), 1, 1};
    case NodeKind::embeddings:
      positions = shape.at(0);
      return {kind, Site::embeddings, 1, 1, 1};
    case NodeKind::features:
    case NodeKind::neurons:
    case NodeKind::heads:
      break;
  }
  positions = shape.at(1);
  return {kind, kind == NodeKind::heads ? Site::z : Site::neurons, shape.at(0), shape.at(2), 1};
}

/// Features as they are listed.
NodeTable listed_features(const ResultsFile& results) {
  const auto of = [&](const char* name) {
    return values<std::int64_t>(results, std::string("/nodes/features/") + name);
  };
  const std::vector<std::int64_t> dictionary = of("dictionary");
  const std::vector<std::int64_t> position = of("position");
  const std::vector<std::int64_t> feature = of("feature");
  std::vector<Node> entries;
  for (std::size_t i = 0; i < dictionary.size(); ++i) {
    entries.push_back({dictionary[i], position.at(i), feature.at(i), NodeKind::features});
  }
  NodeTable table{NodeKind::features, Site::resid_post, 0, 0, 1};
  table.entries = std::make_shared<const std::vector<Node>>(std::move(entries));
  return table;
}

/// "resid_post 12 layer_12" → 12
std::int64_t layer_in(const std::string& dictionary) {
  std::int64_t layer = 0;
  const std::size_t space = dictionary.find(' ');
  if (space != std::string::npos) {
    std::from_chars(dictionary.data() + space + 1, dictionary.data() + dictionary.size(), layer);
  }
  return layer;
}

}  // namespace

std::string stored_group(NodeKind kind) {
  return kind == NodeKind::neurons ? "/attribution" : "/nodes/" + name_of(kind);
}

std::string stored_group(NodeKind kind, const std::string& part) {
  return kind == NodeKind::neurons ? "/" + part : stored_group(kind) + "/" + part;
}

StoredNodes::StoredNodes(const ResultsFile& results) : results_(results) {
  std::vector<NodeTable> tables;
  std::int64_t positions = 1;
  std::vector<const std::vector<float>*> all;
  for (const NodeKind kind : kinds_of(results)) {
    const bool listed = kind == NodeKind::features;
    const Dataset& scores = dataset_of(results, stored_group(kind) + (listed ? "/score" : "/scores"));
    tables.push_back(listed ? listed_features(results) : table_of(kind, scores.shape, positions));
    all.push_back(&values<float>(scores));
  }
  const NodeTable& first = tables.front();
  tokens_ = first.kind == NodeKind::neurons && first.layers == 1 && first.nodes == 1;
  const bool kept = attribute<std::string>(results, "/attribution", "positions") == "keep";
  layout_ = NodeLayout(std::move(tables), positions, kept ? Positions::keep : Positions::sum);
  scores_ = all.front();
  if (const auto* names = find_attribute<std::vector<std::string>>(results, "/nodes/features", "dictionaries")) {
    dictionaries_ = *names;
    for (const std::string& name : dictionaries_) dictionary_layers_.push_back(layer_in(name));
  }
  if (all.size() == 1) return;
  for (const std::vector<float>* scores : all) joined_.insert(joined_.end(), scores->begin(), scores->end());
  scores_ = &joined_;
}

bool StoredNodes::only_neurons() const {
  return layout_.kinds() == 1 && layout_.tables().front().kind == NodeKind::neurons;
}

std::string StoredNodes::noun() const {
  return layout_.kinds() == 1 ? name_of(layout_.tables().front().kind) : "nodes";
}

std::string StoredNodes::noun_of_one() const {
  const std::string several = noun();
  return several.substr(0, several.size() - 1);
}

std::int64_t StoredNodes::layer_of(const Node& node) const {
  if (!of_dictionaries(node.kind) || node.layer >= std::ssize(dictionary_layers_)) return node.layer;
  return dictionary_layers_[static_cast<std::size_t>(node.layer)];
}

std::string StoredNodes::dictionary_of(const Node& node) const {
  if (!of_dictionaries(node.kind) || node.layer >= std::ssize(dictionaries_)) return "";
  return dictionaries_[static_cast<std::size_t>(node.layer)];
}

std::vector<float> StoredNodes::of_all(const std::string& name) const {
  std::vector<float> all;
  for (std::size_t kind = 0; kind < layout_.kinds(); ++kind) {
    const Dataset* dataset = find(kind, name);
    if (dataset == nullptr) return {};
    const std::vector<float>& own = values<float>(*dataset);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

const Dataset* StoredNodes::find(std::size_t kind, const std::string& name) const {
  return results_.find(stored_group(layout_.tables()[kind].kind) + "/" + name);
}

const Dataset* StoredNodes::find(const std::string& name) const {
  for (std::size_t kind = 0; kind < layout_.kinds(); ++kind) {
    if (const Dataset* dataset = find(kind, name); dataset != nullptr) return dataset;
  }
  return nullptr;
}

}  // namespace tributary::detail
