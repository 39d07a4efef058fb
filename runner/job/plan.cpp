// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "attribution/model/flops.h"
#include "common/seeded.h"
#include "runner/job/feature_needs.h"
#include "runner/job/prompts.h"

namespace tributary {
namespace {

/// Units that a stage should have at least, where there are pairs enough: so that several ranks find work to the end.
constexpr std::int64_t enough_units = 8;
/// Pairs in a unit at the most, where the configuration says auto.
constexpr std::int64_t full_unit = 8;
/// Rows of pairs that fill a network call whatever the method: fewer, and weights are read more often than need be.
constexpr std::int64_t full_rows_cpu = 256;
constexpr std::int64_t full_rows_card = 4096;
/// Operations beyond which units are not computed at once: about ten seconds, all that a kill may lose.
constexpr double most_flops_cpu = 1e12;
constexpr double most_flops_card = 1e14;
constexpr std::int64_t pilot_unit = 2;

/// Pairs in a unit when the configuration says auto: a power of two, at most a full unit, and few enough that there are
/// `least` units.
std::int64_t automatic_pairs(std::int64_t pairs, std::int64_t least) {
  std::int64_t size = full_unit;
  while (size > 1 && (pairs + size - 1) / size < least) size /= 2;
  return size;
}

std::vector<std::vector<std::int64_t>> chunks_of(const std::vector<std::int64_t>& members, std::int64_t size) {
  std::vector<std::vector<std::int64_t>> chunks;
  for (std::size_t first = 0; first < members.size(); first += static_cast<std::size_t>(size)) {
    const std::size_t end = std::min(members.size(), first + static_cast<std::size_t>(size));
    chunks.emplace_back(members.begin() + static_cast<std::ptrdiff_t>(first),
                        members.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return chunks;
}

std::vector<LayerRange> ranges_of(std::int64_t layers, std::int64_t size) {
  std::vector<LayerRange> ranges;
  for (std::int64_t first = 0; first < layers; first += size) ranges.push_back({first, std::min(layers, first + size)});
  return ranges;
}

bool by_layer(const Method& method) { return method.path == PathKind::activations || method.score == ScoreKind::exact; }

/// How many chunks of pairs attribution needs at the least. Methods that take one backward pass are quick, and gain
/// more from fuller calls than from an even share.
std::int64_t enough_chunks(const RunGroup& runs) {
  const bool single = std::all_of(runs.begin(), runs.end(), [](const Job* job) {
    return job->config.method.path == PathKind::none && !by_layer(job->config.method);
  });
  return single ? enough_units / 2 : enough_units;
}

/// Layers in a unit: all, unless all methods go layer by layer and there are few chunks of pairs to share out.
std::int64_t layers_in_unit(const RunGroup& runs, std::int64_t pair_chunks) {
  const std::int64_t layers = runs.front()->architecture().layers();
  if (!std::all_of(runs.begin(), runs.end(), [](const Job* job) { return by_layer(job->config.method); })) {
    return layers;
  }
  if (runs.front()->config.unit_layers != 0) return std::min(layers, runs.front()->config.unit_layers);
  return pair_chunks >= enough_units ? layers : (layers + 3) / 4;
}

/// Work of a unit in forward passes through one block: what the layers above cost, or the whole network.
double cost_of(const RunGroup& runs, const Chunk& chunk) {
  const auto layers = static_cast<double>(runs.front()->architecture().layers());
  double blocks = 2 * layers;
  for (const Job* job : runs) {
    const Method& method = job->config.method;
    blocks += 2 * layers;
    if (method.path == PathKind::embeddings) blocks += 2 * layers * std::max(method.steps, 10);
    if (!by_layer(method)) continue;
    const int evaluations = method.steps != 0 ? method.steps : 3;
    for (std::int64_t layer = chunk.layers.first; layer < chunk.layers.end; ++layer) {
      blocks += 2 * (layers - static_cast<double>(layer)) * evaluations;
    }
  }
  return blocks * static_cast<double>(chunk.members.size());
}

/// Operations of one forward pass through the average block, a row.
double flops_of_row(const Architecture& a) {
  double flops = 0;
  for (const BlockSpec& block : a.blocks) flops += forward_flops(a, block, {1, 1, 1});
  return flops / static_cast<double>(a.layers());
}

/// What a unit's features add to that: their operations at the positions that its pairs compute.
double feature_cost(const RunGroup& runs, std::int64_t live, const Chunk& unit) {
  const Job& job = *runs.front();
  double operations = 0;  // of a position
  for (const Job* run : runs) operations += feature_operations(*run);
  const double part = static_cast<double>(live) /
                      static_cast<double>(job.pairs.train[static_cast<std::size_t>(unit.members.front())].length());
  return operations / flops_of_row(job.architecture()) * part * static_cast<double>(unit.members.size());
}

/// Units like `unit`, whose pairs compute `live` positions each, to be computed at once, so that a network call is
/// full. What is asked for in so many words is kept: small units lose little.
std::int64_t units_at_once(const RunGroup& runs, std::int64_t live, const Chunk& unit) {
  const Job& job = *runs.front();
  if (job.config.unit_pairs != 0) return 1;
  const bool cpu = job.device.is_cpu();
  const std::int64_t rows = std::ssize(unit.members) * live;
  const double flops = cost_of(runs, unit) * static_cast<double>(live) * flops_of_row(job.architecture());
  std::int64_t units = 1;
  while (units * rows < (cpu ? full_rows_cpu : full_rows_card) &&
         2 * static_cast<double>(units) * flops <= (cpu ? most_flops_cpu : most_flops_card)) {
    units *= 2;
  }
  return units;
}

std::vector<std::int64_t> all_members(std::size_t n) {
  std::vector<std::int64_t> members(n);
  std::iota(members.begin(), members.end(), 0);
  return members;
}

}  // namespace

std::int64_t StagePlan::most_pairs(std::int64_t workers) const {
  struct Lane {
    std::int64_t largest = 0, all = 0;  // pairs
    double cost = 0;
  };
  std::map<std::int64_t, Lane> lanes;
  double cost = 0;
  for (std::size_t unit = 0; unit < chunks.size(); ++unit) {
    Lane& lane = lanes[units[unit].lane];
    lane.largest = std::max(lane.largest, std::ssize(chunks[unit].members));
    lane.all += std::ssize(chunks[unit].members);
    lane.cost += units[unit].cost;
    cost += units[unit].cost;
  }
  std::int64_t most = 1;
  for (const auto& [number, lane] : lanes) {
    const std::int64_t together = at_once.empty() ? 1 : at_once[static_cast<std::size_t>(number)];
    // The scheduler hands out no more of several units than an even share.
    const double share = cost / static_cast<double>(workers) / lane.cost * static_cast<double>(lane.all);
    const auto shared = std::max(lane.largest, static_cast<std::int64_t>(share));
    most = std::max(most, std::min({lane.largest * together, lane.all, shared}));
  }
  return most;
}

StagePlan plan_attribution(const RunGroup& runs) {
  const Job& job = *runs.front();
  const auto pairs = static_cast<std::int64_t>(job.pairs.train.size());
  const std::int64_t size =
      job.config.unit_pairs != 0 ? job.config.unit_pairs : automatic_pairs(pairs, enough_chunks(runs));
  std::vector<std::vector<std::vector<std::int64_t>>> by_length;  // [length][chunk] members
  std::vector<std::int64_t> live;                                 // [length]
  std::int64_t pair_chunks = 0;
  for (const Bucket& bucket : buckets_of(job.pairs.train)) {
    by_length.push_back(chunks_of(bucket.members, size));
    live.push_back(live_positions(job, bucket));
    pair_chunks += static_cast<std::int64_t>(by_length.back().size());
  }
  StagePlan plan;
  std::int64_t lane = 0;
  for (const LayerRange& layers : ranges_of(job.architecture().layers(), layers_in_unit(runs, pair_chunks))) {
    for (std::size_t length = 0; length < by_length.size(); ++length) {
      std::int64_t index = 0;
      for (const std::vector<std::int64_t>& members : by_length[length]) {
        plan.chunks.push_back({members, layers});
        const double cost = cost_of(runs, plan.chunks.back()) + feature_cost(runs, live[length], plan.chunks.back());
        plan.units.push_back({lane, index++, cost});
      }
      plan.at_once.push_back(units_at_once(runs, live[length], {by_length[length].front(), layers}));
      ++lane;
    }
  }
  return plan;
}

StagePlan plan_lengths(const Job& job, const std::vector<TokenPair>& pairs) {
  StagePlan plan;
  std::int64_t lane = 0;
  for (const Bucket& bucket : buckets_of(pairs)) {
    std::int64_t index = 0;
    for (const std::vector<std::int64_t>& members : chunks_of(bucket.members, full_unit)) {
      plan.chunks.push_back({members, {0, job.architecture().layers()}});
      plan.units.push_back({lane, index++, static_cast<double>(members.size())});
    }
    ++lane;
  }
  return plan;
}

StagePlan plan_curve(const Job& job) {
  StagePlan plan;
  for (const Bucket& bucket : buckets_of(job.pairs.test)) {
    for (const std::vector<std::int64_t>& members : chunks_of(
             bucket.members, job.config.unit_pairs != 0
                                 ? job.config.unit_pairs
                                 : automatic_pairs(static_cast<std::int64_t>(job.pairs.test.size()), enough_units))) {
      plan.chunks.push_back({members, {0, job.architecture().layers()}});
      plan.units.push_back({0, static_cast<std::int64_t>(plan.units.size()), static_cast<double>(members.size())});
    }
  }
  return plan;
}

StagePlan plan_exact(const Job& job, const std::vector<Node>& neurons) {
  const auto pairs = static_cast<std::int64_t>(job.pairs.train.size());
  const std::int64_t size = job.config.unit_pairs != 0 ? job.config.unit_pairs : automatic_pairs(pairs, enough_units);
  const std::int64_t layers = job.architecture().layers();
  const NodeKind kind = neurons.empty() ? NodeKind::neurons : neurons.front().kind;
  StagePlan plan;
  // The layers of dictionaries are their own, and come together.
  for (const LayerRange& range : ranges_of(layers, of_dictionaries(kind) ? layers : (layers + 3) / 4)) {
    double blocks = 0;  // forward passes through one block, a pair
    for (const Node& neuron : neurons) {
      const std::int64_t layer = job.layer_of(neuron);
      if (layer >= range.first && layer < range.end) blocks += static_cast<double>(layers - layer);
    }
    if (blocks == 0) continue;
    for (const Bucket& bucket : buckets_of(job.pairs.train)) {
      for (const std::vector<std::int64_t>& members : chunks_of(bucket.members, size)) {
        plan.chunks.push_back({members, range});
        plan.units.push_back(
            {0, static_cast<std::int64_t>(plan.units.size()), blocks * static_cast<double>(members.size())});
      }
    }
  }
  return plan;
}

StagePlan plan_pilot(const Job& job) {
  const auto n = static_cast<std::int64_t>(job.pairs.train.size());
  std::vector<TokenPair> chosen;
  const std::vector<std::int64_t> members = seeded_members(n, job.config.pilot_pairs, job.config.seed);
  for (const std::int64_t member : members) chosen.push_back(job.pairs.train[static_cast<std::size_t>(member)]);
  StagePlan plan;
  for (const Bucket& bucket : buckets_of(chosen)) {
    for (std::vector<std::int64_t>& chunk : chunks_of(bucket.members, pilot_unit)) {
      for (std::int64_t& member : chunk) member = members[static_cast<std::size_t>(member)];
      plan.chunks.push_back({chunk, {0, job.architecture().layers()}});
      plan.units.push_back({0, static_cast<std::int64_t>(plan.units.size()), static_cast<double>(chunk.size())});
    }
  }
  return plan;
}

std::vector<std::int64_t> seeded_members(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> members = all_members(static_cast<std::size_t>(n));
  shuffle(members, seed);
  members.resize(static_cast<std::size_t>(std::min(n, count)));
  std::sort(members.begin(), members.end());
  return members;
}

}  // namespace tributary
