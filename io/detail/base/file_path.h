// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Paths of settings made absolute, so that a run means the same from every folder.
#pragma once

#include <filesystem>
#include <string>

namespace tributary::detail {

/// `written` relative to the absolute `folder`, without '.' and '..' where that names the same file.
std::string absolute_path(const std::filesystem::path& folder, const std::string& written);

/// The current folder. Throws RuntimeFailure when it no longer exists.
std::filesystem::path current_folder();

}  // namespace tributary::detail
