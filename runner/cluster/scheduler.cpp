// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/scheduler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {
namespace {

// Blocks a worker gets at the least, were all of one size: a slow one can be evened out by the others.
constexpr std::int64_t kBlocksPerWorker = 4;

std::int64_t power_of_two_up(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n)));
}

std::int64_t power_of_two_down(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n)));
}

}  // namespace

bool Scheduler::GoesFirst::operator()(const Run& a, const Run& b) const {
  return std::tuple(-a.priority, a.lane, a.first) < std::tuple(-b.priority, b.lane, b.first);
}

Scheduler::Scheduler(const UnitTable& table, const SchedulerOptions& options)
    : table_(table),
      options_(options),
      largest_block_(power_of_two_down(
          std::max<std::int64_t>(1, table.size() / std::max<std::int64_t>(1, options.workers * kBlocksPerWorker)))),
      done_before_(table.lanes()),
      health_(options.ranks, options.nodes),
      units_left_(table.size()) {
  TRIBUTARY_EXPECT(options.ranks > 0 && options.workers > 0, "a stage needs ranks and workers");
  TRIBUTARY_EXPECT(options.block_seconds > 0, "blocks need some time");
  TRIBUTARY_EXPECT(options.at_once.empty() || std::ssize(options.at_once) == table.lanes(), "a number for each lane");
  TRIBUTARY_EXPECT(std::all_of(options.at_once.begin(), options.at_once.end(),
                               [](std::int64_t n) { return n > 0 && power_of_two_down(n) == n; }),
                   "units computed at once are a power of two");
  for (std::int64_t lane = 0; lane < table.lanes(); ++lane) done_before_[lane].resize(table.lane_size(lane));
}

void Scheduler::mark_done(std::int64_t lane, std::int64_t first, std::int64_t last) {
  TRIBUTARY_EXPECT(!started_, "units can be marked done only before the first block is handed out");
  TRIBUTARY_EXPECT(lane >= 0 && lane < table_.lanes() && 0 <= first && first < last && last <= table_.lane_size(lane),
                   "no such units");
  for (std::int64_t index = first; index < last; ++index) {
    TRIBUTARY_EXPECT(!done_before_[lane][index], "a unit is marked done twice");
    done_before_[lane][index] = true;
    --units_left_;
  }
}

void Scheduler::free_pending_units() {
  started_ = true;
  for (std::int64_t lane = 0; lane < table_.lanes(); ++lane) {
    const std::int64_t largest = std::max(largest_block_, at_once(lane));
    for (std::int64_t first = 0; first < table_.lane_size(lane); first += largest) {
      free_aligned(lane, first, largest, done_before_[lane]);
    }
  }
  done_before_.clear();
}

void Scheduler::free_aligned(std::int64_t lane, std::int64_t first, std::int64_t span, const std::vector<bool>& done) {
  const std::int64_t last = std::min(first + span, std::ssize(done));
  if (first >= last) return;
  const auto done_units = std::count(done.begin() + first, done.begin() + last, true);
  if (done_units == last - first) return;
  if (done_units == 0) {
    free_run(lane, first, last - first);
  } else {
    free_aligned(lane, first, span / 2, done);
    free_aligned(lane, first + span / 2, span / 2, done);
  }
}

void Scheduler::free_run(std::int64_t lane, std::int64_t first, std::int64_t count) {
  Run run{lane, first, count};
  double dearest = 0;
  for (std::int64_t index = first; index < first + count; ++index) {
    const double cost = table_.spec(table_.unit_at(lane, index)).cost;
    run.cost += cost;
    dearest = std::max(dearest, cost);
  }
  run.priority = options_.order == Order::Shuffled ? static_cast<double>(hash(run) >> 11) : dearest;
  free_units_ += count;
  free_cost_ += run.cost;
  free_.insert(run);
}

std::uint64_t Scheduler::hash(const Run& run) const {
  std::uint64_t value = mixed(options_.seed);
  for (const std::int64_t part : {run.lane, run.first, run.count})
    value = mixed(value ^ static_cast<std::uint64_t>(part));
  return value;
}

std::int64_t Scheduler::at_once(std::int64_t lane) const {
  return options_.at_once.empty() ? 1 : options_.at_once.at(static_cast<std::size_t>(lane));
}

bool Scheduler::fits(const Run& run, int rank) const {
  if (run.count == 1) return true;
  if (options_.order == Order::Shuffled) return hash(run) % 3 == 0;
  // Units that are computed at once are quicker so than evened out over the workers one by one.
  const bool in_one = run.count <= at_once(run.lane);
  const double share = free_cost_ / static_cast<double>(options_.workers * (in_one ? 1 : kBlocksPerWorker));
  if (run.cost > share) return false;
  if (std::isinf(options_.block_seconds)) return true;
  const double pace = health_.seconds_per_cost(rank);
  return pace > 0 ? run.cost * pace <= options_.block_seconds : in_one;
}

std::optional<Block> Scheduler::next(int rank, Demand demand) {
  TRIBUTARY_EXPECT(rank >= 0 && rank < options_.ranks, "no such rank");
  if (stopped_ || health_.benched(rank)) return std::nullopt;
  if (!started_) free_pending_units();
  if (demand == Demand::Prefetch && free_units_ + std::ssize(retries_) < options_.workers) return std::nullopt;
  if (std::optional<Block> retry = next_retry(rank)) return retry;
  if (free_.empty()) return std::nullopt;
  for (;;) {
    const Run run = *free_.begin();
    const bool whole = fits(run, rank);
    free_.erase(free_.begin());
    free_units_ -= run.count;
    free_cost_ -= run.cost;
    if (whole) return hand_out(rank, run.lane, run.first, run.count);
    const std::int64_t half = power_of_two_up(run.count) / 2;
    free_run(run.lane, run.first, half);
    free_run(run.lane, run.first + half, run.count - half);
  }
}

std::optional<Block> Scheduler::next_retry(int rank) {
  const bool nothing_else = free_.empty() && out_.empty();
  const auto elsewhere = nothing_else ? RankHealth::Elsewhere::none : RankHealth::Elsewhere::work;
  const auto found = std::find_if(retries_.begin(), retries_.end(), [&](const FailedUnit& failed) {
    return health_.may_compute(rank, failed.unit, elsewhere);
  });
  if (found == retries_.end()) return std::nullopt;
  const UnitSpec& spec = table_.spec(found->unit);
  retries_.erase(found);
  return hand_out(rank, spec.lane, spec.index, 1);
}

Block Scheduler::hand_out(int rank, std::int64_t lane, std::int64_t first, std::int64_t count) {
  const Block block{next_id_++, lane, first, count};
  out_.emplace(block.id, Handed{rank, block});
  return block;
}

std::vector<FailedUnit> Scheduler::finish(int rank, const BlockResult& result) {
  const auto handed = out_.find(result.block);
  TRIBUTARY_EXPECT(handed != out_.end() && handed->second.rank == rank,
                   "block " + std::to_string(result.block) + " is not out on rank " + std::to_string(rank));
  const Block block = handed->second.block;
  const std::int64_t computed = block.count - std::ssize(result.failed) - std::ssize(result.unstarted);
  TRIBUTARY_EXPECT(computed >= 0, "a block came back with more units than it had");
  out_.erase(handed);
  units_left_ -= computed;
  judge(rank, block, result);

  for (const std::int64_t unit : result.unstarted) free_run(block.lane, table_.spec(unit).index, 1);
  std::vector<FailedUnit> given_up;
  for (const FailedUnit& failure : result.failed) {
    (health_.may_try_again(rank, failure.unit) ? retries_ : given_up).push_back(failure);
  }
  if (hopeless_) given_up.insert(given_up.end(), retries_.begin(), retries_.end());
  if (hopeless_) retries_.clear();
  units_left_ -= std::ssize(given_up);
  return given_up;
}

/// What a block that came back says of the rank.
void Scheduler::judge(int rank, const Block& block, const BlockResult& result) {
  health_.computed(rank, computed_cost(block, result), result.seconds);
  newly_benched_.reset();
  const std::int64_t begun = block.count - std::ssize(result.unstarted);
  if (std::ssize(result.failed) < begun) health_.went_well(rank);
  if (result.failed.empty()) return;
  // Units are computed in their order: what counts is how the rank was in the end.
  if (result.failed.back().unit != table_.unit_at(block.lane, block.first + begun - 1)) return;
  if (health_.went_wrong(rank)) newly_benched_ = rank;
  hopeless_ = health_.all_benched();
  stopped_ = stopped_ || hopeless_;
}

/// Units that failed are left out: a rank that fails at once is not fast.
double Scheduler::computed_cost(const Block& block, const BlockResult& result) const {
  double cost = 0;
  for (std::int64_t index = block.first; index < block.first + block.count; ++index) {
    cost += table_.spec(table_.unit_at(block.lane, index)).cost;
  }
  for (const std::int64_t unit : result.unstarted) cost -= table_.spec(unit).cost;
  for (const FailedUnit& failure : result.failed) cost -= table_.spec(failure.unit).cost;
  return result.failed.size() + result.unstarted.size() == static_cast<std::size_t>(block.count) ? 0 : cost;
}

bool Scheduler::finished() const {
  if (!out_.empty()) return false;
  return stopped_ || units_left_ == 0;
}

}  // namespace tributary
