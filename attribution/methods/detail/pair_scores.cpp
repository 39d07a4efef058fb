// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pair_scores.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "attribution/model/detail/rows.h"

namespace tributary::detail {
namespace {

/// The `count` largest |score|s of one pair, as places and scores in turn. first: the place of its first node.
at::Tensor largest_of(const at::Tensor& scores, std::int64_t count, std::int64_t first) {
  const at::Tensor flat = scores.contiguous();
  const double* const score = flat.const_data_ptr<double>();
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    if (!std::isnan(score[i])) places.push_back(i);
  }
  const std::int64_t most = std::min<std::int64_t>(count, std::ssize(places));
  std::partial_sort(places.begin(), places.begin() + most, places.end(), [score](std::int64_t a, std::int64_t b) {
    const double of_a = std::abs(score[a]);
    const double of_b = std::abs(score[b]);
    return of_a != of_b ? of_a > of_b : a < b;
  });
  at::Tensor row = at::full({2 * count}, -1.0, at::kDouble);
  auto* out = row.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < most; ++i) {
    *out++ = static_cast<double>(first + places[static_cast<std::size_t>(i)]);
    *out++ = score[places[static_cast<std::size_t>(i)]];
  }
  return row;
}

/// Places of the `count` largest |score|s, ascending.
std::vector<std::size_t> largest_places(const std::vector<double>& scores, std::size_t count) {
  std::vector<std::size_t> places(scores.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&scores](std::size_t a, std::size_t b) { return std::abs(scores[a]) > std::abs(scores[b]); });
  places.resize(std::min(count, places.size()));
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

at::Tensor sampled_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions) {
  const at::Tensor here = scores.cpu();
  const std::int64_t before = positions - here.size(2);
  std::vector<at::Tensor> columns;  // a neuron each [pair]
  for (const Node& neuron : options.sampled) {
    if (neuron.layer < options.layers.first || neuron.layer >= options.layers.end) continue;
    const std::int64_t position = std::max<std::int64_t>(neuron.position, 0) - before;
    const at::Tensor layer = here.select(1, neuron.layer - options.layers.first);
    columns.push_back(position < 0 ? at::zeros({here.size(0)}, here.options())
                                   : layer.select(1, position).select(1, neuron.index));
  }
  return columns.empty() ? at::empty({here.size(0), 0}, here.options()) : at::stack(columns, 1);
}

void write_sampled(const SparseScores& scores, const Task& task, std::int64_t dictionary, std::int64_t positions,
                   double* row) {
  const TaskOptions& options = task.options;
  const std::int64_t first = first_keys(*options.dictionaries, positions)[static_cast<std::size_t>(dictionary)];
  const std::int64_t features = (*options.dictionaries)[static_cast<std::size_t>(dictionary)].features();
  double* out = row;
  for (const Node& node : options.sampled) {
    if (node.layer == dictionary) {
      const std::int64_t key = first + std::max<std::int64_t>(node.position, 0) * features + node.index;
      const auto found = std::lower_bound(scores.keys.begin(), scores.keys.end(), key);
      if (task.method.score == ScoreKind::noise) {  // of every pair the same, whatever its features
        *out = feature_noise(key, options.seed);
      } else if (found != scores.keys.end() && *found == key) {
        *out = scores.values[static_cast<std::size_t>(found - scores.keys.begin())];
      }
    }
    ++out;
  }
}

at::Tensor kept_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions) {
  // Shared positions have no difference, and so no score.
  const at::Tensor all = at_all_positions(scores.cpu(), positions);  // [pair, layer, pos, neuron]
  if (options.keep.what == Keep::What::all) return all.flatten(1);
  const std::int64_t first = options.layers.first * positions * all.size(3);
  std::vector<at::Tensor> rows;
  for (const at::Tensor& pair : all.unbind(0)) rows.push_back(largest_of(pair, options.keep.count, first));
  return at::stack(rows);
}

at::Tensor kept_features_of(const std::vector<SparseScores>& pairs, const Keep& keep) {
  std::vector<std::vector<std::size_t>> places;
  std::size_t most = 0;
  for (const SparseScores& pair : pairs) {
    const bool all = keep.what == Keep::What::all;
    places.push_back(largest_places(pair.values, all ? pair.values.size() : static_cast<std::size_t>(keep.count)));
    most = std::max(most, places.back().size());
  }
  at::Tensor rows =
      at::full({std::ssize(pairs), 2 * static_cast<std::int64_t>(most)}, -1.0, at::TensorOptions(at::kDouble));
  for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
    double* out = rows.mutable_data_ptr<double>() + pair * 2 * most;
    for (const std::size_t place : places[pair]) {
      *out++ = static_cast<double>(pairs[pair].keys[place]);
      *out++ = pairs[pair].values[place];
    }
  }
  return rows;
}

}  // namespace tributary::detail
