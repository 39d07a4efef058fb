// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether a path is a model's folder. Looks at the local disk only.
#pragma once

#include <filesystem>

namespace tributary::detail::checkpoint {

/// Throws UserError unless the folder is there and holds a config.json.
void require_model_folder(const std::filesystem::path& folder);

}  // namespace tributary::detail::checkpoint
