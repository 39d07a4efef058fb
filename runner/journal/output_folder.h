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
enum class Found { nothing, same_results, changed_results };
/// What to do with results whose bytes are not those that were written.
enum class Changed { refuse, set_aside };

/// Where results are kept that were set aside.
std::filesystem::path aside_path(const std::filesystem::path& folder);

/// Looks for results that are there already. Throws UserError when they are of another identity (unless Fresh::yes,
/// which finds nothing), or when the folder cannot be looked into; ResultsChanged unless they may be set aside.
Found results_in(const std::filesystem::path& folder, const std::string& identity, Fresh fresh,
                 Changed changed = Changed::refuse);

/// Makes `folder`, and tries to write there `bytes` worth of results. Throws UserError: it cannot be made or written,
/// or the disk has no room.
void claim_output(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace tributary
