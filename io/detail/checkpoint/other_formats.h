// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a folder holds that is no checkpoint as we read it, and the way out: adapters, single shards, other formats.
#pragma once

#include <filesystem>
#include <string>

namespace tributary::detail::checkpoint {

/// What to do where the folder holds only an adapter, with the model that it belongs to; empty: it holds none.
std::string about_adapter(const std::filesystem::path& folder);

/// What a folder without model.safetensors and its index has instead, and what to do.
std::string about_other_weights(const std::filesystem::path& folder);

}  // namespace tributary::detail::checkpoint
