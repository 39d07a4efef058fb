// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/workers.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <iterator>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/errors.h"
#include "common/team.h"
#include "runner/cluster/fold.h"
#include "runner/cluster/stopping.h"

namespace tributary {
namespace {

/// The text of the exception being handled.
std::string current_exception_text() {
  try {
    throw;
  } catch (const std::exception& problem) {
    return problem.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace

WorkerThreads shared_threads(const std::vector<UnitSpec>& units, const std::vector<std::int64_t>& most_at_once,
                             int threads, std::int64_t ranks) {
  std::map<std::int64_t, std::int64_t> lanes;  // units
  for (const UnitSpec& unit : units) ++lanes[unit.lane];
  std::int64_t runs = 0;
  for (const auto& [lane, count] : lanes) {
    const std::int64_t most = most_at_once.empty() ? 1 : most_at_once.at(static_cast<std::size_t>(lane));
    runs += (count + most - 1) / most;
  }
  const auto workers = static_cast<int>(std::clamp<std::int64_t>((runs + ranks - 1) / ranks, 1, threads));
  return {workers, threads / workers};
}

Workers::Workers(const UnitTable& table, const ComputeUnit& compute, const WriteBlock& write, int rank,
                 WorkerThreads threads, const std::function<void()>& on_thread_start, RunsAtOnce at_once)
    : table_(table), compute_(compute), write_(write), at_once_(std::move(at_once)), rank_(rank) {
  TRIBUTARY_EXPECT(threads.workers >= 1 && threads.team >= 1, "a rank needs at least one worker thread");
  try {
    start(threads, on_thread_start);
  } catch (...) {
    join();
    throw;
  }
}

Workers::~Workers() { join(); }

namespace {

/// How the threads' first steps went. All of them own it: where one cannot be made, those that were outlive start().
struct FirstSteps {
  explicit FirstSteps(int threads) : problems(static_cast<std::size_t>(threads)), begun(threads) {}

  std::vector<std::exception_ptr> problems;
  std::latch begun;
};

}  // namespace

void Workers::start(WorkerThreads threads, const std::function<void()>& on_thread_start) {
  const auto steps = std::make_shared<FirstSteps>(threads.workers);
  for (int worker = 0; worker < threads.workers; ++worker) {
    threads_.emplace_back([this, worker, threads, on_thread_start, steps] {
      std::optional<Team> team;
      try {
        if (on_thread_start) on_thread_start();
        team.emplace(threads.team);
      } catch (...) {
        steps->problems[static_cast<std::size_t>(worker)] = std::current_exception();
      }
      steps->begun.count_down();
      work(worker);
    });
  }
  steps->begun.wait();
  for (const std::exception_ptr& problem : steps->problems) {
    if (problem) std::rethrow_exception(problem);
  }
}

void Workers::join() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    cancelled_ = true;
    todo_.clear();
  }
  work_arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::push(const Block& block) {
  {
    const std::lock_guard lock(mutex_);
    todo_.push_back(block);
  }
  work_arrived_.notify_one();
}

std::optional<BlockResult> Workers::pop() {
  const std::lock_guard lock(mutex_);
  if (finished_.empty()) return std::nullopt;
  BlockResult result = std::move(finished_.front());
  finished_.pop_front();
  return result;
}

void Workers::wait(std::chrono::microseconds longest) {
  std::unique_lock lock(mutex_);
  block_finished_.wait_for(lock, longest, [this] { return !finished_.empty(); });
}

void Workers::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
}

bool Workers::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

Amount Workers::computed() const {
  const std::lock_guard lock(mutex_);
  return computed_;
}

void Workers::work(int worker) {
  while (const std::optional<Block> block = take_block()) {
    BlockResult result = compute_block(*block, worker);
    write_block(*block, result);
    {
      const std::lock_guard lock(mutex_);
      finished_.push_back(std::move(result));
    }
    block_finished_.notify_one();
  }
}

std::optional<Block> Workers::take_block() {
  std::unique_lock lock(mutex_);
  work_arrived_.wait(lock, [this] { return closing_ || !todo_.empty(); });
  if (closing_) return std::nullopt;
  const Block block = todo_.front();
  todo_.pop_front();
  return block;
}

void Workers::write_block(const Block& block, BlockResult& result) {
  if (!write_ || result.nodes.empty()) return;
  try {
    write_(result);
  } catch (...) {
    not_heard_of(block, current_exception_text(), result);
  }
}

/// Nobody hears of numbers that are not on disk: the block's units have failed here, and may do better elsewhere.
void Workers::not_heard_of(const Block& block, const std::string& why, BlockResult& result) {
  result.unwritten = why;
  result.nodes.clear();
  result.rows.clear();
  const std::lock_guard lock(mutex_);
  std::vector<FailedUnit> failed;  // in the order of the block, whose last units are those that were not begun
  auto next = result.failed.begin();
  const std::int64_t last = block.first + block.count - std::ssize(result.unstarted);
  for (std::int64_t index = block.first; index < last; ++index) {
    const std::int64_t unit = table_.unit_at(block.lane, index);
    if (next != result.failed.end() && next->unit == unit) {
      failed.push_back(std::move(*next++));
    } else {
      failed.push_back({unit, rank_, why});
      --computed_.units;
      computed_.cost -= table_.spec(unit).cost;
    }
  }
  result.failed = std::move(failed);
}

BlockResult Workers::compute_block(const Block& block, int worker) {
  const auto start = std::chrono::steady_clock::now();
  BlockResult result;
  result.block = block.id;
  LaneFold fold(block.lane, table_.lane_size(block.lane));
  const std::int64_t most = at_once_.most.empty() ? 1 : at_once_.most.at(static_cast<std::size_t>(block.lane));
  const std::int64_t end = block.first + block.count;
  std::int64_t next = block.first;
  for (bool going = true; going && next < end;) {
    const Block run{block.id, block.lane, next, std::min(most, end - next)};
    const std::int64_t tried = compute_run(run, worker, fold, result);
    going = tried == run.count;
    next += tried;
  }
  for (; next < end; ++next) result.unstarted.push_back(table_.unit_at(block.lane, next));
  result.nodes = fold.take_partials();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

/// How many of the run's units were tried before a stop.
std::int64_t Workers::compute_run(const Block& run, int worker, LaneFold& fold, BlockResult& result) {
  try {
    if (run.count > 1 && !cancelled() && at_once_.compute && compute_at_once(run, worker, fold, result))
      return run.count;
  } catch (const Stopped&) {
    return 0;
  }
  std::int64_t tried = 0;
  while (tried < run.count && !cancelled() &&
         compute_unit(table_.unit_at(run.lane, run.first + tried), worker, fold, result)) {
    ++tried;
  }
  return tried;
}

/// False when something went wrong, which may be with one of the units alone.
bool Workers::compute_at_once(const Block& run, int worker, LaneFold& fold, BlockResult& result) {
  std::vector<std::int64_t> units;
  for (std::int64_t i = 0; i < run.count; ++i) units.push_back(table_.unit_at(run.lane, run.first + i));
  RunResult computed;
  try {
    computed = at_once_.compute(units, worker);
    TRIBUTARY_EXPECT(std::ssize(computed.rows) == run.count, "a run gives rows for each of its units");
    const auto level = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(run.count - 1)));
    fold.add({run.lane, level, run.first >> level, std::move(computed.sum), std::move(computed.sparse)});
  } catch (const Stopped&) {
    throw;
  } catch (...) {
    return false;
  }
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (!computed.rows[i].empty()) result.rows.push_back({units[i], std::move(computed.rows[i])});
    count(units[i]);
  }
  return true;
}

/// False when the unit was left undone because of a stop.
bool Workers::compute_unit(std::int64_t unit, int worker, LaneFold& fold, BlockResult& result) {
  const UnitSpec& spec = table_.spec(unit);
  try {
    UnitResult computed = compute_(unit, worker);
    fold.add({spec.lane, 0, spec.index, std::move(computed.sum), std::move(computed.sparse)});
    if (!computed.rows.empty()) result.rows.push_back({unit, std::move(computed.rows)});
  } catch (const Stopped&) {
    return false;
  } catch (...) {
    result.failed.push_back({unit, rank_, current_exception_text()});
    return true;
  }
  count(unit);
  return true;
}

void Workers::count(std::int64_t unit) {
  const std::lock_guard lock(mutex_);
  ++computed_.units;
  computed_.cost += table_.spec(unit).cost;
}

}  // namespace tributary
