// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "runner/machine/host.h"

namespace tributary {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds look_every{200};
constexpr milliseconds beat_every{1000};
constexpr milliseconds dead_after{5000};  // without a beat

std::filesystem::path heartbeat_of(const std::filesystem::path& file) { return file.string() + ".heartbeat"; }

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string self() { return fmt::format("host {}, process {}, since {}", host_name(), ::getpid(), now_text()); }

std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Open-file locks: closing another descriptor of the same file does not drop them, and no other process inherits them.
int try_lock(int descriptor) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(descriptor, F_OFD_SETLK, &whole) == 0 ? 0 : errno;
}

bool held_by_another(int error) { return error == EAGAIN || error == EACCES; }

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& holder) {
  throw UserError(file.parent_path().string(), "another run is at work in this folder (" +
                                                   (holder.empty() ? "it has not said which" : holder) +
                                                   "); wait for it, stop it, or name another folder with --out");
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, milliseconds patience, Kind kind) : file_(folder / "lock") {
  descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_write_error(file_, "create a file", errno);
  try {
    if (kind == Kind::heartbeat) {
      begin_heart(patience);
    } else {
      lock(patience);
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
  const std::string text = self() + "\n";
  if (::ftruncate(descriptor_, 0) != 0 || write_fully(descriptor_, text) != 0) {
    // Only tells others who holds it: a full disk is reported by what cannot go on without.
  }
}

FolderLock::~FolderLock() {
  if (heart_.joinable()) {
    {
      const std::lock_guard guard(mutex_);
      ended_ = true;
    }
    ending_.notify_all();
    heart_.join();
    std::error_code ignored;
    std::filesystem::remove(heartbeat_of(file_), ignored);
  }
  if (::ftruncate(descriptor_, 0) != 0) {
    // The lock itself is gone with the descriptor; a stale name inside does not matter.
  }
  ::close(descriptor_);
}

void FolderLock::lock(milliseconds patience) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const int error = try_lock(descriptor_);
    if (error == 0) return;
    if (!held_by_another(error)) {  // ENOLCK, EOPNOTSUPP, EINVAL, ENOSYS: no locks here
      begin_heart(patience);
      return;
    }
    if (Clock::now() >= until) {
      std::string holder = contents(file_);
      while (!holder.empty() && holder.back() == '\n') holder.pop_back();
      refuse(file_, holder);
    }
    std::this_thread::sleep_for(look_every);
  }
}

/// Another run is alive as long as its heartbeat changes.
void FolderLock::begin_heart(milliseconds patience) {
  const std::string first = contents(heartbeat_of(file_));
  if (!first.empty()) {
    std::string seen = first;
    auto changed = Clock::now();
    const auto until = changed + std::max(patience, dead_after);
    while (Clock::now() - changed < dead_after) {
      std::this_thread::sleep_for(look_every);
      const std::string now = contents(heartbeat_of(file_));
      if (now.empty()) break;  // it ended in good order
      if (now == seen) continue;
      if (Clock::now() >= until) refuse(file_, now.substr(0, now.find('\n')));
      seen = now;
      changed = Clock::now();
    }
  }
  const std::string mine = self();
  write_atomically(heartbeat_of(file_), mine + "\n0\n");
  heart_ = std::thread([this] { beat(); });
}

void FolderLock::beat() {
  const std::string mine = self();
  std::unique_lock guard(mutex_);
  for (long count = 1; !ending_.wait_for(guard, beat_every, [this] { return ended_; }); ++count) {
    try {
      write_atomically(heartbeat_of(file_), mine + "\n" + std::to_string(count) + "\n");
    } catch (const std::exception&) {
      // A beat that is missed is made up by the next one; what cannot be written is reported by the journal.
    }
  }
}

std::string FolderLock::holder(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "lock";
  std::string text;
  if (const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC); descriptor >= 0) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    const bool known = ::fcntl(descriptor, F_OFD_GETLK, &whole) == 0;
    if (known && whole.l_type != F_UNLCK) text = contents(file);
    if (!known) text = contents(heartbeat_of(file));
    ::close(descriptor);
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace tributary
