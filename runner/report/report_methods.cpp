// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "attribution/circuit/agreement.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

using Type = Column::Type;

/// A run's scores, with what comparisons need of them worked out once.
class Comparable {
 public:
  struct Agreement {
    double pearson, spearman, overlap;
  };

  explicit Comparable(const ReportRun& run) : scores_(run.scores()) {
    whole_ = std::none_of(scores_.begin(), scores_.end(), [](float score) { return std::isnan(score); });
    if (!whole_) return;
    const std::vector<double> all(scores_.begin(), scores_.end());
    const std::vector<double> ranks = mean_ranks(all);
    ranks_.assign(ranks.begin(), ranks.end());
    if (magnitudes_differ(all)) top_ = largest(all, top_nodes);
  }

  [[nodiscard]] Agreement with(const Comparable& other) const {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      if (std::isnan(scores_[i]) || std::isnan(other.scores_[i])) continue;
      x.push_back(scores_[i]);
      y.push_back(other.scores_[i]);
    }
    if (!whole_ || !other.whole_) {
      return {pearson(x, y), spearman(x, y), overlap(x, y, std::min(top_nodes, x.size()))};
    }
    const std::vector<double> of_x(ranks_.begin(), ranks_.end());
    const std::vector<double> of_y(other.ranks_.begin(), other.ranks_.end());
    const bool have_tops = !top_.empty() && !other.top_.empty();
    return {pearson(x, y), pearson(of_x, of_y), have_tops ? share_in_common(top_, other.top_) : std::nan("")};
  }

 private:
  const std::vector<float>& scores_;
  bool whole_ = true;             // no neuron is without a score
  std::vector<float> ranks_;      // to 24 bits
  std::vector<std::size_t> top_;  // none where all |score| are equal
};

}  // namespace

namespace {

bool same_nodes(const NodeLayout& a, const NodeLayout& b) {
  if (a.kinds() != b.kinds()) return false;
  for (std::size_t kind = 0; kind < a.kinds(); ++kind) {
    const NodeTable& one = a.tables()[kind];
    const NodeTable& other = b.tables()[kind];
    if (one.kind != other.kind || a.shape(kind) != b.shape(kind)) return false;
    if (one.is_list() && *one.entries != *other.entries) return false;
  }
  return true;
}

}  // namespace

Table methods_table(const Runs& runs) {
  Table table{
      .name = "methods",
      .meaning = "Agreement of the scores of any two runs of one data set, over all nodes that both have scored.",
      .columns = {
          {"data", Type::integer, "1", "data set"},
          {"run_a", Type::integer, "1", "a run"},
          {"run_b", Type::integer, "1", "another one"},
          {"pearson", Type::number, "1", "Pearson's correlation"},
          {"spearman", Type::number, "1", "Spearman's rank correlation"},
          {"overlap", Type::number, "fraction", "share of the 100 largest |score| that both have in common"},
      }};
  const auto comparable = [](const ReportRun& a, const ReportRun& b) {
    return a.run != b.run && a.data == b.data && a.has_nodes() && same_nodes(a.layout(), b.layout());
  };
  const auto compared = [&](const ReportRun& run) {  // with some other run
    return std::any_of(runs.begin(), runs.end(), [&](const ReportRun& other) { return comparable(run, other); });
  };
  std::map<std::int64_t, Comparable> all;  // by run
  for (const ReportRun& run : runs) {
    if (compared(run)) all.emplace(run.run, run);
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (std::size_t j = i + 1; j < runs.size(); ++j) {
      if (!comparable(runs[i], runs[j])) continue;
      const Comparable::Agreement agreement = all.at(runs[i].run).with(all.at(runs[j].run));
      table.add({runs[i].data, runs[i].run, runs[j].run, agreement.pearson, agreement.spearman, agreement.overlap});
    }
  }
  return table;
}

}  // namespace tributary::detail
