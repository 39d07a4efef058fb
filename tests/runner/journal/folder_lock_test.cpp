// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

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
  const FolderLock lock(folder_, FolderLock::Times{.patience = milliseconds(0)}, GetParam());
  try {
    const FolderLock second(folder_, FolderLock::Times{.patience = milliseconds(300)}, GetParam());
    FAIL() << "two runs in one folder";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(getpid())));
  }
}

TEST_P(FolderLockTest, IsFreeAgainAfterwards) {
  for (int i = 0; i < 3; ++i)
    const FolderLock lock(folder_, FolderLock::Times{.patience = milliseconds(0)}, GetParam());
}

TEST_P(FolderLockTest, WaitsForAHolderThatEnds) {
  auto first = std::make_unique<FolderLock>(folder_, FolderLock::Times{.patience = milliseconds(0)}, GetParam());
  std::thread ending([&first] {
    std::this_thread::sleep_for(milliseconds(600));
    first.reset();
  });
  EXPECT_NO_THROW(FolderLock(folder_, FolderLock::Times(), GetParam()));
  ending.join();
}

TEST_P(FolderLockTest, IsNotLeftBehindByAKilledRun) {
  const pid_t child = fork();
  if (child == 0) {
    const FolderLock lock(folder_, FolderLock::Times{.patience = milliseconds(0)}, GetParam());
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_NO_THROW(FolderLock(folder_, FolderLock::Times(), GetParam()));
}

/// A folder from elsewhere may hold links to files of ours, and pipes, which are opened for ever.
TEST_P(FolderLockTest, FollowsNoLinkAndWaitsForNoPipe) {
  const std::filesystem::path victim = folder_ / "victim";
  std::ofstream(victim) << "kept";
  std::filesystem::create_symlink(victim, folder_ / "lock");
  EXPECT_THROW(FolderLock(folder_, FolderLock::Times(), GetParam()), UserError);
  EXPECT_EQ(std::filesystem::file_size(victim), 4U);
  EXPECT_EQ(FolderLock::holder(folder_), "");
  std::filesystem::remove(folder_ / "lock");
  ASSERT_EQ(::mkfifo((folder_ / "lock").c_str(), 0600), 0);
  EXPECT_THROW(FolderLock(folder_, FolderLock::Times(), GetParam()), UserError);
  EXPECT_EQ(FolderLock::holder(folder_), "");
  std::filesystem::remove(folder_ / "lock");
  ASSERT_EQ(::mkfifo((folder_ / "lock.heartbeat").c_str(), 0600), 0);
  EXPECT_EQ(FolderLock::holder(folder_), "");
  EXPECT_NO_THROW(FolderLock(folder_, FolderLock::Times(), GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FolderLockTest,
                         ::testing::Values(FolderLock::Kind::automatic, FolderLock::Kind::heartbeat),
                         [](const auto& kind) {
                           return kind.param == FolderLock::Kind::automatic ? "ByTheSystem" : "ByHeartbeat";
                         });

TEST_F(FolderLockTest, TellsWhoHoldsIt) {
  EXPECT_THAT(FolderLock::holder(folder_), IsEmpty());
  {
    const FolderLock lock(folder_);
    EXPECT_THAT(FolderLock::holder(folder_), HasSubstr("process " + std::to_string(getpid())));
  }
  EXPECT_THAT(FolderLock::holder(folder_), IsEmpty());
}

/// A run on another machine, of a file system that grants locks on each of them by itself: only its beats are seen.
class AnotherMachine {
 public:
  explicit AnotherMachine(const std::filesystem::path& folder) : file_(folder / "lock.heartbeat") { beat(); }
  void beat() {
    if (!std::filesystem::exists(file_)) std::ofstream{file_};
    std::fstream file(file_);  // written over, so that nobody reads it empty
    file << "host far-away, process 1, since then\nanother boot\n1 1\n" << ++beats_ << '\n';
  }
  void age(std::chrono::seconds by) const {
    std::filesystem::last_write_time(file_, std::filesystem::last_write_time(file_) - by);
  }

 private:
  std::filesystem::path file_;
  int beats_ = 0;
};

TEST_P(FolderLockTest, HearsAHolderWhoseLockIsNotSeenHere) {
  AnotherMachine other(folder_);
  std::atomic<bool> ended = false;
  std::thread beating([&] {
    for (; !ended; std::this_thread::sleep_for(milliseconds(100))) other.beat();
  });
  try {
    const FolderLock lock(folder_, FolderLock::Times{.patience = milliseconds(500)}, GetParam());
    ADD_FAILURE() << "two runs in one folder";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("far-away"));
  }
  EXPECT_THAT(FolderLock::holder(folder_), HasSubstr("far-away"));
  ended = true;
  beating.join();
}

TEST_P(FolderLockTest, IsFreeOnceBeatsHaveStopped) {
  AnotherMachine other(folder_);
  const auto begun = std::chrono::steady_clock::now();
  {
    const FolderLock lock(folder_, {.patience = milliseconds(0), .dead_after = milliseconds(1500)}, GetParam());
    EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(1500)) << "it may only be slow";
  }
  other.beat();
  other.age(std::chrono::seconds(90));
  const auto again = std::chrono::steady_clock::now();
  const FolderLock lock(folder_, FolderLock::Times{}, GetParam());
  EXPECT_LT(std::chrono::steady_clock::now() - again, std::chrono::seconds(5)) << "the file is old enough";
}

TEST_P(FolderLockTest, OfTwoThatStartAtOnceOneGetsIt) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> holders = 0;
    std::vector<std::thread> starters;
    std::latch ready(3);
    for (int i = 0; i < 3; ++i) {
      starters.emplace_back([&] {
        ready.arrive_and_wait();
        try {
          const FolderLock lock(folder_, FolderLock::Times{.patience = milliseconds(0)}, GetParam());
          ++holders;
          std::this_thread::sleep_for(milliseconds(400));
        } catch (const UserError&) {
          return;
        }
      });
    }
    for (std::thread& starter : starters) starter.join();
    EXPECT_EQ(holders, 1);
  }
}

}  // namespace
}  // namespace tributary
