// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files that are none, and files that change.
#include "common/regular_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;

class RegularFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "regular_file_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  static std::string refusal(const std::filesystem::path& path) {
    try {
      read_file(path.string());
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }

  std::filesystem::path folder_;
};

TEST_F(RegularFileTest, PipesSocketsAndDevicesAreRefusedAtOnce) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder_ / "pipe"), HasSubstr("pipe: this is a pipe, but a file is needed"));
  EXPECT_THAT(refusal("/dev/zero"), HasSubstr("this is a device"));
  EXPECT_THAT(refusal(folder_), HasSubstr("this is a folder"));

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = folder_ / "socket";
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(refusal(name), HasSubstr("this is a socket"));
  ::close(socket);
}

TEST_F(RegularFileTest, AMarkTellsWhatWasDoneToAFile) {
  const std::filesystem::path path = write("file", "abc");
  const RegularFile file(path.string());
  const FileMark first = file.mark();
  EXPECT_EQ(first.size, 3);
  EXPECT_EQ(file.mark(), first);

  const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {first.modified / 1'000'000'000 - 60, 0}}};
  ASSERT_EQ(::futimens(file.descriptor(), times.data()), 0);
  const FileMark touched = file.mark();
  EXPECT_NE(touched.modified, first.modified);
  EXPECT_EQ(touched.size, first.size);

  std::filesystem::rename(write("other", "xyz"), path);
  EXPECT_EQ(file.mark().links, 0U) << "still the file that was opened";
  EXPECT_EQ(file.mark().modified, touched.modified);
  EXPECT_EQ(file.mark().inode, first.inode);
  EXPECT_NE(RegularFile(path.string()).mark().inode, first.inode);
}

TEST_F(RegularFileTest, AFileThatIsWrittenToMeanwhileIsNotTakenForWhole) {
  const std::filesystem::path path = write("file", std::string(std::size_t{16} << 20, 'a'));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    const int file = ::open(path.c_str(), O_WRONLY);
    while (!done) EXPECT_EQ(::pwrite(file, "b", 1, 1000), 1);
    ::close(file);
  });
  std::string problem;
  // The clock of a file's times has steps: a read may fall between two of them.
  for (int attempt = 0; attempt < 1000 && problem.empty(); ++attempt) {
    try {
      read_file(path.string());
    } catch (const RuntimeFailure& failure) {
      problem = failure.what();
    }
  }
  done = true;
  writer.join();
  EXPECT_THAT(problem, HasSubstr(path.string() + ": was written to while it was read"));
}

}  // namespace
}  // namespace tributary
