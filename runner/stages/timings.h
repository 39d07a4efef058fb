// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run's stages have cost, for provenance.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tributary {

/// What the stages of a run took, on rank 0: wall seconds and needed floating-point operations by stage, and how many
/// units were computed or found in the journal.
class Timings {
 public:
  void begin(const std::string& stage) { stage_ = stage; }
  /// Adds operations to the stage at hand.
  void count(double flops) { flops_[stage_] += flops; }
  void add_seconds(const std::string& stage, double seconds) { seconds_[stage] += seconds; }
  /// What earlier starts spent on the stage.
  void add_earlier(const std::string& stage, double seconds) { earlier_[stage] += seconds; }
  /// Seconds of all worker threads in units: the rest of their time they waited, or stored what they had computed.
  void add_computing(const std::string& stage, double seconds) { computing_[stage] += seconds; }
  void add_units(std::int64_t all, std::int64_t restored) {
    computed_ += all - restored;
    restored_ += restored;
  }

  [[nodiscard]] const std::map<std::string, double>& seconds() const { return seconds_; }
  [[nodiscard]] const std::map<std::string, double>& earlier() const { return earlier_; }
  [[nodiscard]] const std::map<std::string, double>& flops() const { return flops_; }
  [[nodiscard]] const std::map<std::string, double>& computing() const { return computing_; }
  [[nodiscard]] std::int64_t units_computed() const { return computed_; }
  [[nodiscard]] std::int64_t units_restored() const { return restored_; }

 private:
  std::string stage_;
  std::map<std::string, double> seconds_, earlier_, computing_, flops_;
  std::int64_t computed_ = 0, restored_ = 0;
};

}  // namespace tributary
