// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files that are read as files: opening never waits for a writer, as a pipe would, and whether somebody has changed
// the contents since can be told without reading them again.
#pragma once

#include <cstdint>
#include <string>

namespace tributary {

/// What the system says of an open file.
struct FileMark {
  std::uint64_t device = 0, inode = 0;
  std::uint64_t links = 0;    //!< its names: renaming another file to its name takes one away
  std::int64_t size = 0;      //!< bytes
  std::int64_t modified = 0;  //!< ns since 1970: when its contents were last written, unless somebody has set it
  std::int64_t changed = 0;   //!< the same of anything about it, names and permissions included; nobody can set it

  bool operator==(const FileMark&) const = default;
};

/// A regular file, open for reading. Stays the same file when another is renamed to its name.
class RegularFile {
 public:
  /// Throws UserError(path, …): missing, not readable, a folder, or a pipe, socket or device, which can be read once
  /// and may never end.
  explicit RegularFile(const std::string& path);
  ~RegularFile();
  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&& other) noexcept;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// As it is now. Throws RuntimeFailure.
  [[nodiscard]] FileMark mark() const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace tributary
