// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

namespace tributary {
namespace {

/// Runs a function in a process of its own; what it says.
bool elsewhere(const std::function<bool()>& holds) {
  const pid_t child = fork();
  if (child == 0) _exit(holds() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(FreedMemory, IsKeptByCLibrariesOldAndNew) {
  std::map<int, int> asked;
  keep_freed_memory([&asked](int option, int value) {
    asked[option] = value;
    return 1;
  });
  EXPECT_EQ(asked.count(M_MMAP_MAX), 0U);
  EXPECT_GE(asked[M_MMAP_THRESHOLD], 1 << 30);
  EXPECT_EQ(asked[M_TRIM_THRESHOLD], -1) << "gigabytes would be given back, and cleared again when they are used";
  asked.clear();
  keep_freed_memory([&asked](int option, int value) {  // glibc 2.34 and older
    if (option == M_MMAP_THRESHOLD && value > 32 << 20) return 0;
    asked[option] = value;
    return 1;
  });
  ASSERT_EQ(asked.count(M_MMAP_MAX), 1U) << "every buffer would be mapped and unmapped";
  EXPECT_EQ(asked[M_MMAP_MAX], 0);
}

TEST(FreedMemory, LargeBlocksAreNotMapped) {
  EXPECT_TRUE(elsewhere([] {
    keep_freed_memory();
    const auto before = mallinfo2().hblks;
    void* const block = std::malloc(64 << 20);
    const bool mapped = mallinfo2().hblks > before;
    std::free(block);
    return block != nullptr && !mapped;
  }));
}

TEST(Cards, ThatAreLeftAloneAreNamed) {
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("tributary-cards-" + std::to_string(getpid()));
  std::filesystem::create_directories(root / "dev");
  EXPECT_EQ(cards_left_alone(root), "");
  std::ofstream(root / "dev" / "kfd").flush();
  EXPECT_THAT(cards_left_alone(root), ::testing::HasSubstr("AMD"));
  std::ofstream(root / "dev" / "nvidiactl").flush();
  EXPECT_THAT(cards_left_alone(root), ::testing::HasSubstr("NVIDIA"));
  std::filesystem::remove_all(root);
}

/// The launcher of a batch system may use less than the machine; what counts is what the job has.
TEST(Cores, AreComparedWithTheJobsAndNotTheMachines) {
  const auto bind = [](int cores) {
    cpu_set_t all, some;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&some);
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&some) < cores; ++core) {
      if (CPU_ISSET(core, &all)) CPU_SET(core, &some);
    }
    sched_setaffinity(0, sizeof some, &some);
  };
  unsetenv("SLURM_CPUS_ON_NODE");
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "needs two cores";
  EXPECT_TRUE(elsewhere([&] {  // mpirun binds this rank alone
    bind(1);
    return bound_below_share(1);
  }));
  EXPECT_TRUE(elsewhere([&] {
    bind(1);
    return elsewhere([] { return !bound_below_share(1); });  // whoever started it has no more
  }));
  setenv("SLURM_CPUS_ON_NODE", "1", 1);
  EXPECT_TRUE(elsewhere([&] {
    bind(1);
    return !bound_below_share(1);
  }));
  unsetenv("SLURM_CPUS_ON_NODE");
}

}  // namespace
}  // namespace tributary
