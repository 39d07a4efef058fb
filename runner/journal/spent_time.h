// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How long earlier starts worked on a stage: <stage>/seconds.json. What a start spends that is killed hard is not
// known.
#pragma once

#include <filesystem>

namespace tributary {

/// Wall seconds of earlier starts; 0 where none are known.
double spent_seconds(const std::filesystem::path& stage_folder);

/// Stores their sum. Nothing depends on it, so a disk that refuses is no failure.
void keep_spent_seconds(const std::filesystem::path& stage_folder, double seconds);

}  // namespace tributary
