// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Folders of circuit-tracer: config.yaml, and one file a layer with a transcoder's weights, or two with those of a
// cross-layer transcoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "io/feature_file.h"

namespace tributary::detail::features {

inline constexpr const char* circuit_tracer_config = "config.yaml";

/// N of "layer_N.safetensors", as circuit-tracer names the files of transcoders.
std::optional<std::int64_t> layer_of_name(const std::string& file_name);

/// All layers, or, of transcoders, this one only. Throws UserError as open_features does.
FeatureFile read_circuit_tracer(const std::filesystem::path& folder, std::optional<std::int64_t> only = {});

}  // namespace tributary::detail::features
