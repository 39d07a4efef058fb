// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Folders that SAELens writes: cfg.json, which says what the dictionary is, and sae_weights.safetensors.
#pragma once

#include <filesystem>

#include "io/feature_file.h"

namespace tributary::detail::features {

inline constexpr const char* saelens_config = "cfg.json";
inline constexpr const char* saelens_weights = "sae_weights.safetensors";

/// Throws UserError as open_features does.
FeatureFile read_saelens(const std::filesystem::path& folder);

}  // namespace tributary::detail::features
