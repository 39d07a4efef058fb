// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The null communicator: one process alone.

#include "runner/cluster/comm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

TEST(NullCommunicator, IsOneRankAlone) {
  const Communicator comm;
  EXPECT_TRUE(comm.is_null());
  EXPECT_EQ(comm.rank(), 0);
  EXPECT_EQ(comm.size(), 1);
  EXPECT_EQ(comm.local_rank(), 0);
  EXPECT_EQ(comm.local_size(), 1);
  std::vector<double> values{1, 2};
  comm.broadcast(values);
  EXPECT_THAT(values, ElementsAre(1, 2));
  EXPECT_TRUE(comm.agree(true));
  EXPECT_FALSE(comm.agree(false));
  EXPECT_THAT(comm.gather("text"), ElementsAre("text"));
  EXPECT_THAT(comm.gather(std::int64_t{7}), ElementsAre(7));
  comm.barrier();
  EXPECT_THROW((void)comm.mpi(), ContractViolation);
}

TEST(NullCommunicatorDeathTest, AbortsWithTheCode) {
  EXPECT_EXIT(Communicator().abort(3), ::testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace tributary
