// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the command line says of a sweep: its file, where results go, and how the program goes about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/scheduler.h"
#include "runner/machine/device.h"

namespace tributary {

enum class OnFailure { go_on, stop };
/// What to do with results whose bytes are not those that were written.
enum class Changed { refuse, set_aside };
enum class Fresh { no, yes };

/// `plan`: what to plan for; nothing: this machine.
struct PlannedMachines {
  std::optional<std::int64_t> ranks;
  std::optional<std::int64_t> nodes;
  std::optional<std::int64_t> cards;  //!< in all, a rank each
  std::string memory;                 //!< that a rank may take, on a card the card's ("24G"); empty: as the file says
};

struct RunArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;  //!< "key.path=value"
  std::filesystem::path out;           //!< empty: results/<name>
  std::optional<std::int64_t> only;    //!< the number of the only run to compute, with a journal of its own
  Fresh fresh = Fresh::no;
  Changed changed = Changed::refuse;  //!< `finalize` sets them aside: it can write them again
  OnFailure on_failure = OnFailure::go_on;
  Cards cards = Cards::one_rank_each;
  Order order = Order::Planned;  //!< a test switch: no bit depends on it
  std::uint64_t order_seed = 0;
  PlannedMachines planned;
  enum class Checked { all, file } checked = Checked::all;  //!< `validate`: with what the file names, or the file alone
  double silence = 300;                      //!< seconds without a sign of life after which a rank is named
  std::optional<std::chrono::seconds> time;  //!< what the run may take from the start of the process
};

}  // namespace tributary
