// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/sample_agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>

#include "attribution/circuit/agreement.h"

namespace tributary {
namespace {

using Numbers = std::span<const double>;
using Rows = std::vector<std::vector<double>>;

/// Random neurons tell how sure a statistic is by how much it varies with them. Of fewer than seven different values
/// more than one resample in twenty draws two at the most, and those say nothing: whatever they are, a line goes
/// through two points. But one in twenty is all that a 95 % interval leaves out.
constexpr std::size_t enough_values = 7;

struct Statistic {
  std::string name;
  double least;  // what it can be; 1 at the most
  std::function<double(Numbers exact, Numbers score, Numbers weight)> value;
};

/// Some of the sample's columns, and how each came there.
struct Part {
  std::vector<std::size_t> columns;
  std::vector<SampledNode> nodes;
};

/// Means of the part's columns over pairs that count `weight` times each.
std::vector<double> column_means(const Rows& rows, const Part& part, Numbers weight) {
  std::vector<double> means(part.columns.size(), 0);
  double all = 0;
  for (std::size_t pair = 0; pair < rows.size(); ++pair) {
    all += weight[pair];
    if (weight[pair] == 0) continue;
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += weight[pair] * rows[pair][part.columns[i]];
  }
  for (double& mean : means) mean /= all;
  return means;
}

/// Whether the neurons of a part that are there by chance, if any are, have enough different values.
bool tells_how_sure(const Part& part, Numbers exact, Numbers score) {
  std::vector<double> x, y;
  for (std::size_t i = 0; i < part.nodes.size(); ++i) {
    if (part.nodes[i].inclusion >= 1) continue;
    x.push_back(exact[i]);
    y.push_back(score[i]);
  }
  return x.empty() || std::min(different_values(x), different_values(y)) >= enough_values;
}

/// An interval within what a statistic can be that holds its value: percentiles of a statistic that resampling shifts
/// may leave it outside. NaN where either is.
Interval widened(const Interval& interval, double value, double least) {
  if (std::isnan(value) || std::isnan(interval.low)) return no_interval;
  return {std::clamp(std::min(interval.low, value), least, 1.0),
          std::clamp(std::max(interval.high, value), least, 1.0)};
}

void add_statistics(const std::vector<Statistic>& statistics, const Part& part, const Rows& exact, const Rows& score,
                    const std::vector<std::int64_t>& cluster, const BootstrapOptions& options,
                    std::vector<AgreementStatistic>& found) {
  const SampleStatistics of_weights = [&](Numbers pair, Numbers node) {
    const std::vector<double> x = column_means(exact, part, pair);
    const std::vector<double> y = column_means(score, part, pair);
    std::vector<double> values;
    for (const Statistic& statistic : statistics) values.push_back(statistic.value(x, y, node));
    return values;
  };
  std::vector<double> weight;
  for (const SampledNode& node : part.nodes) weight.push_back(node.weight);
  const std::vector<double> once(cluster.size(), 1);
  const std::vector<double> values = of_weights(once, weight);
  const bool sure = tells_how_sure(part, column_means(exact, part, once), column_means(score, part, once));
  const std::vector<Interval> intervals = sure ? bootstrap_sample(cluster, part.nodes, of_weights, options)
                                               : std::vector<Interval>(values.size(), no_interval);
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    found.push_back({statistics[i].name, values[i], widened(intervals[i], values[i], statistics[i].least)});
  }
}

}  // namespace

std::vector<AgreementStatistic> sample_agreement(const std::vector<SampledNeuron>& sample, const Rows& exact,
                                                 const Rows& score, const std::vector<std::int64_t>& cluster,
                                                 const BootstrapOptions& options) {
  Part all;
  Part drawn;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const SampledNeuron& one = sample[i];
    all.columns.push_back(i);
    all.nodes.push_back({1 / one.inclusion(), one.inclusion(), one.stratum});
    if (!one.drawn) continue;
    drawn.columns.push_back(i);
    drawn.nodes.push_back({1, one.share, one.stratum});
  }
  Part as_it_is = all;  // every node certain: the sample itself is meant
  for (SampledNode& node : as_it_is.nodes) node = {};
  const std::size_t top = std::max<std::size_t>(1, sample.size() / 10);
  std::vector<AgreementStatistic> found;
  add_statistics({{"pearson", -1, weighted_pearson},
                  {"pearson without the largest", -1, weighted_pearson_without_largest},
                  {"spearman", -1, weighted_spearman}},
                 all, exact, score, cluster, options, found);
  add_statistics(
      {{"pearson of the random nodes", -1, weighted_pearson}, {"spearman of the random nodes", -1, weighted_spearman}},
      drawn, exact, score, cluster, options, found);
  add_statistics({{fmt::format("top-{} overlap in the sample", top), 0,
                   [top](Numbers x, Numbers y, Numbers) { return overlap(x, y, top); }}},
                 as_it_is, exact, score, cluster, options, found);
  return found;
}

}  // namespace tributary
