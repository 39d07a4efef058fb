// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "common/errors.h"
#include "tests/io/slurp.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

void spill(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

/// "done", "user: …" or "failure: …"
std::string outcome(const fs::path& path, std::string_view bytes) {
  try {
    write_atomically(path, bytes);
    return "done";
  } catch (const UserError& error) {
    return std::string("user: ") + error.what();
  } catch (const RuntimeFailure& error) {
    return std::string("failure: ") + error.what();
  }
}

/// Runs `body` in a child process, where mounts, limits and user ids can change without harm; returns its text.
std::string in_child(const std::function<std::string()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = body();
    const int error = write_fully(ends[1], text);
    ::_exit(error);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return text;
}

/// In a child: a mount namespace of its own, in which we are root. Empty, or "skip: why".
std::string enter_mount_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0)
    return std::string("skip: ") + std::strerror(errno);
  if (user != 0) {
    spill("/proc/self/setgroups", "deny");
    spill("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
    spill("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string("skip: ") + std::strerror(errno);
  return "";
}

class AtomicFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tributary-atomic-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(AtomicFile, WritesTheBytesAndNothingElse) {
  const std::string bytes("a\0b\n\xff", 5);
  write_atomically(folder_ / "file", bytes);
  EXPECT_EQ(slurp(folder_ / "file"), bytes);
  EXPECT_EQ(names_in(folder_), std::set<std::string>{"file"});
}

/// Of those that go to the disk while they are written.
TEST_F(AtomicFile, WritesLongFilesWhole) {
  std::string bytes;
  bytes.resize(70'000'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  const fs::path file = folder_ / "long";
  write_atomically(file, [&](const std::function<void(std::string_view)>& put) {
    constexpr std::size_t some = 9'999'991;
    for (std::size_t at = 0; at < bytes.size(); at += some) put(std::string_view(bytes).substr(at, some));
  });
  EXPECT_TRUE(slurp(file) == bytes);
  write_atomically(file, bytes);
  EXPECT_TRUE(slurp(file) == bytes);
}

TEST_F(AtomicFile, ReplacesALongerFile) {
  spill(folder_ / "file", std::string(100000, 'x'));
  write_atomically(folder_ / "file", "short");
  EXPECT_EQ(slurp(folder_ / "file"), "short");
}

TEST_F(AtomicFile, AReaderOfTheOldFileKeepsTheOldBytes) {
  spill(folder_ / "file", "old");
  std::ifstream reader(folder_ / "file");
  write_atomically(folder_ / "file", "new");
  std::string seen;
  reader >> seen;
  EXPECT_EQ(seen, "old");
}

TEST_F(AtomicFile, WritesIntoTheCurrentFolderWhenThePathHasNone) {
  EXPECT_EQ(in_child([&] {
              fs::current_path(folder_);
              return outcome("file", "bytes");
            }),
            "done");
  EXPECT_EQ(slurp(folder_ / "file"), "bytes");
}

TEST_F(AtomicFile, UsesAnotherNameWhereATemporaryOfThatNameLies) {
  const std::string leftover = ".tributary-" + std::to_string(::getpid()) + "-0.part";
  spill(folder_ / leftover, "of a killed process");
  write_atomically(folder_ / "file", "bytes");
  EXPECT_EQ(slurp(folder_ / leftover), "of a killed process");
  EXPECT_EQ(names_in(folder_), (std::set<std::string>{"file", leftover}));
}

TEST_F(AtomicFile, ManyThreadsInOneFolderDoNotMeet) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) write_atomically(folder_ / std::to_string(t), std::string(5000, char('a' + t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 8; ++t) EXPECT_EQ(slurp(folder_ / std::to_string(t)), std::string(5000, char('a' + t)));
  EXPECT_EQ(names_in(folder_).size(), 8U);
}

TEST_F(AtomicFile, TellsWhatIsWrongWithThePath) {
  spill(folder_ / "file", "old");
  fs::create_directory(folder_ / "inner");
  EXPECT_THAT(outcome(folder_ / "missing" / "file", "x"), AllOf(StartsWith("user: "), HasSubstr("does not exist")));
  EXPECT_THAT(outcome(folder_ / "file" / "file", "x"), AllOf(StartsWith("user: "), HasSubstr("not a folder")));
  EXPECT_THAT(outcome(folder_ / "inner", "x"), AllOf(StartsWith("user: "), HasSubstr("a folder has this name")));
  EXPECT_THAT(outcome(folder_ / "inner" / "", "x"), AllOf(StartsWith("user: "), HasSubstr("a folder has this name")));
  EXPECT_THAT(outcome(folder_ / std::string(300, 'n'), "x"), AllOf(StartsWith("user: "), HasSubstr("shorter")));
  EXPECT_EQ(names_in(folder_), (std::set<std::string>{"file", "inner"}));
  EXPECT_TRUE(names_in(folder_ / "inner").empty());
  EXPECT_EQ(slurp(folder_ / "file"), "old");
}

TEST_F(AtomicFile, RefusesAFolderWithoutPermission) {
  fs::permissions(folder_,
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  const std::string text = in_child([&] {
    // Permissions do not bind root, so act as the user nobody.
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return std::string("skip: cannot change the user");
    return outcome(folder_ / "file", "x");
  });
  fs::permissions(folder_, fs::perms::owner_all);
  if (text.starts_with("skip")) GTEST_SKIP() << text;
  EXPECT_THAT(text, AllOf(StartsWith("user: "), HasSubstr("no permission")));
  EXPECT_TRUE(names_in(folder_).empty());
}

TEST_F(AtomicFile, RefusesAReadOnlyFileSystem) {
  spill(folder_ / "file", "old");
  const std::string text = in_child([&]() -> std::string {
    if (std::string why = enter_mount_namespace(); !why.empty()) return why;
    const char* folder = folder_.c_str();
    if (::mount(folder, folder, nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, folder, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      return std::string("skip: ") + std::strerror(errno);
    }
    return outcome(folder_ / "file", "new");
  });
  if (text.starts_with("skip")) GTEST_SKIP() << text;
  EXPECT_THAT(text, AllOf(StartsWith("user: "), HasSubstr("read-only"), HasSubstr("choose")));
  EXPECT_EQ(slurp(folder_ / "file"), "old");
  EXPECT_EQ(names_in(folder_), std::set<std::string>{"file"});
}

TEST_F(AtomicFile, AFullDiskLeavesTheOldFileAndNothingElse) {
  const std::string text = in_child([&]() -> std::string {
    if (std::string why = enter_mount_namespace(); !why.empty()) return why;
    if (::mount("none", folder_.c_str(), "tmpfs", 0, "size=64k") != 0)
      return std::string("skip: ") + std::strerror(errno);
    write_atomically(folder_ / "file", "old");
    const std::string result = outcome(folder_ / "file", std::string(100000, 'x'));
    const bool kept = slurp(folder_ / "file") == "old" && names_in(folder_) == std::set<std::string>{"file"};
    const bool space_came_back = outcome(folder_ / "second", std::string(40000, 'x')) == "done";
    return result + (kept ? "; kept" : "; lost") + (space_came_back ? "; space came back" : "; space is gone");
  });
  if (text.starts_with("skip")) GTEST_SKIP() << text;
  EXPECT_THAT(text, AllOf(StartsWith("user: "), HasSubstr("100000 bytes"), HasSubstr("no space is left"),
                          HasSubstr("; kept; space came back")));
}

TEST_F(AtomicFile, AWriteThatStopsHalfWayLeavesNothing) {
  const std::string text = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20000, 20000};  // the first write is cut here, the second fails with EFBIG
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return outcome(folder_ / "file", std::string(50000, 'x'));
  });
  EXPECT_THAT(text, AllOf(StartsWith("failure: "), HasSubstr("50000 bytes")));
  EXPECT_TRUE(names_in(folder_).empty());
}

// The child's own, so that a signal handler can count.
volatile std::sig_atomic_t interruptions = 0;

TEST(WriteFully, GoesOnAfterSignalsAndShortWrites) {
  const std::string text = in_child([]() -> std::string {
    int ends[2];
    if (::pipe(ends) != 0) return "no pipe";
    std::string sent(300000, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 % 251);
    const pid_t writer = ::fork();
    if (writer == 0) {
      ::close(ends[0]);
      struct sigaction action {};
      action.sa_handler = [](int) { interruptions = interruptions + 1; };  // no SA_RESTART: write() returns early
      ::sigaction(SIGALRM, &action, nullptr);
      const itimerval every_millisecond{{0, 1000}, {0, 1000}};
      ::setitimer(ITIMER_REAL, &every_millisecond, nullptr);
      const int error = write_fully(ends[1], sent);
      ::_exit(error == 0 && interruptions > 0 ? 0 : 1);
    }
    ::close(ends[1]);
    std::string received;
    char buffer[3000];
    for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0; ::usleep(2000)) {
      received.append(buffer, static_cast<std::size_t>(count));
    }
    int status = 0;
    ::waitpid(writer, &status, 0);
    return std::string(received == sent ? "same bytes" : "other bytes") + (status == 0 ? ", interrupted" : ", failed");
  });
  EXPECT_EQ(text, "same bytes, interrupted");
}

TEST(WriteFully, ReportsAFullDevice) {
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  EXPECT_EQ(write_fully(full, "x"), ENOSPC);
  ::close(full);
}

TEST(WriteErrors, ThoseTheUserCanCureSayHow) {
  for (const int error : {EROFS, EACCES, EPERM, ENOSPC, EDQUOT, ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG}) {
    try {
      throw_write_error("/results/r.h5", "write 12 bytes", error);
    } catch (const UserError& problem) {
      EXPECT_THAT(problem.what(), StartsWith("/results/r.h5: cannot write 12 bytes ("));
      EXPECT_THAT(problem.what(), HasSubstr("); "));
    }
  }
  EXPECT_THROW(throw_write_error("/results/r.h5", "write", EIO), RuntimeFailure);
}

}  // namespace
}  // namespace tributary
