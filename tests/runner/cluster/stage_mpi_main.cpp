// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Runs the cases of the *_mpi_tests.cpp beside it over real ranks; start it with mpirun at any number of them.

#include <gtest/gtest.h>

#include <cstdio>

#include "runner/cluster/comm.h"
#include "tests/runner/cluster/over_ranks.h"

namespace tributary {
namespace {

using testing::OverRanks;

/// What ranks other than 0 say: their failures, and nothing else.
class FailurePrinter : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", OverRanks::comm.rank(), result.file_name(), result.line_number(),
                 result.message());
  }
};

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const tributary::ScopedMpi mpi;
  tributary::testing::OverRanks::comm = mpi.world();
  if (mpi.world().rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new tributary::FailurePrinter);
  }
  const bool passed = RUN_ALL_TESTS() == 0;
  return mpi.world().agree(passed) ? 0 : 1;
}
