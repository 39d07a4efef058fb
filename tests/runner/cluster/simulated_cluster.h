// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A cluster that exists only as numbers: ranks with speeds and failures around a real Scheduler, its own
// time, and checks that every block handed out has a lawful shape.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runner/cluster/fold.h"
#include "runner/cluster/scheduler.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary::testing {

/// Ranks that compute blocks at given speeds; time is a number.
class Cluster {
 public:
  Cluster(const std::vector<UnitSpec>& units, const SchedulerOptions& options, int threads)
      : table_(units), scheduler_(table_, options), options_(options), threads_(threads), speed_(options.ranks, 1.0) {
    for (std::int64_t lane = 0; lane < table_.lanes(); ++lane) folds_.emplace_back(lane, table_.lane_size(lane));
    computed_.resize(units.size());
  }

  std::function<bool(std::int64_t unit, int rank)> fails = [](std::int64_t, int) { return false; };
  std::function<double(std::mt19937&)> jitter = [](std::mt19937&) { return 1.0; };

  void set_speed(int rank, double cost_per_second) { speed_[rank] = cost_per_second; }
  Scheduler& scheduler() { return scheduler_; }

  /// Runs until the scheduler says it is finished; then everything must be accounted for.
  void run(unsigned seed) {
    std::mt19937 random(seed);
    while (!scheduler_.finished()) {
      hand_out(random);
      ASSERT_FALSE(running_.empty()) << "the scheduler waits for nothing";
      finish(std::min_element(running_.begin(), running_.end(),
                              [](const Running& a, const Running& b) { return a.end < b.end; }));
    }
    EXPECT_TRUE(scheduler_.hopeless() || scheduler_.units_left() == 0);
  }

  const UnitTable& table() const { return table_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const std::vector<int>& computed() const { return computed_; }
  const std::vector<FailedUnit>& given_up() const { return given_up_; }
  const std::vector<double>& durations() const { return durations_; }
  std::vector<int> ranks_tried(std::int64_t unit) const {
    const auto found = ranks_tried_.find(unit);
    return found == ranks_tried_.end() ? std::vector<int>{} : found->second;
  }
  const std::vector<int>& benched() const { return benched_; }
  double now() const { return now_; }
  std::vector<std::vector<double>> sums() {
    std::vector<std::vector<double>> sums;
    for (LaneFold& fold : folds_) sums.push_back(fold.take());
    return sums;
  }

 private:
  struct Running {
    int rank;
    Block block;
    double start;
    double end;
  };

  void hand_out(std::mt19937& random) {
    std::vector<int> ranks(options_.ranks);
    std::iota(ranks.begin(), ranks.end(), 0);
    std::shuffle(ranks.begin(), ranks.end(), random);
    for (int round = 0; round < threads_; ++round) {
      for (const int rank : ranks) {
        const auto busy = std::count_if(running_.begin(), running_.end(), [&](auto& r) { return r.rank == rank; });
        if (busy > round) continue;
        if (const std::optional<Block> block = scheduler_.next(rank)) {
          check_shape(*block);
          blocks_.push_back(*block);
          running_.push_back({rank, *block, now_, now_ + cost(*block) / speed_[rank] * jitter(random)});
        }
      }
    }
  }

  void check_shape(const Block& block) const {
    const std::int64_t lane_size = table_.lane_size(block.lane);
    ASSERT_GE(block.first, 0);
    ASSERT_GT(block.count, 0);
    ASSERT_LE(block.first + block.count, lane_size);
    std::int64_t span = 1;
    while (span < block.count) span *= 2;
    EXPECT_EQ(block.first % span, 0) << "not aligned";
    EXPECT_TRUE(block.count == span || block.first + block.count == lane_size) << "neither full nor at the end";
    const std::int64_t at_once = options_.at_once.empty() ? 1 : options_.at_once[block.lane];
    EXPECT_LE(block.count, std::max(at_once, table_.size() / (options_.workers * 4)));
  }

  double cost(const Block& block) const {
    double cost = 0;
    for (std::int64_t i = 0; i < block.count; ++i) {
      cost += table_.spec(table_.unit_at(block.lane, block.first + i)).cost;
    }
    return cost;
  }

  void finish(std::vector<Running>::iterator running) {
    const auto [rank, block, start, end] = *running;
    running_.erase(running);
    now_ = end;
    durations_.push_back(end - start);
    BlockResult result;
    result.block = block.id;
    result.seconds = end - start;
    LaneFold fold(block.lane, table_.lane_size(block.lane));
    for (std::int64_t index = block.first; index < block.first + block.count; ++index) {
      const std::int64_t unit = table_.unit_at(block.lane, index);
      if (fails(unit, rank)) {
        ranks_tried_[unit].push_back(rank);
        result.failed.push_back({unit, rank, "on rank " + std::to_string(rank)});
      } else {
        ++computed_[unit];
        fold.add({block.lane, 0, index, make_result(table_.spec(unit), unit).sum});
      }
    }
    std::vector<FailedUnit> given_up = scheduler_.finish(rank, result);
    if (scheduler_.newly_benched()) benched_.push_back(*scheduler_.newly_benched());
    for (FailedUnit& failure : given_up) {
      folds_[block.lane].skip(table_.spec(failure.unit).index);
      given_up_.push_back(std::move(failure));
    }
    for (TreeNode& node : fold.take_partials()) folds_[block.lane].add(std::move(node));
  }

  UnitTable table_;
  Scheduler scheduler_;
  SchedulerOptions options_;
  int threads_;
  std::vector<double> speed_;
  std::vector<LaneFold> folds_;
  std::vector<Running> running_;
  std::vector<Block> blocks_;
  std::vector<int> computed_;
  std::vector<double> durations_;
  std::vector<FailedUnit> given_up_;
  std::vector<int> benched_;
  std::map<std::int64_t, std::vector<int>> ranks_tried_;
  double now_ = 0;
};

}  // namespace tributary::testing
