// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the two sides of a stage share: the pieces every rank holds and the payloads of short messages.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/units.h"
#include "runner/cluster/workers.h"

namespace tributary::detail {

/// How long a main thread sleeps between looking for messages: 0.2 ms while there is traffic, up to 2 ms
/// when it is quiet. Polling every 0.2 ms costs 6 % of a core that a worker could use.
class PollInterval {
 public:
  void reset() { interval_ = kShortest; }
  [[nodiscard]] std::chrono::microseconds next() {
    return std::exchange(interval_, std::min(kLongest, interval_ + interval_ / 4));
  }

 private:
  static constexpr std::chrono::microseconds kShortest{200};
  static constexpr std::chrono::microseconds kLongest{2000};
  std::chrono::microseconds interval_ = kShortest;
};

/// References to what lives as long as the stage runs on this rank.
struct StageContext {
  const Communicator& comm;
  const UnitTable& table;
  Workers& workers;
  const StageOptions& options;

  [[nodiscard]] bool stop_requested() const { return options.stop != nullptr && options.stop->requested(); }
  void request_stop() const {
    if (options.stop != nullptr) options.stop->request();
  }
};

/// How a stage ended, told to all ranks.
struct Ending {
  bool any_failed = false;
  bool stopped = false;
  bool broken = false;  //!< rank 0 had to give up
};

std::vector<std::byte> encode(const Ending& ending);
Ending decode_ending(std::span<const std::byte> bytes);

std::vector<std::byte> encode(const Amount& amount);
Amount decode_amount(std::span<const std::byte> bytes);

}  // namespace tributary::detail
