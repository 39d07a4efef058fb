// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the two sides of a stage share: the pieces every rank holds and the payloads of short messages.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "runner/stage.h"

namespace tributary::detail {

/// How long a rank's main thread sleeps when there is nothing to do and messages may come.
constexpr std::chrono::microseconds kPollEvery{200};

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
