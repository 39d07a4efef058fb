// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The null communicator, and how a process finds out that it is not alone.

#include "runner/cluster/comm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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
  EXPECT_THROW((void)comm.handle(), ContractViolation);
}

TEST(NullCommunicatorDeathTest, AbortsWithTheCode) {
  EXPECT_EXIT(Communicator().abort(3), ::testing::ExitedWithCode(3), "");
}

Launch launched_with(const std::map<std::string, std::string>& variables) {
  return launched_by([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(LaunchedBy, TellsLaunchersApart) {
  EXPECT_EQ(launched_with({}), Launch::Alone);
  EXPECT_EQ(launched_with({{"OMPI_COMM_WORLD_SIZE", "1"}}), Launch::Mpi);
  EXPECT_EQ(launched_with({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}), Launch::Mpi);
  EXPECT_EQ(launched_with({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}}), Launch::Alone) << "in a batch script";
  EXPECT_EQ(launched_with({{"SLURM_STEP_NUM_TASKS", "1"}}), Launch::Alone);
  EXPECT_EQ(launched_with({{"SLURM_STEP_NUM_TASKS", "4"}}), Launch::ManyWithoutMpi);
}

}  // namespace
}  // namespace tributary
