// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/feature_needs.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <utility>

#include "attribution/model/tensors.h"

namespace tributary {
namespace {

constexpr double number_bytes = sizeof(double), key_bytes = sizeof(std::int64_t);
constexpr double active_bytes = sizeof(std::int32_t) + number_bytes;  // of a feature of a row, and its number

double of_number(std::int64_t number) { return static_cast<double>(number); }

/// Of a number of the stream's dtype.
double real_bytes(const Job& run) {
  return of_number(static_cast<std::int64_t>(c10::elementSize(run.exact->score_type())));
}

/// Of a feature of a row in a list that grows.
double growing_bytes(const Job& run) { return 2 * (sizeof(std::int32_t) + real_bytes(run)); }

/// Of the pre-activations that are held at once.
double tile_bytes(const Job& run, const Dictionary& dictionary) {
  return real_bytes(run) * of_number(rows_in_tile) * of_number(std::min(dictionary.features(), features_in_tile));
}

double inputs_of(const Job& run) { return run.config.method.baseline == Baseline::zero || run.config.unpaired ? 1 : 2; }

/// Features of one dictionary that are not zero on one of some inputs, at most.
double most_active(const Dictionary& dictionary, double inputs) {
  const double all = of_number(dictionary.features());
  const bool top_k = dictionary.activation == FeatureGate::top_k || dictionary.activation == FeatureGate::top_k_signed;
  return top_k ? std::min(all, inputs * of_number(dictionary.k)) : all;
}

/// Those of a position's inputs.
double most_entries(const Job& run, const Dictionary& dictionary) { return most_active(dictionary, inputs_of(run)); }

/// The same of the sum over all pairs.
double most_summed(const Job& run, const Dictionary& dictionary, std::int64_t live) {
  const auto pairs = of_number(static_cast<std::int64_t>(run.pairs.train.size()));
  const double of_position = std::min(of_number(dictionary.features()), pairs * most_entries(run, dictionary));
  if (run.config.method.positions == Positions::keep) return of_position * of_number(live);
  return std::min(of_number(dictionary.features()), of_position * of_number(live));
}

/// Features that attribution.file gives scores.
double listed_entries(const Job& run) { return of_number(std::ssize(run.imported.features.keys)); }

/// The most of one dictionary.
double listed_at_most(const Job& run) {
  const std::vector<std::int64_t>& keys = run.imported.features.keys;
  std::int64_t most = 0;
  auto first = keys.begin();
  for (const std::int64_t end : first_keys(*run.dictionaries, run.node_positions())) {
    const auto next = std::lower_bound(first, keys.end(), end);
    most = std::max<std::int64_t>(most, next - first);
    first = next;
  }
  return of_number(most);
}

double sum_bytes(const Job& run) { return key_bytes + number_bytes * of_number(sums_of(run.config)); }

/// Numbers that stand at the sites which dictionaries read and write, at one position.
double numbers_at_sites(const Job& run) {
  std::set<std::pair<Site, std::int64_t>> seen;
  double numbers = 0;
  for (const Dictionary& dictionary : *run.dictionaries) {
    if (seen.emplace(dictionary.reads, -1).second) numbers += of_number(dictionary.encoder.size(0));
    for (const FeatureTarget& target : dictionary.targets) {
      if (seen.emplace(target.site, -1).second) numbers += of_number(target.decoder.size(1));
    }
  }
  return numbers * of_number(run.architecture().layers());
}

}  // namespace

double feature_entries(const Job& run, std::int64_t live) {
  if (!run.dictionaries) return 0;
  if (run.config.method.score == ScoreKind::imported) return listed_entries(run);
  double entries = 0;
  for (const Dictionary& dictionary : *run.dictionaries) entries += most_summed(run, dictionary, live);
  return entries;
}

double bytes_of_feature_sums(const Job& run, std::int64_t live) { return sum_bytes(run) * feature_entries(run, live); }

double bytes_of_feature_task(const Job& run, const FeatureBatch& batch) {
  if (!run.dictionaries) return 0;
  const double real = real_bytes(run);
  const double rows = of_number(batch.pairs * batch.live);
  const bool imported = run.config.method.score == ScoreKind::imported;
  double most = 0;  // of one dictionary at a time
  // The pairs' scores, and two nodes of the tree.
  if (imported) most = sum_bytes(run) * (of_number(batch.pairs) + 2) * listed_at_most(run);
  for (const Dictionary& dictionary : *run.dictionaries) {
    if (imported) break;  // nothing is encoded
    const double width = of_number(dictionary.encoder.size(0));
    const double entries = most_entries(run, dictionary);
    // What is read, by prompt and side by side, padded; the same of a gradient; pre-activations.
    const double dense = real * rows * width * (3 * inputs_of(run) + 2) + tile_bytes(run, dictionary);
    // Of a row's entries first lists that grow, then one list with the features' differences.
    const double growing = growing_bytes(run) + active_bytes;
    // Then their slopes, of several targets two at a time, and the pairs' scores, with squares and signs at last.
    const double slopes = number_bytes * (dictionary.targets.size() > 1 ? 2 : 1);
    const double scored = active_bytes + slopes + key_bytes + number_bytes + sum_bytes(run);
    const double summed = 2 * sum_bytes(run) * most_summed(run, dictionary, batch.live);  // two nodes of the tree
    most = std::max(most, dense + rows * entries * std::max(growing, scored) + summed);
  }
  // Nodes of each dictionary's tree that wait for their siblings; at last all of them become one list.
  const auto pairs = static_cast<std::uint64_t>(batch.unit_pairs);
  const auto waiting = batch.pairs >= batch.unit_pairs ? std::popcount(pairs) : static_cast<int>(std::bit_width(pairs));
  const double trees = bytes_of_feature_sums(run, batch.live) * std::max(2, waiting);
  const double sites = 3 * real * numbers_at_sites(run) * rows;  // of two prompts, and gradients
  return sites + most + trees;
}

double bytes_of_feature_values(const Job& run, std::int64_t rows) {
  if (!run.dictionaries) return 0;
  const double real = real_bytes(run);
  double most = 0;
  for (const Dictionary& dictionary : *run.dictionaries) {
    const double feature = real + growing_bytes(run) + active_bytes;
    most = std::max(most, of_number(rows) * feature * of_number(dictionary.features()));
  }
  return most + real * numbers_at_sites(run) * of_number(rows);
}

double bytes_of_feature_pass(const Job& run, std::int64_t rows) {
  if (!run.dictionaries) return 0;
  const double real = real_bytes(run);
  const double growing = growing_bytes(run) + active_bytes;
  const double changed = 2 * active_bytes;  // lists that grow
  double kept = 0;                          // until they have been written to the last of several layers
  std::map<std::int64_t, double> by_layer;  // of dictionaries that write at once
  for (const Dictionary& dictionary : *run.dictionaries) {
    const double active = most_active(dictionary, 1), ever = most_active(dictionary, 2);  // with what is set instead
    const double lists = of_number(rows) * (active_bytes * active + changed * ever);
    by_layer[dictionary.layer] += std::max(tile_bytes(run, dictionary) + of_number(rows) * growing * active, lists);
    if (dictionary.targets.size() > 1) kept += lists;
  }
  double most = 0;
  for (const auto& [layer, bytes] : by_layer) most = std::max(most, bytes);
  return kept + most + 2 * real * numbers_at_sites(run) / of_number(run.architecture().layers()) * of_number(rows);
}

double bytes_of_other_features(const Job& run, double rows) {
  if (!run.dictionaries) return 0;
  const double real = real_bytes(run);
  double active = 0, growing = 0;
  for (const Dictionary& dictionary : *run.dictionaries) {
    const double one = most_active(dictionary, 1);
    active += one;
    growing = std::max(growing, growing_bytes(run) * one);
  }
  const double sites = (2 * real + number_bytes) * numbers_at_sites(run);  // what is written, and errors
  return rows * (active_bytes * active + growing + sites);
}

double bytes_of_mean_features(const Job& run, std::int64_t pairs, double length) {
  if (!run.dictionaries) return 0;
  double summed = 0;
  for (const Dictionary& dictionary : *run.dictionaries) summed += most_active(dictionary, of_number(pairs));
  const double sites = 2 * number_bytes * numbers_at_sites(run);
  return length * ((key_bytes + number_bytes + active_bytes) * summed + sites);  // by key, and as rows
}

double bytes_of_feature_means(const Job& run, std::int64_t pairs, double length) {
  if (!run.dictionaries) return 0;
  // Values of pairs as they are and by key, in lists that grow; two nodes of their tree, and the unit's result.
  const double keyed = key_bytes + number_bytes;
  double active = 0, summed = 0;
  for (const Dictionary& dictionary : *run.dictionaries) {
    active += most_active(dictionary, 1);
    summed += most_active(dictionary, of_number(pairs));
  }
  const double rows = of_number(pairs) * length;
  return bytes_of_other_features(run, rows) + keyed * (2 * rows * active + 3 * length * summed);
}

double feature_operations(const Job& run) {
  if (!run.dictionaries || run.config.method.score == ScoreKind::imported) return 0;
  double operations = 0;
  for (const Dictionary& dictionary : *run.dictionaries) {
    operations += 2 * inputs_of(run) * of_number(dictionary.encoder.numel());
    for (const FeatureTarget& target : dictionary.targets) {
      operations += 2 * most_entries(run, dictionary) * of_number(target.decoder.size(1));
    }
  }
  return operations;
}

}  // namespace tributary
