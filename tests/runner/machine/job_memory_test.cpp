// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/job_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

/// A made-up machine: files below a folder of its own, and variables.
class JobMemory : public ::testing::Test {
 protected:
  JobMemory() { put("proc/meminfo", "MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\n"); }
  ~JobMemory() override { std::filesystem::remove_all(root_); }

  void put(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  /// A group's limit and what it has taken, MiB.
  void put_v1(const std::string& group, const std::string& limit, std::uint64_t taken) {
    put(group + "/memory.limit_in_bytes", limit + "\n");
    put(group + "/memory.usage_in_bytes", std::to_string(taken * mebibyte) + "\n");
  }
  void put_v2(const std::string& group, const std::string& limit, std::uint64_t taken) {
    put(group + "/memory.max", limit + "\n");
    put(group + "/memory.current", std::to_string(taken * mebibyte) + "\n");
  }
  static std::string mib(std::uint64_t count) { return std::to_string(count * mebibyte); }

  [[nodiscard]] MemorySources sources() const {
    return {root_, [this](const char* name) {
              const auto found = variables_.find(name);
              return found == variables_.end() ? std::string() : found->second;
            }};
  }
  [[nodiscard]] std::uint64_t free_mib() const { return control_group_free(sources()) / mebibyte; }

  std::filesystem::path root_ =
      std::filesystem::path(::testing::TempDir()) / ("job_memory." + std::to_string(getpid()));
  std::map<std::string, std::string> variables_;
};

TEST_F(JobMemory, OfANestedGroupOfVersion2) {
  put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n");
  put("proc/self/cgroup", "0::/system.slice/job_7/step_0/user/task_0\n");
  const std::string top = "sys/fs/cgroup/system.slice";
  put_v2(top, "max", 5000);
  put_v2(top + "/job_7", mib(900), 100);
  put_v2(top + "/job_7/step_0", "max", 100);
  put_v2(top + "/job_7/step_0/user/task_0", "max", 100);
  EXPECT_EQ(free_mib(), 800U);
  EXPECT_EQ(free_host_bytes(sources()) / mebibyte, 800U);
  put_v2(top + "/job_7/step_0/user/task_0", mib(600), 50);  // the smallest remainder counts, whose ever it is
  EXPECT_EQ(free_mib(), 550U);
  put_v2(top, mib(6000), 5900);
  EXPECT_EQ(free_mib(), 100U);
}

TEST_F(JobMemory, OfANestedGroupOfVersion1) {
  put("proc/self/mountinfo",
      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/slurm/uid_5/job_7/step_0\n1:cpu:/elsewhere\n0::/\n");
  const std::string top = "sys/fs/cgroup/memory";
  put_v1(top, "9223372036854771712", 9000);
  put_v1(top + "/slurm/uid_5/job_7", mib(900), 300);
  put_v1(top + "/slurm/uid_5/job_7/step_0", "9223372036854771712", 300);
  EXPECT_EQ(free_mib(), 600U);
  // Pages of files that nobody uses are dropped before anything is refused.
  put(top + "/slurm/uid_5/job_7/memory.stat", "inactive_file 1\ntotal_inactive_file " + mib(250) + "\n");
  EXPECT_EQ(free_mib(), 850U);
}

TEST_F(JobMemory, OfAContainerThatShowsItsOwnGroupsOnly) {
  const std::string place = "31 23 0:28 /docker/a\\040b /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
  put("proc/self/mountinfo", place);
  put("proc/self/cgroup", "0::/docker/a b/inner\n");
  put_v2("sys/fs/cgroup", mib(2000), 500);
  put_v2("sys/fs/cgroup/inner", mib(900), 0);
  EXPECT_EQ(free_mib(), 900U);
  put("proc/self/cgroup", "0::/../elsewhere\n");  // begun outside: what is mounted is all that can be seen
  EXPECT_EQ(free_mib(), 1500U);
}

TEST_F(JobMemory, IsAllThereIsWithoutAGroup) {
  EXPECT_EQ(control_group_free(sources()), no_limit);
  EXPECT_EQ(free_host_bytes(sources()), 16ULL << 30);
  put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\ndamaged\n");
  put("proc/self/cgroup", "0::/gone\nno line of groups\n");
  EXPECT_EQ(control_group_free(sources()), no_limit);
}

TEST_F(JobMemory, AskedOfSlurm) {
  EXPECT_EQ(slurm_limit(sources()), no_limit);
  variables_ = {{"SLURM_MEM_PER_NODE", "900"}};
  EXPECT_EQ(slurm_limit(sources()), 900 * mebibyte);
  variables_ = {{"SLURM_MEM_PER_NODE", "2G"}};
  EXPECT_EQ(slurm_limit(sources()), 2048 * mebibyte);
  variables_ = {{"SLURM_MEM_PER_NODE", "0"}};  // all of the node's
  EXPECT_EQ(slurm_limit(sources()), no_limit);
  variables_ = {{"SLURM_MEM_PER_CPU", "500"}, {"SLURM_CPUS_ON_NODE", "8"}, {"SLURM_JOB_CPUS_PER_NODE", "16(x2)"}};
  EXPECT_EQ(slurm_limit(sources()), 4000 * mebibyte);
  variables_.erase("SLURM_CPUS_ON_NODE");
  EXPECT_EQ(slurm_limit(sources()), 8000 * mebibyte);
  variables_ = {{"SLURM_MEM_PER_GPU", "3000"}, {"SLURM_GPUS_ON_NODE", "4"}};
  EXPECT_EQ(slurm_limit(sources()), 12000 * mebibyte);
}

}  // namespace
}  // namespace tributary
