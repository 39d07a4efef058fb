// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// journal/state.json: what rank 0 last knew of a run, for `tributary status`. Rewritten every few seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/progress.h"

namespace tributary {

struct RunState {
  std::string host;
  std::int64_t process = 0;
  std::int64_t written = 0;          //!< seconds since 1970, by that host's clock
  std::vector<std::string> hosts;    //!< by rank
  std::vector<std::string> folders;  //!< of the runs under way
  std::string ending;                //!< empty while running; then how it ended
  double units_per_second = 0;       //!< 0: unknown
  std::optional<double> left;        //!< seconds of the stage at hand
  Progress progress;                 //!< of the stage at hand
};

/// Nothing where there is none or it cannot be read.
std::optional<RunState> read_state(const std::filesystem::path& journal);

/// Rank 0's pen.
class StateFile {
 public:
  StateFile(const std::filesystem::path& journal, std::vector<std::string> hosts);

  void begin_runs(std::vector<std::string> folders);
  /// Writes when it is time to. What the disk refuses is not reported here: the journal will.
  void update(const Progress& progress);
  void end(const std::string& how);

 private:
  void write();

  std::filesystem::path file_;
  RunState state_;
  RateMeter rate_;
  std::chrono::steady_clock::time_point begun_, next_;
};

}  // namespace tributary
