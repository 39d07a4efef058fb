// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The folder a run writes to: made, checked before any work, and guarded against holding another run's results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tributary {

enum class Fresh { no, yes };
enum class Found { nothing, same_results };

/// Makes `folder`, tries to write there `bytes` worth of results, and looks for results already there.
/// Throws UserError: it cannot be made or written, the disk has no room, or it holds results of another identity
/// (unless Fresh::yes).
Found open_output(const std::filesystem::path& folder, const std::string& identity, std::uint64_t bytes, Fresh fresh);

/// folder / "results.h5"
std::filesystem::path results_path(const std::filesystem::path& folder);

}  // namespace tributary
