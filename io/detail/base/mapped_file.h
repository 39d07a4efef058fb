// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A whole file mapped into memory, read-only and shared with every process that maps it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "common/regular_file.h"
#include "io/detail/base/mapped_regions.h"

namespace tributary::detail {

/// Owns the mapping; moving keeps the address.
class MappedFile {
 public:
  /// Throws UserError when the file is missing, unreadable or not a regular file; RuntimeFailure when it cannot be
  /// mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& name() const { return file_.path(); }
  [[nodiscard]] const std::byte* data() const { return data_; }  //!< null for an empty file
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// The file as it was before it was mapped, and as it is now. Writing to a file changes what is mapped.
  [[nodiscard]] const FileMark& mark() const { return mark_; }
  [[nodiscard]] FileMark mark_now() const { return file_.mark(); }

 private:
  RegularFile file_;
  FileMark mark_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  MappedRegion* region_ = nullptr;
};

/// Asks the system to start reading these mapped bytes; returns at once and may do nothing.
void prefetch(const std::byte* data, std::size_t bytes);

/// Takes the pages of these mapped bytes out of this process's memory; they come back from the file when they are read
/// again.
void release(const std::byte* data, std::size_t bytes);

}  // namespace tributary::detail
