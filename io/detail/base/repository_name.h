// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Names of repositories on the Hugging Face Hub ("org/name", older ones "name"). Knows no disk.
#pragma once

#include <string>
#include <string_view>

namespace tributary::detail {

/// Whether a text can be one: one or two words of letters, digits, '-', '_' and '.', which neither begin nor end with
/// '-' or '.', without "--" and "..", and at most 96 characters each.
bool is_repository_name(std::string_view text);

/// The name of its folder in the Hub's download cache: "models--org--name".
std::string cache_folder_of(std::string_view repository);

/// The other way round; empty where the folder's name is no such name.
std::string repository_of(std::string_view cache_folder);

}  // namespace tributary::detail
