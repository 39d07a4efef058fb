// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/plan.h"

#include <algorithm>
#include <numeric>

#include "common/seeded.h"

namespace tributary {
namespace {

/// Pairs in a unit when the configuration says auto: enough to fill a network call, few enough to share out.
std::int64_t automatic_pairs(PathKind path) {
  switch (path) {
    case PathKind::none:
      return 8;
    case PathKind::embeddings:
      return 2;
    case PathKind::activations:
      return 4;
  }
  return 1;
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

/// Layers in a unit: all, unless the method goes layer by layer and there are few chunks of pairs to share out.
std::int64_t layers_in_unit(const Job& job, std::int64_t pair_chunks) {
  const std::int64_t layers = job.architecture().layers;
  const Method& method = job.config.method;
  const bool divisible = method.path == PathKind::activations || method.score == ScoreKind::exact;
  if (!divisible) return layers;
  if (job.config.unit_layers != 0) return std::min(layers, job.config.unit_layers);
  return pair_chunks >= 16 ? layers : (layers + 3) / 4;
}

/// Work of a unit in forward passes through one block: what the layers above cost, or the whole network.
double cost_of(const Job& job, const Chunk& chunk) {
  const Method& method = job.config.method;
  const auto layers = static_cast<double>(job.architecture().layers);
  double blocks = 4 * layers;
  if (method.path == PathKind::embeddings) blocks += 3 * layers * std::max(method.steps, 10);
  if (method.path == PathKind::activations || method.score == ScoreKind::exact) {
    for (std::int64_t layer = chunk.layers.first; layer < chunk.layers.end; ++layer) {
      blocks += 3 * (layers - static_cast<double>(layer)) * std::max(method.steps, 10);
    }
  }
  return blocks * static_cast<double>(chunk.members.size());
}

std::vector<std::int64_t> all_members(std::size_t n) {
  std::vector<std::int64_t> members(n);
  std::iota(members.begin(), members.end(), 0);
  return members;
}

}  // namespace

StagePlan plan_attribution(const Job& job) {
  const Method& method = job.config.method;
  const std::int64_t size = job.config.unit_pairs != 0 ? job.config.unit_pairs : automatic_pairs(method.path);
  std::vector<std::vector<std::int64_t>> pair_chunks;
  for (const Bucket& bucket : buckets_of(job.pairs.train)) {
    for (auto& chunk : chunks_of(bucket.members, size)) pair_chunks.push_back(std::move(chunk));
  }
  StagePlan plan;
  std::int64_t lane = 0;
  for (const LayerRange& layers :
       ranges_of(job.architecture().layers, layers_in_unit(job, static_cast<std::int64_t>(pair_chunks.size())))) {
    std::int64_t index = 0;
    for (const std::vector<std::int64_t>& members : pair_chunks) {
      plan.chunks.push_back({members, layers});
      plan.units.push_back({lane, index++, cost_of(job, plan.chunks.back())});
    }
    ++lane;
  }
  return plan;
}

StagePlan plan_means(const Job& job, const std::vector<TokenPair>& pairs) {
  StagePlan plan;
  std::int64_t lane = 0;
  for (const Bucket& bucket : buckets_of(pairs)) {
    std::int64_t index = 0;
    for (const std::vector<std::int64_t>& members : chunks_of(bucket.members, 8)) {
      plan.chunks.push_back({members, {0, job.architecture().layers}});
      plan.units.push_back({lane, index++, static_cast<double>(members.size())});
    }
    ++lane;
  }
  return plan;
}

StagePlan plan_curve(const Job& job) {
  StagePlan plan;
  for (const Bucket& bucket : buckets_of(job.pairs.test)) {
    for (const std::vector<std::int64_t>& members :
         chunks_of(bucket.members, job.config.unit_pairs != 0 ? job.config.unit_pairs : 2)) {
      plan.chunks.push_back({members, {0, job.architecture().layers}});
      plan.units.push_back({0, static_cast<std::int64_t>(plan.units.size()), static_cast<double>(members.size())});
    }
  }
  return plan;
}

StagePlan plan_pilot(const Job& job) {
  StagePlan plan;
  const auto n = static_cast<std::int64_t>(job.pairs.train.size());
  for (const std::int64_t member : seeded_members(n, job.config.pilot_pairs, job.config.seed)) {
    plan.chunks.push_back({{member}, {0, job.architecture().layers}});
    plan.units.push_back({0, static_cast<std::int64_t>(plan.units.size()), 1});
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
