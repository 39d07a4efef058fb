// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{1'000'000'000} * time.tv_sec + time.tv_nsec; }

[[noreturn]] void refuse_unreadable(const std::string& path, int reason) {
  if (const std::string link = about_dangling_link(path); !link.empty()) {
    throw UserError(path, "cannot be read" + link);
  }
  throw UserError(
      path, std::string("cannot read this file (") + std::strerror(reason) + "); check the path and its permissions");
}

/// Throws unless it can be read from its beginning as often as it is needed.
void require_regular(const std::string& path, mode_t mode) {
  if (S_ISREG(mode)) return;
  if (S_ISDIR(mode)) {
    throw UserError(path, "this is a folder, but a file is needed; give the path of the file inside it");
  }
  const char* const kind = S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
  throw UserError(path, std::string("this is ") + kind +
                            ", but a file is needed (it is read more than once, by every rank); write what comes from "
                            "it into a file, and give the path of that");
}

}  // namespace

RegularFile::RegularFile(const std::string& path) : path_(path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) refuse_unreadable(path, errno);
  require_regular(path, info.st_mode);  // opening a device may do something
  // O_NONBLOCK: what stands there now may be a pipe.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) refuse_unreadable(path, errno);
  const bool known = ::fstat(descriptor_, &info) == 0;
  const int reason = errno;
  if (known && S_ISREG(info.st_mode)) return;
  ::close(descriptor_);
  if (!known) refuse_unreadable(path, reason);
  require_regular(path, info.st_mode);
}

RegularFile::~RegularFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileMark RegularFile::mark() const {
  struct stat info = {};
  if (::fstat(descriptor_, &info) != 0) {
    throw RuntimeFailure(path_ + ": cannot be looked at (" + std::strerror(errno) +
                         "); check the disk that it lies on, and start again");
  }
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .links = info.st_nlink,
          .size = info.st_size,
          .modified = nanoseconds(info.st_mtim),
          .changed = nanoseconds(info.st_ctim)};
}

}  // namespace tributary
