// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/rank_health.h"

#include <algorithm>
#include <iterator>

namespace tributary {
namespace {

constexpr std::size_t kAttempts = 3;
constexpr std::size_t kAttemptsAlone = 2;  // the same machine again: one more try is enough

bool contains(const std::vector<int>& ranks, int rank) {
  return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
}

}  // namespace

RankHealth::RankHealth(int ranks, std::vector<int> nodes) : ranks_(static_cast<std::size_t>(std::max(0, ranks))) {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    ranks_[rank].node = rank < nodes.size() ? nodes[rank] : static_cast<int>(rank);
  }
}

void RankHealth::computed(int rank, double cost, double seconds) {
  if (cost <= 0 || seconds <= 0) return;
  double& pace = state(rank).seconds_per_cost;
  pace = pace > 0 ? (pace + seconds / cost) / 2 : seconds / cost;
}

double RankHealth::seconds_per_cost(int rank) const { return state(rank).seconds_per_cost; }

void RankHealth::went_well(int rank) {
  state(rank).wrong_in_a_row = 0;
  state(rank).proved = true;
}

bool RankHealth::went_wrong(int rank) {
  Rank& mine = state(rank);
  mine.proved = false;
  if (mine.benched || ++mine.wrong_in_a_row < blocks_until_benched) return false;
  mine.benched = true;
  for (auto& [unit, failed_on] : failed_on_) std::erase(failed_on, rank);
  return true;
}

bool RankHealth::all_benched() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.benched; });
}

std::size_t RankHealth::attempts() const { return ranks_.size() == 1 ? kAttemptsAlone : kAttempts; }

bool RankHealth::may_try_again(int rank, std::int64_t unit) {
  std::vector<int>& failed_on = failed_on_[unit];
  if (!benched(rank)) failed_on.push_back(rank);
  return failed_on.size() < attempts();
}

/// Whether there is a rank, not benched, of which this holds.
template <typename Holds>
bool RankHealth::some_computes(const Holds& holds) const {
  for (int rank = 0; rank < std::ssize(ranks_); ++rank) {
    if (!benched(rank) && holds(rank)) return true;
  }
  return false;
}

bool RankHealth::may_compute(int rank, std::int64_t unit, Elsewhere elsewhere) const {
  if (benched(rank)) return false;
  const auto found = failed_on_.find(unit);
  if (found == failed_on_.end() || found->second.empty()) return true;
  const std::vector<int>& failed_on = found->second;
  const bool last_attempt = failed_on.size() + 1 >= attempts();
  if (last_attempt && !state(rank).proved) {
    const auto fits_better = [&](int one) { return state(one).proved && !contains(failed_on, one); };
    if (elsewhere == Elsewhere::work || some_computes(fits_better)) return false;
  }
  return fits_best(rank, failed_on);
}

bool RankHealth::fits_best(int rank, const std::vector<int>& failed_on) const {
  const auto has_failed = [&failed_on](int one) { return contains(failed_on, one); };
  const auto machine_has_failed = [&](int one) {
    return std::any_of(failed_on.begin(), failed_on.end(),
                       [&](int failed) { return state(failed).node == state(one).node; });
  };
  const auto was_last = [&failed_on](int one) { return failed_on.back() == one; };
  // From the best fit to the worst: a rank may go as far as there is none left that fits better.
  if (some_computes([&](int one) { return !machine_has_failed(one); })) return !machine_has_failed(rank);
  if (some_computes([&](int one) { return !has_failed(one); })) return !has_failed(rank);
  if (some_computes([&](int one) { return !was_last(one); })) return !was_last(rank);
  return true;
}

}  // namespace tributary
