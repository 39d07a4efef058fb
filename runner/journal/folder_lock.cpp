// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "runner/machine/host.h"

namespace tributary {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_every{200};
constexpr milliseconds settle_locked{100}, settle{250};  // until two that start at once have both written
constexpr milliseconds beat_every{2000};
constexpr milliseconds listen{5000};  // beats would be heard

std::filesystem::path heartbeat_of(const std::filesystem::path& file) { return file.string() + ".heartbeat"; }

std::string self() { return fmt::format("host {}, process {}, since {}", host_name(), ::getpid(), utc_now()); }

bool is_regular(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

/// Of a file; empty where there is none, or something else has its name, which might never end.
std::string contents(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return "";
  std::string text;
  if (is_regular(descriptor)) {
    std::array<char, 4096> part;
    for (ssize_t size = 0; (size = ::read(descriptor, part.data(), part.size())) > 0;) {
      text.append(part.data(), static_cast<std::size_t>(size));
    }
  }
  ::close(descriptor);
  return text;
}

/// This start of this machine, and who counts processes in it: there a process number can be asked after.
std::string machine() {
  std::string id = contents("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  std::error_code error;
  return id + " " + std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
}

/// What a heartbeat file says. Four lines: who, on which machine, which process there with a number that no other lock
/// has, and how many beats.
struct Pulse {
  std::string text;  //!< empty: there is none

  [[nodiscard]] bool beats() const { return !text.empty(); }
  [[nodiscard]] std::string who() const { return line(0); }
  [[nodiscard]] bool is_from_here() const { return line(1) == machine(); }
  /// Of this machine's.
  [[nodiscard]] bool process_lives() const {
    const int process = std::atoi(line(2).c_str());
    return process > 0 && (::kill(process, 0) == 0 || errno == EPERM);
  }
  [[nodiscard]] bool is_of(const std::string& own) const { return text.rfind(own, 0) == 0; }

 private:
  [[nodiscard]] std::string line(int number) const {
    std::istringstream lines(text);
    std::string found;
    for (int i = 0; i <= number; ++i) {
      if (!std::getline(lines, found)) return "";
    }
    return found;
  }
};

Pulse pulse_in(const std::filesystem::path& file) { return {contents(heartbeat_of(file))}; }

std::string own_beginning() {
  const auto number = std::chrono::steady_clock::now().time_since_epoch().count();
  return fmt::format("{}\n{}\n{} {}\n", self(), machine(), ::getpid(), number);
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

FolderLock::FolderLock(const std::filesystem::path& folder, Times times, Kind kind)
    : file_(folder / "lock"), own_(own_beginning()) {
  // A link might lead to a file that is somebody's: it is emptied below.
  descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (descriptor_ < 0 && errno != ELOOP) throw_write_error(file_, "create a file", errno);
  if (descriptor_ < 0 || !is_regular(descriptor_)) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw UserError(file_.string(), "is a link, pipe or device, not the file that keeps others out; remove it");
  }
  try {
    const auto until = Clock::now() + times.patience;
    begin_heart(until, times.dead_after, kind == Kind::automatic && lock(until));
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
  {
    const std::lock_guard guard(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
  heart_.join();
  std::error_code ignored;
  if (pulse_in(file_).is_of(own_)) std::filesystem::remove(heartbeat_of(file_), ignored);
  if (::ftruncate(descriptor_, 0) != 0) {
    // The lock itself is gone with the descriptor; a stale name inside does not matter.
  }
  ::close(descriptor_);
}

/// False where the file system has no locks.
bool FolderLock::lock(Clock::time_point until) const {
  for (;;) {
    const int error = try_lock(descriptor_);
    if (error == 0) return true;
    if (!held_by_another(error)) return false;  // ENOLCK, EOPNOTSUPP, EINVAL, ENOSYS
    if (Clock::now() >= until) {
      const std::string holder = contents(file_);
      refuse(file_, holder.substr(0, holder.find('\n')));
    }
    std::this_thread::sleep_for(look_every);
  }
}

void FolderLock::begin_heart(Clock::time_point until, milliseconds dead_after, bool locked) {
  await_silence(until, dead_after, locked);
  replace_file(heartbeat_of(file_), own_ + "0\n");
  std::this_thread::sleep_for(locked ? settle_locked : settle);
  const Pulse now = pulse_in(file_);
  if (!now.is_of(own_)) refuse(file_, now.who());  // it has begun at the same moment
  heart_ = std::thread([this] { beat(); });
}

/// Another run is alive as long as its heartbeat changes.
void FolderLock::await_silence(Clock::time_point until, milliseconds dead_after, bool locked) const {
  Pulse seen = pulse_in(file_);
  if (!seen.beats()) return;
  // By the clock of the file system's own machine.
  ::futimens(descriptor_, nullptr);
  std::error_code error;
  const auto now = std::filesystem::last_write_time(file_, error);
  const auto last_beat = std::filesystem::last_write_time(heartbeat_of(file_), error);
  if (!error && now - last_beat > dead_after) return;
  auto changed = Clock::now();
  bool alive = false;
  while (seen.beats() && Clock::now() - changed < dead_after) {
    if (seen.is_from_here()) {
      if (locked || !seen.process_lives()) return;  // on one machine locks tell the truth, and so does the system
      alive = true;
    }
    if (alive && Clock::now() >= until) refuse(file_, seen.who());
    std::this_thread::sleep_for(look_every);
    Pulse next = pulse_in(file_);
    if (next.text == seen.text) continue;
    alive = next.beats();
    seen = std::move(next);
    changed = Clock::now();
  }
}

void FolderLock::beat() {
  std::unique_lock guard(mutex_);
  for (long count = 1; !ending_.wait_for(guard, beat_every, [this] { return ended_; }); ++count) {
    const Pulse now = pulse_in(file_);
    if (now.beats() && !now.is_of(own_)) continue;  // who took this one for dead has the folder now
    try {
      replace_file(heartbeat_of(file_), own_ + std::to_string(count) + "\n");
    } catch (const std::exception&) {
      // A beat that is missed is made up by the next one; what cannot be written is reported by the journal.
    }
  }
}

std::string FolderLock::holder(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "lock";
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return "";
  if (!is_regular(descriptor)) {
    ::close(descriptor);
    return "";
  }
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  const bool locks = ::fcntl(descriptor, F_OFD_GETLK, &whole) == 0;
  ::close(descriptor);
  if (locks && whole.l_type != F_UNLCK) {
    const std::string text = contents(file);
    return text.substr(0, text.find('\n'));
  }
  const Pulse first = pulse_in(file);
  if (!first.beats()) return "";
  if (first.is_from_here()) return !locks && first.process_lives() ? first.who() : "";
  const auto until = Clock::now() + listen;
  while (Clock::now() < until) {
    std::this_thread::sleep_for(look_every);
    const Pulse now = pulse_in(file);
    if (now.text != first.text) return now.who();
  }
  return "";
}

}  // namespace tributary
