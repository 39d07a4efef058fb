// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files that appear whole or not at all: written under a temporary name beside the target, made durable, renamed.
// A reader never sees half a file, and a crash or a full disk leaves the old one as it was.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace tributary {

/// Makes `path` hold exactly `bytes`, on the disk, before it returns. The folder must exist. Leaves no temporary
/// file behind unless the process is killed (then a hidden ".tributary-….part").
/// Throws UserError when the user can cure it (read-only, no permission, disk full, no such folder …: says what to
/// do), RuntimeFailure otherwise.
void write_atomically(const std::filesystem::path& path, std::string_view bytes);

/// The same of bytes that come piece by piece: `pieces` is called once, and hands them to its argument in order.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::function<void(std::string_view)>& put)>& pieces);

/// The same of what need not outlive the machine: readers see the old file or the new one, but nothing is waited for
/// until it is on the disk.
void replace_file(const std::filesystem::path& path, std::string_view bytes);

/// Removes what killed writers have left in a folder: their temporary files. For whoever knows that nobody writes there
/// now. What cannot be removed stays.
void remove_unfinished_files(const std::filesystem::path& folder);

/// Makes a folder and those above it. Throws UserError.
void make_folder(const std::filesystem::path& folder);

/// Writes all bytes, however few the system takes at a time. Returns 0, or the errno of what went wrong.
int write_fully(int descriptor, std::string_view bytes);

/// Throws UserError or RuntimeFailure for an errno met while `doing` ("create a file", "write 12 bytes") for `path`.
[[noreturn]] void throw_write_error(const std::filesystem::path& path, const std::string& doing, int error);

}  // namespace tributary
