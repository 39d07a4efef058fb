// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How the files of a journal are read and written whole.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace tributary::detail {

using Json = nlohmann::ordered_json;

/// Throws RuntimeFailure when it cannot be read.
std::string read_journal_file(const std::filesystem::path& file);
/// Throws as write_atomically does.
void write_json_file(const std::filesystem::path& file, const Json& json);

}  // namespace tributary::detail
