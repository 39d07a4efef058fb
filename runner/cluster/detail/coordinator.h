// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rank 0's side of a stage: gives blocks to its own workers and to the other ranks by the same rules,
// folds what comes back and tells everyone how it ended. Runs in the main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runner/cluster/detail/stage_protocol.h"
#include "runner/cluster/fold.h"
#include "runner/cluster/messages.h"
#include "runner/cluster/scheduler.h"

namespace tributary::detail {

class Coordinator {
 public:
  Coordinator(const StageContext& context, const std::vector<std::int64_t>& threads_by_rank);

  StageResult run();

 private:
  using Clock = std::chrono::steady_clock;

  /// What rank 0 knows of a rank. Blocks given and results received say how many workers are idle.
  struct Rank {
    std::int64_t threads = 0;
    std::map<std::int64_t, Block> held;  // by id, so the oldest is first
    Clock::time_point heard;             // given work after having none, or heard of
    std::int64_t warned = -1;            // the block that a warning was given about
    Amount returned;                     // in results received
    Amount ticked;                       // computed by its own account, blocks in flight included
  };

  void restore();
  void hear(int rank);
  void warn_of_silence();
  [[nodiscard]] std::vector<RankActivity> busy_ranks() const;
  void step();
  void hand_out();
  bool hand_out_one(int rank, Demand demand);
  bool receive();
  void handle(const Message& message);
  void take_result(int rank, BlockResult result);
  void keep(BlockResult result);
  void begin_stop();
  void end_early(MessageKind how);
  void report_progress();
  void give_up() noexcept;
  void await_blocks_out();
  void finish(const Ending& ending);
  StageResult take_results();
  [[nodiscard]] int ranks() const { return static_cast<int>(ranks_.size()); }
  [[nodiscard]] Amount amount_in(const BlockResult& result) const;

  StageContext context_;
  std::vector<Rank> ranks_;
  Scheduler scheduler_;
  std::vector<LaneFold> folds_;
  std::optional<Mailbox> mailbox_;  // none when alone
  StageResult result_;
  Amount restored_;
  bool stopping_ = false;
  PollInterval poll_interval_;
  Clock::time_point next_report_;
};

}  // namespace tributary::detail
