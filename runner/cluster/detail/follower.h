// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The side of a stage on ranks other than 0: passes blocks from rank 0 to the workers and their results
// back. Runs in the main thread.
#pragma once

#include <chrono>
#include <optional>

#include "runner/cluster/detail/stage_protocol.h"
#include "runner/cluster/messages.h"

namespace tributary::detail {

class Follower {
 public:
  explicit Follower(const StageContext& context);

  StageResult run();

 private:
  std::optional<Ending> receive();
  void handle(const Message& message);
  void send_results();
  void send_stop();
  void send_tick();

  StageContext context_;
  Mailbox mailbox_;
  bool stop_sent_ = false;
  PollInterval poll_interval_;
  Amount ticked_;
  std::chrono::steady_clock::time_point next_tick_;
  std::chrono::steady_clock::time_point last_tick_ = std::chrono::steady_clock::now();
};

}  // namespace tributary::detail
