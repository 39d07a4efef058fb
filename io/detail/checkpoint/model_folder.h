// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether a path is a model's folder, and if not, what was meant by it: people give names of the Hugging Face Hub and
// roots of its download cache. Looks at the local disk only.
#pragma once

#include <filesystem>

namespace tributary::detail::checkpoint {

/// Throws UserError unless the folder is there and holds a config.json; with the snapshot to give where the Hub's cache
/// ($HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub) has one.
void require_model_folder(const std::filesystem::path& folder);

}  // namespace tributary::detail::checkpoint
