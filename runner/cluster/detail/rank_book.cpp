// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/detail/rank_book.h"

#include <algorithm>
#include <iterator>

namespace tributary::detail {

RankBook::RankBook(const std::vector<std::int64_t>& threads_by_rank) {
  for (const std::int64_t threads : threads_by_rank) ranks_.push_back({.threads = threads});
}

bool RankBook::has_room(int rank, Demand demand) const {
  const std::int64_t enough = ranks_[rank].threads + (demand == Demand::Prefetch ? 1 : 0);
  return std::ssize(ranks_[rank].held) < enough;
}

void RankBook::give(int rank, const Block& block) {
  if (ranks_[rank].held.empty()) hear(rank);
  ranks_[rank].held.emplace(block.id, block);
}

void RankBook::take_back(int rank, std::int64_t block) { ranks_.at(rank).held.erase(block); }

bool RankBook::any_has_work() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return !rank.held.empty(); });
}

void RankBook::hear(int rank) {
  ranks_.at(rank).heard = Clock::now();
  ranks_[rank].warned = -1;
}

void RankBook::add_returned(int rank, const Amount& amount) { ranks_[rank].returned += amount; }

void RankBook::set_computed(int rank, const Amount& amount) {
  if (amount.units > ranks_.at(rank).computed.units) hear(rank);
  ranks_[rank].computed = amount;
}

Amount RankBook::computed() const {
  Amount all;
  for (const Rank& rank : ranks_) {
    all += {std::max(rank.computed.units, rank.returned.units), std::max(rank.computed.cost, rank.returned.cost)};
  }
  return all;
}

std::vector<RankActivity> RankBook::busy() const {
  std::vector<RankActivity> busy;
  for (int rank = 0; rank < ranks(); ++rank) {
    if (ranks_[rank].held.empty()) continue;
    const Block& block = ranks_[rank].held.begin()->second;
    const std::chrono::duration<double> silent = Clock::now() - ranks_[rank].heard;
    busy.push_back({rank, block.lane, block.first, block.count, silent.count()});
  }
  return busy;
}

std::vector<RankActivity> RankBook::newly_silent(double seconds) {
  std::vector<RankActivity> silent = busy();
  std::erase_if(silent, [&](const RankActivity& activity) {
    Rank& rank = ranks_[activity.rank];
    const std::int64_t oldest = rank.held.begin()->first;
    if (activity.silent < seconds || rank.warned == oldest) return true;
    rank.warned = oldest;
    return false;
  });
  return silent;
}

}  // namespace tributary::detail
