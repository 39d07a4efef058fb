// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/workers.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace tributary {
namespace {

/// Of this process, in bytes.
rlim_t mapped_memory() {
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  file >> pages;
  return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

/// Threads that were started go on for a moment after one could not be: they must not write where start() was.
TEST(Workers, SayWhenAThreadCannotBeHad) {
  // Tests are compiled without it, what they call may not be.
  if (dlsym(RTLD_DEFAULT, "__asan_init") != nullptr) GTEST_SKIP() << "the sanitizer's own memory cannot be limited";
  const pid_t child = fork();
  if (child == 0) {
    const rlim_t room = mapped_memory() + (rlim_t{96} << 20);  // for some stacks of 8 MiB
    const rlimit limit{room, room};
    setrlimit(RLIMIT_AS, &limit);
    const UnitTable table({{0, 0, 1}});
    const ComputeUnit compute = [](std::int64_t, int) { return UnitResult{}; };
    const WriteBlock none;
    try {
      const Workers workers(table, compute, none, 0, {500, 1}, [] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        throw std::runtime_error("late");
      });
      _exit(3);
    } catch (const std::system_error&) {
      _exit(0);
    } catch (...) {
      _exit(4);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status)) << "it died of signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tributary
