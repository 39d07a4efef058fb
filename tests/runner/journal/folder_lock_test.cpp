// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <thread>

#include "common/errors.h"

namespace tributary {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FolderLockTest : public ::testing::TestWithParam<FolderLock::Kind> {
 protected:
  FolderLockTest() : folder_(std::filesystem::temp_directory_path() / ("tributary-lock-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~FolderLockTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_P(FolderLockTest, LetsNobodyElseInAndNamesTheHolder) {
  const FolderLock lock(folder_, milliseconds(0), GetParam());
  try {
    const FolderLock second(folder_, milliseconds(300), GetParam());
    FAIL() << "two runs in one folder";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(getpid())));
  }
}

TEST_P(FolderLockTest, IsFreeAgainAfterwards) {
  for (int i = 0; i < 3; ++i) const FolderLock lock(folder_, milliseconds(0), GetParam());
}

TEST_P(FolderLockTest, WaitsForAHolderThatEnds) {
  auto first = std::make_unique<FolderLock>(folder_, milliseconds(0), GetParam());
  std::thread ending([&first] {
    std::this_thread::sleep_for(milliseconds(600));
    first.reset();
  });
  EXPECT_NO_THROW(FolderLock(folder_, milliseconds(10'000), GetParam()));
  ending.join();
}

TEST_P(FolderLockTest, IsNotLeftBehindByAKilledRun) {
  const pid_t child = fork();
  if (child == 0) {
    const FolderLock lock(folder_, milliseconds(0), GetParam());
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_NO_THROW(FolderLock(folder_, milliseconds(10'000), GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FolderLockTest,
                         ::testing::Values(FolderLock::Kind::automatic, FolderLock::Kind::heartbeat),
                         [](const auto& kind) {
                           return kind.param == FolderLock::Kind::automatic ? "ByTheSystem" : "ByHeartbeat";
                         });

TEST_F(FolderLockTest, TellsWhoHoldsIt) {
  EXPECT_THAT(FolderLock::holder(folder_), IsEmpty());
  {
    const FolderLock lock(folder_, milliseconds(0));
    EXPECT_THAT(FolderLock::holder(folder_), HasSubstr("process " + std::to_string(getpid())));
  }
  EXPECT_THAT(FolderLock::holder(folder_), IsEmpty());
}

}  // namespace
}  // namespace tributary
