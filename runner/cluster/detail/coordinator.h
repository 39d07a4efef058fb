// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rank 0's side of a stage: gives blocks to its own workers and to the other ranks by the same rules,
// folds what comes back and tells everyone how it ended. Runs in the main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runner/cluster/detail/rank_book.h"
#include "runner/cluster/detail/stage_protocol.h"
#include "runner/cluster/fold_sink.h"
#include "runner/cluster/messages.h"
#include "runner/cluster/scheduler.h"

namespace tributary::detail {

class Coordinator {
 public:
  Coordinator(const StageContext& context, const std::vector<std::int64_t>& threads_by_rank);

  StageResult run();

 private:
  using Clock = std::chrono::steady_clock;

  void restore();
  void step();
  void hand_out();
  bool hand_out_one(int rank, Demand demand);
  void may_take_more(const BlockResult& result, int rank);
  bool receive();
  void handle(const Message& message);
  void take_result(int rank, BlockResult result);
  void begin_stop();
  void end_early(MessageKind how);
  void report_progress();
  void warn_of_silence();
  void warn_of_failure(int rank, const std::string& text);
  void warn_of_benched(int rank, const std::string& text);
  [[nodiscard]] std::string name_of(int rank) const;
  void give_up() noexcept;
  void await_blocks_out();
  void finish(const Ending& ending);

  StageContext context_;
  RankBook ranks_;
  Scheduler scheduler_;
  FoldSink sink_;
  std::optional<Mailbox> mailbox_;  // none when alone
  std::set<int> askers_;            // ranks that may get a block now; the others could not a moment ago
  StageResult result_;
  Amount restored_;
  bool stopping_ = false;
  bool told_of_failure_ = false;
  PollInterval poll_interval_;
  Clock::time_point next_report_;
};

}  // namespace tributary::detail
