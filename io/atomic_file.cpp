// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "common/errors.h"

namespace tributary {
namespace {

struct Cure {
  int error;
  const char* why;
  const char* what_to_do;
};

constexpr std::array kCures{
    Cure{EROFS, "the file system is read-only", "choose an output folder on a file system you can write to"},
    Cure{EACCES, "you have no permission to write in this folder",
         "choose an output folder of your own, or ask its owner for write permission"},
    Cure{EPERM, "the system forbids changing this folder or file",
         "choose another output folder, or remove the file's protection (chattr, another owner in a sticky folder)"},
    Cure{ENOSPC, "no space is left on the disk", "free some space, or choose an output folder on another disk"},
    Cure{EDQUOT, "your disk quota is used up", "remove files of yours, or choose an output folder under another quota"},
    Cure{ENOENT, "the folder does not exist", "create it first, or correct the path"},
    Cure{ENOTDIR, "a part of the path is a file, not a folder", "correct the path, or remove that file"},
    Cure{EISDIR, "a folder has this name", "remove that folder, or choose another file name"},
    Cure{ENAMETOOLONG, "the file system does not take names this long", "choose a shorter name or path"},
};

constexpr std::string_view kTemporaryBegin = ".tributary-", kTemporaryEnd = ".part";

enum class Durable { yes, no };

using Pieces = std::function<void(const std::function<void(std::string_view)>& put)>;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  [[nodiscard]] int get() const { return number_; }

  /// Closes now; 0 or errno. Network file systems report a full disk only here.
  int close() { return ::close(std::exchange(number_, -1)) == 0 ? 0 : errno; }

 private:
  int number_;
};

/// Sends a long file to the disk while it is written, and lets go of what has arrived: its pages would take the place
/// of those that are read again, a model's, and a machine that has to find new ones is slow.
class WriteBehind {
 public:
  explicit WriteBehind(int file) : file_(file) {}

  /// So many bytes are written by now. Returns 0, or the errno of what went wrong with earlier ones.
  int written(std::size_t size) {
    if (size - sent_ < piece) return 0;
    if (!send(sent_, size, SYNC_FILE_RANGE_WRITE)) return errno;
    if (!send(arrived_, sent_, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)) {
      return errno;
    }
    if (sent_ > arrived_) {
      ::posix_fadvise(file_, static_cast<off_t>(arrived_), static_cast<off_t>(sent_ - arrived_), POSIX_FADV_DONTNEED);
    }
    arrived_ = std::exchange(sent_, size);
    return 0;
  }

 private:
  static constexpr std::size_t piece = std::size_t{1} << 24;

  /// True also where the file system cannot do that: whoever relies on the bytes syncs the file.
  [[nodiscard]] bool send(std::size_t begin, std::size_t end, unsigned how) const {
    if (begin == end) return true;
    const int done = ::sync_file_range(file_, static_cast<off64_t>(begin), static_cast<off64_t>(end - begin), how);
    return done == 0 || errno == ENOSYS || errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP || errno == EPERM;
  }

  int file_;
  std::size_t arrived_ = 0, sent_ = 0;
};

/// A file that unlinks itself unless it is renamed. `path` is the target, and only named in errors.
class TemporaryFile {
 public:
  TemporaryFile(int folder, const std::filesystem::path& path) : folder_(folder), path_(path), file_(create()) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!renamed_) ::unlinkat(folder_, name_.c_str(), 0);
  }

  /// Small pieces are gathered, so that not every number costs a call of the system.
  void fill(const Pieces& pieces, Durable durable) {
    constexpr std::size_t gathered = std::size_t{1} << 16, at_once = std::size_t{1} << 22;
    std::string waiting;
    std::size_t size = 0;
    WriteBehind behind(file_.get());
    const auto write = [&](std::string_view bytes) {
      while (!bytes.empty()) {
        const std::string_view some = bytes.substr(0, at_once);
        bytes.remove_prefix(some.size());
        size += some.size();
        const int error = write_fully(file_.get(), some);
        require(error != 0 || durable == Durable::no ? error : behind.written(size),
                "write " + std::to_string(size) + " bytes");
      }
    };
    pieces([&](std::string_view bytes) {
      if (waiting.size() + bytes.size() > gathered) {
        write(waiting);
        waiting.clear();
      }
      if (bytes.size() > gathered) return write(bytes);
      waiting.append(bytes);
    });
    write(waiting);
    const std::string doing = "write " + std::to_string(size) + " bytes";
    if (durable == Durable::yes) require(::fsync(file_.get()) == 0 ? 0 : errno, doing);
    require(file_.close(), doing);
  }

  void rename_to(const std::filesystem::path& name) {
    require(::renameat(folder_, name_.c_str(), folder_, name.c_str()) == 0 ? 0 : errno, "rename the finished file");
    renamed_ = true;
  }

 private:
  // O_EXCL and not the counter is what makes the name ours: on a shared disk another node may have our process id.
  Descriptor create() {
    for (unsigned counter = 0;; ++counter) {
      name_ = std::string(kTemporaryBegin) + std::to_string(::getpid()) + "-" + std::to_string(counter);
      name_ += kTemporaryEnd;
      const int number = ::openat(folder_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (number >= 0) return Descriptor(number);
      if (errno != EEXIST && errno != EINTR) throw_write_error(path_, "create a file", errno);
    }
  }

  void require(int error, const std::string& doing) const {
    if (error != 0) throw_write_error(path_, doing, error);
  }

  int folder_;
  const std::filesystem::path& path_;
  std::string name_;
  Descriptor file_;
  bool renamed_ = false;
};

Descriptor open_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const int number = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (number < 0) throw_write_error(path, "open the folder", errno);
  return Descriptor(number);
}

}  // namespace

int write_fully(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;  // no progress and no reason: never loop on it
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

void throw_write_error(const std::filesystem::path& path, const std::string& doing, int error) {
  const auto* cure = std::find_if(kCures.begin(), kCures.end(), [&](const Cure& c) { return c.error == error; });
  if (cure != kCures.end()) {
    throw UserError(path.string(), "cannot " + doing + " (" + cure->why + "); " + cure->what_to_do);
  }
  throw RuntimeFailure(path.string() + ": cannot " + doing + " (" + std::generic_category().message(error) +
                       "); check the file system, then try again");
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::error_code unseen;
  if (error || !std::filesystem::is_directory(folder, unseen)) {
    throw UserError(folder.string(), "cannot be made (" +
                                         (error ? error.message() : std::string("it is not a folder")) +
                                         "); name another with --out");
  }
}

namespace {

void write_and_rename(const std::filesystem::path& path, const Pieces& pieces, Durable durable) {
  if (!path.has_filename()) throw_write_error(path, "write a file", EISDIR);
  const Descriptor folder = open_folder(path);
  TemporaryFile temporary(folder.get(), path);
  temporary.fill(pieces, durable);
  temporary.rename_to(path.filename());
  if (durable == Durable::no) return;
  // Some network file systems cannot sync a folder and say EINVAL: the rename is as durable there as it gets.
  if (::fsync(folder.get()) != 0 && errno != EINVAL) throw_write_error(path, "make the new name durable", errno);
}

}  // namespace

void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
  write_atomically(path, [bytes](const auto& put) { put(bytes); });
}

void write_atomically(const std::filesystem::path& path, const Pieces& pieces) {
  write_and_rename(path, pieces, Durable::yes);
}

void replace_file(const std::filesystem::path& path, std::string_view bytes) {
  write_and_rename(
      path, [bytes](const auto& put) { put(bytes); }, Durable::no);
}

void remove_unfinished_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kTemporaryBegin) && name.ends_with(kTemporaryEnd)) found.push_back(entry.path());
  }
  for (const std::filesystem::path& file : found) std::filesystem::remove(file, error);
}

}  // namespace tributary
