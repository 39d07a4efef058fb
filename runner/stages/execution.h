// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What all stages of a run share: the ranks, the options, and how tensors travel as plain numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "attribution/model/batching.h"
#include "runner/cluster/comm.h"
#include "runner/cluster/stage.h"
#include "runner/job/memory_plan.h"
#include "runner/job/plan.h"
#include "runner/journal/journal.h"

namespace tributary {

enum class Compute {
  missing,  //!< what the journal does not hold
  nothing,  //!< only what it holds is put together
};

/// Some units of a stage failed for good: the run has no result, the others go on (exit 3).
class UnitsFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What the stages of a run took, on rank 0: wall seconds and needed floating-point operations by stage, and how many
/// units were computed or found in the journal.
class Timings {
 public:
  void begin(const std::string& stage) { stage_ = stage; }
  /// Adds operations to the stage at hand.
  void count(double flops) { flops_[stage_] += flops; }
  void add_seconds(const std::string& stage, double seconds) { seconds_[stage] += seconds; }
  /// Seconds of all worker threads in units: the rest of their time they waited, or stored what they had computed.
  void add_computing(const std::string& stage, double seconds) { computing_[stage] += seconds; }
  void add_units(std::int64_t all, std::int64_t restored) {
    computed_ += all - restored;
    restored_ += restored;
  }

  [[nodiscard]] const std::map<std::string, double>& seconds() const { return seconds_; }
  [[nodiscard]] const std::map<std::string, double>& flops() const { return flops_; }
  [[nodiscard]] const std::map<std::string, double>& computing() const { return computing_; }
  [[nodiscard]] std::int64_t units_computed() const { return computed_; }
  [[nodiscard]] std::int64_t units_restored() const { return restored_; }

 private:
  std::string stage_;
  std::map<std::string, double> seconds_, computing_, flops_;
  std::int64_t computed_ = 0, restored_ = 0;
};

struct Execution {
  const Communicator& comm;
  StageOptions options;  //!< of every stage; the name is filled in
  at::DeviceType device;
  BatchRows& rows;
  bool may_halve = true;  //!< where memory runs out, try again with half the rows (on a card that may change bits)
  Timings& timings;
  const GroupJournal* journal = nullptr;  //!< where finished blocks are stored; none: nowhere
  Compute compute = Compute::missing;
  std::string scope;  //!< what sets stages of the same name apart in the journal

  /// Rows of a call, and a stop that abandons a unit between two of them.
  [[nodiscard]] Batching batching() const;
};

/// Computes a plan's chunks on all ranks; a unit that runs out of memory is tried again with half the rows. Throws on
/// every rank: Stopped, UnitsFailed with the failed units' texts.
StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute);

/// A tensor's elements as float64 in row-major order; empty when undefined.
std::vector<double> numbers_of(const at::Tensor& tensor);
/// The other way round. ContractViolation when the count does not fit the shape.
at::Tensor tensor_of(const std::vector<double>& numbers, at::IntArrayRef shape, at::ScalarType type);

/// A unit's count of operations, then several tensors in one list of numbers, each preceded by its number of columns
/// (0: undefined, and nothing follows).
class RowWriter {
 public:
  explicit RowWriter(double flops) : numbers_{flops} {}
  /// rows [pair, column] or undefined
  void add(const at::Tensor& rows);
  [[nodiscard]] std::vector<double> take() { return std::move(numbers_); }

 private:
  std::vector<double> numbers_;
};

/// Reads what RowWriter wrote for `pairs` pairs.
class RowReader {
 public:
  /// The first `skip` numbers are not rows.
  RowReader(const std::vector<double>& numbers, std::int64_t pairs, std::size_t skip)
      : numbers_(numbers), pairs_(pairs), at_(skip) {}
  /// The next tensor's rows, [pair][column]; empty when it was undefined.
  std::vector<std::vector<double>> next();

 private:
  const std::vector<double>& numbers_;
  std::int64_t pairs_;
  std::size_t at_;
};

}  // namespace tributary
