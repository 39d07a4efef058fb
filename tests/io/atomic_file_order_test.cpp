// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What survives a machine that stops: the bytes must be on the disk before the name is, and the name before the caller
// goes on. No test can cut the power, so the calls that decide it are noted on their way to the system, in their order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "tests/io/slurp.h"
#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

/// What the calls below note and answer while a test looks on.
struct DiskCalls {
  std::vector<std::string> noted;
  int file_error = 0;    //!< errno of fsync on files
  int folder_error = 0;  //!< errno of fsync on folders
};

DiskCalls* disk_calls = nullptr;

int answer(int error, long result) {
  if (error == 0) return static_cast<int>(result);
  errno = error;
  return -1;
}

}  // namespace
}  // namespace tributary

// The linker takes these for the C library's.
extern "C" int fsync(int descriptor) {
  const long result = ::syscall(SYS_fsync, descriptor);
  if (tributary::disk_calls == nullptr) return static_cast<int>(result);
  struct stat about {};
  ::fstat(descriptor, &about);
  const bool folder = S_ISDIR(about.st_mode);
  tributary::disk_calls->noted.push_back(folder ? "sync the folder"
                                                : "sync " + std::to_string(about.st_size) + " bytes");
  return tributary::answer(folder ? tributary::disk_calls->folder_error : tributary::disk_calls->file_error, result);
}

extern "C" int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  if (tributary::disk_calls != nullptr) tributary::disk_calls->noted.push_back(std::string("rename to ") + to);
  return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

namespace tributary {
namespace {

using testing::ElementsAre;

class AtomicFileOrder : public TemporaryFolder {
 protected:
  void SetUp() override {
    TemporaryFolder::SetUp();
    disk_calls = &calls_;
  }
  void TearDown() override {
    disk_calls = nullptr;
    TemporaryFolder::TearDown();
  }

  [[nodiscard]] auto files() const {
    return std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator());
  }

  DiskCalls calls_;
};

TEST_F(AtomicFileOrder, BytesThenNameThenFolder) {
  write_atomically(folder_ / "file", "bytes");
  EXPECT_THAT(calls_.noted, ElementsAre("sync 5 bytes", "rename to file", "sync the folder"));
}

TEST_F(AtomicFileOrder, BytesThatDoNotReachTheDiskGetNoName) {
  write_atomically(folder_ / "file", "old");
  calls_ = {.noted = {}, .file_error = EIO, .folder_error = 0};
  EXPECT_THROW(write_atomically(folder_ / "file", "newer"), RuntimeFailure);
  EXPECT_THAT(calls_.noted, ElementsAre("sync 5 bytes"));
  EXPECT_EQ(slurp(folder_ / "file"), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileOrder, AFolderThatCannotBeSyncedIsReportedUnlessItsFileSystemNeverCan) {
  calls_.folder_error = EIO;
  EXPECT_THROW(write_atomically(folder_ / "file", "bytes"), RuntimeFailure);
  calls_.folder_error = EINVAL;
  EXPECT_NO_THROW(write_atomically(folder_ / "file", "bytes"));
}

}  // namespace
}  // namespace tributary
