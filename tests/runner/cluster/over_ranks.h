// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The fixture of the tests that stage_mpi_main.cpp runs on real ranks. Every rank runs every test, the expected bytes
// are written down without any ranks, so all rank counts must agree with them and each other.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage.h"
#include "runner/cluster/units.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary::testing {

class OverRanks : public ::testing::Test {
 public:
  static inline Communicator comm;  // NOLINT: set once by main, GoogleTest constructs the fixtures

 protected:
  [[nodiscard]] bool is_root() const { return comm.rank() == 0; }
  [[nodiscard]] int last_rank() const { return comm.size() - 1; }

  void expect_results(const StageResult& result, const Present& present) const {
    if (is_root()) {
      EXPECT_EQ(digest(result.sums), digest(expected_sums(units_, present)));
      EXPECT_EQ(digest(result.rows), digest(expected_rows(units_, present)));
      EXPECT_EQ(digest(result.sparse), digest(expected_sparse(units_, present)));
    } else {
      EXPECT_THAT(result.sums, ::testing::IsEmpty());
      EXPECT_THAT(result.sparse, ::testing::IsEmpty());
    }
  }

  const std::vector<UnitSpec> units_ = make_units({70, 1, 33, 128});
  const ComputeUnit compute_ = [this](std::int64_t unit, int) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // time enough for all ranks to take part
    return make_result(units_[unit], unit);
  };
};

inline StageOptions with_threads(int threads) {
  StageOptions options;
  options.name = "test";
  options.threads.workers = threads;
  return options;
}

}  // namespace tributary::testing
