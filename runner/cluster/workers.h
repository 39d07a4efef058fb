// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The worker threads of one rank: blocks go in, finished blocks come out. Knows no MPI and no scheduling.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runner/cluster/units.h"

namespace tributary {

/// Computes one unit in worker thread `worker` (0 … threads − 1); called by several threads at once.
/// What it throws fails the unit (anything at all), except Stopped, which leaves it undone.
using ComputeUnit = std::function<UnitResult(std::int64_t unit, int worker)>;

/// Computes an aligned run of two units or more at once, with the bits that they have one by one: neighbours in a
/// lane, fewer than a power of two only where it ends. Where it throws anything but Stopped, the run's units are
/// computed one by one.
using ComputeRun = std::function<RunResult(const std::vector<std::int64_t>& units, int worker)>;

/// Which units of a stage are computed at once.
struct RunsAtOnce {
  ComputeRun compute;              //!< empty: units are computed one by one
  std::vector<std::int64_t> most;  //!< by lane: units of a run, a power of two; empty: 1
};

/// How the threads of a rank are used.
struct WorkerThreads {
  int workers = 1;  //!< that compute units, one each at a time
  int team = 1;     //!< threads that share the loops of one unit, the worker included
};

/// How a rank's threads are used where several may share a unit: those that would find no run of units of their own in
/// a stage share the runs of others, so that weights are read once for all of them. most_at_once as in
/// RunsAtOnce::most.
WorkerThreads shared_threads(const std::vector<UnitSpec>& units, const std::vector<std::int64_t>& most_at_once,
                             int threads, std::int64_t ranks);

/// Writes a finished block; called in the worker thread, before anyone hears of the block.
using WriteBlock = std::function<void(const BlockResult&)>;

class Workers {
 public:
  /// Starts the threads, each with a team of its own (common/team.h); each runs `on_thread_start` (may be empty) first.
  /// Returns when all have, and throws what the hook threw. The table and the functions must outlive the workers.
  /// `write` may be empty.
  Workers(const UnitTable& table, const ComputeUnit& compute, const WriteBlock& write, int rank, WorkerThreads threads,
          const std::function<void()>& on_thread_start, RunsAtOnce at_once = {});
  ~Workers();  //!< waits for blocks in flight; drops those not begun
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void push(const Block& block);

  /// A finished block, if there is one.
  std::optional<BlockResult> pop();

  /// Sleeps until a block is finished, at most this long.
  void wait(std::chrono::microseconds longest);

  /// Units begun are finished, all others come back as unstarted.
  void cancel();

  /// All that has been computed so far, blocks in flight included.
  [[nodiscard]] Amount computed() const;

 private:
  void start(WorkerThreads threads, const std::function<void()>& on_thread_start);
  void join();
  void work(int worker);
  std::optional<Block> take_block();
  void write_block(const Block& block, BlockResult& result);
  void not_heard_of(const Block& block, const std::string& why, BlockResult& result);
  BlockResult compute_block(const Block& block, int worker);
  std::int64_t compute_run(const Block& run, int worker, class LaneFold& fold, BlockResult& result);
  bool compute_at_once(const Block& run, int worker, class LaneFold& fold, BlockResult& result);
  bool compute_unit(std::int64_t unit, int worker, class LaneFold& fold, BlockResult& result);
  void count(std::int64_t unit);
  [[nodiscard]] bool cancelled() const;

  const UnitTable& table_;
  const ComputeUnit& compute_;
  const WriteBlock& write_;
  RunsAtOnce at_once_;
  int rank_;
  mutable std::mutex mutex_;  // guards everything below but the threads
  std::condition_variable work_arrived_;
  std::condition_variable block_finished_;
  std::deque<Block> todo_;
  std::deque<BlockResult> finished_;
  Amount computed_;
  bool cancelled_ = false;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tributary
