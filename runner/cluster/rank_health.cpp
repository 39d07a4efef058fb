// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/rank_health.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace tributary {
namespace {

constexpr std::size_t kAttempts = 3;
constexpr std::size_t kAttemptsAlone = 2;  // the same machine again: one more try is enough

}  // namespace

RankHealth::RankHealth(int ranks) : seconds_per_cost_(static_cast<std::size_t>(std::max(0, ranks))) {}

void RankHealth::computed(int rank, double cost, double seconds) {
  if (cost <= 0 || seconds <= 0) return;
  double& pace = seconds_per_cost_[static_cast<std::size_t>(rank)];
  pace = pace > 0 ? (pace + seconds / cost) / 2 : seconds / cost;
}

double RankHealth::seconds_per_cost(int rank) const { return seconds_per_cost_[static_cast<std::size_t>(rank)]; }

bool RankHealth::may_try_again(int rank, std::int64_t unit) {
  std::vector<int>& failed_on = failed_on_[unit];
  failed_on.push_back(rank);
  return failed_on.size() < (ranks() == 1 ? kAttemptsAlone : kAttempts);
}

bool RankHealth::may_compute(int rank, std::int64_t unit) const {
  const auto found = failed_on_.find(unit);
  if (found == failed_on_.end() || ranks() == 1) return true;
  const std::vector<int>& failed_on = found->second;
  if (std::find(failed_on.begin(), failed_on.end(), rank) == failed_on.end()) return true;
  const std::set<int> tried(failed_on.begin(), failed_on.end());
  return std::ssize(tried) == ranks() && rank != failed_on.back();
}

}  // namespace tributary
