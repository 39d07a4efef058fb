// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/mapped_file.h"

#include <sys/mman.h>
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

/// Whole pages around the bytes. Only advice: a failure costs time or memory, never correctness.
void advise(const std::byte* data, std::size_t bytes, int advice) {
  if (bytes == 0) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t into_page = reinterpret_cast<std::uintptr_t>(data) % page;
  (void)::madvise(const_cast<std::byte*>(data - into_page), bytes + into_page, advice);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path)
    : file_(path.string()), mark_(file_.mark()), size_(static_cast<std::size_t>(mark_.size)) {
  if (size_ == 0) return;  // mmap refuses length 0
  void* const mapping = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (mapping == MAP_FAILED) {
    throw RuntimeFailure(
        fmt::format("{}: {} bytes cannot be mapped into memory ({}); raise the limit on address space "
                    "(ulimit -v), or copy the file to a file system that supports mmap",
                    name(), size_, std::strerror(errno)));
  }
  data_ = static_cast<const std::byte*>(mapping);
  region_ = note_mapping(printable(name()), data_, size_);
}

MappedFile::~MappedFile() {
  forget_mapping(region_);
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)),
      mark_(other.mark_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      region_(std::exchange(other.region_, nullptr)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(mark_, other.mark_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(region_, other.region_);
  return *this;
}

void prefetch(const std::byte* data, std::size_t bytes) { advise(data, bytes, MADV_WILLNEED); }

void release(const std::byte* data, std::size_t bytes) { advise(data, bytes, MADV_DONTNEED); }

}  // namespace tributary::detail
