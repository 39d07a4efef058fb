// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of distributed work: units, the lanes they are folded over, blocks of them handed to
// a worker and what comes back. Pure data, the same on every rank; knows no MPI, no threads, no maths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tributary {

/// One independent piece of work. A unit's id is its position in the stage's list of units.
struct UnitSpec {
  std::int64_t lane = 0;   //!< units of one lane are folded into one sum
  std::int64_t index = 0;  //!< place in the lane: 0, 1, 2, … without gaps, in any order in the list
  double cost = 1;         //!< expected work in any unit of your own, finite and > 0
};

/// A sum of which few of very many numbers are there: `width` numbers side by side for each of some keys. No keys: a
/// width of 0. runner/cluster/sparse_sum.h adds them.
struct SparseSum {
  std::int64_t width = 0;          //!< numbers a key
  std::vector<std::int64_t> keys;  //!< ascending, each once
  std::vector<double> values;      //!< [key, width]

  bool operator==(const SparseSum&) const = default;
};

/// What computing one unit gives.
struct UnitResult {
  std::vector<double> sum;   //!< folded over the lane; one size for all units of a lane, may be empty
  std::vector<double> rows;  //!< handed back as it is, per unit; any size
  SparseSum sparse{};        //!< folded over the lane beside `sum`; one width for all units of a lane that have keys
};

/// What computing an aligned run of units of one lane at once gives.
struct RunResult {
  std::vector<double> sum;                //!< of the whole run, as its node of the lane's fold tree has it
  std::vector<std::vector<double>> rows;  //!< by unit
  SparseSum sparse{};                     //!< of the whole run, as its node has it
};

/// A node of a lane's fold tree: the sum over units [index << level, (index + 1) << level) of the lane.
struct TreeNode {
  std::int64_t lane = 0;
  int level = 0;  //!< 0 is a single unit
  std::int64_t index = 0;
  std::vector<double> sum;
  SparseSum sparse{};
};

struct UnitRows {
  std::int64_t unit = 0;
  std::vector<double> values;
};

/// A unit that could not be computed, with the rank and the message of its last attempt.
struct FailedUnit {
  std::int64_t unit = 0;
  int rank = 0;
  std::string text;
};

/// An aligned run of units of one lane, computed by one worker thread.
struct Block {
  std::int64_t id = 0;
  std::int64_t lane = 0;
  std::int64_t first = 0;  //!< index in the lane of the first unit
  std::int64_t count = 0;  //!< a power of two, less only where the lane ends
};

/// What a worker gives back for a block: sums already folded as far as the tree allows (one node when
/// every unit went well). This is also what a journal stores and gives back on resume.
struct BlockResult {
  std::int64_t block = 0;  //!< Block::id
  std::vector<TreeNode> nodes;
  std::vector<UnitRows> rows;
  std::vector<FailedUnit> failed;
  std::vector<std::int64_t> unstarted;  //!< unit ids left alone because of a stop
  double seconds = 0;                   //!< time the worker spent on the block
  std::string unwritten;                //!< why it could not be written, and its units have failed; empty: it was
};

/// An amount of work done.
struct Amount {
  std::int64_t units = 0;
  double cost = 0;

  Amount& operator+=(const Amount& other) {
    units += other.units;
    cost += other.cost;
    return *this;
  }
};

/// The units of a stage seen by lane. Throws ContractViolation when lanes or indices have gaps or
/// repeats, or a cost is not finite and positive.
class UnitTable {
 public:
  explicit UnitTable(std::vector<UnitSpec> units);

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(units_.size()); }
  [[nodiscard]] std::int64_t lanes() const { return static_cast<std::int64_t>(by_lane_.size()); }
  [[nodiscard]] std::int64_t lane_size(std::int64_t lane) const;
  [[nodiscard]] const UnitSpec& spec(std::int64_t unit) const;
  [[nodiscard]] std::int64_t unit_at(std::int64_t lane, std::int64_t index) const;
  [[nodiscard]] double total_cost() const { return total_cost_; }

  /// A fingerprint of the whole list, to notice ranks that planned different work.
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  std::vector<UnitSpec> units_;
  std::vector<std::vector<std::int64_t>> by_lane_;
  double total_cost_ = 0;
};

}  // namespace tributary
