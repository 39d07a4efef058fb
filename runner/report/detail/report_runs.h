// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs of a report as its tables see them, and the tables by kind: report_overview.cpp (a row a run),
// report_data.cpp (what they were made on), report_methods.cpp (how they compare), report_scores.cpp (where the scores
// are), report_top.cpp (the first nodes), report_evidence.cpp (circuits, agreement, cases), report_steering.cpp. The
// runs themselves: report_runs.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/report/detail/results_access.h"
#include "runner/report/detail/stored_nodes.h"
#include "runner/report/report.h"

namespace tributary::detail {

/// One run: number, the data set it belongs to, what its method is called among the others there.
struct ReportRun {
  std::int64_t run = 0;
  std::int64_t data = 0;
  std::string method;
  std::string folder;
  const ResultsFile* results = nullptr;
  std::shared_ptr<const StoredNodes> stored{};

  [[nodiscard]] const Dataset* find(const std::string& path) const { return results->find(path); }
  /// Scores of the nodes of all kinds, and how they lie.
  [[nodiscard]] const std::vector<float>& scores() const { return stored->scores(); }
  [[nodiscard]] const NodeLayout& layout() const { return stored->layout(); }
  /// Of the model, as far as its nodes tell.
  [[nodiscard]] std::int64_t layers() const;
  [[nodiscard]] std::int64_t positions() const { return layout().positions(); }
  [[nodiscard]] std::int64_t nodes() const { return layout().nodes(); }
  /// Whether nodes are scored, and not tokens.
  [[nodiscard]] bool has_nodes() const { return stored->any(); }
  /// A text attribute of /attribution.
  [[nodiscard]] std::string attribution(const std::string& name) const;
  /// "logit-difference", "sum-of-logits of 5".
  [[nodiscard]] std::string metric() const;
  /// What neurons outside a circuit are set to: "mean", "mean of training prompts", "zero", "resample"; empty where no
  /// circuit was evaluated.
  [[nodiscard]] std::string ablation() const;
  /// position -1 where positions are summed; layer: of features and errors their dictionary.
  [[nodiscard]] Node node(std::int64_t place) const { return layout().node(place); }
  /// "2: resid_post 12 layer_12": the number and name of the dictionary of a feature or an error, node.layer; missing:
  /// of other nodes.
  [[nodiscard]] Cell dictionary(const Node& node) const;
  [[nodiscard]] bool keeps_positions() const;
  /// Places in /pairs of the training (or held-out) pairs.
  [[nodiscard]] std::vector<std::size_t> pairs_of(const std::string& split) const;
  /// What a position is called: as the run names it, or the token that all clean prompts have there. Missing: neither.
  [[nodiscard]] Cell position_name(std::int64_t position) const;
  /// The token that all prompts have at a position, of a dataset [pair, token] of texts; missing: they differ there.
  [[nodiscard]] Cell shared_token(const std::string& path, std::int64_t position) const;
};

/// Runs are of one data set when model, dtype, pairs, metric and the treatment of positions are the same.
std::vector<ReportRun> report_runs(const std::vector<RunResults>& runs);

using Runs = std::vector<ReportRun>;

/// How many of a run's first nodes tables speak of.
inline constexpr std::size_t top_nodes = 100;

/// A node that a group lists ("/top", "/steering", "/nodes/heads/agreement"), by its place in the list; layer: the
/// model's.
Node listed_node(const ReportRun& run, const std::string& group, std::size_t i);
/// The dictionary of a node that a group lists.
Cell listed_dictionary(const ReportRun& run, const std::string& group, std::size_t i);

/// Names that are there more than once get what sets them apart, where it does.
void tell_apart(std::vector<std::string>& names, const std::vector<std::string>& more);

Table runs_table(const Runs& runs);
Table data_table(const Runs& runs);
Table pairs_table(const Runs& runs);
Table tokens_table(const Runs& runs);
Table provenance_table(const Runs& runs);
Table methods_table(const Runs& runs);

Table top_table(const Runs& runs);
Table values_table(const Runs& runs);
Table heat_table(const Runs& runs);
Table layers_table(const Runs& runs);
Table inputs_table(const Runs& runs);

Table curve_table(const Runs& runs);
Table agreement_table(const Runs& runs);
Table exact_table(const Runs& runs);
Table steering_table(const Runs& runs);
Table steering_tokens_table(const Runs& runs);
Table steered_table(const Runs& runs);
Table cases_table(const Runs& runs);

}  // namespace tributary::detail
