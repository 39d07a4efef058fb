// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Damage behind a seal that fits: only here HDF5 and the reader meet damaged bytes. HDF5 can crash or hang on them, so
// each file is read in a child process, and a child that dies tells whether HDF5 or our own code was at work.
#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/detail/results/results_seal.h"
#include "io/results.h"
#include "tests/io/slurp.h"
#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

/// How reading ends in the child, as its exit status.
enum Outcome : int { accepted = 40, refused, other_exception, died_in_hdf5, died_elsewhere };

/// Whether this program has the address sanitizer in it, with which only the libraries are compiled.
bool is_sanitized() { return ::dlsym(RTLD_DEFAULT, "__asan_init") != nullptr; }

/// The program or library that an address of code lies in. Takes no memory: the heap may be broken.
Dl_info library_of(const void* code) {
  Dl_info library{};
  ::dladdr(code, &library);
  return library;
}

/// In a signal handler: whether HDF5 was at work, or the C library that it had called, and not our code.
bool is_hdf5_at_work() {
  std::array<void*, 64> frames{};
  const int depth = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  const void* const ours = library_of(reinterpret_cast<const void*>(&is_hdf5_at_work)).dli_fbase;
  const auto* frame = frames.begin();
  const auto* const end = frame + depth;
  while (frame != end && library_of(*frame).dli_fbase == ours) ++frame;  // the handler itself
  for (; frame != end; ++frame) {
    const Dl_info library = library_of(*frame);
    if (library.dli_fbase == ours) return false;
    if (library.dli_fname != nullptr && std::strstr(library.dli_fname, "libhdf5") != nullptr) return true;
  }
  return false;
}

void leave(int /*signal*/) { ::_exit(is_hdf5_at_work() ? died_in_hdf5 : died_elsewhere); }

/// Ends the child on a crash, and after a second of computing, which a file of this size never takes.
void prepare_to_die() {
  static std::array<char, 65536> stack;  // a stack that overflowed can run no handler
  stack_t other{};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  ::sigaltstack(&other, nullptr);
  struct sigaction action {};
  action.sa_handler = leave;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU}) ::sigaction(signal, &action, nullptr);
  const rlimit one_second{1, 2};
  ::setrlimit(RLIMIT_CPU, &one_second);
  is_hdf5_at_work();  // loads what backtrace needs while nothing is broken yet
}

int outcome_of_reading(const std::filesystem::path& file) {
  try {
    read_results(file);
    return accepted;
  } catch (const UserError&) {
    return refused;
  } catch (const std::exception&) {
    return other_exception;
  }
}

/// Takes memory, so that a child's heap is not laid out as its parent's and as that of another trial: children of one
/// parent would all die of the same thing in the same place.
std::vector<std::string> spacers_of(std::size_t trial) {
  std::vector<std::string> spacers;
  for (std::size_t i = 0; i < 5000 * trial; ++i) spacers.emplace_back(i % (500 * trial), ' ');
  return spacers;
}

class ForgedFile : public TemporaryFolder {
 protected:
  void SetUp() override {
    TemporaryFolder::SetUp();
    ResultsFile contents;
    contents.datasets = {{"/a/x", {"i"}, {2}, std::vector<float>{1, 2}, "x", "1", {{"k", std::string("v")}}},
                         {"/a/name", {"i"}, {2}, std::vector<std::string>{"p", "q"}, "name", "", {}}};
    write_results(folder_ / "whole.h5", contents);
    whole_ = slurp(folder_ / "whole.h5");
  }

  /// Reads `bytes` behind a fresh seal in a child process. HDF5 may have broken the heap long before a child dies in
  /// our code: only a file on which it dies there again and again, wherever things lie in memory, tells of a fault of
  /// ours.
  void read(std::string bytes, const std::string& what) {
    detail::seal(bytes);
    const std::filesystem::path file = write("forged.h5", bytes);
    int outcome = died_elsewhere;
    for (std::size_t trial = 0; trial < 4 && outcome == died_elsewhere; ++trial)
      outcome = outcome_in_child(file, trial);
    EXPECT_TRUE(outcome == accepted || outcome == refused || outcome == died_in_hdf5) << what << ": " << outcome;
    ++seen_[outcome];
  }

  static int outcome_in_child(const std::filesystem::path& file, std::size_t trial) {
    const pid_t child = ::fork();
    if (child == 0) {
      const std::vector<std::string> spacers = spacers_of(trial);
      prepare_to_die();
      ::_exit(outcome_of_reading(file));
    }
    int status = 0;
    const bool ended = ::waitpid(child, &status, 0) == child && WIFEXITED(status);
    return ended ? WEXITSTATUS(status) : died_elsewhere;
  }

  std::string whole_;
  std::map<int, int> seen_;
};

TEST_F(ForgedFile, EveryTruncationIsRefused) {
  int files = 0;
  for (std::size_t size = detail::kSealBytes + 1; size < whole_.size(); size += 37, ++files) {
    read(whole_.substr(0, size), "the first " + std::to_string(size) + " bytes");
  }
  read(whole_.substr(0, whole_.size() - 1), "all but the last byte");
  EXPECT_EQ(seen_[refused], files + 1);
}

TEST_F(ForgedFile, ChangedBytesAreReadOrRefused) {
  if (is_sanitized()) GTEST_SKIP() << "the sanitizer ends the program for what HDF5 does, without saying so";
  for (std::size_t at = detail::kSealBytes; at < whole_.size(); at += 41) {
    for (const int bits : {0x01, 0x80, 0xFF}) {
      std::string changed = whole_;
      changed[at] = static_cast<char>(changed[at] ^ bits);
      read(std::move(changed), "byte " + std::to_string(at) + " changed by " + std::to_string(bits));
    }
  }
  // Bytes that nothing refers to change nothing; the others are met, too, or this says nothing about reader and HDF5.
  EXPECT_GT(seen_[accepted], 50);
  EXPECT_GT(seen_[refused], 50);
  // HDF5's own crashes and hangs are not ours to mend; they are counted, so that nobody takes them for mended.
  RecordProperty("died_in_hdf5", seen_[died_in_hdf5]);
  if (seen_[died_in_hdf5] > 0) {
    std::cout << "HDF5 itself crashed or hung on " << seen_[died_in_hdf5] << " of "
              << seen_[accepted] + seen_[refused] + seen_[died_in_hdf5] << " files\n";
  }
}

}  // namespace
}  // namespace tributary
