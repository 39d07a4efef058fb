// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"

namespace tributary::detail {
namespace {

/// Closes on scope exit: a mapping outlives its descriptor.
struct Descriptor {
  explicit Descriptor(int descriptor) : value(descriptor) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value;
};

/// Whole pages around the bytes. Only advice: a failure costs time or memory, never correctness.
void advise(const std::byte* data, std::size_t bytes, int advice) {
  if (bytes == 0) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t into_page = reinterpret_cast<std::uintptr_t>(data) % page;
  (void)::madvise(const_cast<std::byte*>(data - into_page), bytes + into_page, advice);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : name_(path.string()) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.value < 0) {
    const int reason = errno;
    if (const std::string link = about_dangling_link(name_); !link.empty()) {
      throw UserError(name_, "cannot be opened" + link);
    }
    throw UserError(name_,
                    fmt::format("cannot be opened ({}); check the path and its permissions", std::strerror(reason)));
  }
  struct stat info = {};
  if (::fstat(file.value, &info) != 0) {
    throw RuntimeFailure(fmt::format("{}: fstat failed ({})", name_, std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) throw UserError(name_, "is not a regular file; give the file itself");
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;  // mmap refuses length 0
  void* const mapping = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.value, 0);
  if (mapping == MAP_FAILED) {
    throw RuntimeFailure(
        fmt::format("{}: {} bytes cannot be mapped into memory ({}); raise the limit on address space "
                    "(ulimit -v), or copy the file to a file system that supports mmap",
                    name_, size_, std::strerror(errno)));
  }
  data_ = static_cast<const std::byte*>(mapping);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : name_(std::move(other.name_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void prefetch(const std::byte* data, std::size_t bytes) { advise(data, bytes, MADV_WILLNEED); }

void release(const std::byte* data, std::size_t bytes) { advise(data, bytes, MADV_DONTNEED); }

}  // namespace tributary::detail
